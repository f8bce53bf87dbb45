"""Regions of a clip that follow its things: fine supervoxels merged into a tree by colour and texture, and its cuts.

Letters: N fine supervoxels. Merging is Ward's: of the pairs of neighbours in space or time, the pair whose union has
the least increase of the sum of squared differences in colour and texture from the mean of the region. The texture of
a pixel is the local contrast of its colour; without it, a chequered patch whose mean colour is that of the ground is
merged with the ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError
from voxplain.segment.frames import HasFrames, frames_of
from voxplain.segment.slic import SLIC
from voxplain.segment.supervoxels import Supervoxels

__all__ = ["RegionTree"]

CONTRAST_SIGMA = 1.5  # pixels, of the blur against which local contrast is taken and over which it is averaged
CONTRAST_STEP = 2  # pixels along both axes to the four places of which the least contrast counts


@dataclass(frozen=True, kw_only=True)
class RegionTree:
    """Nested regions: fine SLIC supervoxels merged by colour and texture, the tree cut where regions explain enough.

    Takes a `Clip` or uint8 frames [T,H,W,3]; returns `Supervoxels` with a level for each entry of ``explained``. A
    region of one level is a union of regions of the next finer one, and all follow the edges of the fine supervoxels.
    A plain scene has few regions, a varied one many.

    Parameters
    ----------
    explained : tuple of float
        Share of the variance of the fine supervoxels' colours and textures between the regions of each level, coarse
        first.
    least, most : int
        Bounds of the number of regions at each level.
    texture : float
        Weight of the texture beside the colour; 0: colour alone.
    segments : int
        Fine supervoxels that are merged; as the parameters below, see `SLIC`.
    compactness : float
    sigma : float
        Little blur, so that edges stay where they are.
    spacing : tuple of 3 floats
        A frame counts as two pixels, so that supervoxels are short in time and follow things that move.

    Raises
    ------
    DataError
        When the parameters or the frames are not as described.

    References
    ----------
    Ward 1963, Hierarchical Grouping to Optimize an Objective Function; Achanta et al. 2012 (SLIC)

    Examples
    --------
    >>> frames = np.zeros((4, 16, 16, 3), np.uint8)
    >>> frames[:, 4:12, 4:12] = 200
    >>> found = RegionTree(segments=60, sigma=0.0)(frames)
    >>> found, int(found.volumes.min())
    (Supervoxels(2 in 1 levels of 4×16×16 voxels), 256)
    """

    explained: tuple[float, ...] = (0.97,)
    least: int = 2
    most: int = 24
    texture: float = 2.0
    segments: int = 400
    compactness: float = 30.0
    sigma: float = 0.5
    spacing: tuple[float, float, float] = (2.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        """Check shares and bounds, and what `SLIC` checks."""
        shares = list(self.explained)
        if not shares or shares != sorted(set(shares)) or not 0 < shares[0] <= shares[-1] <= 1:
            raise DataError(f"expected rising shares of the variance, above 0 and up to 1, got {shares}; correct them")
        if not 1 <= self.least <= self.most:
            raise DataError(f"expected 1 ≤ least ≤ most, got {self.least} and {self.most}; correct them")
        if self.texture < 0:
            raise DataError(f"expected a weight of the texture of 0 or more, got {self.texture}; raise it")
        self._fine()

    def __call__(self, clip: HasFrames | NDArray[np.uint8]) -> Supervoxels:
        """Segment one clip."""
        fine = self._fine()(clip).labels[0]
        looks = appearance(fine, frames_of(clip), self.texture)
        merges = _merges(fine, looks)
        within = _variance_within(merges, looks)
        counts = [len(looks) - int(np.searchsorted(within, 1 - share, side="right")) for share in self.explained]
        cuts = [_cut(merges, len(looks), min(max(count, self.least), self.most)) for count in counts]
        return Supervoxels.from_levels([cut[fine] for cut in cuts])

    def _fine(self) -> SLIC:
        return SLIC(segments=(self.segments,), compactness=self.compactness, sigma=self.sigma, spacing=self.spacing)


def appearance(labels: NDArray[np.int16], frames: NDArray[np.uint8], texture: float) -> NDArray[np.float64]:
    """Mean Lab colour of each supervoxel of a level and ``texture`` times its contrast, float64 [N,6]; [N,3] for 0."""
    from skimage.color import rgb2lab

    flat, lab = labels.ravel().astype(np.intp), rgb2lab(frames)
    channels = [lab, texture * local_contrast(lab)] if texture else [lab]
    values = np.concatenate(channels, axis=-1).reshape(len(flat), -1)
    sums = np.stack([np.bincount(flat, weights=column) for column in values.T], axis=1)
    return np.asarray(sums / np.bincount(flat)[:, None])


def local_contrast(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Contrast around each pixel, float64 [T,H,W,3]: the least of those at four places diagonally beside it.

    The least, as the border between two plain areas is no texture: on one side of it there is no contrast.
    """
    from scipy.ndimage import gaussian_filter, minimum_filter

    blur = (0.0, CONTRAST_SIGMA, CONTRAST_SIGMA, 0.0)  # within frames
    contrast = gaussian_filter(np.abs(lab - gaussian_filter(lab, blur)), blur)
    around = np.zeros((1, 2 * CONTRAST_STEP + 1, 2 * CONTRAST_STEP + 1, 1), bool)
    around[:, :: 2 * CONTRAST_STEP, :: 2 * CONTRAST_STEP] = True
    return np.asarray(minimum_filter(contrast, footprint=around, mode="nearest"))


def _merges(labels: NDArray[np.int16], looks: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pairs of nodes that are merged, int64 [N−1,2], the first merge first; merge i makes node N + i."""
    import sklearn.cluster
    from scipy import sparse

    count = len(looks)
    if count == 1:
        return np.zeros((0, 2), np.int64)
    ids = labels.astype(np.intp)
    sides = [(np.delete(ids, -1, axis), np.delete(ids, 0, axis)) for axis in range(3)]
    a, b = (np.concatenate([side[i].ravel() for side in sides]) for i in (0, 1))
    graph = sparse.coo_array((np.ones(2 * len(a)), (np.append(a, b), np.append(b, a))), shape=(count, count)).tocsr()
    method = sklearn.cluster.AgglomerativeClustering(1, connectivity=graph, linkage="ward", compute_full_tree=True)
    return np.asarray(method.fit(looks).children_, np.int64)


def _variance_within(merges: NDArray[np.int64], looks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the variance of the looks that is within regions after each merge, float64 [N−1], rising to 1."""
    size, mean, lost = [1] * len(looks), list(looks), []
    for a, b in merges:
        weight = size[a] + size[b]
        lost.append(size[a] * size[b] / weight * float(((mean[a] - mean[b]) ** 2).sum()))
        mean.append((size[a] * mean[a] + size[b] * mean[b]) / weight)
        size.append(weight)
    return np.cumsum(lost) / max(sum(lost), 1e-12)


def _cut(merges: NDArray[np.int64], leaves: int, count: int) -> NDArray[np.int64]:
    """The region of each leaf after all but the last ``count`` − 1 merges, int64 [leaves]."""
    root = np.arange(2 * leaves - 1)
    for i, pair in reversed(list(enumerate(merges[: max(leaves - count, 0)]))):
        root[pair] = root[leaves + i]  # from the top down: a node's root is known before its parts ask for it
    return np.unique(root[:leaves], return_inverse=True)[1]
