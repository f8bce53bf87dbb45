"""Weizmann: both layouts, lena's second takes, persons held out."""

from pathlib import Path

import pytest
from layouts import apart, real, told, touch

from voxplain.datasets.weizmann import ACTIONS, PERSONS, weizmann, weizmann_listing
from voxplain.errors import DataError


def test_as_downloaded_in_one_folder(tmp_path: Path) -> None:
    names = ["ido_walk.avi", "eli_walk.avi", "eli_wave1.avi", "lena_run1.avi", "lena_run2.avi", "readme.txt"]
    root = touch(tmp_path, names)
    train, test = weizmann(root)
    assert told(train) == [("walk", "eli_walk.avi"), ("wave1", "eli_wave1.avi")]
    assert told(test) == [("run", "lena_run1.avi"), ("walk", "ido_walk.avi")]
    assert train.classes == test.classes == ("run", "walk", "wave1")
    listing = weizmann_listing(root)
    assert (listing.found(), listing.wanted(), listing.complete()) == (4, 90, False)
    assert "daria_bend" in listing.missing("bend")


def test_other_persons_held_out(tmp_path: Path) -> None:
    root = touch(tmp_path, [f"{a}/{p}_{a}.avi" for a in ACTIONS for p in PERSONS])
    train, test = weizmann(root, held_out=["eli"])
    assert {path.name.split("_")[0] for path in test.paths} == {"eli"}
    assert (len(train), len(test)) == (80, 10)
    assert weizmann_listing(root).complete()
    with pytest.raises(DataError, match="'elli'"):
        weizmann(root, held_out=["elli"])


def test_the_real_set() -> None:
    root = real("weizmann")
    train, test = weizmann(root)
    assert (len(train), len(test), train.classes) == (60, 30, ACTIONS)
    apart(train, test)
    persons = [{path.name.split("_")[0] for path in part.paths} for part in (train, test)]
    assert persons[1] == {"ido", "lena", "moshe"}
    assert not persons[0] & persons[1]
    for part in (train, test):
        assert [path.parent.name for path in part.paths] == [label for label, _ in told(part)]
    assert weizmann_listing(root).complete()
