"""`VideoModel`: any `torch.nn.Module` that classifies video, seen through one layer.

Letters: N clips, T×H×W the network's grid, K classes, D feature dimensions, z the logits [N,K], y the target.
Frames go in as uint8 [N,T,H,W,3]; the model normalises them, orders the axes, and batches.
"""

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.errors import ModelError

__all__ = ["OBJECTIVES", "Objective", "VideoModel", "log_odds", "log_probability", "logit"]

Frames = np.ndarray | Tensor
Objective = Literal["logit", "log_probability", "log_odds"]


def logit(z: Tensor, target: int) -> Tensor:
    """The class logit z_y, [N]: Eq. 2 of the STCE paper as written."""
    return z[:, target]


def log_probability(z: Tensor, target: int) -> Tensor:
    """log p_y, [N]: minus the cross-entropy loss, whose gradient the STCE reference code uses."""
    return torch.log_softmax(z, dim=1)[:, target]


def log_odds(z: Tensor, target: int) -> Tensor:
    """log p_y / (1 − p_y), [N]: the class margin. Unlike log p_y its gradient does not vanish where p_y is 1."""
    others = torch.cat([z[:, :target], z[:, target + 1 :]], dim=1)
    return z[:, target] - (torch.logsumexp(others, dim=1) if others.shape[1] else 0.0)


OBJECTIVES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "logit": logit,
    "log_probability": log_probability,
    "log_odds": log_odds,
}


@dataclass(frozen=True)
class Seen:
    """What one pass gives: ``logits`` float32 [N,K] and ``features`` float32 [N,D] at the layer."""

    logits: Tensor
    features: Tensor


def find_layer(net: nn.Module, name: str) -> nn.Module:
    """The sub-module with a dotted name. Raises ModelError that suggests near names."""
    modules = dict(net.named_modules())
    if name in modules and name:
        return modules[name]
    near = difflib.get_close_matches(name, list(modules), n=3, cutoff=0.3) or [n for n in modules if n][-3:]
    raise ModelError(
        f"expected the dotted name of a layer, got {name!r}; did you mean {', '.join(map(repr, near))}? "
        "`voxplain doctor` lists all layers"
    )


def first_tensor(output: Any) -> Tensor:
    """The logits in a network's output: a tensor, a tuple or list, a dict, or an object with ``.logits``."""
    if isinstance(output, Tensor):
        return output
    if isinstance(getattr(output, "logits", None), Tensor):
        return output.logits
    if isinstance(output, dict):
        if isinstance(output.get("logits"), Tensor):
            return output["logits"]
        output = list(output.values())
    if isinstance(output, tuple | list):
        for item in output:
            if isinstance(item, Tensor):
                return item
    raise ModelError(
        f"expected an output with a tensor of logits, got {type(output).__name__}; "
        "return a tensor, a tuple, a dict or an object with .logits"
    )


def pool_features(activation: Tensor, pool: bool) -> Tensor:
    """[N,C,…] or tokens [N,S,D] to [N,D]: mean over positions, or everything flattened without ``pool``."""
    if activation.ndim == 2 or not pool:
        return activation.flatten(1)
    if activation.ndim == 3:  # transformer tokens: the channel is the last axis
        return activation.mean(1)
    return activation.flatten(2).mean(2)


