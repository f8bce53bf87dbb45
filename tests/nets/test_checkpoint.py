import pickle
from pathlib import Path

import pytest
import torch
from weight_files import CLIP, tiny_net

from voxplain.errors import ModelError
from voxplain.nets import load_weights, save_weights


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 7, "optimizer": {"lr": 0.1}},
        lambda s: {"model": s, "best": 0.9},
        lambda s: {"model_state_dict": {f"module.{k}": v for k, v in s.items()}},
        lambda s: {"model": {"state_dict": {f"module._orig_mod.{k}": v for k, v in s.items()}}},
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt"])
def test_wrappers_and_prefixes(wrap, suffix: str, tmp_path: Path) -> None:
    source, net = tiny_net(), tiny_net(seed=1)
    torch.save(wrap(source.state_dict()), tmp_path / f"w{suffix}")
    load_weights(net, tmp_path / f"w{suffix}")
    with torch.no_grad():
        assert torch.equal(net(CLIP), source(CLIP))


class Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("content", ["payload", "arrays", "torch payload"])
def test_pickles_are_refused_and_not_run(content: str, tmp_path: Path) -> None:
    path, trap = tmp_path / "c3d.pickle", tmp_path / "ran"
    if content == "torch payload":
        torch.save({"conv1.weight": Payload(trap)}, path)
    else:
        thing = Payload(trap) if content == "payload" else {"conv1.weight": [1.0, 2.0]}
        path.write_bytes(pickle.dumps(thing))
    with pytest.raises(ModelError, match="pickle of other objects, which is not read because"):
        load_weights(tiny_net(), path)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("w.pt", b"", "it is damaged"),
        ("w.pth", b"version https://git-lfs.github.com/spec/v1\n", "it is damaged"),
        ("w.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{}", "no whole .safetensors file"),
        ("w.safetensors", b"", "no whole .safetensors file"),
        ("w.h5", b"x", r"weights files end in .safetensors, .pt, .*got 'w.h5'"),
    ],
)
def test_damaged_and_foreign_files(name: str, content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=sentence):
        load_weights(tiny_net(), tmp_path / name)


def test_half_a_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "w.safetensors", tmp_path / "w.pt"):
        if path.suffix == ".pt":
            torch.save(tiny_net().state_dict(), path)
        else:
            save_weights(tiny_net(), path, {})
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ModelError, match=r"damaged|no whole"):
            load_weights(tiny_net(), path)


def test_no_file_and_no_state_dict(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no weights file at .*absent.pt; check the path"):
        load_weights(tiny_net(), tmp_path / "absent.pt")
    for content, sentence in (
        (torch.ones(3), "holds a Tensor, not a state dict"),
        ({}, "holds nothing, not a state dict"),
        ({"state_dict": {}, "epoch": 1}, "holds nothing"),
        ({"epoch": 3, "head.bias": torch.ones(4)}, "no tensors: epoch; save net.state_dict"),
    ):
        torch.save(content, tmp_path / "w.pt")
        with pytest.raises(ModelError, match=sentence):
            load_weights(tiny_net(), tmp_path / "w.pt")
