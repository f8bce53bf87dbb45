"""LRP through norms, products and attention: closed forms of each rule, and networks whose relevance adds up.

With ε → 0 the rules give input × gradient of a surrogate network: norms with a constant divisor, activations as
constant factors, and half the gradient for each factor of a product. Here that surrogate is written out.
"""

import importlib
from math import prod

import numpy as np
import pytest
import torch
from relevance_nets import Does, clips_of, model_of
from torch import Tensor, nn
from torch.nn import functional as F

from voxplain.attribution import LRP
from voxplain.attribution.passes import to_input
from voxplain.attribution.relevance import rules
from voxplain.attribution.relevance.nodes import PassSettings
from voxplain.attribution.relevance.operations import RelevanceMode
from voxplain.errors import ModelError
from voxplain.model import stack
from voxplain.nets import build_net


def halves(run, a: Tensor, b: Tensor, constant: bool) -> Tensor:
    """run(a, b), whose gradient is half for each factor, or all for b."""
    value = run(a.detach(), b.detach())
    parts = run(a.detach(), b) if constant else (run(a, b.detach()) + run(a.detach(), b)) / 2
    return parts + (value - parts).detach()


class Encoder(nn.Module):
    """Patches without positions, two blocks of attention and MLP without biases, a head on the mean of tokens."""

    def __init__(self, way: str = "sdpa", surrogate: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.way, self.surrogate = way, surrogate
        self.patches = nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4), bias=False)
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(5))
        self.heads = nn.ModuleList(nn.MultiheadAttention(8, 2, bias=False, batch_first=True) for _ in range(2))
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 12, bias=False), nn.GELU(), nn.Linear(12, 8, bias=False)) for _ in range(2)
        )
        self.head = nn.Linear(8, 3, bias=False)
        with torch.no_grad():
            for p in self.parameters():
                p.mul_(1.5)

    def norm(self, x: Tensor, i: int) -> Tensor:
        own = self.norms[i]
        if not self.surrogate:
            return own(x)
        scale = (x.var(-1, correction=0, keepdim=True) + own.eps).rsqrt().detach()
        return (x - x.mean(-1, keepdim=True)) * scale * own.weight

    def attend(self, x: Tensor, i: int) -> Tensor:
        own = self.heads[i]
        if self.way == "module":
            return own(x, x, x, need_weights=False)[0]
        q, k, v = (F.linear(x, w).unflatten(2, (2, 4)).transpose(1, 2) for w in own.in_proj_weight.chunk(3))
        if self.way == "sdpa":
            found = F.scaled_dot_product_attention(q, k, v)
        elif self.way == "einsum":
            weights = (torch.einsum("bhqd,bhkd->bhqk", q, k) / 2).softmax(-1)
            found = torch.einsum("bhqk,bhkd->bhqd", weights, v)
        else:
            k, constant = k.transpose(2, 3), self.surrogate == "constant"
            scores = (halves(torch.matmul, q, k, False) if self.surrogate else q @ k) * 0.5
            weights = F.softmax(scores, dim=-1)
            found = halves(torch.matmul, weights, v, constant) if self.surrogate else weights @ v
        return F.linear(found.transpose(1, 2).flatten(2), own.out_proj.weight)

    def mlp(self, x: Tensor, i: int) -> Tensor:
        if not self.surrogate:
            return self.mlps[i](x)
        h = self.mlps[i][0](x)
        return self.mlps[i][2](h * (F.gelu(h) / h).detach())

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        for i in range(2):
            x = x + self.attend(self.norm(x, 2 * i), i)
            x = x + self.mlp(self.norm(x, 2 * i + 1), i)
        return self.head(self.norm(x, 4).mean(1))


def explained(net: nn.Module, attention: str, target: int = 1) -> tuple[np.ndarray, dict]:
    found = LRP("epsilon", epsilon=0.0, attention=attention)(model_of(net.eval(), "head"), clips_of(1)[0], target)
    return found.values, found.details


