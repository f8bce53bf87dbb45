"""The network of `voxplain demo-improve`: the same weights in every process."""

from pathlib import Path

import pytest
import torch

import voxplain.train
from voxplain.cli.demo_improve import shortcut_network


def test_the_weights_do_not_depend_on_the_seed_of_the_process(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voxplain.train, "train", lambda *_, **__: None)  # what differed were the weights before it
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        shortcut_network(small_set, tmp_path / f"{seed}.safetensors")
        assert torch.equal(torch.get_rng_state(), before)
        drawn.append((tmp_path / f"{seed}.safetensors").read_bytes())
    assert drawn[0] == drawn[1]
