"""KTH actions (Schuldt, Laptev and Caputo, ICPR 2004): 6 actions, 25 persons, 4 scenes; 160×120 grey, 25 fps.

From https://www.csc.kth.se/cvap/actions/, one archive an action and ``00sequences.txt``; for research. Read as
downloaded: ``00sequences.txt`` beside the AVI files, or beside one folder of them an action. Each of the 599 videos
is cut into the sequences that the file lists, 2391 in all, the items that papers count.

Official persons: training 11-18, validation 19-21, 23-25, 01, 04 (both train here, 1528 sequences), test 02, 03,
05-10, 22 (863 sequences), as in STCE. person01_boxing_d4 is published cut short at frame 305 of 370: its last
sequence keeps the frames that are there.
"""

from __future__ import annotations

import re
from pathlib import Path

from voxplain.datasets.folder import VideoSet
from voxplain.datasets.listing import Listing, first_folder, need, read_lines, two_parts, videos_below
from voxplain.errors import DataError
from voxplain.video import Span

__all__ = ["ACTIONS", "TEST_PERSONS", "kth", "kth_listing", "read_sequences"]

ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
TEST_PERSONS = (2, 3, 5, 6, 7, 8, 9, 10, 22)
LOST = "person13_handclapping_d3"  # listed as *missing* and never published
SEQUENCES = "00sequences.txt"


def read_sequences(file: Path) -> dict[str, tuple[Span, ...]]:
    """Video (``person01_boxing_d1``) to its sequences, frames counted from 0 and the last one exclusive.

    The file counts from 1 and includes the last: ``person01_boxing_d1  frames  1-95, 96-185``. Sequences may overlap
    or be in any order. Other lines are prose. Raises DataError for a file that lists none or a broken range.
    """
    found: dict[str, tuple[Span, ...]] = {}
    for line in read_lines(file):
        listed = re.fullmatch(r"(person\d\d_[a-z]+_d\d)\s+frames\s+([\d\s,-]+)", line)
        if not listed:
            continue
        spans = [(int(a) - 1, int(b)) for a, b in re.findall(r"(\d+)\s*-\s*(\d+)", listed[2])]
        if not spans or any(not 0 <= first < stop for first, stop in spans):
            raise DataError(f"{file}: expected ranges such as 1-95, 96-185, got {line!r}; copy the file again")
        found[listed[1]] = tuple(spans)
    if not found:
        raise DataError(f"{file}: expected lines such as 'person01_boxing_d1 frames 1-95', got none; copy it again")
    return found


def kth_listing(root: Path) -> Listing:
    """All 599 videos and where they are; the notes give the number of sequences."""
    found = {
        at.rpartition("/")[2].removesuffix("_uncomp"): path for at, path in videos_below(first_folder(root)).items()
    }
    names = {a: [f"person{p:02d}_{a}_d{d}" for p in range(1, 26) for d in range(1, 5)] for a in ACTIONS}
    videos = {a: {name: found.get(name) for name in names[a] if name != LOST} for a in ACTIONS}
    listed = (root / SEQUENCES).is_file()
    notes = [f"{sum(map(len, read_sequences(root / SEQUENCES).values()))} of 2391 sequences listed"] if listed else []
    return Listing(videos, {SEQUENCES: listed}, 599, tuple(notes))


def kth(root: Path) -> tuple[VideoSet, VideoSet]:
    """Training (16 persons) and test sequences (9 persons); `VideoSet.spans` holds the frames of each."""
    listing = kth_listing(root)
    need(listing, root, [SEQUENCES])
    spans = read_sequences(root / SEQUENCES)

    def part(_: str, name: str) -> str | None:
        if name not in spans:
            return None
        return "test" if int(name[6:8]) in TEST_PERSONS else "train"

    return two_parts(root, listing, part, spans)
