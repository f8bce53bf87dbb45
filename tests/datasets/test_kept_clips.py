"""Of many clips only the first stay in memory; the others are read again, and are the same."""

from pathlib import Path

import numpy as np
import pytest

from voxplain.datasets import folder, read_clips
from voxplain.video import Clip, ClipReader, Geometry, RandomFrames

SIZE = 4 * 8 * 8 * 3  # bytes of a clip here


def test_clips_are_read_again_with_the_same_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (40, 12, 12, 3), np.uint8)
    for i in range(6):
        np.save(tmp_path / f"{i}.npy", frames + np.uint8(i))
    reader = ClipReader(RandomFrames(4), Geometry((12, 12), (8, 8)), random_crop=True, flip=0.5)
    all_kept = [clip.frames for clip in read_clips(tmp_path, reader, seed=5)]
    monkeypatch.setattr(folder, "KEPT", 2 * SIZE)
    few = read_clips(tmp_path, reader, seed=5)
    for _ in range(2):
        for found, wanted in zip(few, all_kept, strict=True):
            np.testing.assert_array_equal(found.frames, wanted)
    assert few[0] is few[0]
    assert few[5] is not few[5]
    assert [clip.source for clip in few.clips[4:]] == [str(tmp_path / f"{i}.npy") for i in (4, 5)]


def test_damaged_clips_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Damaged:
        """Every second video has lost packets."""

        def __call__(self, path: Path, **_: object) -> Clip:
            return Clip(np.zeros((4, 8, 8, 3), np.uint8), np.zeros(4), str(path), damaged=3 * (int(path.stem) % 2))

    monkeypatch.setattr(folder, "KEPT", 0)
    for i in range(5):
        np.save(tmp_path / f"{i}.npy", np.zeros((4, 8, 8, 3), np.uint8))
    found = read_clips([tmp_path / f"{i}.npy" for i in range(5)], Damaged())
    assert found.damaged == 2
    assert found.summary() == "read 5 of 5 videos; 2 damaged"
