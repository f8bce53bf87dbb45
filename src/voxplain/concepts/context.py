"""Features of supervoxels in their context: feature maps averaged under each supervoxel, and its contribution.

Letters: N supervoxels, C channels of a layer, t×h×w its positions, P = t·h·w; W [N,P], the voxels of each supervoxel
by position. A part of a row is W·map / ΣW less the clip's mean, at unit length, a part a layer. The last number is the
sum of the contributions of the supervoxel's voxels to the class, over the root of their number: between a sum, which
tells small parts of a thing from large ones, and a mean, which is noise where voxels are few. It keeps apart what looks
alike and matters differently, and what surrounds a thing from the thing: maps far from the input blur their borders,
the input does not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from voxplain.concepts.contributions import contributions
from voxplain.concepts.feature_maps import FeatureMaps, feature_maps
from voxplain.concepts.features import Embedding, check_length
from voxplain.errors import DataError
from voxplain.model import Objective, VideoModel
from voxplain.perturb import FILLS
from voxplain.segment import Supervoxels
from voxplain.video import Clip, Windows

__all__ = ["ContextFeatures", "place_weights"]

Grid = tuple[int, int, int]  # positions in t, y, x


@dataclass(frozen=True)
class ContextFeatures:
    """Feature maps averaged under each supervoxel, and its contribution to the score of the class.

    One forward pass a window of the network's length, and for the contribution ``steps`` forward and backward passes; a
    row is the mean over all windows in which the supervoxel is. CAVs are learnt from the
    layer values of `embed`, in the space of the last map's mean, where the gradient is taken, too.

    Parameters
    ----------
    layers : tuple of str
        Dotted names; empty: the last layer of every resolution but the finest (`feature_maps.map_layers`).
    contribution : float
        Size of the contribution of the supervoxel of a clip in which it is largest; a layer's part of the row has
        length 1. 0: no such part.
    fill : str
        Against which the contribution is: an entry of `voxplain.perturb.FILLS`.
    steps : int
        Gradients on the way from the fill to the clip; see `contributions`.
    window_step : int
        Frames between the windows of clips longer than the network's.

    Raises
    ------
    DataError, ModelError
        Layers named twice, numbers out of range, and layers without positions in time and space.

    References
    ----------
    Sundararajan, Taly and Yan 2017 (integrated gradients).
    """

    layers: tuple[str, ...] = ()
    contribution: float = 1.0
    fill: str = "median"
    steps: int = 4
    window_step: int = 8

    layer_space: ClassVar[bool] = False
    one_pass: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        if min(self.window_step, self.steps) < 1 or self.contribution < 0 or len(set(self.layers)) != len(self.layers):
            raise DataError(
                f"expected window_step and steps of 1 or more, contribution of 0 or more and every layer once, got "
                f"{self.window_step}, {self.steps}, {self.contribution} and {self.layers}; correct them"
            )
        if self.fill not in FILLS:
            raise DataError(f"expected a fill of {', '.join(FILLS)}, got {self.fill!r}; choose one")

    def embed(
        self,
        model: VideoModel,
        clip: Clip,
        supervoxels: Supervoxels,
        *,
        ids: np.ndarray | None = None,
        gradient_of: tuple[int, Objective] | None = None,
    ) -> Embedding:
        """Features of a clip's supervoxels, all or ``ids``.

        Parameters
        ----------
        model : VideoModel
        clip : Clip
            Of the network's length or longer.
        supervoxels : Supervoxels
        ids : int64 [N], optional
        gradient_of : (int, str), optional
            Class, and the objective of the gradient; needed with ``contribution``.

        Returns
        -------
        Embedding
            With layer values, and with gradient and logits where the
            central window is one of those embedded, as in every clip of the network's length.

        Raises
        ------
        DataError
            ``contribution`` without ``gradient_of``.
        VideoError
            A clip that is too short.
        """
        if self.contribution and gradient_of is None:
            raise DataError(
                "expected the class to which contributions are a part of the features, got none; give gradient_of"
            )
        check_length(model, clip)
        length = model.grid[0]
        starts = Windows(length, 1, self.window_step)(len(clip.frames))[:, 0]
        spans = [(int(start), int(start) + length) for start in starts]
        central, gradient, logits = (len(clip.frames) - length) // 2, None, None
        seen = []
        for span in spans:
            found = feature_maps(model, clip.frames[None, slice(*span)], self.layers, gradient_of=gradient_of)
            seen.append(_window_sums(found, supervoxels, span))
            if span[0] == central:
                gradient = None if found.gradient is None else found.gradient[0].cpu().numpy()
                logits = found.logits[0].cpu().numpy()
        parts = [_part([w.sums[name] for w in seen]) for name in seen[0].sums]
        if self.contribution and gradient_of:
            parts.append(self._contribution(model, clip, supervoxels, spans, gradient_of[0]))
        own = _rows_of([w.feature for w in seen])
        rows = np.concatenate(parts, axis=1)
        if ids is not None:
            rows, own = rows[ids], own[ids]
        return Embedding(rows, own, gradient, logits)

    @property
    def class_dimensions(self) -> int:
        """The contribution is the last dimension, where there is one."""
        return int(self.contribution > 0)

    @property
    def class_gradients(self) -> int:
        """The steps of the contribution, where there is one."""
        return self.steps if self.contribution else 0

    def without_class(self) -> "ContextFeatures":
        """The same features without the contribution."""
        return replace(self, contribution=0.0)

    def _contribution(
        self, model: VideoModel, clip: Clip, supervoxels: Supervoxels, spans: Sequence[tuple[int, int]], target: int
    ) -> np.ndarray:
        """Mean over the windows of each voxel's contribution, Σ / √voxels of each supervoxel, float32 [N,1]."""
        voxels, windows = np.zeros(supervoxels.shape), np.zeros(len(clip.frames))
        for start, end in spans:
            voxels[start:end] += contributions(model, clip.frames[start:end], target, fill=self.fill, steps=self.steps)
            windows[start:end] += 1
        voxels /= np.maximum(windows, 1)[:, None, None]
        sums, size = np.zeros(supervoxels.count), np.zeros(supervoxels.count)
        for labels in supervoxels.labels:
            inside = labels >= 0
            sums += np.bincount(labels[inside], weights=voxels[inside], minlength=supervoxels.count)
            size += np.bincount(labels[inside], minlength=supervoxels.count)
        sums /= np.sqrt(np.maximum(size, 1))
        return np.asarray(sums * (self.contribution / np.abs(sums).max(initial=1e-12)), np.float32)[:, None]


