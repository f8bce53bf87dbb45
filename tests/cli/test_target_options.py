"""Options that say what a network's outputs mean, and commands on networks with other outputs than classes."""

from pathlib import Path

import numpy as np
import pytest
from command_line import voxplain

from small_nets import clips
from voxplain.datasets.planted import planted_answers
from voxplain.store import load_attribution


def test_attribute_goes_on_after_a_blank_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "own_net.py").write_text(
        "import torch\nfrom torch import nn\nfrom voxplain.model import VideoModel\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        torch.manual_seed(0)\n"
        "        self.conv, self.pool, self.head = nn.Conv3d(3, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Linear(4, 3)\n"
        "    def forward(self, x):\n"
        "        x = x.double()\n"
        "        x = x - x.mean((2, 3, 4), keepdim=True)\n"
        "        x = (x / x.square().mean((2, 3, 4), keepdim=True).sqrt()).float()\n"
        "        return self.head(self.pool(self.conv(x)).flatten(1))\n"
        "def build():\n    return VideoModel(Net(), layer='pool', grid=(4, 8, 8))\n"
    )
    monkeypatch.chdir(tmp_path)
    np.save("blank.npy", np.zeros((4, 8, 8, 3), np.uint8))
    np.save("noise.npy", clips(1)[0].numpy())
    words = ("--model", "own_net:build", "--device", "cpu", "--method", "gradient", "-o", tmp_path / "out")
    outcome = voxplain("attribute", "blank.npy", "noise.npy", *words)
    said = outcome.out + outcome.err
    assert outcome.code == 3, said
    assert "skipped: blank.npy: expected a method that can explain net, got none that can: expected finite" in said
    assert "note: gradient: insertion was not computed" in said
    assert (tmp_path / "out" / "report.html").is_file()
    assert list((tmp_path / "out" / "noise").glob("*/maps.npz"))
    assert "1 of 2 videos skipped" in said


SOURCE = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.pool = nn.Conv3d(3, 4, 3, stride=2), nn.AdaptiveAvgPool3d(1)
        self.head, self.more = nn.Linear(4, 3), nn.Linear(4, 1)
    def forward(self, x):
        a = self.pool(self.conv(x).relu()).flatten(1)
        return {"features": a, "labels": self.head(a), "speed": 50 + self.more(a)}
def build():
    return Net()
"""


@pytest.fixture
def own_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A network with three outputs in a module of the current folder, under a name of its own."""
    name = f"net_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    (clip,) = planted_answers("count", 1)
    np.save("one.npy", clip.clip.frames)
    return f"{name}:build"


def attribute(net: str, out: Path, *words: str) -> str:
    outcome = voxplain(
        "attribute", "one.npy", "--model", net, "--device", "cpu", "--method", "gradient", *words, "-o", out
    )
    return f"{outcome.code} {outcome.out} {outcome.err}"


def test_outputs_and_targets_by_options(own_net, tmp_path):
    assert "got several: 'features' (1, 4), 'labels' (1, 3), 'speed' (1, 1)" in attribute(own_net, tmp_path / "a")
    labels = ("--net-output", "labels", "--task", "multilabel")
    said = attribute(own_net, tmp_path / "b", *labels, "--target", "not 1")
    assert said.startswith("0 "), said
    assert load_attribution(tmp_path / "b/one/not 1").target == "not 1"
    speed = attribute(own_net, tmp_path / "c", "--net-output", "speed", "--task", "regression", "--units", "px")
    assert "rise of output, output 50" in speed
    assert " px" in speed
    assert "task='binary' or task='regression'" in attribute(own_net, tmp_path / "d", "--net-output", "speed")


def test_the_doctor_takes_the_same_options(own_net):
    size = ("--grid", "8", "32", "32")
    found = voxplain("doctor", "--model", own_net, *size, "--net-output", "labels", "--task", "multilabel")
    assert "task:                  multilabel" in found.out, found.err
    unclear = voxplain("doctor", "--model", own_net, *size)
    assert "name the one to explain" in unclear.err
