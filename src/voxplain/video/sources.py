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
from voxplain.video.announced import lost_frames, open_tally
from voxplain.video.stills import array_source, folder_source, over_white, picture_source
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
    """Decode packet by packet: a damaged packet loses its own frames, not the rest of the file.

    What the container announces and did not come follows at the end, as a number.
    """
    reformatter, turns = VideoReformatter(), _Turns()
    with _opened(path) as container:
        stream = _video_stream(container, path)
        tally = open_tally(path, container, stream)
        packets = container.demux(stream, *container.streams.audio)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, ValueError):
                tally.errors += 1
                break
            if packet is None:
                break
            tally.packet(packet, stream)
            if packet.stream_index != stream.index:
                continue
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError):
                tally.errors += 1
                continue
            for frame in frames:
                seconds = _seconds(frame)
                tally.frame(seconds, float((frame.duration or 0) * frame.time_base) if frame.time_base else 0.0)
                yield _picture_of(frame, reformatter, turns, path), seconds
    if lost := lost_frames(tally):
        yield lost


def _picture_of(
    frame: Any, reformatter: VideoReformatter, turns: _Turns, path: Path
) -> Callable[[], NDArray[np.uint8]]:
    def picture() -> NDArray[np.uint8]:
        _check_size(frame.width, frame.height, path)
        try:
            clear = any(component.is_alpha for component in frame.format.components)
            rgb = reformatter.reformat(frame, format="rgba" if clear else "rgb24").to_ndarray()
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(
                f"{path}: frames of format {frame.format.name} cannot be turned into RGB; convert it to mp4."
            ) from error
        picture = np.asarray(rgb, np.uint8)
        return turns.turned(over_white(picture) if clear else picture, frame)

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


class _Turns:
    """The display matrix (of phones held upright) of a stream: quarter turns and mirrors, no other angle.

    The side data of a frame hold the frame that holds them: it stays in memory until Python looks for such cycles, and
    hundreds of large frames take gigabytes. They are read once for each angle, which the frame itself has.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[bool, bool, bool]] = {}

    def turned(self, picture: NDArray[np.uint8], frame: Any) -> NDArray[np.uint8]:
        """The picture of a frame as it is shown."""
        angle = frame.rotation
        if angle not in self._known:
            self._known[angle] = _turn(frame)
        swapped, mirrored, upside_down = self._known[angle]
        picture = picture.swapaxes(0, 1) if swapped else picture
        picture = picture[:, ::-1] if mirrored else picture
        return picture[::-1] if upside_down else picture


def _turn(frame: Any) -> tuple[bool, bool, bool]:
    """Whether rows and columns change places, and whether those of the result run backwards."""
    data = frame.side_data.get(SideData.DISPLAYMATRIX)
    if data is None:
        return False, False, False
    a, b, _, c, d = map(int, np.frombuffer(data, np.int32)[:5])  # x' = a·x + c·y, y' = b·x + d·y
    if abs(a) + abs(d) < abs(b) + abs(c):
        return True, c < 0, b < 0
    return False, a < 0, d < 0
