"""LRP of zennit (LGPL; `pip install zennit`) as functions of a network, an input and a class: maps [T,H,W]."""

import torch
from torch import Tensor, nn
from zennit.attribution import Gradient
from zennit.composites import EpsilonAlpha2Beta1Flat, EpsilonPlusFlat

__all__ = ["epsilon_alpha2_beta1_flat", "epsilon_plus_flat"]


def _relevance(composite: object, net: nn.Module, x: Tensor, target: int) -> Tensor:
    with Gradient(model=net, composite=composite) as attributor:
        scores = net(x)
        _, relevance = attributor(x, torch.eye(scores.shape[1])[[target]])
    return relevance.detach().sum(1)[0]


def epsilon_plus_flat(net: nn.Module, x: Tensor, target: int) -> Tensor:
    return _relevance(EpsilonPlusFlat(), net, x, target)


def epsilon_alpha2_beta1_flat(net: nn.Module, x: Tensor, target: int) -> Tensor:
    return _relevance(EpsilonAlpha2Beta1Flat(), net, x, target)
