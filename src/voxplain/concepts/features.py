"""Features of supervoxels: masked, cropped, resized to the input size and embedded by the network.

Letters: N supervoxels, D feature dimensions, T×H×W the network's grid. Masked crops are made batch by batch and
forgotten, so memory does not grow with the number of videos. Threads may embed clips side by side, each with modules
of its own (`voxplain.inference.replicas`): a layer's output is recorded by a hook on its module.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch

from voxplain.concepts.masked_crop import CROPS, box_crop, in_place, reveal
from voxplain.errors import DataError, VideoError
from voxplain.model import Objective, VideoModel
from voxplain.perturb import FILLS, base_clip
from voxplain.segment import Supervoxels
from voxplain.video import Clip, Windows

__all__ = [
    "CROPS",
    "Embedder",
    "Embedding",
    "Features",
    "MaskedCrops",
    "box_crop",
    "check_length",
    "embed_clip",
    "in_place",
]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Features of the supervoxels of a clip, and what the same forward passes gave beside them.

    Parameters
    ----------
    values : ndarray, float32 [N,D]
        Features in which concepts are found.
    layer_values : ndarray, float32 [N,D'], optional
        Features in the space of the model's layer, where CAVs and gradients are; None where `values` are such.
    gradient : ndarray, float32 [D'], optional
        Gradient of the objective at the layer for the clip's central window, where it was asked for and that window is
        one of those embedded.
    logits : ndarray, float32 [C], optional
        Logits of the central window, where it is one of those embedded by one pass.
    """

    values: np.ndarray
    layer_values: np.ndarray | None = None
    gradient: np.ndarray | None = None
    logits: np.ndarray | None = None

    @property
    def in_layer_space(self) -> np.ndarray:
        """The features from which CAVs are learnt."""
        return self.values if self.layer_values is None else self.layer_values


class Embedder(Protocol):
    """Computes the features of a clip's supervoxels."""

    @property
    def window_step(self) -> int:
        """Frames between the windows of clips longer than the network's."""

    @property
    def layer_space(self) -> bool:
        """Whether the features are in the space of the model's layer, so that CAVs can be learnt from them."""

    @property
    def one_pass(self) -> bool:
        """Whether one pass embeds all supervoxels of a window; for a class it gives the clip's gradient, too."""

    @property
    def class_dimensions(self) -> int:
        """How many of the last dimensions of the features depend on the class; 0 for features of no class."""

    @property
    def class_gradients(self) -> int:
        """How many gradients at the input a window takes for those dimensions, a forward and a backward pass each."""

    def without_class(self) -> "Embedder":
        """An embedder of the same features without those that depend on a class."""

    def embed(
        self,
        model: VideoModel,
        clip: Clip,
        supervoxels: Supervoxels,
        *,
        ids: np.ndarray | None = None,
        gradient_of: tuple[int, Objective] | None = None,
    ) -> Embedding:
        """Features of all supervoxels or of ``ids``, in their order, with layer values where `layer_space` is false.

        ``gradient_of`` a class and an objective, only where `one_pass` is true.
        """


@dataclass(frozen=True, eq=False)
class Features:
    """Features of supervoxels, one row each.

    Parameters
    ----------
    values : ndarray, float32 [N,D]
        Finite numbers.
    origin : ndarray, int64 [N,2]
        (clip, supervoxel) of each row.

    Raises
    ------
    DataError
        Other shapes, or NaN or infinity in ``values``.

    Examples
    --------
    >>> Features(np.zeros((2, 5), np.float32), np.array([[0, 0], [0, 1]]))
    Features(values=(2, 5), clips=1)
    """

    values: np.ndarray
    origin: np.ndarray

    def __post_init__(self) -> None:
        """Check shapes and that every value is finite."""
        if self.values.ndim != 2 or self.origin.shape != (len(self.values), 2):
            raise DataError(
                f"expected values [N,D] and origin [N,2], got {self.values.shape} and {self.origin.shape}; "
                "give one (clip, supervoxel) pair a row"
            )
        if not np.isfinite(self.values).all():
            raise DataError("expected finite features, got NaN or infinity; check the network's weights and its layer")

    def __repr__(self) -> str:
        """Shapes, not data."""
        return f"Features(values={self.values.shape}, clips={len(np.unique(self.origin[:, 0]))})"