@contextmanager
def as_found(net: nn.Module) -> Iterator[None]:
    """Evaluate inside, and leave every module's training flag as it was, also after an error."""
    training = [m for m in net.modules() if m.training]
    net.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def watch(module: nn.Module, seen: list[Tensor]) -> Iterator[None]:
    """Append the module's output to ``seen`` during the block (the last call counts when it runs several times).

    What follows gets a copy, so that an in-place ReLU after the layer cannot overwrite what was seen.
    """

    def hook(_: nn.Module, __: Any, output: Any) -> Any:
        tensor = first_tensor(output)
        seen[:] = [tensor]
        if isinstance(output, Tensor):
            return tensor.clone()
        return type(output)([tensor.clone(), *output[1:]]) if type(output) in (tuple, list) else None

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@dataclass(frozen=True, eq=False, kw_only=True)
class VideoModel:
    """A video classifier and the layer it is explained at; the network is left exactly as it was found.

    Methods take uint8 frames [N,T,H,W,3] and never hold more than ``batch_size`` clips on the device. They raise
    ModelError on a wrong shape or dtype, an unknown layer, or an output that is not finite.
    """

    net: nn.Module
    layer: str  # dotted name of the layer whose output is the feature
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)  # of RGB in 0–1
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)  # of RGB in 0–1
    layout: Literal["BCTHW", "BTCHW"] = "BCTHW"  # the axes the network takes
    grid: tuple[int, int, int] = (16, 112, 112)  # T, H, W of the network's input
    classes: tuple[str, ...] = ()  # names in the order of the logits; empty: unnamed
    pool: bool = True  # average a map over its positions; False: flatten it
    batch_size: int = 16  # clips at once; bounds memory, not the result
    name: str = "net"

    def __post_init__(self) -> None:
        """Check the layer and the layout once, before any work is done."""
        find_layer(self.net, self.layer)
        if self.layout not in ("BCTHW", "BTCHW"):
            raise ModelError(f"expected layout BCTHW or BTCHW, got {self.layout!r}; choose one of the two")

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

    def class_index(self, target: str | int) -> int:
        """The logit index of a class given by name or index. Raises ModelError with near names."""
        if isinstance(target, int | np.integer):
            if 0 <= target and (not self.classes or target < len(self.classes)):
                return int(target)
            raise ModelError(f"expected a class index from 0 to {len(self.classes) - 1}, got {target}; choose one")
        if target in self.classes:
            return self.classes.index(target)
        near = difflib.get_close_matches(target, self.classes, n=3, cutoff=0.4) or self.classes[:5]
        raise ModelError(f"expected a class of the network, got {target!r}; did you mean {', '.join(near)}?")

    def prepare(self, frames: Frames) -> Tensor:
        """Frames uint8 [N,T,H,W,3] to the network's normalised float32 input."""
        x = torch.as_tensor(frames)
        if x.dtype != torch.uint8 or x.ndim != 5 or x.shape[4] != 3 or tuple(x.shape[1:4]) != self.grid:
            t, h, w = self.grid
            raise ModelError(
                f"expected frames as uint8 [N,{t},{h},{w},3], got {x.dtype} {tuple(x.shape)}; "
                "read clips with the model's own reader"
            )
        scaled = x.to(self.device, torch.float32) / 255
        mean, std = (torch.tensor(v, device=self.device) for v in (self.mean, self.std))
        ordered = ((scaled - mean) / std).permute(0, 4, 1, 2, 3)
        if self.layout == "BTCHW":
            return ordered.transpose(1, 2).contiguous()
        # The permuted view already is channels-last, the layout in which 3D convolutions run fastest.
        return ordered

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [N,K] and the layer's raw output of one prepared batch."""
        seen: list[Tensor] = []
        with watch(find_layer(self.net, self.layer), seen):
            z = first_tensor(self.net(x))
        if not seen:
            raise ModelError(
                f"expected layer {self.layer!r} to run, got no call of it; name a layer that the forward pass uses"
            )
        z = z.flatten(2).mean(2) if z.ndim > 2 else z
        if z.ndim != 2 or len(z) != len(x):
            raise ModelError(
                f"expected logits [{len(x)},classes], got {tuple(z.shape)}; wrap the network so that it gives one "
                "row of class scores a clip"
            )
        if not bool(torch.isfinite(z).all()):
            raise ModelError(
                f"expected finite logits, got NaN or infinity from {self.name}; check the weights and the input range"
            )
        return z, seen[0]

    def _batches(self, frames: Frames) -> Iterator[Frames]:
        if len(frames) == 0:
            raise ModelError("expected at least one clip, got none; pass frames [N,T,H,W,3] with N ≥ 1")
        return (frames[i : i + self.batch_size] for i in range(0, len(frames), self.batch_size))

    @torch.inference_mode()
    def see(self, frames: Frames) -> Seen:
        """Logits and features of clips in one pass."""
        with as_found(self.net):
            passes = [
                (z.float(), pool_features(a.float(), self.pool))
                for z, a in (self._forward(self.prepare(part)) for part in self._batches(frames))
            ]
        return Seen(torch.cat([z for z, _ in passes]), torch.cat([a for _, a in passes]))

    def logits(self, frames: Frames) -> Tensor:
        """Logits float32 [N,K]."""
        return self.see(frames).logits

    def embed(self, frames: Frames) -> Tensor:
        """Features at the layer, float32 [N,D]."""
        return self.see(frames).features

    def gradient(self, frames: Frames, target: str | int, *, objective: Objective = "log_odds") -> Tensor:
        """Gradient of the objective with respect to the layer, float32 [N,D].

        For a pooled map it is the derivative along a change that is the same at every position: the sum of the
        map's gradient over positions. Objectives: `logit`, `log_probability`, `log_odds`.
        """
        y = self.class_index(target)
        with as_found(self.net), torch.enable_grad():
            return torch.cat([self._gradient(part, y, OBJECTIVES[objective]) for part in self._batches(frames)])

    def _gradient(self, frames: Frames, y: int, objective: Callable[[Tensor, int], Tensor]) -> Tensor:
        # A gradient at the input makes the layer differentiable even when every parameter is frozen.
        z, activation = self._forward(self.prepare(frames).requires_grad_(True))
        (g,) = torch.autograd.grad(objective(z.float(), y).sum(), activation)
        g = g.detach().float()
        if g.ndim == 2 or not self.pool:
            return g.flatten(1)
        return g.sum(1) if g.ndim == 3 else g.flatten(2).sum(2)


def stack(clips: Sequence[Any]) -> np.ndarray:
    """The frames of clips of one shape as uint8 [N,T,H,W,3]."""
    return np.stack([clip.frames for clip in clips])
