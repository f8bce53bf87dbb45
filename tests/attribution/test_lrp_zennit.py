"""LRP against zennit, where zennit and its torchvision can be imported."""

from typing import Any

import numpy as np
import pytest
import torch
from relevance_nets import clips_of, model_of, set_running_statistics
from torch import Tensor, nn

from voxplain.attribution.passes import logits, to_input
from voxplain.attribution.relevance.lrp import LRP
from voxplain.model import stack

try:
    from zennit import composites, rules
    from zennit.attribution import Gradient
    from zennit.canonizers import SequentialMergeBatchNorm
    from zennit.types import Convolution
except Exception:  # a torchvision that does not fit torch raises more than ImportError
    pytest.skip("zennit cannot be imported", allow_module_level=True)

EXACT = {"stabilizer": 1e-9}


class Chain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.act1 = nn.Conv3d(3, 5, 3, padding=1), nn.BatchNorm3d(5), nn.ReLU()
        self.max = nn.MaxPool3d((1, 2, 2))
        self.conv2, self.bn2, self.act2 = nn.Conv3d(5, 6, 3, padding=1, bias=False), nn.BatchNorm3d(6), nn.ReLU()
        self.avg, self.fc1, self.act3, self.fc2 = nn.AvgPool3d(2), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.max(self.act1(self.bn1(self.conv1(x))))
        x = self.avg(self.act2(self.bn2(self.conv2(x))))
        return self.fc2(self.act3(self.fc1(x.flatten(1))))


def _same(rule: Any, *, merge: bool = True) -> Any:
    canonizers = [SequentialMergeBatchNorm()] if merge else []
    return composites.LayerMapComposite(
        [*composites.layer_map_base(), (nn.Linear, rule), (Convolution, rule)], canonizers=canonizers
    )


def _first(rule: Any) -> Any:
    return composites.SpecialFirstLayerMapComposite(
        [*composites.layer_map_base(), (Convolution, rules.ZPlus(**EXACT)), (nn.Linear, rules.Epsilon(1e-9))],
        [(Convolution, rule)],
        canonizers=[SequentialMergeBatchNorm()],
    )


MERGE = {"canonizers": [SequentialMergeBatchNorm()], "epsilon": 1e-9, "stabilizer": 1e-9}
BOX = {"low": -2.0, "high": 2.0}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (LRP("epsilon_plus", epsilon=1e-9), lambda: composites.EpsilonPlus(**MERGE)),
        (LRP("epsilon_plus_flat", epsilon=1e-9), lambda: composites.EpsilonPlusFlat(**MERGE)),
        (LRP("epsilon_gamma_box", epsilon=1e-9), lambda: composites.EpsilonGammaBox(**BOX, **MERGE)),
        (LRP("epsilon_alpha2_beta1", epsilon=1e-9), lambda: composites.EpsilonAlpha2Beta1(**MERGE)),
        (LRP("epsilon_alpha2_beta1_flat", epsilon=1e-9), lambda: composites.EpsilonAlpha2Beta1Flat(**MERGE)),
        (LRP("z_plus", head="same"), lambda: _same(rules.ZPlus(**EXACT))),
        (LRP("z_plus", head="same", batch_norm="pass"), lambda: _same(rules.ZPlus(**EXACT), merge=False)),
        (LRP("gamma", head="same"), lambda: _same(rules.Gamma(0.25, **EXACT))),
        (LRP("alpha_beta", head="same"), lambda: _same(rules.AlphaBeta(2, 1, **EXACT))),
        (LRP(epsilon=1e-9), lambda: _first(rules.Flat(**EXACT))),
        (LRP(epsilon=1e-9, input_rule="z_box"), lambda: _first(rules.ZBox(-2.0, 2.0, **EXACT))),
        # zennit squares the bias too, which Montavon et al. leave out.
        (LRP(epsilon=1e-9, input_rule="w_square"), lambda: _first(rules.WSquare(**EXACT, zero_params=["bias"]))),
    ],
)
def test_equals_zennit(ours: LRP, theirs: Any) -> None:
    torch.manual_seed(0)
    model, clips = model_of(set_running_statistics(Chain(), shift=True).eval(), "fc2"), clips_of(2)
    x = to_input(model, stack(clips))
    start = torch.zeros(2, 4)
    start[:, 2] = logits(model, x)[:, 2]
    with Gradient(model=model.net, composite=theirs()) as attributor:
        want = attributor(x.clone(), start)[1].sum(1).detach().numpy()
    got = np.stack([a.values for a in ours(model, clips, 2)])
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=2e-4 * np.abs(want).max())