@pytest.mark.parametrize("attention", ["shared", "constant"])
@pytest.mark.parametrize("way", ["sdpa", "einsum", "matmul", "module"])
def test_it_is_input_times_gradient_of_the_surrogate_and_adds_up(way: str, attention: str) -> None:
    values, details = explained(Encoder(way), attention)
    twin = Encoder("matmul", "constant" if attention == "constant" else "shared").eval()
    x = to_input(model_of(twin, "head"), stack(clips_of(1))).requires_grad_(True)
    with torch.enable_grad():
        z = twin(x)[0, 1]
        (g,) = torch.autograd.grad(z, x)
    np.testing.assert_allclose(values, (x * g)[0].sum(0).detach().numpy(), rtol=2e-2, atol=2e-3 * values.std())
    assert details["start"] == pytest.approx(float(z.detach()), rel=1e-3)
    lost = details["start"] - values.sum(dtype=np.float64) - details.get("softmax_constants", 0.0)
    assert abs(lost / details["start"]) < 0.01
    assert ("softmax_constants" in details) == (attention == "shared")


@pytest.mark.parametrize("attention", ["shared", "constant"])
@pytest.mark.parametrize("divided", [False, True])
def test_the_transformers_of_voxplain_add_up(divided: bool, attention: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without biases and positions, which take relevance."""
    monkeypatch.setattr(importlib.import_module("voxplain.nets.vit"), "positions", lambda g, w: torch.zeros(prod(g), w))
    torch.manual_seed(1)
    net = build_net("vit_divided" if divided else "vit", 3).eval()
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.endswith("bias"):
                p.zero_()
        net.fc.weight.normal_()
    model = model_of(net, "pool", (4, 16, 16))
    found = LRP("epsilon", epsilon=0.0, attention=attention)(model, clips_of(1, (4, 16, 16))[0], 1)
    lost = found.details["start"] - found.values.sum(dtype=np.float64) - found.details.get("softmax_constants", 0.0)
    assert abs(lost / found.details["start"]) < 0.01


class ClassToken(Encoder):
    """Everything that does not depend on the clip: biases, positions, a class token, from which the logits are."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4))
        self.mlps = nn.ModuleList(nn.Sequential(nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8)) for _ in range(2))
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(0.5 * torch.randn(1, 9, 8))
        self.head = nn.Linear(8, 3)
        with torch.no_grad():
            for norm in self.norms:
                norm.bias.normal_(std=0.3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions
        for i in range(2):
            x = x + self.attend(self.norm(x, 2 * i), i)
            x = x + self.mlp(self.norm(x, 2 * i + 1), i)
        return self.head(self.norm(x, 4)[:, 0])


def unaccounted(values: np.ndarray, details: dict) -> float:
    """Share of the start that neither the voxels nor constants have."""
    constants = details.get("constants", 0.0) + details.get("softmax_constants", 0.0)
    return abs((details["start"] - values.sum(dtype=np.float64) - constants) / details["start"])


@pytest.mark.parametrize("attention", ["shared", "constant"])
def test_with_a_class_token_positions_and_biases_all_relevance_is_accounted_for(attention: str) -> None:
    found = [explained(ClassToken(), attention, target) for target in range(3)]
    assert all(unaccounted(values, details) < 0.01 for values, details in found)
    assert max(abs(d["constants"] / d["start"]) for _, d in found) > 0.2  # so that the count matters


def test_a_class_token_takes_the_relevance_that_reaches_it() -> None:
    """A sum over tokens: each has its own share, that of the class token is a constant."""
    x, token = noise(2, 3, 4), noise(1, 1, 4, seed=1)
    (found,), settings = relevance(
        lambda v: torch.cat([token.expand(2, -1, -1), v], 1).sum(1), x, r=noise(2, 4, seed=2).abs()
    )
    r, total = noise(2, 4, seed=2).abs(), x.sum(1) + token[:, 0]
    torch.testing.assert_close(found, x * (r / total)[:, None], rtol=1e-4, atol=1e-5)
    assert settings.biases == pytest.approx(float((token[:, 0] * r / total).sum()), rel=1e-4)


@pytest.mark.parametrize("constants", [True, False])
@pytest.mark.parametrize("divided", [False, True])
def test_the_transformers_of_voxplain_add_up_as_they_are(divided: bool, constants: bool) -> None:
    torch.manual_seed(1)
    net = build_net("vit_divided" if divided else "vit", 3).eval()
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.endswith("bias"):
                p.normal_(std=0.1)
        net.fc.weight.normal_()
    method = LRP("epsilon", epsilon=0.0, attention="constant" if constants else "shared")
    found = method(model_of(net, "pool", (4, 16, 16)), clips_of(1, (4, 16, 16))[0], 1)
    assert unaccounted(found.values, found.details) < 0.01


def relevance(run, *inputs: Tensor, r: Tensor, attention: bool = True) -> tuple[list[Tensor], PassSettings]:
    """Relevance of tensors, for relevance r of what ``run`` makes of them."""
    leaves = [v.clone().requires_grad_(True) for v in inputs]
    settings = PassSettings(dict.fromkeys(("conv", "dense", "fixed", "first"), rules.epsilon), leaves[0], (r, r))
    settings.attention = attention
    with torch.enable_grad(), RelevanceMode(settings):
        y = run(*(v.clone() for v in leaves))
    found = torch.autograd.grad(y, leaves, r, allow_unused=True)
    return [torch.zeros_like(v) if g is None else g for g, v in zip(found, leaves, strict=True)], settings


def swish(slope: float) -> type[torch.autograd.Function]:
    """x · sigmoid(x) as PyTorchVideo writes it for a slope of 1, else another function of the same name."""

    class SwishFunction(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x * torch.sigmoid(slope * x)

        @staticmethod
        def backward(ctx, g: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            s = torch.sigmoid(slope * x)
            return g * s * (1 + slope * x * (1 - s))

    return SwishFunction


@pytest.mark.parametrize("method", [LRP("epsilon", epsilon=0.0), LRP(), LRP("gamma")])
def test_a_swish_that_is_an_autograd_function_is_that_of_torch(method: LRP) -> None:
    nets = [Does(run) for run in (swish(1.0).apply, F.silu)]
    nets[0].load_state_dict(nets[1].state_dict())
    own, theirs = (method(model_of(net.eval(), "head"), clips_of(1)[0], 0) for net in nets)
    np.testing.assert_allclose(own.values, theirs.values, rtol=1e-5, atol=1e-7)
    assert own.details == pytest.approx(theirs.details)
    assert np.abs(own.values).max() > 0


def test_another_function_of_that_name_has_no_rule() -> None:
    with pytest.raises(ModelError, match="got SwishFunction in net"):
        LRP()(model_of(Does(swish(3.0).apply), "head"), clips_of(1)[0], 0)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_each_factor_of_a_product_gets_half() -> None:
    a, b, r = noise(4, 5), noise(4, 5, seed=1), noise(4, 5, seed=2)
    for part in relevance(torch.mul, a, b, r=r)[0]:
        torch.testing.assert_close(part, r / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("run", [torch.matmul, torch.bmm, lambda a, b: torch.einsum("nij,njk->nik", a, b)])
def test_a_matrix_product_by_hand(run) -> None:
    a, b, r = noise(2, 3, 4), noise(2, 4, 5, seed=1), noise(2, 3, 5, seed=2)
    (found_a, found_b), _ = relevance(run, a, b, r=r)
    shares = a[:, :, :, None] * b[:, None, :, :] / (a @ b)[:, :, None, :] * r[:, :, None, :] / 2
    torch.testing.assert_close(found_a, shares.sum(3), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found_b, shares.sum(1), rtol=1e-3, atol=1e-4)
    assert float(found_a.sum() + found_b.sum()) == pytest.approx(float(r.sum()), rel=1e-3)


def test_softmax_by_hand() -> None:
    x, r = noise(2, 5), noise(2, 5, seed=1)
    (found,), settings = relevance(lambda v: v.softmax(-1), x, r=r)
    s = x.softmax(-1)
    torch.testing.assert_close(found, x * (r - s * r.sum(1, keepdim=True)))
    assert settings.constants == pytest.approx(float(r.sum() - found.sum()), rel=1e-4)


def test_the_network_may_write_into_products_and_attention_weights() -> None:
    """As relative positions are added to scores, and queries to values, in MViT of torchvision."""
    a, b, r = noise(2, 3, 4), noise(2, 4, 5, seed=1), noise(2, 3, 5, seed=2)

    def into(a: Tensor, b: Tensor) -> Tensor:
        y = a @ b
        y[:, 1:] += b[:, :2]
        s = y.softmax(-1)
        s[:, 1:] += b[:, 2:]
        return s

    def anew(a: Tensor, b: Tensor) -> Tensor:
        y = a @ b
        s = torch.cat([y[:, :1], y[:, 1:] + b[:, :2]], 1).softmax(-1)
        return torch.cat([s[:, :1], s[:, 1:] + b[:, 2:]], 1)

    (found, settings), (expected, others) = relevance(into, a, b, r=r), relevance(anew, a, b, r=r)
    for one, other in zip(found, expected, strict=True):
        assert bool(one.any())
        torch.testing.assert_close(one, other)
    assert settings.constants == pytest.approx(others.constants)


@pytest.mark.parametrize("norm", [F.layer_norm, "written out", F.rms_norm, "rms written out"])
def test_norms_have_a_constant_divisor(norm) -> None:
    """LayerNorm: y = w (x − mean) / σ; RMSNorm: y = w x / σ, so that relevance passes unchanged."""
    x, w, r = noise(3, 6), noise(6, seed=1), noise(3, 6, seed=2)
    ways = {
        "written out": lambda v, n, g: (
            (v - v.mean(-1, keepdim=True)) / (v.var(-1, correction=0, keepdim=True)).sqrt() * g
        ),
        "rms written out": lambda v, n, g: g * (v * torch.rsqrt(v.pow(2).mean(-1, keepdim=True))),
    }
    run = ways.get(norm, norm) if isinstance(norm, str) else norm
    (found,), _ = relevance(lambda v: run(v, (6,), w), x, r=r)
    if "rms" in str(norm):
        torch.testing.assert_close(found, r, rtol=1e-3, atol=1e-4)
    else:
        c = x - x.mean(-1, keepdim=True)
        truth = x * (r / c - (r / c).mean(-1, keepdim=True))
        torch.testing.assert_close(found, truth, rtol=1e-3, atol=1e-3)
    assert float(found.sum()) == pytest.approx(float(r.sum()), rel=1e-3)


@pytest.mark.parametrize("kind", ["none", "bool", "float", "causal"])
def test_attention_with_masks_is_that_of_torch(kind: str) -> None:
    q, k, v, r = (noise(2, 2, 3, 4, seed=i) for i in range(4))
    keep = torch.tensor([[True, False, True], [True, True, False], [True, True, True]])
    options = {
        "none": {},
        "bool": {"attn_mask": keep},
        "float": {"attn_mask": noise(3, 3)},
        "causal": {"is_causal": True},
    }
    own = []

    def run(*given: Tensor) -> Tensor:
        own.append(F.scaled_dot_product_attention(*given, **options[kind]))
        return own[-1]

    parts, settings = relevance(run, q, k, v, r=r)
    torch.testing.assert_close(own[0].detach(), F.scaled_dot_product_attention(q, k, v, **options[kind]))
    assert all(bool(torch.isfinite(p).all()) for p in parts)
    total = sum(float(p.sum()) for p in parts) + settings.constants
    if kind != "float":  # a mask of numbers is no part of the scores' relevance
        assert total == pytest.approx(float(r.sum()), rel=1e-2)
    parts, settings = relevance(run, q, k, v, r=r, attention=False)
    assert not parts[0].any()
    assert float(parts[2].sum()) == pytest.approx(float(r.sum()), rel=1e-2)


def test_gates_keep_taking_nothing() -> None:
    a, b, r = noise(4), noise(4, seed=1), noise(4, seed=2)
    (found_a, found_b), _ = relevance(lambda x, y: x * y.sigmoid(), a, b, r=r)
    torch.testing.assert_close(found_a, r)
    assert not found_b.any()


def test_what_has_no_rule_is_still_refused() -> None:
    with pytest.raises(ModelError, match="got Exp in net"):
        LRP()(model_of(Does(lambda x: x.exp()), "head"), clips_of(1)[0], 0)
    with pytest.raises(ModelError, match="got Div in net"):
        LRP()(model_of(Does(lambda x: x / x.sum(1, keepdim=True)), "head"), clips_of(1)[0], 0)
