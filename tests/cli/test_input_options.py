"""Options of a network's input: what a command computes is what the same fields give in Python."""

from pathlib import Path

import numpy as np
import pytest
from command_line import voxplain

import voxplain as vx
from voxplain.cli.network import Network, open_model
from voxplain.errors import DataError

SOURCE = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.pool, self.head = nn.Conv3d(3, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Linear(4, 3)
    def forward(self, x):
        return self.head(self.pool(self.conv(x.transpose(1, 2)).relu()).flatten(1))
def build():
    return Net()
def every_second(frames):
    return frames[:, 2:18:2, 4:20:2]
"""
INPUT = ("--grid", "4", "8", "8", "--layout", "BTCHW", "--mean", "0.4", "0.5", "0.6", "--std", "0.2", "0.3", "0.4")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A network in a module of the current folder, and a video of 40 frames."""
    name = f"net_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    (tmp_path / "names.txt").write_text("bend\njump\nrun")
    monkeypatch.chdir(tmp_path)
    frames = np.random.default_rng(0).integers(0, 256, (40, 5, 6, 3), dtype=np.uint8).repeat(4, 1).repeat(4, 2)
    np.save("video.npy", frames)
    return name


def test_attribute_reads_as_the_options_say(own: str, tmp_path: Path) -> None:
    words = ("--stride", "2", "--sampler", "dense", "--dense-clips", "3", "--geometry", "short-side", "--resize", "10")
    done = voxplain(
        *("attribute", "video.npy", "--model", f"{own}:build", "--device", "cpu", *INPUT, *words),
        *("--classes", "names.txt", "--method", "gradient", "--metric", "none", "--format", "png", "-o", "out"),
    )
    assert done.code == 0, done.err
    model = vx.VideoModel(
        vx.model_from_function(f"{own}:build", layer="pool", grid=(4, 8, 8), layout="BTCHW").net,
        layer="",
        grid=(4, 8, 8),
        layout="BTCHW",
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.3, 0.4),
        stride=2,
        classes=("bend", "jump", "run"),
        geometry=vx.ShortSide(10, (8, 8)),
        sampler=vx.Dense(4, 2, clips=3),
    )
    index = np.array([[0, 2, 4, 6], [16, 18, 20, 22], [33, 35, 37, 39]])  # of 40 frames, 7 a clip: starts 0, 16.5, 33
    resized = [vx.ShortSide(10, (8, 8)).crop_frames(frames) for frames in _resized(np.load("video.npy"))[index]]
    logits = model(np.stack(resized)).mean(0)
    best = int(logits.argmax())
    (run,) = (tmp_path / "out").glob("*/*/maps.npz")
    assert run.parent.name == model.classes[best]
    found = vx.load_attribution(run.parent)
    np.testing.assert_allclose(found.logits, logits.numpy(), atol=1e-5)
    assert model.predict("video.npy").classes[0] == model.classes[best]
    truth = vx.Gradient()(model, np.stack(resized), best)
    for own_map, row in zip(truth, index, strict=True):
        np.testing.assert_allclose(found.maps["gradient"][row], own_map.values, atol=1e-5)
    assert np.load(run)["gradient"].shape == (40, 20, 24)


def _resized(frames: np.ndarray) -> np.ndarray:
    return vx.Geometry((10, 12), (10, 12)).resize_frames(frames)


@pytest.mark.parametrize(
    ("options", "truth"),
    [
        ({"geometry": "squash"}, vx.Geometry((8, 8), (8, 8))),
        ({"resize": (12, 16)}, vx.Geometry((12, 16), (8, 8))),
        ({"resize": (12,)}, vx.ShortSide(12, (8, 8))),
        ({"geometry": "short-side"}, vx.ShortSide(9, (8, 8))),
        ({"geometry": "long-side"}, vx.LongSide((8, 8))),
    ],
)
def test_geometries_by_name(options: dict[str, object], truth: object, own: str) -> None:
    network = Network(model=f"{own}:build", grid=(4, 8, 8), layout="BTCHW", device="cpu", **options)  # type: ignore[arg-type]
    model = open_model(network, layer="")
    assert model.geometry == truth
    assert model.read("video.npy").frames.shape == (4, 8, 8, 3)


def test_a_geometry_of_ones_own_and_a_uniform_sampler(own: str) -> None:
    network = Network(
        model=f"{own}:build", grid=(4, 8, 8), layout="BTCHW", geometry=f"{own}:every_second", sampler="uniform"
    )
    clip = open_model(network, layer="").read("video.npy")
    assert (clip.frames == np.load("video.npy")[[5, 15, 25, 35], 2:18:2, 4:20:2]).all()


@pytest.mark.parametrize(
    "options",
    [
        {"geometry": "squash", "resize": (9,)},
        {"geometry": "long-side", "resize": (9, 9)},
        {"geometry": "cut"},
        {"resize": (9, 9, 9)},
        {"classes": Path("none.txt")},
    ],
)
def test_wrong_options_are_one_sentence(options: dict[str, object], own: str) -> None:
    network = Network(model=f"{own}:build", grid=(4, 8, 8), layout="BTCHW", device="cpu", **options)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"expected .*; "):
        open_model(network, layer="")


def test_the_doctor_takes_the_same_options_and_names_the_input(own: str) -> None:
    done = voxplain("doctor", "--model", f"{own}:build", *INPUT, "--classes", "names.txt", "--geometry", "long-side")
    assert done.code == 0, done.err
    assert "input of the network:  4×8×8, BTCHW" in done.out
