"""Names of videos in results, from paths whose folders are known."""

from pathlib import Path

import numpy as np

from voxplain.cli.sources import place_in, short_command, with_places
from voxplain.video import Clip


def test_places_are_relative_to_the_data_and_other_paths_are_hashed(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    assert place_in(f"{root}/train/bend/0.mp4", root) == "data/train/bend/0.mp4"
    assert place_in(f"{root}/clip.mp4 12-40", root) == "data/clip.mp4 12-40"  # what a reader adds stays
    elsewhere = place_in("/some/other/folder/0.mp4", root)
    assert elsewhere.endswith("/0.mp4")
    assert "folder" not in elsewhere
    assert place_in("/some/other/folder/1.mp4", root).split("/")[0] == elsewhere.split("/")[0]
    assert place_in("/some/folder/0.mp4", root) != elsewhere


def test_relative_paths_stay(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place_in("data/train/0.mp4", Path("data")) == "data/train/0.mp4"
    assert place_in(f"{tmp_path}/data/train/0.mp4", Path("data")) == "data/train/0.mp4"
    assert place_in("array", Path("data")) == "array"


def test_clips_keep_everything_but_their_source(tmp_path: Path) -> None:
    clip = Clip(np.zeros((2, 4, 4, 3), np.uint8), np.arange(2.0), f"{tmp_path}/a.mp4", 3)
    (found,) = with_places([clip], tmp_path)
    assert (found.source, found.label) == (f"{tmp_path.name}/a.mp4", 3)
    assert np.array_equal(found.frames, clip.frames)


def test_a_command_line_has_no_absolute_paths() -> None:
    words = ["voxplain", "concepts", "/home/me/data", "--net", "r3d", "-o", "runs/a"]
    assert short_command(words) == ["voxplain", "concepts", "data", "--net", "r3d", "-o", "runs/a"]
