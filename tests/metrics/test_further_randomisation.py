"""Smooth and efficient parameter randomisation: noise is averaged out, and the entropies are those of the maps."""

import numpy as np
import pytest
import torch
from known_maps import TARGET, given, noise

from small_nets import ConvNet
from voxplain.attribution import CentrePrior, Gradient
from voxplain.errors import DataError
from voxplain.metrics import EfficientRandomisation, ParameterRandomisation
from voxplain.model import VideoModel


def conv_model() -> VideoModel:
    torch.manual_seed(0)
    return VideoModel(net=ConvNet(inplace=True), layer="conv1", grid=(4, 8, 8))


def own_weights(model: VideoModel) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in model.net.state_dict().items()}


def test_efficient_randomisation_is_the_rise_of_entropy() -> None:
    """A method whose map has 2 values of equal count on the network, and 4 on any other: log 4 / log 2 − 1 = 1."""
    model = conv_model()
    before = own_weights(model)

    def method(given_model, clip, target):
        same = torch.equal(given_model.net.state_dict()["conv1.weight"], before["conv1.weight"])
        return given(np.arange(256).reshape(4, 8, 8) % (2 if same else 4))

    found = EfficientRandomisation()(model, noise(), TARGET, method)
    assert found.value == pytest.approx(1)
    assert found.details == {"before": pytest.approx(np.log(2)), "after": pytest.approx(np.log(4))}
    assert all(torch.equal(v, before[k]) for k, v in model.net.state_dict().items())


def test_a_control_is_as_complex_as_before_and_a_constant_map_has_none() -> None:
    assert EfficientRandomisation()(conv_model(), noise(), TARGET, CentrePrior()).value == 0
    flat = EfficientRandomisation()(conv_model(), noise(), TARGET, lambda *_: given(np.ones((4, 8, 8))))
    assert np.isnan(flat.value)
    steps = np.spacing(np.float32(0.5)) * (np.arange(256).reshape(4, 8, 8) % 3)  # fewer floats than bins lie between
    rounded = EfficientRandomisation()(conv_model(), noise(), TARGET, lambda *_: given(0.5 + steps))
    assert np.ptp(0.5 + steps) > 0
    assert np.isnan(rounded.value)
    with pytest.raises(DataError, match="2 bins or more"):
        EfficientRandomisation(bins=1)


def test_smooth_maps_are_means_over_noisy_clips() -> None:
    """A method that returns the clip's first colour: its mean over copies is the clip within the noise of the mean."""
    model, clip, seen = conv_model(), noise(), []

    def method(given_model, clips, target):
        seen.append(len(clips))
        return [given(c.frames[..., 0]) for c in clips]

    metric = ParameterRandomisation(draws=40, noise=0.05, maps=1)
    own = metric._map(model, clip, TARGET, method)
    inside = (clip.frames[..., 0] > 60) & (clip.frames[..., 0] < 195)  # nothing is cut off there
    away = (own - clip.frames[..., 0])[inside]
    spread = 0.05 * np.ptp(clip.frames)
    assert np.abs(away).max() < 5 * spread / np.sqrt(40)
    assert away.std() == pytest.approx(spread / np.sqrt(40), rel=0.2)
    assert sum(seen) == 40
    assert metric(model, clip, TARGET, method).value == pytest.approx(1)


def test_smooth_randomisation_of_a_gradient() -> None:
    model = conv_model()
    before = own_weights(model)
    found = ParameterRandomisation(draws=3, maps=2)(model, noise(), TARGET, Gradient())
    assert len(found.details["similarity"]) == 2
    assert found.value < 0.95
    assert all(torch.equal(v, before[k]) for k, v in model.net.state_dict().items())
    with pytest.raises(DataError, match="0 draws or more"):
        ParameterRandomisation(draws=-1)
