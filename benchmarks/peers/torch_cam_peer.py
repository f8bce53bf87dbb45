"""CAMs of torch-cam (`pip install torchcam`) as functions of a network, an input and a class: maps [T,H,W]."""

from torch import Tensor, nn
from torch.nn import functional as F
from torchcam import methods

__all__ = ["grad_cam", "score_cam", "smooth_grad_cam"]


def _cam(kind: str, net: nn.Module, x: Tensor, target: int) -> Tensor:
    with getattr(methods, kind)(net, input_shape=tuple(x.shape[1:])) as extractor:
        scores = net(x)
        (coarse,) = extractor(target, scores)
    return F.interpolate(coarse[None].float(), size=x.shape[2:], mode="trilinear", align_corners=False)[0, 0]


def grad_cam(net: nn.Module, x: Tensor, target: int) -> Tensor:
    return _cam("GradCAM", net, x.requires_grad_(True), target)


def smooth_grad_cam(net: nn.Module, x: Tensor, target: int) -> Tensor:
    return _cam("SmoothGradCAMpp", net, x.requires_grad_(True), target)


def score_cam(net: nn.Module, x: Tensor, target: int) -> Tensor:
    return _cam("ScoreCAM", net, x, target)
