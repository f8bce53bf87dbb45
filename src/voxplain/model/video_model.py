"""`VideoModel`: any `torch.nn.Module` that classifies video, seen through one layer.

Letters: N clips, T×H×W the network's grid, K classes, D feature dimensions, z the logits [N,K], y the target.
Frames go in as uint8 [N,T,H,W,3]; the model normalises them, orders the axes, and batches.
"""

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.errors import ModelError
from voxplain.model.layers import (
    channels_second,
    evaluation_mode,
    find_layer,
    first_tensor,
    pool_features,
    start_gradient,
    watch,
)
from voxplain.model.objectives import OBJECTIVES, Objective
from voxplain.video import ClipReader, Geometry, Middle, Sampler

__all__ = ["Frames", "ModelOutput", "VideoModel", "stack"]

Frames = np.ndarray | Tensor


@dataclass(frozen=True)
class ModelOutput:
    """What one pass gives: ``logits`` float32 [N,K] and ``features`` float32 [N,D] at the layer."""

    logits: Tensor
    features: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class VideoModel:
    """A video classifier and the layer it is explained at; the network is left exactly as it was found.

    Methods take uint8 frames [N,T,H,W,3] and never hold more than ``batch_size`` clips on the device. They
    raise ModelError on a wrong shape or dtype, an unknown layer, or an output that is not finite.
    """

    net: nn.Module
    layer: str  # dotted name of the layer whose output is the feature
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)  # of RGB in 0–1
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)  # of RGB in 0–1
    layout: Literal["BCTHW", "BTCHW"] = "BCTHW"  # the axes the network takes
    grid: tuple[int, int, int] = (16, 112, 112)  # T, H, W of the network's input
    classes: tuple[str, ...] = ()  # names in the order of the logits; empty: unnamed
    pool: bool = True  # average a map over its positions; False: flatten it
    channel_axis: int | None = None  # of the layer's output; None: 2 for tokens [N,S,D], 1 for maps [N,C,…]
    stride: int = 1  # frames of a video from one frame of the input to the next
    geometry: Geometry | None = None  # videos to H×W; None: resize to 128/112·H × 171/112·W, crop the centre
    channels_last: bool = False  # memory order of the input: faster, but networks that use .view refuse it
    batch_size: int = 16  # clips at once; bounds memory, not the result
    name: str = "net"

    def __post_init__(self) -> None:
        """Check the fields once, before any work is done."""
        find_layer(self.net, self.layer)
        if self.layout not in ("BCTHW", "BTCHW"):
            raise ModelError(f"expected layout BCTHW or BTCHW, got {self.layout!r}; choose one of the two")
        if len(self.grid) != 3 or min(self.grid) < 1 or min(self.batch_size, self.stride) < 1:
            raise ModelError(
                f"expected grid (T, H, W), batch_size and stride of 1 or more, got {self.grid}, "
                f"{self.batch_size} and {self.stride}; give positive whole numbers"
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ModelError(
                f"expected mean and std of the three colours, std above 0, got {self.mean} and {self.std}; "
                "give them for RGB in 0–1"
            )
        if self.geometry is not None and tuple(self.geometry.crop) != tuple(self.grid[1:]):
            raise ModelError(
                f"expected a geometry that crops to the grid's {self.grid[1:]}, got {self.geometry.crop}; "
                "set one to the other"
            )

    def __repr__(self) -> str:
        """Name, layer and grid."""
        return f"VideoModel({self.name}, layer={self.layer!r}, grid={self.grid}, classes={len(self.classes)})"

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        return next((p.device for p in self.net.parameters()), torch.device("cpu"))

    @property
    def mean_colour(self) -> np.ndarray:
        """The colour that normalisation maps to zero, uint8 [3]."""
        return np.clip(np.rint(np.asarray(self.mean) * 255), 0, 255).astype(np.uint8)

    @property
    def dtype(self) -> torch.dtype:
        """The number type of the network's weights; its input is given in it."""
        return next((p.dtype for p in self.net.parameters() if p.is_floating_point()), torch.float32)

    def reader(self, sampler: Sampler | None = None) -> ClipReader:
        """Reads videos to the grid: the middle T frames (or what ``sampler`` chooses), through `geometry`."""
        t, h, w = self.grid
        geometry = self.geometry or Geometry((round(h * 128 / 112), round(w * 171 / 112)), (h, w))
        return ClipReader(Middle(t, self.stride) if sampler is None else sampler, geometry)

    def class_index(self, target: str | int) -> int:
        """The logit index of a class given by name or index. Raises ModelError with near names."""
        if isinstance(target, int | np.integer):
            if target >= 0 and (not self.classes or target < len(self.classes)):
                return int(target)
            last = f"to {len(self.classes) - 1}" if self.classes else "on"
            raise ModelError(f"expected a class index from 0 {last}, got {target}; choose one")
        if target in self.classes:
            return self.classes.index(target)
        if not self.classes:
            raise ModelError(
                f"expected a class index, because the model has no class names, got {target!r}; "
                "give the index, or build the model with classes=(…)"
            )
        near = difflib.get_close_matches(target, self.classes, n=3, cutoff=0.4) or self.classes[:5]
        raise ModelError(f"expected a class of the network, got {target!r}; did you mean {', '.join(near)}?")

    def _refuse_wrong(self, frames: Frames) -> None:
        t, h, w = self.grid
        is_array = isinstance(frames, np.ndarray | Tensor)
        got = f"{frames.dtype} {tuple(frames.shape)}" if is_array else type(frames).__name__
        if not got.removeprefix("torch.").startswith("uint8 ") or tuple(frames.shape[1:]) != (t, h, w, 3):
            raise ModelError(
                f"expected frames as uint8 [N,{t},{h},{w},3], got {got}; read clips with the model's own "
                "reader and stack their frames"
            )

    def prepare(self, frames: Frames) -> Tensor:
        """Frames uint8 [N,T,H,W,3] to the network's normalised input, float in the type of its weights."""
        self._refuse_wrong(frames)
        if isinstance(frames, np.ndarray):
            # torch refuses negative strides (mirrored clips) and warns of memory it may not write to.
            frames = torch.from_numpy(np.require(frames, requirements=["C", "W"]))
        frames, colours = frames.to(self.device), (self.mean, self.std)
        if self.channels_last and self.layout == "BCTHW":
            # The frames' own order is channels last already: no byte moves, and a row of colours meets a row of pixels.
            mean, std = (torch.tensor(v, device=self.device).repeat(frames.shape[3]) for v in colours)
            x = frames.contiguous().flatten(3).to(torch.float32).div_(255).sub_(mean).div_(std).to(self.dtype)
            return x.view(frames.shape).permute(0, 4, 1, 2, 3)
        # Channels before positions while the frames are still bytes: the arithmetic then runs along whole rows.
        order, sides = ((0, 1, 4, 2, 3), (3, 1, 1)) if self.layout == "BTCHW" else ((0, 4, 1, 2, 3), (3, 1, 1, 1))
        mean, std = (torch.tensor(v, device=self.device).view(sides) for v in colours)
        x = frames.permute(order).contiguous().to(torch.float32).div_(255)
        return x.sub_(mean).div_(std).to(self.dtype)

    def _forward(self, x: Tensor, take: Callable[[Tensor], Tensor] = torch.clone) -> tuple[Tensor, Tensor]:
        """Logits [N,K] and ``take`` of the layer's output of one prepared batch."""
        seen: list[Tensor] = []
        with watch(find_layer(self.net, self.layer), seen, take):
            z = first_tensor(self.net(x))
        z = z.flatten(2).mean(2) if z.ndim > 2 else z
        self._check(z, seen, len(x))
        return z, seen[0]

    def _check(self, z: Tensor, seen: list[Tensor], n: int) -> None:
        """That a pass over ``n`` clips gave what the rest relies on."""
        if not seen:
            raise ModelError(
                f"expected layer {self.layer!r} to run, got no call of it; name a layer that the forward pass uses"
            )
        if z.ndim != 2 or len(z) != n or (self.classes and z.shape[1] != len(self.classes)):
            raise ModelError(
                f"expected logits [{n},{len(self.classes) or 'classes'}], got {tuple(z.shape)}; "
                "give the classes of the network, or wrap it so that it gives one row of class scores a clip"
            )
        if len(seen[0]) != n:
            raise ModelError(
                f"expected a row a clip, [{n},…], from layer {self.layer!r}, got {tuple(seen[0].shape)}; "
                "name a layer after the frames are joined to clips"
            )
        if not bool(torch.isfinite(z).all()):
            raise ModelError(
                f"expected finite logits, got NaN or infinity from {self.name}; check the weights and the input range"
            )

    def _batches(self, frames: Frames) -> Iterator[Frames]:
        self._refuse_wrong(frames)
        _refuse_none(frames)
        return (frames[i : i + self.batch_size] for i in range(0, len(frames), self.batch_size))

    # Not inference mode: its tensors, also those that a network caches, can take part in no later gradient.
    @torch.no_grad()
    def outputs(self, frames: Frames) -> ModelOutput:
        """Logits and features of clips in one pass."""
        with evaluation_mode(self.net):
            passes = [
                (z.float(), pool_features(a.float(), self.pool, self.channel_axis))
                for z, a in (self._forward(self.prepare(part)) for part in self._batches(frames))
            ]
        return ModelOutput(torch.cat([z for z, _ in passes]), torch.cat([a for _, a in passes]))

    def logits(self, frames: Frames) -> Tensor:
        """Logits float32 [N,K]."""
        return self.outputs(frames).logits

    def embed(self, frames: Frames) -> Tensor:
        """Features at the layer, float32 [N,D]."""
        return self.outputs(frames).features

    def gradient(self, frames: Frames, target: str | int, *, objective: Objective = "log_odds") -> Tensor:
        """Gradient of the objective with respect to the layer, float32 [N,D].

        For a pooled map it is the derivative along a change that is the same at every position: the sum of
        the map's gradient over positions. Objectives: the entries of OBJECTIVES.
        """
        y = self.class_index(target)
        _refuse_objective(objective)
        with evaluation_mode(self.net), torch.inference_mode(False), torch.no_grad():
            return torch.cat([self._derive(part, y, OBJECTIVES[objective])[2] for part in self._batches(frames)])

    def outputs_and_gradient(
        self, frames: Frames, target: int | None = None, *, objective: Objective = "log_odds"
    ) -> tuple[int, ModelOutput, Tensor]:
        """(class, what `see` gives, what `gradient` gives for the class) in one pass of one batch.

        Without a ``target`` the class is the one with the first clip's greatest logit.
        """
        _refuse_objective(objective)
        self._refuse_wrong(frames)
        _refuse_none(frames)
        with evaluation_mode(self.net), torch.inference_mode(False), torch.no_grad():
            return self._derive(frames, target, OBJECTIVES[objective])

    def _derive(
        self, frames: Frames, y: int | None, objective: Callable[[Tensor, int], Tensor]
    ) -> tuple[int, ModelOutput, Tensor]:
        with torch.no_grad():  # recording starts at the layer, also when every parameter is frozen
            z, activation = self._forward(self.prepare(frames), start_gradient)
            y = int(z[0].argmax()) if y is None else y
            if y >= z.shape[1]:
                raise ModelError(f"expected a class index from 0 to {z.shape[1] - 1}, got {y}; choose one")
            score = objective(z.float(), y).sum()
            g = torch.autograd.grad(score, activation, allow_unused=True)[0] if score.requires_grad else None
        if g is None:
            raise ModelError(
                f"expected logits that depend on layer {self.layer!r}, got no gradient there; "
                "name a layer on the way to the logits, and let the network run with gradients"
            )
        g, seen = g.float(), activation.detach().float()
        flat = g.ndim == 2 or not self.pool
        summed = g.flatten(1) if flat else channels_second(g, self.channel_axis).flatten(2).sum(2)
        return y, ModelOutput(z.detach().float(), pool_features(seen, self.pool, self.channel_axis)), summed


def _refuse_none(frames: Frames) -> None:
    if not len(frames):
        raise ModelError("expected at least one clip, got none; pass frames [N,T,H,W,3] with N ≥ 1")


def _refuse_objective(objective: str) -> None:
    if objective not in OBJECTIVES:
        raise ModelError(f"expected an objective of {', '.join(OBJECTIVES)}, got {objective!r}; choose one")


def stack(clips: Sequence[Any]) -> np.ndarray:
    """The frames of clips of one shape as uint8 [N,T,H,W,3]."""
    return np.stack([clip.frames for clip in clips])
