"""Videos with a striped background that goes with the class: a shortcut of known strength in real videos.

For videos whose background is empty, such as depth, or for which masks of the person are known.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain.datasets.backgrounds import MaskOf
from voxplain.datasets.composed import ComposedSet, Composition, write_composed
from voxplain.datasets.folder import VideoSet
from voxplain.datasets.stripes import ClassStripes
from voxplain.errors import DataError

__all__ = ["write_tied"]


def write_tied(
    root: Path | str,
    train: VideoSet,
    test: VideoSet,
    mask: MaskOf,
    *,
    rate: float = 0.95,
    seed: int = 0,
    advance: Callable[[], object] = lambda: None,
) -> ComposedSet:
    """Write training videos with the stripes of their class, and test videos with these and with another class's.

    ``root/train/<class>/``: all but a share of 1 − ``rate`` of a class's videos (at least one where ``rate`` is below
    1) have the stripes of the class, the others those of another class. ``root/test/<class>/``: the stripes of the
    class. ``root/conflicting/<class>/``: the same videos with the stripes of another class. The same arguments give
    the same bytes, and an interrupted call is continued by the same call. Videos without a mask or a person, and those
    that cannot be read, are left out.

    Parameters
    ----------
    root : str or Path
        Folder to write.
    train, test : VideoSet
        Of the same two classes or more.
    mask : callable
        (video, class) → the person, bool [F,H,W].
    rate : float
        Share of the training videos with the stripes of their class, 0 to 1.
    seed : int
        Of the stripes' phases, and of the choice of the exceptions and of other classes.
    advance : callable
        Called without arguments after each video.

    Returns
    -------
    ComposedSet

    Raises
    ------
    DataError
        For classes that differ or are fewer than two, a rate outside 0 to 1, a folder that holds another set, and
        where no video could be written.
    """
    if train.classes != test.classes or len(train.classes) < 2:
        raise DataError(
            f"expected the same two classes or more in training and test videos, got {list(train.classes)} and "
            f"{list(test.classes)}; choose other classes"
        )
    if not 0 <= rate <= 1:
        raise DataError(f"expected a rate from 0 to 1, got {rate}; choose 0.95 or so")
    agrees = _agreeing(train.labels, rate, np.random.default_rng([seed, 1]))
    compositions = [
        *_compositions("train", train, agrees, seed),
        *_compositions("test", test, np.ones(len(test), bool), seed),
        *_compositions("conflicting", test, np.zeros(len(test), bool), seed),
    ]
    plan = {"kind": "tied", "rate": rate, "seed": seed}
    return write_composed(Path(root), plan, compositions, mask, make=lambda frames, _: (frames,), advance=advance)


def _agreeing(labels: NDArray[np.int64], rate: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which training videos have the stripes of their class, bool [N]."""
    agrees = np.ones(len(labels), bool)
    for k in np.unique(labels):
        rows = np.flatnonzero(labels == k)
        exceptions = min(len(rows), max(int(rate < 1), round((1 - rate) * len(rows))))
        agrees[rng.choice(rows, exceptions, replace=False)] = False
    return agrees


def _compositions(part: str, videos: VideoSet, agrees: NDArray[np.bool_], seed: int) -> list[Composition]:
    stripes, found = ClassStripes(videos.classes), []
    for i, path in enumerate(videos.paths):
        label, name = videos.classes[videos.labels[i]], path.name if path.is_dir() else path.stem
        rng = np.random.default_rng([seed, zlib.crc32(os.fsencode(f"{part}/{label}/{name}"))])
        others = [other for other in videos.classes if other != label]
        shown = label if agrees[i] else others[int(rng.integers(len(others)))]
        span = None if videos.spans is None else videos.spans[i]
        found.append(Composition((part,), path, label, stripes(shown, rng), name, span))
    return found
