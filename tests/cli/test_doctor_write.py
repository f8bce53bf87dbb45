"""The file that `doctor --write` writes: it gives the network as the options gave it."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import voxplain

import voxplain as vx
from voxplain.zoo.load import model_from_function

SOURCE = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.pool, self.head = nn.Conv3d(3, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Linear(4, 3)
    def forward(self, x):
        return {"aux": x.mean(), "scores": self.head(self.pool(self.conv(x.transpose(1, 2)).relu()).flatten(1))}
def build():
    return Net()
def every_second(frames):
    return frames[:, 2:18:2, 4:20:2]
def model():
    import voxplain as vx
    return vx.VideoModel(Net(), layer="conv", grid=(4, 8, 8), layout="BTCHW", output="scores", stride=3, name="ready")
"""
FOUND = ("--grid", "4", "8", "8", "--net-output", "scores")
CLIP = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the current folder."""
    name = f"nets_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return name


def written(name: str, target: str, *words: str) -> tuple[str, vx.VideoModel]:
    """The text of a file that the doctor writes, and the model that it gives."""
    module = f"glue_{name}"
    done = voxplain("doctor", "--model", target, *words, "--write", f"{module}.py")
    assert done.code == 0, done.err
    assert f"use it with --model {module}:model" in done.out
    return Path(f"{module}.py").read_text(), model_from_function(f"{module}:model", layer=None)


def test_what_was_found_is_in_the_file(nets: str) -> None:
    text, made = written(nets, f"{nets}:build", *FOUND)
    options = {"grid": (4, 8, 8), "layout": "BTCHW", "output": "scores"}
    wanted = vx.VideoModel(model_from_function(f"{nets}:build", layer="pool", **options).net, layer="pool", **options)
    assert (made.layer, made.grid, made.layout, made.output) == ("pool", (4, 8, 8), "BTCHW", "scores")
    assert made.task == "classification"
    torch.testing.assert_close(made.logits(CLIP), wanted.logits(CLIP), rtol=0, atol=0)
    assert "mean=(0.5, 0.5, 0.5),  # not found out" in text
    assert str(Path.cwd()) not in text


def test_what_is_given_is_written_without_a_doubt(nets: str) -> None:
    words = ("--mean", "0.4", "0.5", "0.6", "--std", "0.2", "0.3", "0.4", "--stride", "2", "--layer", "conv")
    words += ("--geometry", f"{nets}:every_second", "--sampler", "dense")
    text, made = written(nets, f"{nets}:build", *FOUND, *words)
    assert (made.mean, made.std, made.stride, made.layer) == ((0.4, 0.5, 0.6), (0.2, 0.3, 0.4), 2, "conv")
    assert "not found out" not in text
    assert made.sampler == vx.Dense(4, 2, clips=10)
    frames = np.random.default_rng(1).integers(0, 256, (4, 20, 24, 3), np.uint8)
    assert np.array_equal(made.geometry.crop_frames(frames), frames[:, 2:18:2, 4:20:2])


def test_a_function_named_model_that_gives_a_ready_model_keeps_its_fields(nets: str) -> None:
    text, made = written(nets, f"{nets}:model", "--mean", "0.1", "0.1", "0.1")
    assert (made.stride, made.name, made.output, made.mean) == (3, "ready", "scores", (0.1, 0.1, 0.1))
    assert "stride" not in text.split('"""')[-1]


def test_a_command_runs_with_the_file_alone(nets: str) -> None:
    written(nets, f"{nets}:build", *FOUND)
    np.save("video.npy", np.random.default_rng(0).integers(0, 256, (6, 10, 12, 3), np.uint8))
    words = ("--method", "gradient", "--metric", "none", "--format", "png", "--device", "cpu", "-o", "out")
    done = voxplain("attribute", "video.npy", "--model", f"glue_{nets}:model", *words)
    assert done.code == 0, done.err
    assert Path("out/report.html").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--net", "planted", "--write", "glue.py"), "--model package.module:function with --write"),
        (("--model", "NETS:build", "--write", "my-model.py"), "a Python file below this folder"),
        (("--model", "NETS:build", "--write", "NETS.py"), "a new file to write"),
    ],
)
def test_files_that_cannot_be_written(nets: str, words: tuple[str, ...], said: str) -> None:
    done = voxplain("doctor", *(word.replace("NETS", nets) for word in words))
    assert done.code == 2
    assert said in done.sentence
    sys.modules.pop(nets, None)
