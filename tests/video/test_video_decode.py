"""read_video and read_windows against videos whose frames, order and times are known."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import av
import numpy as np
import pytest
from known_videos import counting, indices, write_video
from PIL import Image

from voxplain.errors import VideoError
from voxplain.video import Clip, Geometry, Middle, Windows, read_video, read_windows

DATA = Path(os.environ.get("VOXPLAIN_DATA", Path(__file__).parents[2] / "../shared/data"))
ODD = sorted((DATA / "odd_clips").glob("*.*"))

FORMATS = [
    ("a.mp4", "libx264", "yuv420p"),
    ("a.mp4", "libx265", "yuv420p"),
    ("a.mp4", "mpeg4", "yuv420p"),
    ("a.mkv", "libx264", "yuv420p10le"),
    ("a.mkv", "ffv1", "gray"),
    ("a.mkv", "ffv1", "gray16le"),
    ("a.mkv", "libx264", "yuv444p"),
    ("a.avi", "mpeg4", "yuv420p"),
    ("a.avi", "mjpeg", "yuvj420p"),
    ("a.avi", "rawvideo", "yuv420p"),
    ("a.avi", "huffyuv", "rgb24"),
    ("a.webm", "libvpx-vp9", "yuv420p"),
    ("a.webm", "libvpx", "yuv420p"),
    ("a.mov", "prores_ks", "yuv422p10le"),
    ("a.mpg", "mpeg2video", "yuv420p"),
    ("a.ts", "libx264", "yuv420p"),
]


def _encodable(codec: str) -> bool:
    try:
        return bool(av.codec.Codec(codec, "w"))
    except Exception:
        return False


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), FORMATS, ids=lambda value: str(value))
def test_order_count_and_times(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    if not _encodable(codec):
        pytest.skip(f"this PyAV build cannot write {codec}")
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = write_video(tmp_path / name, counting(20), codec, pix_fmt, options=quiet)
    clip = read_video(path)
    assert clip.frames.shape == (20, 48, 64, 3)
    assert clip.damaged == 0
    assert clip.source == str(path)
    assert indices(clip.frames) == list(range(20))
    if name != "a.mpg":  # libav's own muxer leaves a gap in the times of the last group
        np.testing.assert_allclose(np.diff(clip.seconds), 0.04, atol=0.0011)


def test_gif_with_its_own_delays(tmp_path: Path) -> None:
    frames = counting(6)
    frames[:, 10:20, 10:20] = 250  # a part that stays: GIF writers then store only the changed rectangle
    frames[:, :, :2] = 3
    pictures = [Image.fromarray(frame) for frame in frames]
    delays = [40, 40, 100, 40, 200, 40]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=delays, loop=0)
    clip = read_video(tmp_path / "a.gif")
    assert (clip.frames == frames).all()
    np.testing.assert_allclose(np.diff(clip.seconds), np.array(delays[:-1]) / 1000)


def test_frames_of_a_file_with_b_frames_come_in_presentation_order(tmp_path: Path) -> None:
    path = write_video(tmp_path / "b.mp4", counting(25), options={"bf": "4", "b-adapt": "0", "g": "25"})
    with av.open(str(path)) as container:
        stamps = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert stamps != sorted(stamps), "the file must store frames out of order for this test to mean anything"
    clip = read_video(path)
    assert indices(clip.frames) == list(range(25))
    np.testing.assert_allclose(clip.seconds, np.arange(25) / 25, atol=1e-9)


def test_times_of_a_variable_frame_rate(tmp_path: Path) -> None:
    pts = [0, 40, 50, 200, 1000, 1001, 3000]
    clip = read_video(write_video(tmp_path / "v.mkv", counting(7), pts=pts))
    assert indices(clip.frames) == list(range(7))
    np.testing.assert_allclose(clip.seconds, np.array(pts) / 1000, atol=1e-9)


@pytest.mark.parametrize(("rotation", "turns"), [(0, 0), (90, 1), (180, 2), (-90, 3)])
def test_rotation_is_applied(tmp_path: Path, rotation: int, turns: int) -> None:
    frames = np.zeros((3, 48, 64, 3), np.uint8)
    frames[:, :16, :16] = 255  # a square in the top left corner: no two turns look alike
    clip = read_video(write_video(tmp_path / "r.mp4", frames, rotation=rotation))
    expected = np.rot90(frames, turns, axes=(1, 2))  # libav's angle is counterclockwise, as numpy's
    assert clip.frames.shape == expected.shape
    assert np.abs(clip.frames.astype(int) - expected).mean() < 3
    assert read_windows(clip.source, Middle(2))[0].frames.shape == (2, *expected.shape[1:])


@pytest.mark.parametrize("rotation", [0, 90])
def test_frames_are_freed_once_they_were_read(tmp_path: Path, rotation: int) -> None:
    """Not when Python next looks for cycles, which for 1920×1080 was after half a gigabyte of them."""
    path = write_video(tmp_path / "r.mp4", np.zeros((60, 48, 64, 3), np.uint8), rotation=rotation)
    gc.collect()
    before = sum(type(found) is av.VideoFrame for found in gc.get_objects())
    gc.disable()
    try:
        assert len(read_video(path)) == 60
        left = sum(type(found) is av.VideoFrame for found in gc.get_objects())
    finally:
        gc.enable()
    assert left - before <= 2


@pytest.mark.parametrize(("height", "width"), [(49, 65), (33, 31), (2, 2), (17, 200)])
@pytest.mark.parametrize(("codec", "pix_fmt"), [("ffv1", "bgr0"), ("ffv1", "gray"), ("libx264", "yuv444p")])
def test_odd_sizes(tmp_path: Path, height: int, width: int, codec: str, pix_fmt: str) -> None:
    clip = read_video(write_video(tmp_path / "o.mkv", counting(5, height, width), codec, pix_fmt))
    assert clip.frames.shape == (5, height, width, 3)
    assert indices(clip.frames) == list(range(5))


def test_lossless_colours_are_exact_rgb(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 30, 41, 3), np.uint8)
    assert (read_video(write_video(tmp_path / "c.mkv", frames, "ffv1", "bgr0")).frames == frames).all()


@pytest.mark.parametrize("resize", [(128, 171), (24, 32), (48, 64), (7, 100)])
def test_resizing_while_decoding_equals_resizing_afterwards(tmp_path: Path, resize: tuple[int, int]) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (6, 48, 64, 3), np.uint8)
    path = write_video(tmp_path / "n.mkv", frames, "ffv1", "bgr0")
    geometry = Geometry(resize, (5, 20))
    small = read_video(path, geometry=geometry).frames
    assert (small == geometry.resize_frames(read_video(path).frames)).all()
    assert (geometry(small) == geometry(frames)).all()


def test_windows_equal_picking_from_the_whole_video(tmp_path: Path) -> None:
    frames = np.random.default_rng(2).integers(0, 256, (30, 24, 32, 3), np.uint8)
    path = write_video(tmp_path / "w.mkv", frames, "ffv1", "bgr0")
    sampler = Windows(frames=8, stride=2, step=5)
    whole = read_video(path)
    clips = read_windows(path, sampler)
    assert len(clips) == len(sampler(30)) > 1
    for clip, row in zip(clips, sampler(30), strict=True):
        assert (clip.frames == whole.frames[row]).all()
        assert (clip.seconds == whole.seconds[row]).all()


def test_a_looped_window_has_times_that_go_on(tmp_path: Path) -> None:
    path = write_video(tmp_path / "s.mp4", counting(3))
    clip = read_windows(path, Middle(8, short="loop"))[0]
    assert indices(clip.frames) == [0, 1, 2, 0, 1, 2, 0, 1]
    np.testing.assert_allclose(clip.seconds, np.arange(8) / 25, atol=1e-9)


def _hurt(path: Path, share: tuple[float, float], seed: int = 0) -> None:
    """Overwrite a stretch of the file with noise."""
    data = bytearray(path.read_bytes())
    start, stop = (int(len(data) * s) for s in share)
    data[start:stop] = np.random.default_rng(seed).bytes(stop - start)
    path.write_bytes(bytes(data))


def _noisy(count: int) -> np.ndarray:
    """Counting frames plus noise, so that the packets are big enough to be hit."""
    noise = np.random.default_rng(0).integers(-15, 16, (count, 48, 64, 1))
    return (np.clip(20 + 3 * np.arange(count), 20, 235)[:, None, None, None] + noise).astype(np.uint8).repeat(3, 3)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("d.mp4", "libx264", "yuv420p"),
        ("e.mp4", "mpeg4", "yuv420p"),
        ("d.avi", "mjpeg", "yuvj420p"),
        ("d.mkv", "ffv1", "bgr0"),
    ],
)
def test_damage_in_the_middle_costs_only_some_frames(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, capfd: pytest.CaptureFixture[str]
) -> None:
    frames = _noisy(60)
    path = write_video(tmp_path / name, frames, codec, pix_fmt, options={"g": "5", "bf": "0"})
    _hurt(path, (0.45, 0.55))
    clip = read_video(path)
    assert 45 <= len(clip) <= 60
    assert capfd.readouterr() == ("", ""), "libav must not write to the terminal"
    again = read_video(path)
    assert again.damaged == clip.damaged
    assert (again.frames == clip.frames).all()
    # The ends are as they were.
    for i in (0, -1):
        assert abs(float(clip.frames[i].mean()) - float(frames[i].mean())) < 4
    windows = read_windows(path, Middle(16))
    assert (windows[0].frames == clip.frames[Middle(16)(len(clip))[0]]).all()


def test_damaged_packets_are_counted(tmp_path: Path) -> None:
    """Some packets of a JPEG stream are emptied: exactly those frames are lost and counted."""
    frames, path = counting(20), tmp_path / "j.avi"
    write_video(tmp_path / "good.avi", frames, "mjpeg", "yuvj420p")
    data = bytearray((tmp_path / "good.avi").read_bytes())
    with av.open(str(tmp_path / "good.avi")) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    lost = [3, 8, 13]
    for i in lost:
        start = places[i][0] + (8 if data[places[i][0] : places[i][0] + 2] != b"\xff\xd8" else 0)
        data[start : start + places[i][1]] = bytes(places[i][1])
    path.write_bytes(bytes(data))
    clip = read_video(path)
    assert clip.damaged == len(lost)
    assert indices(clip.frames) == [i for i in range(20) if i not in lost]
    window = read_windows(path, Windows(frames=17))[0]  # the container still claims 20 frames
    assert indices(window.frames) == indices(clip.frames)
    assert window.damaged == len(lost)


def test_a_file_cut_short_gives_what_is_there(tmp_path: Path) -> None:
    path = write_video(tmp_path / "c.mkv", _noisy(60), options={"g": "5"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    clip = read_video(path)
    assert 15 <= len(clip) < 60
    assert len(read_windows(path, Middle(16))[0]) == 16


def test_an_avi_cut_short_counts_the_frames_that_it_lacks(tmp_path: Path) -> None:
    path = write_video(tmp_path / "c.avi", _noisy(60), "mpeg4", "yuv420p")
    assert read_video(path).damaged == 0
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    clip = read_video(path)
    assert 15 <= len(clip) < 45
    assert abs(len(clip) + clip.damaged - 60) <= 1  # the packet at the cut is damaged itself


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_frame_folder_is_read_in_natural_order(tmp_path: Path, suffix: str) -> None:
    for i, frame in enumerate(counting(12)):
        Image.fromarray(frame).save(tmp_path / f"frame{i}.{suffix}")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / f".hidden.{suffix}").write_bytes(b"x")
    clip = read_video(tmp_path)
    assert indices(clip.frames) == list(range(12))
    np.testing.assert_allclose(clip.seconds, np.arange(12) / 25)


def test_frame_folder_of_grey_palette_and_16_bit_pictures(tmp_path: Path) -> None:
    frames = counting(4)
    Image.fromarray(frames[0][..., 0]).save(tmp_path / "0.png")
    Image.fromarray(frames[1]).convert("P").save(tmp_path / "1.png")
    Image.fromarray(frames[2][..., 0].astype(np.uint16) * 256).save(tmp_path / "2.png")
    Image.fromarray(np.dstack([frames[3], np.full((48, 64), 255, np.uint8)])).save(tmp_path / "3.png")
    assert indices(read_video(tmp_path).frames) == [0, 1, 2, 3]


def test_broken_picture_of_a_frame_folder_is_skipped_and_counted(tmp_path: Path) -> None:
    for i, frame in enumerate(counting(6)):
        Image.fromarray(frame).save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_bytes(b"broken")
    data = (tmp_path / "4.png").read_bytes()
    (tmp_path / "4.png").write_bytes(data[: len(data) // 2])
    clip = read_video(tmp_path)
    assert indices(clip.frames) == [0, 1, 3, 5]
    assert clip.damaged == 2


def test_pictures_of_another_size_are_resized_to_the_first(tmp_path: Path) -> None:
    Image.fromarray(counting(1)[0]).save(tmp_path / "0.png")
    Image.fromarray(counting(2, 20, 30)[1]).save(tmp_path / "1.png")
    clip = read_video(tmp_path)
    assert clip.frames.shape == (2, 48, 64, 3)
    assert indices(clip.frames) == [0, 1]
    (last,) = read_windows(tmp_path, lambda count: np.array([[count - 1]]))
    assert (last.frames[0] == clip.frames[1]).all()


@pytest.mark.parametrize("grey", [False, True])
def test_array_file(tmp_path: Path, grey: bool) -> None:
    frames = counting(5)
    np.save(tmp_path / "a.npy", frames[..., 0] if grey else frames)
    clip = read_video(tmp_path / "a.npy")
    assert (clip.frames == frames).all()
    assert read_windows(tmp_path / "a.npy", Middle(3))[0].frames.shape == (3, 48, 64, 3)


@pytest.mark.parametrize(
    "name", ["übung 走る.mp4", 'it\'s "quoted".mp4', "a:b.mp4", "100%03d.mp4", "-dash.mp4", "no_suffix", "x?y#z.mp4"]
)
def test_names_that_libav_could_read_otherwise(tmp_path: Path, name: str) -> None:
    write_video(tmp_path / "plain.mp4", counting(4)).rename(tmp_path / name)
    assert indices(read_video(tmp_path / name).frames) == [0, 1, 2, 3]
    assert indices(read_video(str(tmp_path / name)).frames) == [0, 1, 2, 3]


def test_a_relative_name_that_looks_like_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "plain.mp4", counting(4)).rename(tmp_path / "concat:b.mp4")
    monkeypatch.chdir(tmp_path)
    assert indices(read_video("concat:b.mp4").frames) == [0, 1, 2, 3]


def test_limit_on_pixels(tmp_path: Path) -> None:
    path = write_video(tmp_path / "big.mp4", counting(10))
    pixels = 10 * 48 * 64
    assert len(read_video(path, max_pixels=pixels)) == 10
    with pytest.raises(VideoError, match="max_pixels = 30,719"):
        read_video(path, max_pixels=pixels - 1)
    assert len(read_video(path, max_pixels=pixels - 1, geometry=Geometry.squash(20, 20))) == 10
    assert len(read_windows(path, Middle(4), max_pixels=4 * 48 * 64)[0]) == 4


def test_limit_on_one_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "wide.mp4", counting(3))
    monkeypatch.setattr("voxplain.video.sources.MAX_FRAME_PIXELS", 48 * 64 - 1)
    with pytest.raises(VideoError, match="64×48"):
        read_video(path)


def test_a_sampler_that_refuses_a_wrong_claim_is_asked_again(tmp_path: Path) -> None:
    """The true count decides, not the container's."""
    path = write_video(tmp_path / "c.mp4", counting(20))
    asked: list[int] = []

    def choose(count: int) -> np.ndarray:
        asked.append(count)
        if len(asked) == 1:
            raise VideoError("refused")
        return np.array([[count - 1]])

    assert indices(read_windows(path, choose)[0].frames) == [19]
    assert asked == [20, 20]
    with pytest.raises(VideoError, match=r"c\.mp4.*needs 21.*has 20"):
        read_windows(path, Middle(21, short="error"))


@pytest.mark.skipif(not ODD, reason="no VOXPLAIN_DATA/odd_clips on this machine")
@pytest.mark.parametrize("path", ODD, ids=lambda path: path.name)
def test_every_odd_clip_decodes(path: Path) -> None:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    clip = read_video(path)
    assert isinstance(clip, Clip)
    assert clip.damaged == 0
    assert len(clip) == len(frames)
    for i in (0, len(frames) // 2, -1):
        assert (clip.frames[i] == frames[i]).all()
    assert 0.3 < len(clip) / (clip.seconds[-1] - clip.seconds[0]) / 25 < 2
