"""Infidelity and sensitivity: zero where theory says so, and captum's numbers elsewhere."""

import numpy as np
import pytest
import torch
from captum.metrics import infidelity, sensitivity_max
from known_maps import TARGET, contributions, given, linear_model, noise

from small_nets import ConvNet
from voxplain.attribution import Gradient
from voxplain.attribution.passes import to_input
from voxplain.errors import DataError
from voxplain.metrics import Infidelity, Sensitivity
from voxplain.model import VideoModel
from voxplain.video import Clip


def conv_model(**options) -> VideoModel:
    torch.manual_seed(0)
    return VideoModel(**{"net": ConvNet().eval(), "layer": "conv1", "grid": (4, 8, 8), **options})


def test_the_gradient_of_a_linear_network_is_faithful_to_noise():
    model, clip = linear_model(), noise()
    got = Infidelity("noise", scaled=False)(model, clip, Gradient(channels="signed")(model, clip, TARGET))
    assert got.value < 1e-8 < 1e-3 < got.chance
    assert Infidelity("noise", scaled=False)(model, clip, Gradient()(model, clip, TARGET)).value > 0.5 * got.chance


def test_contributions_are_faithful_to_hiding():
    model, clip = linear_model(), noise(1)
    parts = contributions(model, clip)
    got = Infidelity(scaled=False)(model, clip, given(parts))
    assert got.value < 1e-8 < 1e-3 < got.chance
    tripled = Infidelity()(model, clip, given(3 * parts))
    assert tripled.details["beta"] == pytest.approx(1 / 3, rel=1e-4)
    assert tripled.details["unexplained"] < 1e-6
    gone = [parts[Infidelity()._cuboid(clip, i)].sum() for i in range(64)]
    np.testing.assert_allclose(got.details["actual"], gone, atol=1e-4)


def test_cuboids_have_any_side_and_lie_anywhere():
    boxes = [Infidelity()._cuboid(noise(), i) for i in range(300)]
    for axis, n in enumerate((4, 8, 8)):
        assert {b[axis].stop - b[axis].start for b in boxes} == set(range(1, n + 1))
        assert ({b[axis].start for b in boxes}, {b[axis].stop for b in boxes}) == (set(range(n)), set(range(1, n + 1)))


@pytest.mark.parametrize("change", ["hide", "noise"])
def test_a_uniform_map_gets_the_chance_level(change):
    model, clip, rng = linear_model(), noise(2), np.random.default_rng(0)
    flat = Infidelity(change)(model, clip, given(np.full((4, 8, 8), 0.3)))
    assert flat.value == pytest.approx(flat.chance)
    if change == "noise":  # nothing of noise is explained by its sum, nor by a random map: 1/D by accident
        noisy = Infidelity("noise", draws=200)
        found = [noisy(model, clip, given(rng.normal(size=(4, 8, 8)))).details["unexplained"] for _ in range(20)]
        assert np.mean(found) == pytest.approx(1, abs=0.02)
    zero = Infidelity(change)(model, clip, given(np.zeros((4, 8, 8))))
    assert zero.value == np.mean(zero.details["actual"] ** 2) >= zero.chance


@pytest.mark.parametrize("scaled", [True, False])
def test_infidelity_is_captums(scaled):
    model, clip = conv_model(), noise(3)
    values = given(np.random.default_rng(0).normal(size=(4, 8, 8)))
    metric = Infidelity("noise", draws=16, scaled=scaled)
    x = to_input(model, clip.frames[None])
    taken = torch.from_numpy(np.stack([metric._draw(clip, i) for i in range(16)]))[:, None].expand(-1, 3, -1, -1, -1)
    spread = torch.zeros_like(x)
    spread[:, 0] = torch.from_numpy(values.values)  # captum's map has a value a colour; noise is the same in all
    expected = infidelity(
        lambda v: model.net(v)[:, TARGET],
        lambda v: (taken, v - taken),
        x,
        spread,
        n_perturb_samples=16,
        normalize=scaled,
    )
    assert metric(model, clip, values).value == pytest.approx(float(expected), rel=1e-4)


