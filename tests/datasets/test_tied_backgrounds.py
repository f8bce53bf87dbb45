"""Backgrounds that go with the class: how many do, and that only they differ."""

import json
from pathlib import Path

import numpy as np
import pytest
from composed_videos import files, labelled, person

from voxplain.datasets import scan_folder
from voxplain.datasets.tied_backgrounds import write_tied
from voxplain.errors import DataError
from voxplain.video import read_video

CLASSES = ("run", "walk", "wave")


def written(root: Path) -> dict[str, str]:
    """The class whose stripes each video has."""
    entries = json.loads((root / "manifest.json").read_text())["compositions"]
    return {entry["videos"][0]: entry["background"].removeprefix("stripes of ") for entry in entries}


@pytest.mark.parametrize(("rate", "exceptions"), [(0.95, 1), (0.5, 2), (1.0, 0), (0.0, 4)])
def test_the_share_of_training_videos_with_their_own_stripes(tmp_path: Path, rate: float, exceptions: int):
    train, mask = labelled(tmp_path / "train", classes=CLASSES, each=4)
    test, _ = labelled(tmp_path / "test", classes=CLASSES, each=2)
    write_tied(tmp_path / "set", train, test, mask, rate=rate)
    shown = written(tmp_path / "set")
    for label in CLASSES:
        own = {place: other for place, other in shown.items() if place.split("/")[1] == label}
        parts = ("train", "test", "conflicting")
        of = {part: [o for p, o in own.items() if p.startswith(f"{part}/")] for part in parts}
        assert sum(other != label for other in of["train"]) == exceptions
        assert of["test"] == [label] * 2
        assert len(of["conflicting"]) == 2
        assert label not in of["conflicting"]


def test_matching_and_conflicting_videos_differ_in_the_background_alone(tmp_path: Path):
    train, mask = labelled(tmp_path / "train", classes=CLASSES, each=1)
    test, _ = labelled(tmp_path / "test", classes=CLASSES, each=2)
    write_tied(tmp_path / "set", train, test, mask, seed=4)
    for label in CLASSES:
        for i in (0, 1):
            same, other = (
                read_video(tmp_path / "set" / part / label / f"{i}.mp4").frames.astype(float)
                for part in ("test", "conflicting")
            )
            inner = np.stack([m & np.roll(m, 2, 1) & np.roll(m, -2, 1) for m in person(i)])  # colour bleeds by a pixel
            assert np.abs(same - other)[inner].mean() < 12
            assert np.abs(same - other)[~person(i)].mean() > 25


def test_it_is_read_as_training_and_test_videos(tmp_path: Path):
    train, mask = labelled(tmp_path / "train", each=2)
    test, _ = labelled(tmp_path / "test", each=1)
    for name in ("set", "again"):
        write_tied(tmp_path / name, train, test, mask, seed=7)
    assert files(tmp_path / "set") == files(tmp_path / "again")
    assert (len(scan_folder(tmp_path / "set")), len(scan_folder(tmp_path / "set", part="test"))) == (4, 2)
    assert scan_folder(tmp_path / "set/conflicting").classes == ("run", "walk")


def test_what_cannot_be_tied_is_told(tmp_path: Path):
    train, mask = labelled(tmp_path / "train", each=1)
    for other in (train.only(["run"]), train.only(["walk", "run"])):
        with pytest.raises(DataError, match="same two classes or more"):
            write_tied(tmp_path / "set", train, other, mask)
    with pytest.raises(DataError, match="a rate from 0 to 1, got 95"):
        write_tied(tmp_path / "set", train, train, mask, rate=95)
    assert not (tmp_path / "set").exists()
