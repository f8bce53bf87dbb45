"""Runs as an event file of TensorBoard: moving pictures of concepts and maps, and their scores.

The few messages of the format that are needed are written here, so that TensorBoard need not be installed.
"""

import struct
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.attribution.overlay import overlay
from voxplain.concepts.concept_run import ConceptRun
from voxplain.report.cards import short_name
from voxplain.report.draw import choose_examples, highlight, scale_of
from voxplain.report.exports.concept_clips import frame_rate, label_of
from voxplain.video.encode import encode_gif

__all__ = ["tensorboard_files"]

EXAMPLES = 2  # moving pictures of a concept


def tensorboard_files(runs: Sequence[ConceptRun] | Sequence[AttributionRun]) -> Iterator[tuple[str, bytes]]:
    """One event file: scores of concepts by rank with moving examples, or maps over the video with their metrics.

    Parameters
    ----------
    runs : sequence of ConceptRun or AttributionRun

    Yields
    ------
    (str, bytes)
        ``events.out.tfevents.0.voxplain``. Its times are 0, so that the same runs give the same bytes.
    """
    records = [_event(_text(3, "brain.Event:2"))]
    for run in runs:
        values = _concept_values(run) if isinstance(run, ConceptRun) else _map_values(run)
        records += [_event(_number(2, step), _message(5, _message(1, value))) for step, value in values]
    yield "events.out.tfevents.0.voxplain", b"".join(_framed(record) for record in records)


def _concept_values(run: ConceptRun) -> Iterator[tuple[int, bytes]]:
    for row in run.rows():
        yield row.rank, _scalar(f"{run.target}/{run.ranking}", row.score)
        yield row.rank, _scalar(f"{run.target}/above {run.compared_with}", row.tested)
        yield row.rank, _scalar(f"{run.target}/q", row.q_value)
        for i, example in enumerate(choose_examples(run, row.concept, EXAMPLES)):
            clip, mask = run.member(row.concept, example.place)
            frames = highlight(clip.frames, mask, factor=scale_of(*mask.shape[1:]))
            yield row.rank, _picture(f"{label_of(run, row.concept)}/{i}", frames, frame_rate(clip))


def _map_values(run: AttributionRun) -> Iterator[tuple[int, bytes]]:
    title = f"{short_name(run.clip.source)}: {run.target}"
    for method, values in run.maps.items():
        yield 0, _picture(f"{title}/{method}", overlay(run.clip.frames, values), frame_rate(run.clip))
        for t, share in enumerate(run.importance(method)):
            yield t, _scalar(f"{title}/importance of frames/{method}", float(share))
        for metric, (value, _, _) in run.measured.get(method, {}).items():
            yield 0, _scalar(f"{title}/{metric}/{method}", value)


def _scalar(tag: str, value: float) -> bytes:
    return _text(1, tag) + _tag(2, 5) + struct.pack("<f", value)


def _picture(tag: str, frames: np.ndarray, fps: int) -> bytes:
    """Frames as a GIF, which TensorBoard plays among its images."""
    height, width = frames.shape[1:3]
    image = _number(1, height) + _number(2, width) + _number(3, 3) + _message(4, encode_gif(frames, fps=fps))
    return _text(1, tag) + _message(4, image)


# Protocol buffers: a field is its number and kind, then a number of variable length, or a length and bytes.


def _event(*fields: bytes) -> bytes:
    return _tag(1, 1) + struct.pack("<d", 0.0) + b"".join(fields)


def _tag(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _number(field: int, value: int) -> bytes:
    return _tag(field, 0) + _varint(value)


def _message(field: int, data: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(data)) + data


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode("utf-8", "backslashreplace"))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


# A record: length, checksum of the length, data, checksum of the data.


def _framed(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data))


def _masked(data: bytes) -> int:
    """CRC-32C (Castagnoli), rotated and shifted as the record format asks."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    table = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
        table.append(i)
    return tuple(table)
