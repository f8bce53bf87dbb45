"""Attention rollout and gradient-weighted attention: by hand on a network whose attention is written out."""

import numpy as np
import pytest
import torch
from relevance_nets import clips_of, model_of
from test_relevance_transformers import Encoder
from torch import Tensor, nn
from torch.nn import functional as F

from voxplain.attribution import AttentionRollout, GradientWeightedAttention
from voxplain.attribution.passes import to_input
from voxplain.errors import ModelError
from voxplain.model import stack
from voxplain.nets import build_net


class Classed(nn.Module):
    """Patches, a class token, two blocks of attention that keep their weights, and a head on the class token."""

    def __init__(self, way: str = "matmul") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.way = way
        self.patches, self.token = nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4)), nn.Parameter(torch.randn(1, 1, 8))
        self.qkv = nn.ModuleList(nn.Linear(8, 24) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)
        self.weights: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(len(x), -1, -1), self.patches(x).flatten(2).transpose(1, 2)], 1)
        self.weights = []
        for qkv in self.qkv:
            q, k, v = (p.unflatten(2, (2, 4)).transpose(1, 2) for p in (3 * qkv(self.norm(x))).chunk(3, -1))
            if self.way == "sdpa":
                found = F.scaled_dot_product_attention(q, k, v)
            else:
                self.weights.append((q @ k.transpose(2, 3) / 2).softmax(-1))
                found = self.weights[-1] @ v
            x = x + found.transpose(1, 2).flatten(2)
        return self.head(self.norm(x)[:, 0])


def up(row: Tensor) -> np.ndarray:
    return F.interpolate(row.view(1, 1, 2, 2, 2), size=(4, 8, 8), mode="trilinear")[0, 0].numpy()


@pytest.mark.parametrize("way", ["matmul", "sdpa"])
def test_by_hand(way: str) -> None:
    net = Classed().eval()
    x = to_input(model_of(net, "norm"), stack(clips_of(1)))
    with torch.enable_grad():
        z = net(x.clone().requires_grad_(True))
        g = torch.autograd.grad(z[0, 1], net.weights)
    a = [w[0].detach() for w in net.weights]
    eye = torch.eye(9)
    rollout = ((a[1].mean(0) + eye) / 2) @ ((a[0].mean(0) + eye) / 2)
    weighted = [(w * d[0]).clamp(min=0).mean(0) for w, d in zip(a, g, strict=True)]
    chefer = (eye + weighted[1]) @ (eye + weighted[0])
    net.way, net.weights = way, []
    found = AttentionRollout()(model_of(net, "norm"), clips_of(1)[0], 1)
    np.testing.assert_allclose(found.values, up(rollout[0, 1:]), rtol=1e-4, atol=1e-7)
    assert found.details["positions"] == (2, 2, 2)
    found = GradientWeightedAttention()(model_of(net, "norm"), clips_of(1)[0], 1)
    np.testing.assert_allclose(found.values, up(chefer[0, 1:]), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("method", [AttentionRollout(), GradientWeightedAttention()])
def test_all_ways_of_attention_give_the_same_map(method) -> None:
    maps = [
        method(model_of(Encoder(way).eval(), "head"), clips_of(1)[0], 1).values for way in ("matmul", "sdpa", "module")
    ]
    assert maps[0].std() > 0
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], rtol=1e-3, atol=1e-5 * maps[0].max())


def test_divided_attention_is_refused() -> None:
    model = model_of(build_net("vit_divided", 3).eval(), "pool", (4, 16, 16))
    with pytest.raises(ModelError, match=r"expected attention between all tokens of a clip, .*, got .*divided"):
        AttentionRollout()(model, clips_of(1, (4, 16, 16))[0], 0)