def test_batch_size_does_not_matter():
    clip, values = noise(4), given(np.random.default_rng(0).normal(size=(4, 8, 8)))
    for faithful in (Infidelity(draws=10), Infidelity("noise", draws=10)):
        found = [faithful(conv_model(batch_size=n), clip, values).details["actual"] for n in (1, 4, 16)]
        np.testing.assert_allclose(found[1], found[0], atol=1e-6)
        np.testing.assert_allclose(found[2], found[0], atol=1e-6)
    found = [
        Sensitivity(draws=5)(conv_model(batch_size=n), clip, TARGET, Gradient()).details["changes"] for n in (1, 3)
    ]
    np.testing.assert_allclose(*found, rtol=1e-4)


class Constant:
    """A method that always gives the same map."""

    def __call__(self, model, clip, target):
        values = given(np.arange(256).reshape(4, 8, 8))
        return values if isinstance(clip, Clip) else [values for _ in clip]


class Brightness:
    """A method that gives the frames' grey level."""

    def __call__(self, model, clip, target):
        return given(clip.frames.mean(3)) if isinstance(clip, Clip) else [self(model, c, target) for c in clip]


def test_a_map_that_never_changes_is_not_sensitive():
    model, clip = linear_model(), noise()
    assert Sensitivity()(model, clip, TARGET, Constant()).value == 0
    assert Sensitivity()(model, clip, TARGET, Gradient()).value == pytest.approx(0, abs=1e-6)  # a linear network
    assert Sensitivity()(conv_model(), clip, TARGET, Gradient()).value > 0


def test_sensitivity_by_hand():
    model, clip = linear_model(), Clip.from_array(np.full((4, 8, 8, 3), 100, np.uint8))
    metric = Sensitivity(radius=3, draws=4)
    near = [metric._near(clip, i).frames.astype(int) - 100 for i in range(4)]
    assert all(set(np.unique(n)) == set(range(-3, 4)) for n in near)
    changes = [np.linalg.norm(n.mean(3)) / (100 * 16) for n in near]
    got = metric(model, clip, TARGET, Brightness())
    np.testing.assert_allclose(got.details["changes"], changes, rtol=1e-5)
    assert got.value == pytest.approx(max(changes), rel=1e-5)
    assert Sensitivity(3, 4, "mean")(model, clip, TARGET, Brightness()).value == pytest.approx(np.mean(changes))


def test_noise_stays_within_bytes():
    clip = Clip.from_array(np.concatenate([np.zeros((2, 8, 8, 3), np.uint8), np.full((2, 8, 8, 3), 255, np.uint8)]))
    near = Sensitivity(radius=9)._near(clip, 0).frames
    assert (near[:2].max(), near[2:].min()) == (9, 246)


def test_sensitivity_is_captums():
    model, clip = conv_model(), noise(5)
    metric = Sensitivity(draws=6)
    near = torch.stack([torch.from_numpy(metric._near(clip, i).frames) for i in range(6)]).float()

    def explain(frames):
        frames = frames[0] if isinstance(frames, tuple) else frames
        clips = [Clip.from_array(f.numpy().astype(np.uint8)) for f in frames]
        return (torch.stack([torch.from_numpy(a.values) for a in Gradient()(model, clips, TARGET)]),)

    expected = sensitivity_max(
        explain, torch.from_numpy(clip.frames)[None].float(), lambda v: near, n_perturb_samples=6
    )
    assert metric(model, clip, TARGET, Gradient()).value == pytest.approx(float(expected), rel=1e-4)


def test_wrong_options_are_refused():
    for options in ({"change": "add"}, {"draws": 0}, {"noise": 0}):
        with pytest.raises(DataError, match="hide or noise"):
            Infidelity(**options)
    for options in ({"reduce": "sum"}, {"draws": 0}, {"radius": 0}):
        with pytest.raises(DataError, match="max or mean"):
            Sensitivity(**options)
