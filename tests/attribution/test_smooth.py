"""Gradients under noise: closed forms on a linear network, captum on the same noise."""

import numpy as np
import pytest
import torch

from map_nets import clip, inputs, model
from small_nets import ConvNet, LinearNet
from voxplain.attribution import Gradient, SmoothGrad, SmoothGradSquared, VarGrad
from voxplain.attribution.gradients.smooth_grad import noise
from voxplain.errors import DataError

METHODS = [SmoothGrad, SmoothGradSquared, VarGrad]


def test_on_a_linear_network_noise_changes_nothing():
    net = LinearNet()
    m, c = model(net), clip()
    plain = Gradient(channels="signed")(m, c, 1).values
    np.testing.assert_allclose(SmoothGrad(channels="signed")(m, c, 1).values, plain, rtol=1e-4, atol=1e-7)
    w = (net.head.weight[1] @ net.feature.weight).detach().view(3, *m.grid)
    squared = SmoothGradSquared()(m, c, 1).values
    np.testing.assert_allclose(squared, w.square().mean(0).numpy(), rtol=1e-4, atol=1e-9)
    assert VarGrad()(m, c, 1).values.max() < 1e-10


@pytest.mark.parametrize(
    ("method", "kind"), [(SmoothGrad, "smoothgrad"), (SmoothGradSquared, "smoothgrad_sq"), (VarGrad, "vargrad")]
)
def test_they_agree_with_captum_on_the_same_noise(method, kind, monkeypatch):
    from captum.attr import NoiseTunnel, Saliency

    m, c, samples, std = model(ConvNet()), clip(1), 6, 0.2
    x = inputs(m, c)
    width = std * float(x.max() - x.min())
    drawn = torch.stack([noise(tuple(x.shape[1:]), 5, i) for i in range(samples)])
    monkeypatch.setattr(torch, "normal", lambda mean, stdev: drawn * stdev)
    other = NoiseTunnel(Saliency(m.net)).attribute(
        x, nt_type=kind, nt_samples=samples, stdevs=width, target=2, abs=False
    )
    monkeypatch.undo()
    found = method(samples=samples, std=std, seed=5, channels="signed")(m, c, 2)
    assert found.values.any()
    np.testing.assert_allclose(found.values, other[0].sum(0).numpy(), rtol=2e-3, atol=1e-9)


def test_the_noise_has_the_stated_width_and_is_of_the_seed():
    m, c, seen = model(ConvNet()), clip(1), []
    m.net.register_forward_hook(lambda _, args, __: seen.append(args[0].detach().clone()))
    SmoothGrad(samples=20, std=0.3)(m, c, 0)
    x = inputs(m, c)
    off = torch.cat(seen) - x
    assert float(off.std()) == pytest.approx(0.3 * float(x.max() - x.min()), rel=0.02)
    assert abs(float(off.mean())) < 0.02
    assert not torch.equal(off[0], off[1])
    maps = [SmoothGrad(samples=3, seed=s)(m, c, 0).values for s in (1, 1, 2)]
    assert np.array_equal(maps[0], maps[1])
    assert not np.allclose(maps[0], maps[2])


@pytest.mark.parametrize("method", METHODS)
def test_a_clip_gets_the_same_map_alone_and_in_any_batch(method):
    net, some, most = ConvNet(inplace=True), [clip(i) for i in range(3)], []
    net.register_forward_hook(lambda _, args, __: most.append(len(args[0])))
    with torch.no_grad():
        alone = method(samples=5)(model(net, batch_size=1), some[2], 2)
        assert max(most) == 1
        wide = method(samples=5)(model(net, batch_size=7), some, [0, 1, 2])
    assert max(most) <= 7
    np.testing.assert_allclose(alone.values, wide[2].values, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"std": -0.1}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(DataError):
        SmoothGrad(**wrong)(model(ConvNet()), clip(), 0)
