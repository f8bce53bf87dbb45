"""Networks of the benchmark of other networks: layouts and layers that are found, and the summary of its figures."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from other_networks import ClassTokenTransformer
from other_networks_truth import GRID, METHODS, NETWORKS, QUICK, Size, report, summary
from truth_architectures import Architecture, Stage, fit
from voxplain.attribution import ATTRIBUTIONS
from voxplain.concepts.feature_maps import last_maps
from voxplain.model import VideoModel
from voxplain.train import TrainingVideos

CHANNELS = {"tiny": 96, "residual": 128, "vit": 96, "cnn_lstm": 64, "slowfast": 96}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_layers_of_each_network_are_found(name: str) -> None:
    torch.manual_seed(0)
    model = VideoModel(NETWORKS[name].build(5).eval(), grid=GRID, **NETWORKS[name].options)
    assert model.layer
    assert sum(p.numel() for p in model.net.parameters()) < 1e6
    assert model.logits(np.zeros((1, *GRID, 3), np.uint8)).shape == (1, 5)
    streams = last_maps(model)
    assert len(streams) == (2 if name == "slowfast" else 1)
    frames = np.random.default_rng(0).integers(0, 256, (1, *GRID, 3), np.uint8)
    assert bool(model.gradient(frames, 1).any())


def test_logits_of_the_transformer_are_of_its_class_token() -> None:
    torch.manual_seed(0)
    net = ClassTokenTransformer(3).eval()
    model = VideoModel(net, grid=GRID)
    frames = np.random.default_rng(0).integers(0, 256, (1, *GRID, 3), np.uint8)
    with torch.no_grad():
        torch.testing.assert_close(net.head(model.embed(frames)), model.logits(frames), rtol=1e-4, atol=1e-5)


def test_a_network_of_frames_is_trained() -> None:
    """Bright from dark; the optimiser moves every weight that the loss depends on."""
    rng = np.random.default_rng(0)
    labels = np.arange(8) % 2
    frames = [np.clip(rng.normal(100 + 60 * y, 20, (*GRID, 3)), 0, 255).astype(np.uint8) for y in labels]
    own = NETWORKS["cnn_lstm"]
    net = own.build(2)
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    model = VideoModel(net.eval(), grid=GRID, **own.options)
    fit(model, TrainingVideos(frames, labels), Architecture(own.build, model.layer, (Stage(1, 1e-2),)), 0, str)
    assert all(bool((before[n] != p).any()) for n, p in net.named_parameters())


def test_the_summary_is_the_mean_over_classes_and_clips() -> None:
    rows = [
        {"figures": {"top_iou": 0.4}, "energy": {"random": [1.0, 3.0], "grad_cam": [4.0]}},
        {"figures": {"top_iou": 0.8}, "energy": {"random": [5.0]}},
        {"relied": []},
    ]
    found = summary(rows)
    assert found["top_iou"] == pytest.approx(0.6)
    assert found["energy"] == {"random": 3.0, "grad_cam": 4.0}
    assert found["classes"] == 2


def test_a_network_that_relies_on_no_object_has_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """As after one epoch: the table is printed all the same."""
    nothing = summary([{"relied": []}])
    assert nothing["classes"] == 0
    report({"vit": {"accuracy": 0.2, **nothing}})
    assert "nan (none)" in capsys.readouterr().out


def test_methods_exist_and_quick_is_smaller() -> None:
    assert set(METHODS) <= set(ATTRIBUTIONS)
    quick, full = asdict(replace(QUICK, epochs=0)), asdict(Size(epochs=0))
    assert all(quick[name] <= full[name] for name in full)
