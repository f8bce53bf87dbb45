"""A path as a stream of frames: a video file (PyAV), a picture, a folder of pictures or an array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from voxplain.errors import VideoError
from voxplain.video.stills import array_source, folder_source, picture_source
from voxplain.video.stream import DEFAULT_FPS, MAX_FRAME_PIXELS, PICTURE_SUFFIXES, Item, Source

# PyAV 19 replaces undecodable metadata by itself and has no option for it; before, it raised UnicodeDecodeError.
_METADATA: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}


def open_source(path: Path) -> Source:
    """Open a path by its kind. VideoError when it is missing, empty, unreadable or not a video."""
    try:
        if path.is_dir():
            return folder_source(path)
        if not path.exists():
            raise VideoError(f"{path}: no such file or folder; check the path.")
        if not path.is_file():
            raise VideoError(f"{path}: expected a video file or a folder of pictures, got a special file.")
        if path.stat().st_size == 0:
            raise VideoError(f"{path}: the file is empty (0 bytes); copy or download it again.")
        if path.suffix.lower() in PICTURE_SUFFIXES:
            return picture_source(path)
        return array_source(path) if path.suffix.lower() == ".npy" else _file(path)
    except PermissionError as error:
        raise VideoError(f"{path}: no permission to read it; change its permissions or owner.") from error
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror or error}); check the disk.") from error


def _file(path: Path) -> Source:
    with _opened(path) as container:
        stream = _video_stream(container, path)
        _check_size(stream.codec_context.width, stream.codec_context.height, path)
        fps = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
        claimed = int(stream.frames)
        if not 0 < claimed <= path.stat().st_size:  # the header may be wrong
            claimed = _packets(container, stream)
    return Source(claimed, fps, lambda: _decode(path))


def _opened(path: Path) -> Any:
    """An open container. `file:` keeps libav from reading names such as `a:b.mp4` as a protocol."""
    try:
        return av.open(f"file:{path}", options={"protocol_whitelist": "file"}, **_METADATA)
    except PermissionError:
        raise
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(
            f"{path}: not a readable video ({reason}); it may be cut short, still being copied, or another "
            "kind of file: download it again or convert it to mp4."
        ) from error


def _video_stream(container: Any, path: Path) -> Any:
    """The first moving-picture stream; cover art of music files does not count."""
    for stream in container.streams.video:
        if "attached_pic" not in repr(getattr(stream, "disposition", "")).lower():
            if stream.codec_context is None:
                raise VideoError(f"{path}: no decoder for its video codec; convert it to H.264 mp4.")
            # One thread a file: files are read side by side, and damage then decodes the same each time.
            stream.codec_context.thread_count = 1
            return stream
    kinds = sorted({"cover" if s.type == "video" else s.type for s in container.streams}) or ["nothing"]
    raise VideoError(
        f"{path}: expected a video stream, the file has only: {', '.join(kinds)}; give a file with pictures."
    )


def _packets(container: Any, stream: Any) -> int:
    count = 0
    try:
        for packet in container.demux(stream):
            count += packet.size > 0
    except (av.FFmpegError, ValueError):
        pass  # the decoding pass counts the same place as damage
    return count


def _decode(path: Path) -> Iterator[Item]:
    """Decode packet by packet: a damaged packet loses its own frames, not the rest of the file."""
    reformatter = VideoReformatter()
    with _opened(path) as container:
        stream = _video_stream(container, path)
        packets, count, end, cut = container.demux(stream), 0, 0, False
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, ValueError):
                yield None
                return
            if packet is None:
                yield from [None] * _missing(stream, count, end, cut)
                return
            if packet.pts is not None:
                count, end, cut = count + 1, max(end, packet.pts + (packet.duration or 0)), packet.is_corrupt
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError):
                yield None
                continue
            for frame in frames:
                yield _picture_of(frame, reformatter, path), _seconds(frame)


def _missing(stream: Any, packets: int, end: int, cut: bool) -> int:
    """Frames that the header promises behind the last packet of a file that was cut short.

    Headers alone can be wrong, as where frames are repeated without a packet. Something is missing only where the last
    packet is not whole, or the packets end before the stream does.
    """
    if stream.duration and stream.average_rate and stream.time_base is not None:
        late = float((stream.duration + (stream.start_time or 0) - end) * stream.time_base * stream.average_rate)
        cut = cut or late > 1.5
    return max(0, int(stream.frames or 0) - packets) if cut else 0


def _picture_of(frame: Any, reformatter: VideoReformatter, path: Path) -> Callable[[], NDArray[np.uint8]]:
    def picture() -> NDArray[np.uint8]:
        _check_size(frame.width, frame.height, path)
        try:
            rgb = reformatter.reformat(frame, format="rgb24").to_ndarray()
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(
                f"{path}: frames of format {frame.format.name} cannot be turned into RGB; convert it to mp4."
            ) from error
        return _turned(np.asarray(rgb, np.uint8), frame)

    return picture


def _check_size(width: int, height: int, path: Path) -> None:
    if width * height > MAX_FRAME_PIXELS:
        raise VideoError(
            f"{path}: frames of {width}×{height} are more than {MAX_FRAME_PIXELS:,} pixels each; "
            "scale the video down first."
        )


def _seconds(frame: Any) -> float | None:
    stamp = frame.pts if frame.pts is not None else frame.dts
    return None if stamp is None or frame.time_base is None else float(stamp * frame.time_base)


def _turned(picture: NDArray[np.uint8], frame: Any) -> NDArray[np.uint8]:
    """Apply the display matrix (of phones held upright): quarter turns and mirrors, no other angle."""
    data = frame.side_data.get(SideData.DISPLAYMATRIX)
    if data is None:
        return picture
    a, b, _, c, d = np.frombuffer(data, np.int32)[:5]  # x' = a·x + c·y, y' = b·x + d·y
    if abs(int(a)) + abs(int(d)) < abs(int(b)) + abs(int(c)):
        picture, across, down = picture.swapaxes(0, 1), c, b
    else:
        across, down = a, d
    picture = picture[:, ::-1] if across < 0 else picture
    return picture[::-1] if down < 0 else picture
