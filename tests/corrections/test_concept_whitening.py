"""Concept whitening: its algebra in closed form, and a network that takes a lit corner for a class."""

import numpy as np
import pytest
import torch
from shortcut_task import SIDE, T, cheating_model, task
from torch import Tensor, nn

from voxplain.corrections import WhitenConcept
from voxplain.corrections.concept_whitening import norm_layers
from voxplain.corrections.whitened_norm import WhitenedNorm, folded, rotation_between, whitening
from voxplain.errors import DataError, ModelError
from voxplain.model import VideoModel
from voxplain.nets import weights_digest
from voxplain.train.recipe import Recipe

SHORT = Recipe(epochs=6, batch=16, lr=0.02, lr_step=40, flip=0.0)


class ConvNet(nn.Module):
    """A convolution, a batch norm, the means of four quarters, and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 6, (1, 3, 3), padding=(0, 1, 1))
        self.norm = nn.BatchNorm3d(6)
        self.pool = nn.AdaptiveAvgPool3d((1, 2, 2))
        self.head = nn.Linear(24, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.pool(self.norm(self.conv(x)).relu()).flatten(1))
        return logits


@pytest.fixture(scope="module")
def trained():
    """A network that learnt the corner along with the colour, in the task with a rate of 0.95."""
    torch.manual_seed(0)
    net, train = ConvNet(), task(40, 0.95, 0)
    model = VideoModel(
        net, layer="pool", grid=(T, SIDE, SIDE), classes=("red", "green"), mean=(0.4,) * 3, std=(0.2,) * 3
    )
    net.train()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(30):
        optimiser.zero_grad()
        z = net(model.prepare(train.frames))
        nn.functional.cross_entropy(z, torch.from_numpy(train.labels)).backward()
        optimiser.step()
    net.eval()
    return model, train


def reliance(model):
    """Change of the log-odds when the corner is lit."""
    having = task(6, 1.0, 3)
    having = having.some(having.present)
    dark = having.frames.copy()
    dark[having.unwanted] = 0
    z = [model.logits(f).double().numpy() for f in (having.frames, dark)]
    return float(np.abs((z[0] - z[1]) @ [-1, 1]).mean())


def test_whitening_is_the_inverse_square_root():
    a = np.random.default_rng(0).normal(size=(50, 5))
    covariance = torch.from_numpy(a.T @ a / 50)
    w = whitening(covariance, 15)
    values, vectors = np.linalg.eigh(covariance.numpy())
    np.testing.assert_allclose(w.numpy(), vectors @ np.diag(values**-0.5) @ vectors.T, atol=1e-8)


def test_the_rotation_takes_the_direction_to_the_axis_and_leaves_what_is_orthogonal_to_both():
    q = torch.tensor([0.6, 0.0, 0.8, 0.0], dtype=torch.float64)
    r = rotation_between(q, 2)
    np.testing.assert_allclose(r @ q, [0, 0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(r @ r.T, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(r @ torch.tensor([0.0, 3.0, 0.0, 2.0], dtype=torch.float64), [0, 3, 0, 2], atol=1e-12)


def test_channels_are_decorrelated_and_the_concepts_channel_is_constant():
    torch.manual_seed(0)
    module, x = WhitenedNorm(nn.BatchNorm3d(4), 15).train(), torch.randn(8, 4, 2, 4, 4)
    x[:, 1] += 0.7 * x[:, 0]
    masks = torch.zeros(8, 4, 8, 8, dtype=torch.bool)
    masks[:4, :, :4, :4] = True
    x[:4, 2, :, :2, :2] += 3.0
    module(x)
    assert module.whitened is not None
    white = module.whitened.reshape(-1, 4).double().numpy()
    np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(4), atol=1e-3)
    for _ in range(60):  # the running mean of the direction forgets where it started
        module(x)
        module.align(masks)
    q = white.reshape(8, 2, 4, 4, 4)[:4, :, :2, :2].mean((0, 1, 2, 3))
    q /= np.linalg.norm(q)
    np.testing.assert_allclose(module.rotation[int(module.axis)], q, atol=1e-2)
    y = module(x)[:, int(module.axis)]
    assert y.std() < 1e-6


def test_the_folded_network_gives_the_same():
    torch.manual_seed(1)
    conv, norm, x = nn.Conv3d(3, 5, 3), nn.BatchNorm3d(5), torch.randn(6, 3, 4, 6, 6)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)
    module = WhitenedNorm(norm, 10).train()
    module.concept.normal_()
    masks = torch.rand(6, 4, 6, 6) > 0.5
    for _ in range(5):
        module(conv(x))
        module.align(masks)
    expected = module.eval()(conv(x))
    folded(module, conv, norm.eval())
    torch.testing.assert_close(norm(conv(x)), expected, atol=1e-4, rtol=1e-4)


def test_the_corner_is_taken_out_and_the_structure_stays(trained):
    model, train = trained
    before = weights_digest(model.net)
    method = WhitenConcept(recipe=SHORT)
    corrected, further = method(model, train), method.uncorrected(model, train)
    assert weights_digest(model.net) == before
    assert reliance(model) > 0.5
    assert reliance(corrected) < 0.5 * min(reliance(further), reliance(model))
    held = task(20, 0.0, 1)  # the corner is of the other class
    assert (corrected.logits(held.frames).argmax(1).numpy() == held.labels).mean() > 0.9
    assert corrected.net.state_dict().keys() == model.net.state_dict().keys()
    assert isinstance(corrected.net.norm, nn.BatchNorm3d)


def test_a_killed_training_goes_on_to_the_same_weights(trained, tmp_path):
    model, train = trained
    method, path = WhitenConcept(recipe=SHORT), tmp_path / "part.safetensors"
    whole = weights_digest(method(model, train, checkpoint=path).net)
    assert weights_digest(method(model, train, checkpoint=path).net) == whole


def test_layers_that_can_be_whitened(trained):
    assert norm_layers(trained[0]) == {"norm": "conv"}
    with pytest.raises(ModelError, match="expected a batch norm that follows a 3D convolution"):
        WhitenConcept()(cheating_model(), task(10, 0.9, 0))
    with pytest.raises(ModelError, match="choose from norm"):
        WhitenConcept(layer="head")(*trained)
    with pytest.raises(DataError, match="1 iteration or more"):
        WhitenConcept(iterations=0)
    model, train = trained
    with pytest.raises(DataError, match="expected clips with and without"):
        WhitenConcept()(model, train.some(train.present))
