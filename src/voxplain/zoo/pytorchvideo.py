"""Video classifiers of PyTorchVideo's model hub, with the input of its model zoo."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from voxplain.model import VideoModel
from voxplain.video import ShortSide
from voxplain.zoo.libraries import build_with_weights, choose_name, import_library, task_of, with_options

__all__ = ["TwoRates", "load_pytorchvideo"]

KINETICS = 400  # classes of the published weights, whose names the library does not have


@dataclass(frozen=True)
class _Input:
    """Frames, pixels and steps in time as in the model zoo; ``alpha``: of SlowFast, frames a slow frame."""

    frames: int
    crop: int
    stride: int
    side: int = 256
    alpha: int = 0


HUB = {
    "x3d_xs": _Input(4, 160, 12, 182),
    "x3d_s": _Input(13, 160, 6, 182),
    "x3d_m": _Input(16, 224, 5),
    "x3d_l": _Input(16, 312, 5, 356),
    "slow_r50": _Input(8, 224, 8),
    "c2d_r50": _Input(8, 224, 8),
    "i3d_r50": _Input(8, 224, 8),
    "r2plus1d_r50": _Input(16, 224, 4),
    "csn_r101": _Input(32, 224, 2),
    "slowfast_r50": _Input(32, 224, 2, alpha=4),
    "slowfast_r101": _Input(32, 224, 2, alpha=4),
    "slowfast_16x8_r101_50_50": _Input(64, 224, 2, alpha=4),
    "mvit_base_16": _Input(1, 224, 1),
    "mvit_base_16x4": _Input(16, 224, 4),
    "mvit_base_32x3": _Input(32, 224, 3),
}


@dataclass(frozen=True)
class TwoRates:
    """From clips to the two pathways of SlowFast: every ``alpha``-th frame for the slow one, all for the fast one.

    Parameters
    ----------
    alpha : int
        Frames of the fast pathway for one of the slow.

    Examples
    --------
    >>> [tuple(x.shape) for x in TwoRates(4)(torch.zeros(1, 3, 32, 8, 8))]
    [(1, 3, 8, 8, 8), (1, 3, 32, 8, 8)]
    """

    alpha: int

    def __call__(self, clips: Tensor) -> list[Tensor]:
        """The slow and the fast pathway's frames of clips [B,3,T,H,W]."""
        frames = clips.shape[2]
        slow = torch.linspace(0, frames - 1, frames // self.alpha, device=clips.device).long()  # as in the library
        return [clips.index_select(2, slow), clips]


def load_pytorchvideo(name: str, *, weights: str | Path | None = None, **options: Any) -> VideoModel:
    """A network of pytorchvideo.models.hub, up to its logits: a softmax at the end (X3D, R(2+1)D) is left out.

    Parameters
    ----------
    name : str
        Such as "x3d_m", "slow_r50", "slowfast_r50", "mvit_base_16x4".
    weights : str or path, optional
        A file of weights, or "random"; by default the published ones, which the library downloads once. They are of
        Kinetics-400, whose names the library does not have: give ``classes`` for names.
    **options
        Fields of `VideoModel` that replace what is found; with ``classes`` the network is built for that many.

    Returns
    -------
    VideoModel

    Raises
    ------
    ModelError
        Without pytorchvideo, for an unknown name, and for weights that do not fit or cannot be downloaded.
    """
    own = choose_name(name, HUB, "pytorchvideo")
    hub = import_library("pytorchvideo.models.hub", "pytorchvideo")
    count = len(options.get("classes", ())) or KINETICS
    head = {"head_num_classes" if name.startswith("mvit") else "model_num_class": count}

    def build(pretrained: bool) -> nn.Module:
        return _without_softmax(getattr(hub, name)(pretrained=pretrained, **head))

    net = build_with_weights(build, weights, lambda net: net)
    crop = (own.crop, own.crop)
    found: dict[str, Any] = {
        "layout": "BCTHW",
        "grid": (own.frames, *crop),
        "mean": (0.45, 0.45, 0.45),
        "std": (0.225, 0.225, 0.225),
        "geometry": ShortSide(own.side, crop),
        "stride": own.stride,
        "name": name,
        **task_of(weights),
    }
    if own.alpha:
        found["pathways"] = TwoRates(own.alpha)
    return with_options(net, found, options)


def _without_softmax(net: nn.Module) -> nn.Module:
    """The network up to its logits: the heads of X3D and R(2+1)D end in a softmax, through which there is no LRP."""
    for module in net.modules():
        if isinstance(getattr(module, "activation", None), nn.Softmax):
            module.activation = None  # type: ignore[assignment]
    return net
