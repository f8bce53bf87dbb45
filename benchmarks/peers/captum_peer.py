"""Methods of captum as functions of a network, an input [1,3,T,H,W] and a class: maps [T,H,W]."""

import torch
from captum import attr
from torch import Tensor, nn

__all__ = ["deep_lift", "gradient_shap", "integrated_gradients", "occlusion", "saliency"]


def _map(values: Tensor) -> Tensor:
    return values.detach().sum(1)[0]


def saliency(net: nn.Module, x: Tensor, target: int) -> Tensor:
    return _map(attr.Saliency(net).attribute(x.requires_grad_(True), target))


def integrated_gradients(net: nn.Module, x: Tensor, target: int) -> Tensor:
    return _map(attr.IntegratedGradients(net).attribute(x, torch.zeros_like(x), target, internal_batch_size=16))


def deep_lift(net: nn.Module, x: Tensor, target: int) -> Tensor:
    return _map(attr.DeepLift(net).attribute(x.requires_grad_(True), torch.zeros_like(x), target))


def gradient_shap(net: nn.Module, x: Tensor, target: int) -> Tensor:
    torch.manual_seed(0)
    return _map(attr.GradientShap(net).attribute(x, torch.zeros_like(x), n_samples=25, target=target))


def occlusion(net: nn.Module, x: Tensor, target: int) -> Tensor:
    t, h, w = x.shape[2:]
    window, stride = (3, t // 2, h // 6, w // 6), (3, t // 4, h // 12, w // 12)
    with torch.no_grad():
        return _map(attr.Occlusion(net).attribute(x, window, stride, 0.0, target, perturbations_per_eval=16))
