"""How near the regions of held-out clips are to the concepts that they were assigned to.

Letters: K concepts, D features.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.concepts.discover import ConceptBank
from voxplain.errors import DataError
from voxplain.record_html import fields_table

__all__ = ["HeldOutMatch", "held_out_match"]

FAR = 0.5  # share of the expected supervoxels near the centre, below which held-out ones are far
LEAST = 4  # supervoxels without which nothing is said


@dataclass(frozen=True, eq=False)
class HeldOutMatch:
    """Distances of held-out supervoxels from the centres of their concepts, beside those the concepts were found from.

    The representatives of a concept are the supervoxels nearest its centre, a known share of its cluster. Held-out
    supervoxels like those of the cluster lie as often within the distance of the farthest representative.

    Parameters
    ----------
    supervoxels : ndarray, int64 [K]
        Held-out supervoxels of each concept.
    clips : ndarray, int64 [K]
        Held-out clips that have it.
    near : ndarray, float32 [K]
        Share of those supervoxels within the distance of the farthest representative, 0 to 1; NaN without any.
    expected : ndarray, float32 [K]
        The same share in the concept's cluster.

    Raises
    ------
    DataError
        Arrays of other lengths than K.
    """

    supervoxels: NDArray[np.int64]
    clips: NDArray[np.int64]
    near: NDArray[np.float32]
    expected: NDArray[np.float32]

    _repr_html_ = fields_table

    def __post_init__(self) -> None:
        """Check that there is one value for each concept."""
        shapes = [self.supervoxels.shape, self.clips.shape, self.near.shape, self.expected.shape]
        if len(set(shapes)) != 1 or self.near.ndim != 1:
            raise DataError(f"expected one value for each of K concepts, got arrays of shapes {shapes}")

    @property
    def far(self) -> NDArray[np.bool_]:
        """Concepts whose held-out supervoxels are far: fewer than half of the expected ones are near, bool [K]."""
        counted = self.supervoxels >= LEAST
        return np.asarray(counted & (np.nan_to_num(self.near, nan=1.0) < FAR * self.expected), bool)


def held_out_match(bank: ConceptBank, rows: Iterable[NDArray[np.float32]]) -> HeldOutMatch:
    """Compare held-out supervoxels with the clusters of their concepts.

    Parameters
    ----------
    bank : ConceptBank
    rows : iterable of ndarray, float32 [N_i,D]
        Features of the supervoxels of each held-out clip.

    Returns
    -------
    HeldOutMatch

    Examples
    --------
    >>> from voxplain.concepts.cluster import KMeans
    >>> from voxplain.concepts.discover import fit_concepts
    >>> features = np.array([[0.0], [0.2], [5.0], [5.2]], np.float32)
    >>> bank = fit_concepts(features, clusterer=KMeans(clusters=2))
    >>> held_out_match(bank, [features, features]).near.tolist()
    [1.0, 1.0]
    """
    count = len(bank)
    total, near, clips = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    reach = np.array([float(own.max()) for own in bank.distance])
    for values in rows:
        codes = bank.encode(values)
        own = codes >= 0
        known, own_values = codes[own], np.asarray(values, np.float64)[own]
        far = np.linalg.norm(own_values - bank.centers[known], axis=1)
        total += np.bincount(known, minlength=count)
        near += np.bincount(known, weights=far <= reach[known] * (1 + 1e-5), minlength=count).astype(np.int64)
        clips[np.unique(known)] += 1
    share = np.where(total > 0, near / np.maximum(total, 1), np.nan).astype(np.float32)
    kept = np.array([len(own) for own in bank.members])
    return HeldOutMatch(total, clips, share, (kept / np.maximum(bank.sizes, 1)).astype(np.float32))
