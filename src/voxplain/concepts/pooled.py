"""Features of supervoxels from one forward a clip: feature maps averaged under each supervoxel. Experimental.

Letters: N supervoxels, C channels of a layer, t×h×w its map, P = t·h·w places; W [N,P], the voxels of each supervoxel
by place. A row is W·map / ΣW, layer beside layer. It sees each thing where and as large as it is, with what the layer's
receptive field holds around it; a crop shows the thing alone and stretched. So the two find different concepts.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from voxplain.concepts.feature_maps import feature_maps
from voxplain.concepts.features import Embedding, check_length
from voxplain.errors import DataError, ModelError
from voxplain.model import Objective, VideoModel
from voxplain.segment import Supervoxels
from voxplain.video import Clip, Windows

__all__ = ["PooledFeatures", "place_weights"]


Run = Callable[[np.ndarray], object]
Grid = tuple[int, int, int]  # places in t, y, x


@dataclass(frozen=True)
class PooledFeatures:
    """Feature maps averaged under each supervoxel. Called with (model, clip, supervoxels) gives features [N,D].

    One forward a window of the network's length; a row is the mean over all windows in which the supervoxel is.
    Experimental: its clusters are not those of `MaskedCrops` (`benchmarks/features.py` measures both). Rows are of
    several layers; CAVs, whose gradients are taken at the model's own one, are learnt from the layer values of `embed`.

    Raises VideoError when the clip is too short, ModelError for a layer that gives no map over time and space.
    """

    layers: tuple[str, ...] = ()  # names; empty: the last map of every resolution but the finest
    centre: bool = True  # subtract the clip's mean feature of each layer
    normalise: bool = True  # every layer's part of a row to unit length, so that layers count alike
    window_step: int = 8  # frames between windows of clips longer than the network's

    layer_space: ClassVar[bool] = False
    one_pass: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        if self.window_step < 1 or len(set(self.layers)) != len(self.layers):
            raise DataError(
                f"expected window_step of 1 or more and every layer once, got {self.window_step} and {self.layers}; "
                "correct them"
            )

    def __call__(
        self, model: VideoModel, clip: Clip, supervoxels: Supervoxels, *, ids: np.ndarray | None = None
    ) -> np.ndarray:
        """Features float32 [N,D] of a clip's supervoxels, all or ``ids``."""
        return self._rows(model, clip, supervoxels, ids)[0]

    def embed(
        self,
        model: VideoModel,
        clip: Clip,
        supervoxels: Supervoxels,
        *,
        ids: np.ndarray | None = None,
        gradient_of: tuple[int, Objective] | None = None,
    ) -> Embedding:
        """What a call gives, with rows in the space of the model's own feature, and a gradient, from the same passes.

        Those rows are plain means of the map whose mean is the model's feature: for CAVs and gradients there. The
        gradient is that of a clip of the network's length. ModelError where the feature is no mean of a map, as after
        a fully connected layer.
        """
        gradients: list[np.ndarray] = []

        def run(frames: np.ndarray) -> None:
            assert gradient_of is not None
            y, objective = gradient_of
            gradients[:] = [model.gradient(frames, y, objective=objective)[0].cpu().numpy()]

        rows, own = self._rows(model, clip, supervoxels, ids, run if gradient_of else None)
        if own is None:
            raise ModelError(
                f"expected a feature that is the mean of a map, got another at {model.layer!r}; name the pooling or a "
                "map as the model's layer, or learn CAVs from crops"
            )
        return Embedding(rows, own, gradients[0] if gradients else None)

    def _rows(
        self, model: VideoModel, clip: Clip, supervoxels: Supervoxels, ids: np.ndarray | None, run: Run | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(rows at the chosen layers, rows in the space of the model's feature or None where there is no such map)."""
        check_length(model, clip)
        ids = np.arange(supervoxels.count) if ids is None else ids
        length = model.grid[0]
        starts = Windows(length, 1, self.window_step)(len(clip.frames))[:, 0]
        spans = [(int(start), int(start) + length) for start in starts]
        seen = [_look(model, clip, supervoxels, ids, span, self.layers, run) for span in spans]
        rows = np.concatenate([self._part([w.sums[name] for w in seen]) for name in seen[0].sums], axis=1)
        own = None if any(w.feature is None for w in seen) else _rows_of([w.feature for w in seen if w.feature])
        return rows, own

    def _part(self, windows: Sequence["_Sums"]) -> np.ndarray:
        """One layer's part of the rows, [N,C]."""
        rows = _rows_of(windows)
        if self.centre:
            rows -= np.mean([w.mean for w in windows], axis=0)
        if self.normalise:
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return rows


@dataclass(frozen=True, eq=False)
class _Sums:
    """One layer in one window: ``total`` [N,C] of the map over each one's voxels, ``voxels`` [N,1], ``mean`` [C]."""

    total: np.ndarray
    voxels: np.ndarray
    mean: np.ndarray


@dataclass(frozen=True, eq=False)
class _Window:
    """One forward's sums by layer, and those of the map whose mean is the model's feature, where there is one."""

    sums: dict[str, _Sums]
    feature: _Sums | None


def _look(
    model: VideoModel,
    clip: Clip,
    supervoxels: Supervoxels,
    ids: np.ndarray,
    span: tuple[int, int],
    layers: tuple[str, ...],
    run: Run | None,
) -> _Window:
    seen = feature_maps(model, clip.frames[None, slice(*span)], layers, run=run)
    by_grid: dict[Grid, torch.Tensor] = {}  # layers of one grid share their weights

    def weights_on(grid: Grid) -> torch.Tensor:
        if grid not in by_grid:
            finer = next((g for g in by_grid if all(fine % n == 0 for fine, n in zip(g, grid, strict=True))), None)
            by_grid[grid] = (
                torch.from_numpy(place_weights(supervoxels, ids, grid, span)).to(model.device)
                if finer is None
                else _joined(by_grid[finer], finer, grid)
            )
        return by_grid[grid]

    def sums(values: torch.Tensor) -> _Sums:
        flat, weights = values[0].flatten(1), weights_on((values.shape[2], values.shape[3], values.shape[4]))
        found = (weights @ flat.T, weights.sum(1, keepdim=True), flat.mean(1))
        return _Sums(*(x.cpu().numpy() for x in found))

    return _Window({n: sums(v) for n, v in seen.maps.items()}, None if seen.feature is None else sums(seen.feature))


def _joined(weights: torch.Tensor, finer: Grid, grid: Grid) -> torch.Tensor:
    """Weights [N,P] on a grid of which ``finer`` splits every place into equal parts, from those on ``finer``."""
    (t, h, w), parts = grid, [fine // n for fine, n in zip(finer, grid, strict=True)]
    split = weights.view(len(weights), t, parts[0], h, parts[1], w, parts[2])
    return split.sum(6).sum(4).sum(2).flatten(1)  # one axis at a time: three at once take five times as long


def _rows_of(windows: Sequence[_Sums]) -> np.ndarray:
    """Mean of the map under each supervoxel over all windows, float32 [N,C]."""
    total, voxels = (np.sum([getattr(w, part) for w in windows], axis=0) for part in ("total", "voxels"))
    return np.asarray(total / voxels, np.float32)


def place_weights(
    supervoxels: Supervoxels, ids: np.ndarray, grid: tuple[int, int, int], span: tuple[int, int]
) -> np.ndarray:
    """How many voxels of each supervoxel lie in each place of a map over frames ``span``, float32 [N,P].

    A voxel on the border of two places counts in both by its parts, so that every voxel counts as one: a thing smaller
    than a place is not lost.
    """
    frames, height, width = span[1] - span[0], *supervoxels.shape[1:]
    at, ay, ax = (_overlap(n, m) for n, m in zip((frames, height, width), grid, strict=True))
    weights = np.zeros((len(ids), *grid), np.float32)
    for row, i in enumerate(ids):
        t0, t1, y0, y1, x0, x1 = supervoxels.boxes[i]
        t0, t1 = max(t0, span[0]), min(t1, span[1])
        if t0 < t1:
            own = supervoxels.labels[supervoxels.levels[i], t0:t1, y0:y1, x0:x1] == i
            plane = ay[:, y0:y1] @ (own.astype(np.float32) @ ax[:, x0:x1].T)
            weights[row] = np.tensordot(at[:, t0 - span[0] : t1 - span[0]], plane, axes=1)
    return weights.reshape(len(ids), math.prod(grid))


def _overlap(voxels: int, places: int) -> np.ndarray:
    """How much of each voxel of an axis lies in each place, float32 [places, voxels]; columns sum to one."""
    edges, starts = np.linspace(0, voxels, places + 1), np.arange(voxels)
    low, high = np.maximum(edges[:-1, None], starts), np.minimum(edges[1:, None], starts + 1)
    return np.asarray(np.clip(high - low, 0, None), np.float32)
