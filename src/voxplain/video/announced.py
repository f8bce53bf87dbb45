"""Frames that a container announces: how many of them did not come, by its counts, its times and its structure."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

__all__ = ["Tally", "lost_frames", "open_tally"]

_MATROSKA, _GIF = "matroska", "gif"  # names of libav
_REORDERED = 32  # frames by which decoders reorder, with a margin; no edit list puts packets further behind its end
_UNKNOWN = -1  # size of an element that ends where the next of its level begins
_NEAR = 0.6  # of a frame: times nearer than this to what is announced count as equal
_CLUSTER, _SEGMENT, _HEAD, _VOID = 0x1F43B675, 0x18538067, 0x1A45DFA3, 0xEC
_GROUP, _BLOCK, _SIMPLE = 0xA0, 0xA1, 0xA3
_TRACKS, _ENTRY, _NUMBER = 0x1654AE6B, 0xAE, 0xD7
# What a segment may hold: info, seek head, tracks, cues, tags, chapters, attachments, clusters, padding, checksum.
_IN_SEGMENT = {0x1549A966, 0x114D9B74, _TRACKS, 0x1C53BB6B, 0x1254C367, 0x1043A770, 0x1941A469, _CLUSTER, _VOID, 0xBF}
# What a cluster may hold: time, blocks, position, size of the one before, silent tracks, encrypted blocks.
_IN_CLUSTER = {0xE7, _GROUP, _SIMPLE, 0xA7, 0xAB, 0x5854, 0xAF, _VOID, 0xBF}


@dataclass
class Tally:
    """What one pass over a video stream announced, and what came of it.

    Parameters
    ----------
    path : Path
        The file.
    format : str
        Name of the container in libav.
    frames : int
        Frames by the header; 0 where it does not count them.
    end : float or None
        Seconds at which the header has the video, or the longest stream, end.
    interval : float
        Seconds from a frame to the next, by the header.
    packets, hidden, came : int
        Packets of the stream; those that are not shown by design; frames that were decoded.
    errors : int
        Packets that could not be read or decoded.
    corrupt : int
        Packets that the demultiplexer marked as incomplete.
    last : float
        Seconds at which the last packet of any stream ends.
    counted : float
        Seconds at which the last packet of the video ends in decoding order.
    stamps : list of float
        Times of the frames that were decoded.
    shown : float
        Seconds at which the last decoded frame ends.
    presented : float or None
        Seconds at which the presentation ends by the header, where the video is its only stream.
    """

    path: Path
    format: str
    frames: int
    end: float | None
    interval: float
    packets: int = 0
    hidden: int = 0
    came: int = 0
    errors: int = 0
    corrupt: int = 0
    last: float = 0.0
    counted: float = 0.0
    stamps: list[float] = field(default_factory=list)
    shown: float = 0.0
    presented: float | None = None

    def frame(self, seconds: float | None, length: float) -> None:
        """Count one decoded frame of a length in seconds; 0 where it is not known."""
        self.came += 1
        if seconds is not None:
            self.stamps.append(seconds)
            self.shown = max(self.shown, seconds + (length or self.interval))

    def packet(self, packet: Any, stream: Any) -> None:
        """Count one packet of the container; of other streams only its time."""
        stamp = packet.pts if packet.pts is not None else packet.dts
        own = packet.stream_index == stream.index
        if stamp is not None and packet.time_base is not None:
            length = float((packet.duration or 0) * packet.time_base)
            ends = float(stamp * packet.time_base) + (length or self.interval * own)
            self.last = max(self.last, ends)
        if not own or not packet.size:
            return
        self.packets += 1
        self.hidden += _is_hidden(packet, stream) and not (stamp is not None and self._is_far(ends))
        self.corrupt += bool(packet.is_corrupt)
        if packet.dts is not None:
            self.counted = max(self.counted, float(packet.dts * packet.time_base) + self.interval)

    def _is_far(self, ends: float) -> bool:
        """Whether a time is too far from the presentation for an edit list to have put it outside."""
        margin = _REORDERED * self.interval
        before = self.came > _REORDERED and bool(self.stamps) and ends < self.stamps[0]
        return before or (self.presented is not None and ends > self.presented + margin)


def open_tally(path: Path, container: Any, stream: Any) -> Tally:
    """A tally with what an open container announces."""
    start = float(stream.start_time * stream.time_base) if stream.start_time is not None else 0.0
    kind = container.format.name.split(",")[0]
    end: float | None = None
    if kind == "avi" and stream.duration:
        end = float(stream.duration * stream.time_base)
    elif kind in ("mov", "asf") and stream.duration:
        end = start + float(stream.duration * stream.time_base)
    elif kind in (_MATROSKA, "flv") and container.duration:
        # These announce the longest stream, from the container's beginning.
        end = container.duration / 1e6 + min(container.start_time or 0, 0) / 1e6
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    frames = int(stream.frames)
    if kind == "mov" and 0 < len(stream.index_entries) < frames:  # the edit list leaves out the others
        frames, end = len(stream.index_entries), start
    alone = kind == "mov" and container.duration and len(container.streams) == 1
    presented = start + container.duration / 1e6 if alone else None
    return Tally(path, kind, frames, end, 1 / rate, presented=presented)


def lost_frames(tally: Tally) -> int:
    """How many frames the container announces that did not come, packets that could not be decoded included.

    An estimate where the container announces its duration only. Variable rates, hidden frames and frames outside an
    edit list are no loss.
    """
    shown = tally.packets - tally.hidden
    expected = max(shown, tally.came)
    if tally.format == "avi" and tally.frames:
        # Chunks of no bytes repeat a frame: they are counted in time.
        expected += max(0, tally.frames - max(tally.packets, round(tally.counted / tally.interval)))
    elif tally.format == "mov" and tally.frames:
        expected = max(expected, tally.frames - tally.hidden)
        # Times that are missing, run backwards or leave holes are damaged: so is what they put outside the edit list.
        damaged = tally.end is None or _backwards(tally.stamps) or _has_holes(tally.stamps)
        expected = max(expected, tally.packets if damaged else 0)
        late = max(_late(tally.end, tally.last, tally), _late(tally.presented, tally.shown, tally))
        expected = max(expected, tally.came + late)
    else:
        expected += _late(tally.end, tally.last, tally)
    lost = max(tally.errors, tally.corrupt, expected - tally.came)
    if tally.format == _GIF:
        images, whole = _gif_images(tally.path)
        return max(lost, images - tally.came, 0 if whole and _gif_decodes(tally.path) else 1)
    check = _WHOLE.get(tally.format)
    if check is not None and not check(tally.path):
        gaps = _gaps(tally.stamps)
        return max(lost, lost + gaps, 1 if tally.end is None else 0)
    return lost


def _late(announced: float | None, came: float, tally: Tally) -> int:
    """Frames between the end that is announced and the end that came."""
    return 0 if announced is None else max(0, int((announced - came) / tally.interval + 1 - _NEAR))


def _is_hidden(packet: Any, stream: Any) -> bool:
    """Whether a packet gives no frame by design: outside an edit list, or a reference picture that is not shown."""
    if packet.is_discard:
        return True
    name = stream.codec_context.name
    if name in ("vp8", "libvpx"):
        return not bytes(packet)[0] & 0x10  # show_frame of the frame tag
    return name == "mpeg4" and packet.size < 12  # placeholder of a packed bit stream: a picture header alone


def _backwards(stamps: list[float]) -> bool:
    return any(later < earlier for earlier, later in itertools.pairwise(stamps))


def _has_holes(stamps: list[float]) -> bool:
    """Whether few steps of a constant rate are longer than the others."""
    steps = np.diff(np.sort(np.asarray(stamps)))
    longer = len(steps) and float((steps > 1.5 * np.median(steps)).mean())
    return 0 < longer < 0.1 and float(np.median(steps)) > 0


def _gaps(stamps: list[float]) -> int:
    """Frames that are missing from time 0 on between those of a nearly constant rate."""
    ordered = np.sort(np.asarray(stamps))
    steps = np.diff(ordered)
    if not len(steps) or (usual := float(np.median(steps))) <= 0:
        return 0
    before = max(float(ordered[0]), 0.0) / usual
    return int(np.maximum(np.rint(steps / usual) - 1, 0).sum() + np.rint(before))


def _gif_images(path: Path) -> tuple[int, bool]:
    """Images in a GIF file, and whether its blocks lead to its trailer."""
    images = 0
    with path.open("rb") as file:
        head = file.read(13)
        if len(head) < 13:
            return 0, False
        _skip_palette(file, head[10])
        while (mark := file.read(1)) and mark != b"\x3b":
            if mark == b"\x2c":
                place = file.read(9)
                if len(place) < 9:
                    return images, False
                _skip_palette(file, place[8])
                file.seek(1, os.SEEK_CUR)
                images += 1
            elif mark == b"\x21":
                file.seek(1, os.SEEK_CUR)
            else:
                return images, False
            while size := file.read(1):
                if size == b"\0":
                    break
                file.seek(size[0], os.SEEK_CUR)
        return images, mark == b"\x3b"


def _gif_decodes(path: Path) -> bool:
    """Whether Pillow decodes every image: libav conceals codes that cannot be right."""
    from PIL import Image, ImageSequence

    try:
        with Image.open(path) as pictures:
            for picture in ImageSequence.Iterator(pictures):
                picture.load()
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return False
    return True


def _skip_palette(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << (flags % 8 + 1), os.SEEK_CUR)


def _matroska_whole(path: Path) -> bool:
    """Whether the elements of a Matroska or WebM file follow one another to its end, with blocks of known tracks."""
    length = path.stat().st_size
    with path.open("rb") as file:
        place, tracks, stop = 0, set[int](), length
        while place < length:
            found = _element(file, place)
            if found is None:
                return False
            kind, body, size = found
            end = length if size == _UNKNOWN else body + size
            if kind == _SEGMENT:
                place, stop = body, end
                continue
            if end > length or kind not in (_IN_SEGMENT | _IN_CLUSTER | {_HEAD}):
                return False
            if kind == _TRACKS:
                tracks = _track_numbers(file, body, end)
            if kind == _CLUSTER:
                place = body
                continue
            if kind in (_SIMPLE, _GROUP) and not _known_track(file, kind, body, end, tracks):
                return False
            place = end
        return place == length and stop <= length


def _flv_whole(path: Path) -> bool:
    """Whether the tags of an FLV file follow one another to its end, all pictures of one codec."""
    length = path.stat().st_size
    pictures: list[bytes] = []  # the first two bytes of each: codec, and for H.264 the kind of its content
    with path.open("rb") as file:
        head = file.read(9).ljust(9, b"\0")
        place = int.from_bytes(head[5:9]) + 4
        kinds = {18} | ({8} if head[4] & 4 else set()) | ({9} if head[4] & 1 else set())
        while place < length:
            file.seek(place)
            tag = file.read(13)
            size = int.from_bytes(tag[1:4])
            file.seek(place + 11 + size)
            if len(tag) < 13 or tag[0] & 31 not in kinds or int.from_bytes(file.read(4)) != 11 + size:
                return False
            pictures += [tag[11:]] if tag[0] & 31 == 9 else []
            place += 15 + size
    one_codec = len({picture[0] & 15 for picture in pictures}) <= 1
    h264 = bool(pictures) and pictures[0][0] & 15 == 7
    # The parameter sets come first and the end of the sequence last.
    return one_codec and not (h264 and any(picture[1] != 1 for picture in pictures[1:-1]))


def _known_track(file: BinaryIO, kind: int, body: int, end: int, tracks: set[int]) -> bool:
    if kind == _GROUP:
        while body < end:
            found = _element(file, body)
            if found is None or found[2] == _UNKNOWN:
                return False
            if found[0] == _BLOCK:
                body = found[1]
                break
            body = found[1] + found[2]
        else:
            return False
    number = _vint(file, body, keep=False)
    return number is not None and number[0] in tracks


def _track_numbers(file: BinaryIO, place: int, end: int) -> set[int]:
    numbers = set[int]()
    while place < end and (found := _element(file, place)) is not None:
        kind, body, size = found
        if kind == _ENTRY:
            place = body
            continue
        if kind == _NUMBER and 0 < size <= 8:
            file.seek(body)
            numbers.add(int.from_bytes(file.read(size)))
        place = body + max(size, 0)
    return numbers


def _element(file: BinaryIO, place: int) -> tuple[int, int, int] | None:
    """(kind, place of its content, size) of the element at a place; None where there is none."""
    kind = _vint(file, place, keep=True)
    size = None if kind is None else _vint(file, place + kind[1], keep=False)
    if kind is None or size is None:
        return None
    unknown = size[0] == (1 << 7 * size[1]) - 1
    return kind[0], place + kind[1] + size[1], _UNKNOWN if unknown else size[0]


def _vint(file: BinaryIO, place: int, *, keep: bool) -> tuple[int, int] | None:
    """(value, bytes) of a number of variable length, with its marker bit or without it."""
    file.seek(place)
    data = file.read(8)
    if not data or not data[0]:
        return None
    length = 9 - data[0].bit_length()
    if len(data) < length:
        return None
    value = int.from_bytes(data[:length])
    return (value if keep else value & ((1 << 7 * length) - 1)), length


_WHOLE = {_MATROSKA: _matroska_whole, "flv": _flv_whole}
