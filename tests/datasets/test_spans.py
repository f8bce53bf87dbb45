"""Spans: parts of a video as items of a set, in reading and in training."""

from pathlib import Path

import numpy as np
import pytest

from voxplain.datasets import VideoSet, read_clips
from voxplain.errors import DataError
from voxplain.train import load_videos
from voxplain.video import ClipReader, Geometry, Middle, read_video

GEOMETRY = Geometry.squash(8, 8)
READER = ClipReader(Middle(4), GEOMETRY)


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    """A video of 30 frames; frame i has brightness i."""
    file = tmp_path / "counted.npy"
    np.save(file, np.broadcast_to(np.arange(30, dtype=np.uint8)[:, None, None, None], (30, 10, 12, 3)))
    return file


def parts(file: Path, *spans: tuple[int, int]) -> VideoSet:
    return VideoSet(("a",), (file,) * len(spans), np.zeros(len(spans), np.int64), spans)


def levels(frames: np.ndarray) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in frames]


def test_each_span_is_a_clip_of_its_own(counted: Path) -> None:
    clips = read_clips(parts(counted, (0, 10), (10, 14), (20, 23)), READER)
    assert [levels(clip.frames) for clip in clips] == [[3, 4, 5, 6], [10, 11, 12, 13], [20, 21, 22, 20]]
    assert [Path(clip.source).name for clip in clips] == [
        "counted.npy, frames 1 to 10",
        "counted.npy, frames 11 to 14",
        "counted.npy, frames 21 to 23",
    ]
    assert clips[1].seconds[0] == pytest.approx(10 / 25)


def test_spans_beyond_the_end(counted: Path) -> None:
    clips = read_clips(parts(counted, (26, 40), (30, 40), (5, 5)), READER)
    assert [levels(clip.frames) for clip in clips] == [[26, 27, 28, 29]]
    assert [s.reason.count("frames 31 to 40, got a video of 30") for s in clips.skipped] == [1, 0]


def test_training_reads_the_spans(counted: Path) -> None:
    videos = parts(counted, (2, 5), (28, 99), (50, 60))
    got = load_videos(videos.paths, videos.labels, GEOMETRY, spans=videos.spans)
    assert [levels(frames) for frames in got.frames] == [[2, 3, 4], [28, 29]]
    assert len(got.skipped) == 1
    assert levels(read_video(counted, span=(7, 9)).frames) == [7, 8]
    for _ in range(2):  # the second time from the files that the first has left
        kept = load_videos(videos.paths, videos.labels, GEOMETRY, spans=videos.spans, cache=counted.parent / "cache")
        assert [levels(frames) for frames in kept.frames] == [[2, 3, 4], [28, 29]]


def test_as_many_spans_as_videos(counted: Path) -> None:
    with pytest.raises(DataError, match="spans"):
        VideoSet(("a",), (counted,), np.zeros(1, np.int64), ())
    chosen = parts(counted, (0, 1), (2, 3)).select([1, 0])
    assert chosen.spans == ((2, 3), (0, 1))
