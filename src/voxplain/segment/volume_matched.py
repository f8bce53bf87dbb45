"""Random masks of an exact volume: controls that the effect of a removed concept is compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError
from voxplain.segment.supervoxels import Supervoxels


def volume_matched(
    rng: np.random.Generator, supervoxels: Supervoxels, volume: int, *, exclude: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """A random union of whole supervoxels, trimmed to exactly `volume` voxels, bool [T,H,W].

    Supervoxels of all levels are drawn without replacement until they cover the volume. Of the last one only
    the first voxels are kept, in raster order from a random side of the clip, so it is cut and not thinned
    out. `exclude` (bool [T,H,W]) is never covered.

    Raises DataError when the supervoxels outside `exclude` cover fewer than `volume` voxels.
    """
    free = np.ones(supervoxels.shape, dtype=bool) if exclude is None else ~exclude
    if free.shape != supervoxels.shape:
        raise DataError(f"Expected exclude of shape {supervoxels.shape}, got {free.shape}.")
    if volume < 0:
        raise DataError(f"Expected a volume of 0 voxels or more, got {volume}.")
    union, covered = np.zeros(supervoxels.shape, dtype=bool), 0
    for i in rng.permutation(supervoxels.count):
        if covered == volume:
            break
        added = supervoxels.mask(int(i)) & free & ~union
        size = int(np.count_nonzero(added))
        if covered + size > volume:
            added = _trimmed(rng, added, volume - covered)
            size = volume - covered
        union |= added
        covered += size
    if covered < volume:
        raise DataError(f"Expected supervoxels with {volume} free voxels, got {covered}; request less or exclude less.")
    return union


def _trimmed(rng: np.random.Generator, mask: NDArray[np.bool_], volume: int) -> NDArray[np.bool_]:
    """The first `volume` voxels of `mask` in raster order from a random side of the clip."""
    axes = np.roll(np.arange(3), int(rng.integers(3)))
    kept = np.zeros_like(mask)
    # Views: what is written into `side` lands in `kept`.
    view, side = mask.transpose(axes), kept.transpose(axes)
    if rng.integers(2):
        view, side = view[::-1], side[::-1]
    places = np.argwhere(view)[:volume]
    side[tuple(places.T)] = True
    return kept
