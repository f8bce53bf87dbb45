"""Every kind of bad video input gives one clear sentence: which file, what is wrong, what to do."""

from __future__ import annotations

import os
import socket
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from voxplain.datasets import read_clips
from voxplain.errors import VideoError
from voxplain.video import ClipReader, Middle, read_video


def _video(path: Path, count: int = 12) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * i % 256, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _missing(folder: Path) -> Path:
    return folder / "nothing.mp4"


def _url(folder: Path) -> Path:
    return Path("http://127.0.0.1:9/clip.mp4")


def _empty(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def _no_frames(folder: Path) -> Path:
    (folder / "notes.txt").write_text("hello")
    return folder


def _broken_frames(folder: Path) -> Path:
    for i in range(3):
        (folder / f"{i}.png").write_bytes(b"\x89PNG broken")
    return folder


def _no_moov(folder: Path) -> Path:
    path = _video(folder / "cut.mp4", 60)
    data = path.read_bytes()
    place = data.index(b"moov")
    path.write_bytes(data[: place - 4])
    return path


def _text(folder: Path) -> Path:
    (folder / "text.mp4").write_text("This is no video at all.\n" * 200)
    return folder / "text.mp4"


def _noise(folder: Path) -> Path:
    (folder / "noise.avi").write_bytes(np.random.default_rng(0).bytes(50_000))
    return folder / "noise.avi"


def _playlist(folder: Path) -> Path:
    """A playlist must not make the reader open an address on the network."""
    (folder / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    return folder / "list.mp4"


def _no_length(folder: Path) -> Path:
    with av.open(str(folder / "none.mov"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        container.start_encoding()
    return folder / "none.mov"


def _no_length_mkv(folder: Path) -> Path:
    with av.open(str(folder / "none.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        container.start_encoding()
    return folder / "none.mkv"


def _all_packets_bad(folder: Path) -> Path:
    path = _video(folder / "bad.mp4")
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(bytes(data))
    return path


def _sound(folder: Path) -> Path:
    with wave.open(str(folder / "sound.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    return (folder / "sound.wav").rename(folder / "sound.mp4")


def _cover_art(folder: Path) -> Path:
    """A music file whose only picture is its cover."""
    Image.new("RGB", (32, 32), "red").save(folder / "cover.jpg")
    picture = (folder / "cover.jpg").read_bytes()
    body = b"\x00image/jpeg\x00\x03\x00" + picture
    frame = b"APIC" + struct.pack(">I", len(body)) + b"\x00\x00" + body
    size = len(frame)
    tag = b"ID3\x03\x00\x00" + bytes((size >> shift) & 127 for shift in (21, 14, 7, 0)) + frame
    silence = (b"\xff\xfb\x90\x64" + bytes(413)) * 60
    (folder / "music.mp3").write_bytes(tag + silence)
    (folder / "cover.jpg").unlink()
    return folder / "music.mp3"


def _pickled(folder: Path) -> Path:
    np.save(folder / "a.npy", np.array([{"a": 1}], dtype=object))
    return folder / "a.npy"


def _archive(folder: Path) -> Path:
    np.savez(folder / "a.npz", np.zeros(3))
    return (folder / "a.npz").rename(folder / "a.npy")


def _floats(folder: Path) -> Path:
    np.save(folder / "f.npy", np.zeros((4, 8, 8, 3)))
    return folder / "f.npy"


def _half_array(folder: Path) -> Path:
    np.save(folder / "h.npy", np.zeros((4, 8, 8, 3), np.uint8))
    data = (folder / "h.npy").read_bytes()
    (folder / "h.npy").write_bytes(data[: len(data) // 2])
    return folder / "h.npy"


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


def _socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s.mp4"))
    return folder / "s.mp4"


def _dangling(folder: Path) -> Path:
    (folder / "link.mp4").symlink_to(folder / "gone.mp4")
    return folder / "link.mp4"


def _long_name(folder: Path) -> Path:
    return folder / ("x" * 300 + ".mp4")


def _null_byte(folder: Path) -> Path:
    return folder / "a\0b.mp4"


BAD: list[tuple[Callable[[Path], Path], str]] = [
    (_missing, "no such file"),
    (_url, "no such file"),
    (_empty, "empty .0 bytes"),
    (_no_frames, "no picture in it"),
    (_broken_frames, "no frame could be decoded .3 damaged"),
    (_no_moov, "not a readable video"),
    (_text, "not a readable video"),
    (_noise, "not a readable video"),
    (_playlist, "not a readable video|no frame could|video stream"),
    (_no_length, "only: nothing|no frame could"),
    (_no_length_mkv, "not a readable video|no frame could be decoded"),
    (_all_packets_bad, r"no frame could be decoded \(\d+ damaged"),
    (_sound, "only: audio"),
    (_cover_art, "only: audio, cover"),
    (_pickled, "not a plain array"),
    (_archive, "not a plain array"),
    (_floats, "expected uint8"),
    (_half_array, "not a plain array"),
    (_fifo, "special file"),
    (_socket, "special file"),
    (_dangling, "no such file"),
    (_long_name, "cannot be read|no such file"),
    (_null_byte, "no such file"),
]


@pytest.mark.parametrize(("make", "words"), BAD, ids=lambda value: getattr(value, "__name__", ""))
def test_one_clear_sentence(
    tmp_path: Path, make: Callable[[Path], Path], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    for read in (read_video, ClipReader()):
        with pytest.raises(VideoError, match=words) as caught:
            read(path)
        text = str(caught.value)
        assert str(path) in text, "which file"
        assert "\n" not in text
        assert text.endswith(".")
        assert text.count(": ") >= 1
        assert 40 < len(text.replace(str(path), "")) < 260
        assert "Traceback" not in text
        assert "Errno" not in text
    assert capfd.readouterr() == ("", "")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _video(tmp_path / "mine.mp4")
    if os.geteuid() == 0:  # root may read everything: let libav answer as it does to others

        def refuse(*args: object, **kwargs: object) -> None:
            raise av.error.PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(av, "open", refuse)
    else:
        path.chmod(0)
    with pytest.raises(VideoError, match=r"mine\.mp4: no permission"):
        read_video(path)


def test_no_permission_for_a_frame_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(VideoError, match="no permission"):
        read_video(tmp_path)


def test_too_short_for_the_clip_names_the_file(tmp_path: Path) -> None:
    path = _video(tmp_path / "short.mp4", 5)
    with pytest.raises(VideoError, match=r"short\.mp4.*needs 16.*has 5"):
        ClipReader(Middle(short="error"))(path)
    assert ClipReader()(path).frames.shape == (16, 112, 112, 3)


def test_bad_files_among_good_ones_are_left_out_and_named(tmp_path: Path) -> None:
    good = [_video(tmp_path / f"good{i}.mp4") for i in range(2)]
    bad = [_text(tmp_path), _empty(tmp_path), _missing(tmp_path)]
    got = read_clips([good[0], *bad, good[1]])
    assert [clip.source for clip in got] == [str(path) for path in good]
    assert [skipped.path for skipped in got.skipped] == bad
    assert got.summary().startswith("read 2 of 5 videos; 3 skipped: text.mp4: not a readable video")


@pytest.mark.parametrize("seed", range(8))
def test_random_damage_never_escapes_as_another_error(tmp_path: Path, seed: int) -> None:
    """Bytes changed anywhere, header included: a clip or a VideoError, nothing else."""
    rng = np.random.default_rng(seed)
    good = _video(tmp_path / "good.mp4", 40).read_bytes()
    for trial in range(10):
        data = bytearray(good)
        for place in rng.integers(0, len(data), 1 + int(rng.integers(60))):
            data[place] = int(rng.integers(256))
        cut = len(data) if trial % 2 else int(rng.integers(1, len(data)))
        path = tmp_path / f"{trial}.mp4"
        path.write_bytes(bytes(data[:cut]))
        try:
            clip = ClipReader()(path)
        except VideoError:
            continue
        assert clip.frames.shape == (16, 112, 112, 3)


def test_undecodable_metadata_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "titled.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "AAAABBBB"
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    assert path.read_bytes().count(b"AAAABBBB") == 1
    path.write_bytes(path.read_bytes().replace(b"AAAABBBB", b"\xff\xfe\xff\xfeBBBB"))
    assert read_video(path).frames.shape == (1, 48, 64, 3)
