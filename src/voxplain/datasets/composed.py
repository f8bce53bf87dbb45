"""A set of videos in which the person of other videos is in front of another background, on disk.

DIR/<part>/<class>/<name>.mp4    H.264, the class folders of a part
DIR/manifest.json                where the person and the background of each video come from; written last

Letters: F frames of a video, H×W its size.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.datasets.backgrounds import Drawn, MaskOf, behind
from voxplain.datasets.folder import Skipped
from voxplain.errors import DataError, VideoError
from voxplain.files import write_whole
from voxplain.video import Clip, Span, read_video
from voxplain.video.encode import encode_video

__all__ = ["ComposedSet", "Composition", "write_composed"]

FORMAT = 1
USUAL_RATE = 25  # frames a second, of sources without times


@dataclass(frozen=True)
class Composition:
    """A person and a background that are to be put together.

    Parameters
    ----------
    parts : tuple of str
        Parts of the set, for each of which a video is written.
    video : Path
        Shows the person.
    label : str
        Its class.
    background : Drawn
    name : str
        Name of the new videos, without suffix.
    span : (int, int), optional
        The frames that are used: the first, and one past the last. Default: all.
    """

    parts: tuple[str, ...]
    video: Path
    label: str
    background: Drawn
    name: str
    span: Span | None = None

    def places(self) -> tuple[str, ...]:
        """Path of the video of each part, below the folder of the set."""
        return tuple(f"{part}/{self.label}/{self.name}.mp4" for part in self.parts)


@dataclass(frozen=True)
class ComposedSet:
    """What was written.

    Parameters
    ----------
    root : Path
        The folder.
    places : tuple of str
        The videos, relative to it.
    skipped : tuple of Skipped
        Source videos without a mask or without a person, and those that cannot be read.
    """

    root: Path
    places: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()

    def __repr__(self) -> str:
        """Counts, not names."""
        return f"ComposedSet({str(self.root)!r}, videos={len(self.places)}, skipped={len(self.skipped)})"


def write_composed(
    root: Path,
    plan: dict[str, Any],
    compositions: Sequence[Composition],
    mask: MaskOf,
    *,
    make: Callable[[NDArray[np.uint8], NDArray[np.bool_]], tuple[NDArray[np.uint8], ...]],
    advance: Callable[[], object] = lambda: None,
) -> ComposedSet:
    """Write the videos that are missing in the folder, then its manifest.

    The same arguments give the same bytes. Each file appears whole or not at all, and a folder with a manifest is
    complete; an interrupted call is continued by the same call.

    Parameters
    ----------
    root : Path
        Folder to write.
    plan : dict
        Settings of the set, for the manifest. A folder is used again only with the same settings and compositions.
    compositions : sequence of Composition
        Of one name in a part and class each.
    mask : callable
        Gives the person of a video.
    make : callable
        (composed frames uint8 [F,H,W,3], mask bool [F,H,W]) → the frames of each part's video.
    advance : callable
        Called without arguments after each composition.

    Returns
    -------
    ComposedSet

    Raises
    ------
    DataError
        For two compositions of one name, a folder that holds something else, and where no video could be written.
    """
    places = Counter(place for composition in compositions for place in composition.places())
    twice = [place for place, count in places.items() if count > 1]
    if twice:
        raise DataError(f"expected videos of different names in each class, got two for {twice[0]}; rename one")
    head = {"format": FORMAT, **plan, "compositions": [_facts(composition) for composition in compositions]}
    _claim(root, head)
    written: list[str] = []
    skipped: list[Skipped] = []
    for composition in compositions:
        try:
            _write(root, composition, mask, make)
            written += composition.places()
        except (DataError, VideoError) as error:
            skipped.append(Skipped(composition.video, str(error)))
        advance()
    if not written:
        reason = f": {skipped[0].reason}" if skipped else ""
        raise DataError(f"expected videos with a person to put in front of other backgrounds, got none{reason}")
    lost = [{"source": f"{s.path.parent.name}/{s.path.name}", "reason": s.reason} for s in skipped]
    write_whole(root / "manifest.json", json.dumps({**head, "skipped": lost}, indent=1).encode())
    return ComposedSet(root, tuple(written), tuple(skipped))


def _facts(composition: Composition) -> dict[str, Any]:
    return {
        "videos": list(composition.places()),
        "source": f"{composition.video.parent.name}/{composition.video.name}",
        "span": composition.span,
        "background": composition.background.name,
    }


def _claim(root: Path, head: dict[str, Any]) -> None:
    """Mark a folder as that of this set; DataError where it holds another one, or other files."""
    plan, text = root / ".plan.json", json.dumps(head, sort_keys=True)
    if plan.exists():
        if plan.read_text() != text:
            raise DataError(
                f"expected {root} to be new or a set of the same videos and settings, got one of others; choose "
                "another folder"
            )
        return
    if root.exists() and (not root.is_dir() or any(not path.name.startswith(".") for path in root.iterdir())):
        raise DataError(f"expected {root} to be new or empty, got other files there; choose another folder")
    root.mkdir(parents=True, exist_ok=True)
    write_whole(plan, text.encode())


def _write(
    root: Path,
    composition: Composition,
    mask: MaskOf,
    make: Callable[[NDArray[np.uint8], NDArray[np.bool_]], tuple[NDArray[np.uint8], ...]],
) -> None:
    files = [root / place for place in composition.places()]
    if all(file.exists() for file in files):
        return
    clip, person = read_video(composition.video), mask(composition.video, composition.label)
    if person.shape != clip.frames.shape[:3]:
        raise DataError(
            f"expected a mask {clip.frames.shape[:3]} of {composition.video}, got {person.shape}; make it of its frames"
        )
    first, stop = composition.span or (0, len(clip.frames))
    frames, person = clip.frames[first:stop], person[first:stop]
    if not person.any():
        raise DataError(f"expected a person in {composition.video}, got an empty mask; leave the video out")
    picture = composition.background.picture(*frames.shape[1:3])
    for file, shown in zip(files, make(behind(frames, person, picture), person), strict=True):
        write_whole(file, encode_video(shown, fps=_rate(clip)))


def _rate(clip: Clip) -> int:
    """Frames a second of a video, rounded."""
    lasts = float(clip.seconds[-1] - clip.seconds[0])
    return max(1, round((len(clip.seconds) - 1) / lasts)) if lasts > 0 else USUAL_RATE
