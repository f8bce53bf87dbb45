"""Weizmann actions (Blank et al., ICCV 2005): 10 actions by 9 persons, 180×144, 25 fps.

From https://www.wisdom.weizmann.ac.il/~vision/SpaceTimeActions.html, one archive an action; for research.
Read as downloaded (all AVI files in one folder) or in a folder a class. The set has no official split: papers hold
persons out. Lena's second takes (``lena_run2``) are left out, so that there are 90 videos, one a person and action.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from voxplain.datasets.folder import VideoSet
from voxplain.datasets.listing import Listing, first_folder, two_parts, videos_below
from voxplain.errors import DataError

__all__ = ["ACTIONS", "PERSONS", "weizmann", "weizmann_listing"]

ACTIONS = ("bend", "jack", "jump", "pjump", "run", "side", "skip", "walk", "wave1", "wave2")
PERSONS = ("daria", "denis", "eli", "ido", "ira", "lena", "lyova", "moshe", "shahar")
HELD_OUT = ("ido", "lena", "moshe")


def weizmann_listing(root: Path) -> Listing:
    """All 90 videos, ``person_action``, and where they are."""
    found = videos_below(first_folder(root))

    def path(person: str, action: str) -> Path | None:
        names = (f"{person}_{action}", f"{person}_{action}1")  # lena_run1 where there are two takes
        return next((found[at] for name in names for at in (f"{action}/{name}", name) if at in found), None)

    return Listing({a: {f"{p}_{a}": path(p, a) for p in PERSONS} for a in ACTIONS}, {}, len(ACTIONS) * len(PERSONS))


def weizmann(root: Path, *, held_out: Collection[str] = HELD_OUT) -> tuple[VideoSet, VideoSet]:
    """Training and test videos: those of the persons in ``held_out`` are the test."""
    unknown = sorted(set(held_out) - set(PERSONS))
    if unknown:
        raise DataError(f"expected persons of {', '.join(PERSONS)}, got {unknown[0]!r}; correct it")
    return two_parts(
        root, weizmann_listing(root), lambda _, name: "test" if name.partition("_")[0] in held_out else "train"
    )
