"""Every registered method on every kind of network: its map, the network left as it was, and what it refuses.

What a method refuses stands in a table here, so that a refusal, or a map, that is new fails a test.
"""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from every_net import BUILD, CLASSES, SHIPPED, cheap, clips_for, shipped_model, small_model, state

from voxplain.attribution import ATTRIBUTIONS, Attribution
from voxplain.errors import ModelError
from voxplain.model import VideoModel

NO_ATTENTION = dict.fromkeys(
    ("attention_rollout", "gradient_weighted_attention"),
    "attention between all tokens of a clip, whose positions are known, got no attention",
)
NO_RNN = {"excitation_backprop_rnn": "a network with an RNN, LSTM or GRU layer of torch, got none", **NO_ATTENTION}
NOT_OF_TOKENS = {
    **dict.fromkeys(("excitation_backprop", "contrastive_excitation_backprop"), "a relevance rule"),
    **dict.fromkeys(("guided_backprop", "deconvnet"), "a network with nn.ReLU modules, got none"),
    "class_feature_pyramid": "a network that ends in maps, their mean over positions and one linear layer",
    "excitation_backprop_rnn": "a network with an RNN, LSTM or GRU layer of torch, got none",
}
NO_MODULES = "every ReLU to be an nn.ReLU module, got a ReLU called as a function"
NO_CHAIN = {"class_feature_pyramid": "convolutions that follow one another, got add"}

# What each network is refused by, and a part of the reason.
REFUSED: dict[str, dict[str, str]] = {
    "plain": NO_RNN,
    "turned": NO_RNN,
    "in_place": NO_RNN,
    "tupled": NO_RNN,
    "functional": {
        **NO_RNN,
        "guided_backprop": NO_MODULES,
        "deconvnet": NO_MODULES,
        "cam": "the logits to be 'head' of the mean of layer 'conv3', got others",
    },
    "recurrent": {
        **NO_ATTENTION,
        "cam": "7 channels from layer 'relu', as 'head' takes, got 6",
        "class_feature_pyramid": "a network that ends in maps, their mean over positions and one linear layer",
    },
    "tokens": NOT_OF_TOKENS,
    "tiny": NO_RNN,
    "compact": {**NO_RNN, **NO_CHAIN},
    "r3d": {**NO_RNN, **NO_CHAIN},
    "i3d": {**NO_RNN, "class_feature_pyramid": "convolutions that follow one another, got cat"},
    "c3d": {
        **NO_RNN,
        "cam": "4096 channels from layer 'relu5b', as 'fc8' takes, got 512",
        "class_feature_pyramid": "a network that ends in maps, their mean over positions and one linear layer",
    },
}
# Without a module for the last ReLU, class activation mapping sees what goes into it.
BEFORE_RELU = {"grad_cam", "grad_cam_plus_plus", "xgrad_cam", "score_cam", "eigen_cam"}
BLIND = {"centre_prior", "frame_constant", "deconvnet"}  # networks without max pools: the same for all clips
CONTROLS = {"random", "centre_prior", "motion_energy", "frame_constant"}
TARGETS = (1, "wave")  # of the two clips, by index and by name
OPTIMISED = {"meaningful_perturbation", "ep_2d", "ep_3d", "step", "temporal_freeze", "temporal_reverse"}
OPTIMISED |= {"igos", "igos_plus_plus", "fgvis", "rate_distortion", "real_time_saliency"}


def check_map(found: Any, model: VideoModel, name: str, target: int | str) -> None:
    assert isinstance(found, Attribution)
    assert found.values.shape == model.grid
    assert found.values.dtype == np.float32
    assert np.isfinite(found.values).all()
    assert found.values.std() > 0, "a map that says something"
    assert found.target == model.class_index(target)
    assert set(found.parameters) == {f.name for f in fields(cheap(name))}


