"""Pools of unrelated videos."""

from pathlib import Path

import pytest
from layouts import real, touch

from voxplain.datasets.unrelated import unrelated, unrelated_listing
from voxplain.errors import DataError


def test_any_depth_and_classes_left_out(tmp_path: Path) -> None:
    root = touch(tmp_path, ["a.mp4", "run/b.avi", "run/far/c.mp4", "bend/d.mp4", "frames/1.png", ".hidden/e.mp4"])
    videos = unrelated(root)
    assert [path.name for path in videos.paths] == ["a.mp4", "frames", "d.mp4", "b.avi", "c.mp4"]
    assert videos.classes == ("unrelated",)
    assert [path.name for path in unrelated(root, leave_out=["run"]).paths] == ["a.mp4", "frames", "d.mp4"]
    with pytest.raises(DataError, match="'runn'"):
        unrelated(root, leave_out=["runn"])


def test_no_video(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unrelated videos"):
        unrelated(tmp_path)
    assert not unrelated_listing(tmp_path).complete()


def test_the_real_pool() -> None:
    assert len(unrelated(real("unrelated"))) == 518
