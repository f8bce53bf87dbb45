"""CAMs of pytorch-grad-cam (`pip install grad-cam`) as functions of a network, an input and a class: maps [T,H,W]."""

import numpy as np
import pytorch_grad_cam as library
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

__all__ = ["grad_cam", "grad_cam_plus_plus", "last_maps", "layer_cam"]


def last_maps(net: nn.Module, x: Tensor) -> nn.Module:
    """The last module whose output is maps [1,C,t,h,w]."""
    found: list[nn.Module] = []
    handles = [
        m.register_forward_hook(lambda m, _, out: found.append(m) if getattr(out, "ndim", 0) == 5 else None)
        for m in net.modules()
        if not list(m.children())
    ]
    net(x)
    for handle in handles:
        handle.remove()
    return [m for m in found if "Pool" not in type(m).__name__][-1]


def _cam(kind: str, net: nn.Module, x: Tensor, target: int) -> np.ndarray:
    with getattr(library, kind)(net, [last_maps(net, x)]) as cam:
        return np.asarray(cam(x, [ClassifierOutputTarget(target)]))[0]


def grad_cam(net: nn.Module, x: Tensor, target: int) -> np.ndarray:
    return _cam("GradCAM", net, x, target)


def grad_cam_plus_plus(net: nn.Module, x: Tensor, target: int) -> np.ndarray:
    return _cam("GradCAMPlusPlus", net, x, target)


def layer_cam(net: nn.Module, x: Tensor, target: int) -> np.ndarray:
    return _cam("LayerCAM", net, x, target)