def close(a: Attribution, b: Attribution, on_average: bool = False) -> None:
    """The same map but for rounding, measured against its largest value, or by the means of both."""
    away, size = np.abs(a.values - b.values), np.abs(b.values)
    if not size.any():  # CAMs rectify, and a map may be zero everywhere
        assert not away.any()
        return
    share = float(away.mean() / size.mean() if on_average else away.max() / size.max())
    assert share < (1e-3 if on_average else 1e-4), f"{a.method}: {share:.1e} away"
    assert a.target == b.target


def same(a: Attribution, b: Attribution) -> None:
    """The same bytes."""
    np.testing.assert_array_equal(a.values, b.values)
    assert a.target == b.target
    assert str(a.details) == str(b.details)  # NaN equals itself


def check_refusal(model: VideoModel, name: str, part: str) -> None:
    """One sentence: what was expected, what came, what to do."""
    before = state(model.net)
    with pytest.raises(ModelError) as stop:
        cheap(name)(model, clips_for(model.grid)[0], 0)
    said = str(stop.value)
    assert part in said
    assert said.startswith("expected ")
    assert ", got " in said
    assert ";" in said, "and what to do"
    assert "\n" not in said
    assert ". " not in said
    assert not said.endswith(".")
    assert state(model.net) == before


def check_method(model: VideoModel, method: Any, name: str, targets: tuple = TARGETS, *, twins: bool = True) -> None:
    """Shape, finite values, same bytes again, a clip alone as in a batch, random state and network untouched."""
    one, other = clips_for(model.grid)
    before, draws = state(model.net), torch.get_rng_state()
    first = method(model, one, targets[0])
    assert torch.equal(torch.get_rng_state(), draws), "the caller's random numbers go on"
    check_map(first, model, name, targets[0])
    with torch.random.fork_rng():
        torch.manual_seed(99)
        again = method(model, one, targets[0])
    np.testing.assert_array_equal(again.values, first.values)
    assert again.details.keys() == first.details.keys()
    if twins:
        second = method(model, other, targets[1])
        if name not in BLIND and targets[0] != model.class_index(targets[1]):
            assert not np.array_equal(second.values, first.values)
        together = method(model, [one, other], list(targets))
        assert [a.details.keys() for a in together] == [first.details.keys(), second.details.keys()]
        same(together[0], first)
        same(together[1], second)
        piecewise = method(replace(model, batch_size=1), other, targets[1])
        if name in OPTIMISED:
            same(piecewise, second)
        else:  # in larger networks rounding decides which of two almost equal values a max pool takes
            close(piecewise, second, on_average=model.name in SHIPPED)
    assert state(model.net) == before


def likely(model: VideoModel) -> tuple[int, str]:
    """What the network says of the two clips; of other classes a rectified map may be nothing but zeros."""
    first, second = model.logits(np.stack([c.frames for c in clips_for(model.grid)])).argmax(1).tolist()
    return first, CLASSES[second]


def works_on(name: str) -> str:
    """A small network that a method explains."""
    return next(kind for kind in ("plain", "recurrent", "tokens") if name not in REFUSED[kind])


SMALL = [(kind, name) for kind in BUILD for name in ATTRIBUTIONS if name not in REFUSED[kind]]


@pytest.mark.parametrize(("kind", "name"), SMALL)
def test_on_small_networks(kind, name):
    check_method(small_model(kind), cheap(name), name)


def round_by_batch(model: VideoModel) -> None:
    """Let every layer with weights round as kernels do that depend on the batch: by its size and the place in it."""

    def other_last_bits(_: object, __: object, out: Any) -> None:
        values = (out[0] if isinstance(out, tuple) else out).data  # out of autograd's sight, like a kernel's rounding
        n = torch.arange(len(values), dtype=values.dtype) + 3 * (len(values) - 1)
        values.mul_((1 + n * 2.0**-20).view(-1, *[1] * (values.ndim - 1)))

    for module in model.net.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Conv3d | torch.nn.Linear | torch.nn.LSTM):
            module.register_forward_hook(other_last_bits)