def _starts(extent: tuple[int, int], total: int, length: int, step: int) -> np.ndarray:
    """First frames of the windows of ``length`` that cover an extent of a clip of ``total`` frames."""
    t0, t1 = extent
    if t1 - t0 <= length:
        # A short segment keeps its place in real time: one window around it, inside the clip.
        return np.array([min(max((t0 + t1 - length) // 2, 0), total - length)])
    return t0 + Windows(length, 1, step)(t1 - t0)[:, 0]


@dataclass(frozen=True)
class MaskedCrops:
    """Features of masked crops: (model, clip, supervoxels) to features float32 [N,D].

    The voxels outside of a supervoxel are filled, its box is cropped and resized to the input size, and the network's
    feature of it is computed. A supervoxel longer than the network's clip is averaged over windows.

    Parameters
    ----------
    fill : str
        Value of the voxels outside: mean (zero after normalisation), grey, black or blur.
    crop : str
        "box": crop and resize, as in the paper; "in-place": keep position and size.
    window_step : int
        Frames between windows of long supervoxels; 1 is the exact mode of the reference.

    References
    ----------
    Ji, Wang and Kato 2023, STCE, section 3.1, and its code
    """

    layer_space: ClassVar[bool] = True
    one_pass: ClassVar[bool] = False
    class_dimensions: ClassVar[int] = 0
    class_gradients: ClassVar[int] = 0

    fill: str = "mean"
    crop: str = "box"
    window_step: int = 8

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        if self.fill not in FILLS or self.crop not in CROPS or self.window_step < 1:
            raise DataError(
                f"expected a fill of {', '.join(FILLS)}, a crop of {', '.join(CROPS)} and window_step of 1 or more, "
                f"got {self.fill!r}, {self.crop!r} and {self.window_step}; correct them"
            )

    def __call__(
        self, model: VideoModel, clip: Clip, supervoxels: Supervoxels, *, ids: np.ndarray | None = None
    ) -> np.ndarray:
        """Features float32 [N,D] of a clip's supervoxels, all or ``ids``.

        VideoError when the clip is too short.
        """
        ids = np.arange(supervoxels.count) if ids is None else ids
        check_length(model, clip)
        if not len(ids):  # every supervoxel may have been dropped; the whole clip gives the width of a row
            return np.zeros((0, len(embed_clip(model, clip, window_step=len(clip.frames)))), np.float32)
        total: np.ndarray | None = None
        seen = np.zeros((len(ids), 1), np.float32)
        for owners, crops in self._batches(model, clip, supervoxels, ids):
            rows = model.embed(crops).cpu().numpy()
            total = np.zeros((len(ids), rows.shape[1]), np.float32) if total is None else total
            np.add.at(total, owners, rows)  # in the order of the windows
            np.add.at(seen, owners, 1)
        assert total is not None  # one window a supervoxel at least
        return np.asarray(total / seen, np.float32)

    def embed(
        self,
        model: VideoModel,
        clip: Clip,
        supervoxels: Supervoxels,
        *,
        ids: np.ndarray | None = None,
        gradient_of: tuple[int, Objective] | None = None,
    ) -> Embedding:
        """What a call gives; ``gradient_of`` must be None, because no pass is one of the whole clip."""
        if gradient_of is not None:
            raise DataError("expected no gradient_of for masked crops, whose passes are not of the whole clip")
        return Embedding(self(model, clip, supervoxels, ids=ids))

    def without_class(self) -> "MaskedCrops":
        """The embedder itself: its features depend on no class."""
        return self

    def shown(self, model: VideoModel, clip: Clip, supervoxels: Supervoxels, ids: np.ndarray) -> np.ndarray:
        """Inputs of the network for some supervoxels, uint8 [n,t,h,w,3], a picture a window."""
        return np.concatenate([crops.numpy().copy() for _, crops in self._batches(model, clip, supervoxels, ids)])

    def _batches(
        self, model: VideoModel, clip: Clip, supervoxels: Supervoxels, ids: np.ndarray
    ) -> Iterator[tuple[list[int], torch.Tensor]]:
        """(rows of ``ids``, crops uint8 [B,t,h,w,3]) batch by batch; the next batch overwrites the crops."""
        frames = np.ascontiguousarray(clip.frames)
        base = np.ascontiguousarray(base_clip(frames, self.fill, model.mean_colour))
        shown = base.copy()
        extents = supervoxels.boxes[ids, :2]
        starts = [_starts((t0, t1), len(frames), model.grid[0], self.window_step) for t0, t1 in extents]
        # One buffer a call: nothing is shared between threads, and no page is touched for the first time twice.
        buffer = torch.empty((min(model.pass_size, sum(map(len, starts))), *model.grid, 3), dtype=torch.uint8)
        owners: list[int] = []
        for owner, i in enumerate(ids):
            box = supervoxels.boxes[i]
            # Nothing of the segment lies outside its box, and most of a clip does.
            inside = tuple(slice(*ends) for ends in box.reshape(3, 2))
            own = supervoxels.labels[supervoxels.levels[i]][inside] == i
            reveal(frames[inside], own, shown[inside])
            for start in starts[owner]:
                CROPS[self.crop](shown[start : start + model.grid[0]], box, buffer[len(owners)])
                owners.append(owner)
                if len(owners) == len(buffer):
                    yield owners, buffer
                    owners = []
            reveal(base[inside], own, shown[inside])
        if owners:
            yield owners, buffer[: len(owners)]


def check_length(model: VideoModel, clip: Clip) -> None:
    """Raise VideoError when the clip has fewer frames than the network takes."""
    if len(clip.frames) < model.grid[0]:
        raise VideoError(
            f"expected a clip of at least {model.grid[0]} frames, got {len(clip.frames)} of {clip.source}; "
            "read it with the model's reader, which loops short videos"
        )


def embed_clip(model: VideoModel, clip: Clip, *, window_step: int = 8) -> np.ndarray:
    """Feature of a whole clip, float32 [D]: the mean over windows when it is longer than the network's."""
    check_length(model, clip)
    starts = Windows(model.grid[0], 1, window_step)(len(clip.frames))
    return model.embed(clip.frames[starts]).mean(0).cpu().numpy()
