"""Clips and label volumes that the segment tests share."""

import numpy as np
from scipy import ndimage


def textured(seed: int, shape: tuple[int, int, int] = (8, 24, 28)) -> np.ndarray:
    """Smooth random texture with some noise, uint8 [T,H,W,3]."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(*shape, 3)), (1, 2, 2, 0))
    smooth = (smooth - smooth.min()) / np.ptp(smooth) * 255
    return (smooth + rng.normal(size=smooth.shape) * 3).clip(0, 255).astype(np.uint8)


def random_levels(seed: int, shape: tuple[int, int, int] = (9, 12, 10)) -> list[np.ndarray]:
    """Three label volumes of ragged cuboids, in part near copies of each other, with gaps and -1."""
    rng = np.random.default_rng(seed)
    levels = []
    for cells in ((1, 2, 2), (2, 2, 2), (3, 3, 2)):
        shift = rng.integers(-2, 3, size=3)
        places = np.indices(shape) + shift[:, None, None, None]
        parts = [np.clip(p * c // s, 0, c - 1) for p, c, s in zip(places, cells, shape, strict=True)]
        labels = np.ravel_multi_index(parts, cells) * 3 + 1  # labels with gaps
        noise = rng.random(shape) < 0.1
        labels[noise] = rng.permutation(labels[noise])
        labels[rng.random(shape) < 0.05] = -1
        levels.append(labels)
    return levels
