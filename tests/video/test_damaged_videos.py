"""No frame is lost in silence: what a container announces and does not give is counted, and clean videos have none."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import pytest
from known_videos import counting, indices, write_video
from PIL import Image

from voxplain.datasets import read_clips
from voxplain.errors import DataError, VideoError
from voxplain.video import ClipReader, Middle, damage_sentence, read_video

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from damaged_videos import FRAMES, clean_videos, damaged_copies


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return clean_videos(tmp_path_factory.mktemp("clean"))


def silent_losses(videos: list[Path], folder: Path, copies: int, seed: int) -> tuple[int, int, list[str]]:
    """Copies that lost frames, those whose loss was counted, and names of the others."""
    lost, counted, silent = 0, 0, []
    for number, path in enumerate(videos):
        rng = np.random.default_rng([seed, number])
        for i, (kind, data) in enumerate(damaged_copies(path.read_bytes(), copies, rng)):
            copy = folder / f"copy{path.suffix}"
            copy.write_bytes(data)
            try:
                clip = read_video(copy)
            except VideoError:
                continue
            if len(clip) < FRAMES:
                lost += 1
                counted += clip.damaged > 0
                silent += [] if clip.damaged else [f"{path.name} {kind} {i}: {len(clip)} frames"]
    return lost, counted, silent


def test_clean_videos_have_no_loss(clean: list[Path]) -> None:
    assert len(clean) >= 8
    for path in clean:
        clip = read_video(path)
        assert (path.name, len(clip), clip.damaged) == (path.name, FRAMES, 0)


def test_every_loss_is_counted(clean: list[Path], tmp_path: Path) -> None:
    lost, counted, silent = silent_losses(clean, tmp_path, 8, seed=0)
    assert not silent
    assert lost == counted > 20, "the damage must cost frames for this test to mean anything"


@pytest.mark.slow
def test_every_loss_of_many_copies_is_counted(clean: list[Path], tmp_path: Path) -> None:
    lost, counted, silent = silent_losses(clean, tmp_path, 200, seed=1)
    assert len(silent) <= 0.002 * lost, silent
    assert counted > 500


@pytest.mark.parametrize("name", ["h264.mkv", "vp9.webm", "mjpeg.avi", "a.gif", "h264.flv"])
def test_a_cut_tail_is_counted_frame_by_frame(clean: list[Path], tmp_path: Path, name: str) -> None:
    path = next(path for path in clean if path.name == name)
    data = path.read_bytes()
    (tmp_path / name).write_bytes(data[: int(0.6 * len(data))])
    clip = read_video(tmp_path / name)
    assert 1 < len(clip) < FRAMES
    if name == "a.gif":  # does not say how many frames there were
        assert clip.damaged >= 1
    else:
        assert abs(len(clip) + clip.damaged - FRAMES) <= 1


def test_variable_rates_and_frames_before_time_zero_are_no_loss(tmp_path: Path) -> None:
    times = [0, 40, 50, 200, 1000, 1001, 3000]
    for name in ("v.mkv", "v.mp4"):
        assert read_video(write_video(tmp_path / name, counting(7), pts=times)).damaged == 0
    for name in ("b.mp4", "b.mkv", "b.avi"):
        clip = read_video(write_video(tmp_path / name, counting(20), options={"bf": "4", "b-adapt": "0"}))
        assert (indices(clip.frames), clip.damaged) == (list(range(20)), 0)


def test_an_edit_list_is_no_loss(tmp_path: Path) -> None:
    """An edit that starts at the sixth frame: the ones before are in the file and are not shown."""
    path = write_video(tmp_path / "e.mp4", counting(20), "mpeg4", options={"g": "1", "bf": "0"})
    data = bytearray(path.read_bytes())
    place = data.index(b"elst") + 4 + 4 + 4  # behind version, flags and the number of entries
    with av.open(str(path)) as container:
        step = round(0.04 / float(container.streams.video[0].time_base))
    length = int.from_bytes(data[place : place + 4])
    data[place : place + 4] = (length * 15 // 20).to_bytes(4)
    data[place + 4 : place + 8] = (5 * step).to_bytes(4)
    mvhd, tkhd = data.index(b"mvhd") + 4 + 16, data.index(b"tkhd") + 4 + 20
    for at in (mvhd, tkhd):
        data[at : at + 4] = (int.from_bytes(data[at : at + 4]) * 15 // 20).to_bytes(4)
    path.write_bytes(bytes(data))
    clip = read_video(path)
    assert (indices(clip.frames), clip.damaged) == (list(range(5, 20)), 0)


def test_transparent_pixels_are_white_in_pictures_and_gifs(tmp_path: Path) -> None:
    picture = np.zeros((16, 16, 4), np.uint8)
    picture[..., 0], picture[8:, :, 3] = 200, 255
    frames = [Image.fromarray(np.roll(picture, i, axis=1)) for i in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=40, disposal=2)
    (tmp_path / "frames").mkdir()
    for i, frame in enumerate(frames):
        frame.save(tmp_path / "frames" / f"{i}.png")
    for path in (tmp_path / "a.gif", tmp_path / "frames"):
        got = read_video(path).frames
        assert (got[0, :8] == 255).all()
        assert (got[0, 8:] == [200, 0, 0]).all()
    half = picture.copy()
    half[..., 3] = 128
    (tmp_path / "half").mkdir()
    Image.fromarray(half).save(tmp_path / "half" / "0.png")
    assert read_video(tmp_path / "half").frames[0, 0, 0].tolist() == [227, 127, 127]  # 255 - 128/255·(255 - value)


def _with_five_frames(folder: Path) -> Path:
    path = write_video(folder / "cut.avi", counting(20), "mjpeg", "yuvj420p")
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    path.write_bytes(path.read_bytes()[: places[5] - 8])
    return path


def test_what_is_done_with_a_damaged_video(tmp_path: Path) -> None:
    path = _with_five_frames(tmp_path)
    whole = write_video(tmp_path / "whole.avi", counting(20), "mjpeg", "yuvj420p")
    clip = ClipReader(Middle(4), damaged="use")(path)
    assert clip.damaged == 15
    with pytest.raises(VideoError, match=r"cut\.avi: 15 of 20 frames are lost"):
        ClipReader(Middle(4))(path)
    with pytest.raises(DataError, match="damaged"):
        ClipReader(Middle(4), damaged="fail")(path)
    with pytest.raises(DataError, match="skip, use or fail"):
        ClipReader(Middle(4), damaged="maybe")(whole)  # type: ignore[arg-type]
    read = read_clips([path, whole], ClipReader(Middle(4)))
    assert [clip.source for clip in read] == [str(whole)]
    assert "15 of 20 frames are lost" in read.skipped[0].reason
    with pytest.raises(DataError, match="damaged"):
        read_clips([path, whole], ClipReader(Middle(4), damaged="fail"))


def test_sentence() -> None:
    assert damage_sentence([], 3) == ""
    many = damage_sentence([(f"{i}.mp4", i) for i in range(1, 6)], 20)
    assert many.startswith("5 of 20 videos are damaged")
    assert many.endswith("1.mp4 (1 frame lost), 2.mp4 (2 frames lost), 3.mp4 (3 frames lost), and 2 more")
