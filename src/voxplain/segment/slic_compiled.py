"""SLIC in compiled loops: scikit-image's labels, all levels from one Lab conversion and one blur."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.color.colorconv import xyz_from_rgb, xyz_tristimulus_values
from skimage.util import img_as_float, regular_grid

from voxplain.segment import lab_kernels, slic_kernels
from voxplain.segment.connect_kernel import connect

ROUNDS = 10  # of nearest seed and mean; scikit-image
SMALLEST, LARGEST = 0.5, 3  # of a piece, in mean sizes of a segment; scikit-image
REACH = 4.0  # of the blur, in sigmas; scikit-image

Volume = NDArray[np.float64]


def slic_levels(
    frames: NDArray[np.uint8],
    segments: tuple[int, ...],
    *,
    compactness: float,
    sigma: float,
    spacing: tuple[float, float, float],
    slico: bool,
) -> list[NDArray[np.int32]]:
    """Labels [T,H,W] of each level, from 0, as `skimage.segmentation.slic` gives them for frames uint8 [T,H,W,3]."""
    apart = np.asarray(spacing, dtype=np.float64)
    image = blur(lab(frames), sigma / apart)
    image *= 1.0 / compactness
    shape = frames.shape[:3]
    grids = [_Seeds(shape, number) for number in segments]
    parts = np.cumsum([0, *(len(g.places) for g in grids)])
    seeds = np.zeros((parts[-1], 6))
    seeds[:, :3] = np.concatenate([g.places for g in grids])
    steps = np.concatenate([np.broadcast_to(g.steps, g.places.shape) for g in grids])
    weights = np.array([g.weight for g in grids])
    counts, spread = np.ones(len(seeds), np.int64), np.ones(len(seeds))
    tiles, boxes = slic_kernels.tiled(image)
    whole = [n * size for n, size in zip(tiles.shape[:3], slic_kernels.TILE, strict=True)]
    labels = np.full((len(segments), *whole), -1, np.int32)
    for i in range(ROUNDS):
        slic_kernels.assign(tiles, boxes, shape, parts, seeds, counts, steps, apart, weights, spread, labels)
        if i + 1 < ROUNDS:
            slic_kernels.average(image, labels, seeds, counts)
            if slico:
                slic_kernels.widen(image, labels, seeds, spread)
    return [_pieces(plane, shape, len(g.places)) for plane, g in zip(labels, grids, strict=True)]


class _Seeds:
    """Initial seeds of a level: `places` [K,3], and their spacing."""

    def __init__(self, shape: tuple[int, ...], segments: int) -> None:
        grid = regular_grid(shape, segments)
        axes = [np.arange(size)[part] for size, part in zip(shape, grid, strict=True)]
        self.places = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
        # Distances use the steps of the requested seeds, windows those of the actual seeds.
        self.weight = 1.0 / float(np.float32(max(_steps(grid))) ** 2)
        self.steps = np.array(_steps(regular_grid(shape, len(self.places))), dtype=np.int64)


def _steps(grid: tuple[slice, ...]) -> list[int]:
    return [int(s.step) if s.step is not None else 1 for s in grid]


def _pieces(labels: NDArray[np.int32], shape: tuple[int, ...], number: int) -> NDArray[np.int32]:
    size = int(np.prod(shape)) / number
    found: NDArray[np.int32] = connect(labels, shape, int(SMALLEST * size), int(LARGEST * size))
    return found


def lab(frames: NDArray[np.uint8]) -> Volume:
    """Lab planes [3,T,H,W] of frames stretched to their own range of values."""
    grey = img_as_float(np.arange(256, dtype=np.uint8))
    value = (grey - grey[frames.min()]).clip(0)  # values below the clip's least are not used
    span = value[frames.max()]
    value = value / span if span else value
    linear = np.where(value > 0.04045, np.power((value + 0.055) / 1.055, 2.4), value / 12.92)
    white = xyz_tristimulus_values(illuminant="D65", observer="2", dtype=np.float64)
    out = np.empty((3, *frames.shape[:3]))
    for t, frame in enumerate(frames):  # one at a time, so that intermediate values stay in the processor's cache
        # Rows of pixels by a 3×3 matrix as in scikit-image, so that the products are summed the same way.
        xyz = np.take(linear, frame) @ xyz_from_rgb.T
        lab_kernels.over_white(xyz, white)
        lab_kernels.lab_planes(xyz, np.cbrt(xyz), out[:, t])
    return out


def blur(image: Volume, sigmas: Volume) -> Volume:
    """Gaussian blur [3,T,H,W] along t, y and x, the edge mirrored; may write over `image`."""
    other = np.empty_like(image)
    _, depth, height, width = image.shape
    views = ((3, depth, height * width), (3 * depth, height, width), (3 * depth * height, width))
    for shape, sigma in zip(views, sigmas, strict=True):
        if sigma <= 1e-15:  # as SciPy does
            continue
        radius = int(REACH * sigma + 0.5)
        weights = np.exp(-0.5 / (sigma * sigma) * np.arange(-radius, radius + 1) ** 2)
        weights = weights / weights.sum()
        mirror = np.pad(np.arange(shape[1]), radius, mode="symmetric")
        run = lab_kernels.blur if len(shape) == 3 else lab_kernels.blur_columns
        run(image.reshape(shape), weights, mirror, other.reshape(shape))
        image, other = other, image
    return image
