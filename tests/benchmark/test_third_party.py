"""Functions of other projects as methods: the same map as ours, and errors in one sentence."""

import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from voxplain.attribution import Gradient
from voxplain.benchmark.third_party import ThirdParty, third_party_methods
from voxplain.errors import DataError, ModelError
from voxplain.model import VideoModel
from voxplain.nets.study import STUDY_NETS
from voxplain.video import Clip

GRID = (4, 16, 16)


def saliency(net: nn.Module, x: torch.Tensor, target: int) -> np.ndarray:
    """The gradient of a class's logit, summed over colours."""
    leaf = x.detach().requires_grad_(True)
    net(leaf)[0, target].backward()
    return leaf.grad[0].sum(0).numpy()


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("mine_of_test")
    module.saliency, module.small, module.number = saliency, lambda net, x, y: np.zeros((1, 2, 2)), 7
    module.broken = lambda net, x, y: 1 / 0
    monkeypatch.setitem(sys.modules, "mine_of_test", module)
    return module


def test_a_function_gives_the_same_map(mine: ModuleType) -> None:
    torch.manual_seed(0)
    model = VideoModel(STUDY_NETS["tsm"](3).eval(), grid=GRID, layout="BCTHW")
    clip = Clip.from_array(np.random.default_rng(0).integers(0, 256, (*GRID, 3)).astype(np.uint8))
    found = third_party_methods(["mine_of_test:saliency"])["saliency"](model, clip, 1)
    ours = Gradient(objective="logit", channels="signed")(model, clip, 1)
    np.testing.assert_allclose(found.values, ours.values, rtol=1e-3, atol=1e-4 * np.abs(ours.values).max())


def test_errors(mine: ModuleType) -> None:
    model = VideoModel(STUDY_NETS["tsm"](3).eval(), grid=GRID, layout="BCTHW")
    clip = Clip.from_array(np.zeros((*GRID, 3), np.uint8))
    with pytest.raises(ModelError, match="got ZeroDivisionError"):
        ThirdParty("mine_of_test:broken")(model, clip, 0)
    with pytest.raises(ModelError, match=r"expected a map \(4, 16, 16\)"):
        ThirdParty("mine_of_test:small")(model, clip, 0)
    for path in ("mine_of_test:number", "mine_of_test", "mine_of_test:absent", "no_such_module:f"):
        with pytest.raises(DataError, match="expected package"):
            ThirdParty(path)
    with pytest.raises(DataError, match="different names"):
        third_party_methods(["mine_of_test:saliency", "mine_of_test:saliency"])