@pytest.mark.parametrize(("kind", "name"), [("recurrent" if n in OPTIMISED else works_on(n), n) for n in ATTRIBUTIONS])
def test_a_kernel_that_rounds_by_the_batch_changes_no_map(kind, name):
    """Fails on every machine where a map depends on the clips beside it; real kernels differ on some only."""
    model, method = small_model(kind), cheap(name)
    round_by_batch(model)
    if name in OPTIMISED:
        more = {"areas": (0.2, 0.4)} if name in ("ep_2d", "ep_3d", "step") else {}
        method = replace(method, iterations=6, **more)
    clips = clips_for(model.grid, 3)
    alone = [method(model, clip, target) for clip, target in zip(clips, (1, 2, 0), strict=True)]
    for found, truth in zip(method(model, clips, [1, 2, 0]), alone, strict=True):
        same(found, truth)
    if name in OPTIMISED:
        for size in (1, 3):
            same(method(replace(model, batch_size=size), clips[:2], [1, 2])[1], alone[1])


@pytest.mark.parametrize("kind", ["turned", "in_place", "tupled", "functional"])
@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_networks_of_one_function_get_one_map(kind, name):
    """Axes, in-place activations, tuples and functional calls change nothing of what is computed."""
    if name in REFUSED["plain"] or name in REFUSED[kind] or (kind == "functional" and name in BEFORE_RELU):
        return
    clip = clips_for((8, 16, 24))[0]
    close(cheap(name)(small_model(kind), clip, 2), cheap(name)(small_model("plain"), clip, 2))


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_a_callers_own_mode_and_a_frozen_network_change_nothing(name):
    if name in REFUSED["plain"]:
        return
    model = small_model("plain")
    clip, method = clips_for(model.grid)[0], cheap(name)
    plain = method(model, clip, 0)
    frozen = small_model("plain")
    frozen.net.requires_grad_(False)
    for mode, m in ((torch.no_grad, model), (torch.inference_mode, model), (torch.inference_mode, frozen)):
        with mode():
            np.testing.assert_array_equal(method(m, clip, 0).values, plain.values)
            assert not torch.is_grad_enabled()
            assert torch.is_inference_mode_enabled() == (mode is torch.inference_mode)
    assert all(p.grad is None for p in model.net.parameters())


@pytest.mark.parametrize("name", [n for n in ATTRIBUTIONS if n not in CONTROLS])
def test_maps_follow_the_target(name):
    """All but the controls, and those that do not depend on a class."""
    kind = works_on(name)
    model = small_model(kind)
    clip = clips_for(model.grid)[0]
    maps = [cheap(name)(model, clip, c).values for c in CLASSES]
    same = all(np.allclose(m, maps[0], rtol=1e-3, atol=0) for m in maps[1:])
    assert same == (name in ("eigen_cam", "attention_rollout"))


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k in BUILD for n in REFUSED[k]])
def test_refusals_on_small_networks(kind, name):
    check_refusal(small_model(kind), name, REFUSED[kind][name])


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_the_network_is_left_as_it_was_also_after_an_error(name):
    """A network that breaks off in its third pass, or, for methods of fewer, in its first."""
    kind = works_on(name)
    model = small_model(kind)
    clip = clips_for(model.grid)[0]
    before = state(model.net)
    for last in (2, 0):
        left = [last]

        def stop(*_: object, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KeyError("broken off")

        handle = model.net.register_forward_pre_hook(stop)
        try:
            cheap(name)(model, clip, 0)
        except KeyError:
            broken = True
        else:
            broken = False
        handle.remove()
        assert state(model.net) == before
    assert broken == (name not in CONTROLS), "every method but the controls asks the network"


@pytest.mark.slow
@pytest.mark.parametrize("net", SHIPPED)
@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_on_shipped_networks(net, name):
    model = shipped_model(net)
    if name in REFUSED[net]:
        check_refusal(model, name, REFUSED[net][name])
    else:
        method = cheap(name, least=net == "c3d")
        check_method(model, method, name, likely(model), twins=net in ("tiny", "compact"))


def test_the_table_names_only_what_exists():
    assert set(REFUSED) == {*BUILD, *SHIPPED}
    assert all(set(own) <= set(ATTRIBUTIONS) for own in REFUSED.values())