def _part(windows: Sequence["_Sums"]) -> np.ndarray:
    """One layer's part of the rows, [N,C]."""
    rows = _rows_of(windows)
    rows -= np.mean([w.mean for w in windows], axis=0)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


@dataclass(frozen=True, eq=False)
class _Sums:
    """One layer in one window: ``total`` [N,C] of the map over each one's voxels, ``voxels`` [N,1], ``mean`` [C]."""

    total: np.ndarray
    voxels: np.ndarray
    mean: np.ndarray


@dataclass(frozen=True, eq=False)
class _Window:
    """One forward's sums by layer, and those of the map that CAVs are learnt from."""

    sums: dict[str, _Sums]
    feature: _Sums


def _window_sums(found: FeatureMaps, supervoxels: Supervoxels, span: tuple[int, int]) -> _Window:
    ids = np.arange(supervoxels.count)
    by_grid: dict[Grid, torch.Tensor] = {}  # layers of one grid share their weights

    def weights_on(grid: Grid, device: torch.device) -> torch.Tensor:
        if grid not in by_grid:
            finer = next((g for g in by_grid if all(fine % n == 0 for fine, n in zip(g, grid, strict=True))), None)
            by_grid[grid] = (
                torch.from_numpy(place_weights(supervoxels, ids, grid, span)).to(device)
                if finer is None
                else _joined(by_grid[finer], finer, grid)
            )
        return by_grid[grid]

    def sums(values: torch.Tensor) -> _Sums:
        flat, weights = (
            values[0].flatten(1),
            weights_on((values.shape[2], values.shape[3], values.shape[4]), values.device),
        )
        parts = (weights @ flat.T, weights.sum(1, keepdim=True), flat.mean(1))
        return _Sums(*(x.cpu().numpy() for x in parts))

    return _Window({n: sums(v) for n, v in found.maps.items()}, sums(found.feature))


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
