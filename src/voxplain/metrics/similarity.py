"""Similarities of two maps of one grid: functions of two arrays [T,H,W], 1 for equal maps."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from voxplain.attribution.reduce import display
from voxplain.errors import DataError
from voxplain.statistics import spearman

__all__ = ["SIMILARITIES", "Similarity", "similarity"]

Similarity = Literal["spearman", "absolute_spearman", "kendall", "ssim"]


def kendall(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's τ-b over voxels; 0 when either map is constant."""
    from scipy import stats

    found = float(stats.kendalltau(a.ravel(), b.ravel()).statistic)
    return found if np.isfinite(found) else 0.0


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of the maps as displayed, mean over frames; windows of 7×7 pixels or what fits."""
    from skimage.metrics import structural_similarity

    side = min(7, *a.shape[1:])
    side -= 1 - side % 2
    if side < 3:
        raise DataError(f"expected frames of 3×3 pixels or more for ssim, got {a.shape[1:]}; choose spearman")
    pairs = zip(display(a), display(b), strict=True)
    return float(np.mean([structural_similarity(x, y, win_size=side, data_range=1.0) for x, y in pairs]))


SIMILARITIES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "spearman": lambda a, b: spearman(a.ravel(), b.ravel()),
    "absolute_spearman": lambda a, b: spearman(np.abs(a).ravel(), np.abs(b).ravel()),  # blind to sign
    "kendall": kendall,
    "ssim": ssim,
}


def similarity(a: np.ndarray, b: np.ndarray, how: Similarity = "spearman") -> float:
    """Similarity of two maps.

    Parameters
    ----------
    a, b : float [T,H,W]
    how : str
        An entry of `SIMILARITIES`.

    Returns
    -------
    float
        1 for equal maps, about 0 for unrelated ones (but for ssim).

    Raises
    ------
    DataError
        An unknown measure, or maps on different grids.

    Examples
    --------
    >>> a = np.arange(8.0).reshape(2, 2, 2)
    >>> round(similarity(a, -a), 3)
    -1.0
    """
    if how not in SIMILARITIES:
        raise DataError(f"expected a similarity of {', '.join(SIMILARITIES)}, got {how!r}; choose one")
    if a.shape != b.shape:
        raise DataError(f"expected two maps of one grid, got {a.shape} and {b.shape}")
    return SIMILARITIES[how](a, b)
