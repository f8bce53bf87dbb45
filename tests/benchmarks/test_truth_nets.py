"""Networks of the truth benchmark have the layout that is stated; cases for tuning and for the report stay apart."""

import numpy as np
import pytest
import torch

import truth_nets
from truth_architectures import Architecture, ResidualNet, Stage, VideoTransformer, fit
from truth_nets import DEEP, NETWORKS, REPORT, TUNING, Case, make
from voxplain.model import VideoModel
from voxplain.train import TrainingVideos

GRID = (16, 64, 64)


def clips(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3, *GRID, generator=torch.Generator().manual_seed(seed))


def weights(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_the_last_block_of_the_residual_net_sees_most_of_the_picture():
    torch.manual_seed(0)
    net, x = ResidualNet(3).eval(), clips(1).requires_grad_()
    seen: list[torch.Tensor] = []
    handle = net.layer4.register_forward_hook(lambda m, i, o: seen.append(o))
    net(x)
    handle.remove()
    assert seen[0].shape == (1, 128, 4, 8, 8)
    (gradient,) = torch.autograd.grad(seen[0][0, :, 2, 4, 4].sum(), x)
    assert (gradient.abs().amax((0, 1, 2)) > 0).float().mean() > 0.9
    assert 0.5e6 < weights(net) < 1e6


def test_tokens_of_the_transformer_are_in_the_order_time_height_width():
    torch.manual_seed(0)
    net, x = VideoTransformer(3).eval(), clips(1)
    changed = x.clone()
    changed[0, :, 7:10, 21:28, 37:44] += 5  # around the centre of position (2, 3, 5)
    tokens: list[torch.Tensor] = []
    net.embed.register_forward_hook(lambda m, i, o: tokens.append(o))
    net(x), net(changed)
    moved = (tokens[1] - tokens[0]).abs().sum(2)[0].detach()
    assert int(moved.argmax()) == (2 * 8 + 3) * 8 + 5
    model = VideoModel(net, layer="norm", grid=GRID)
    frames = np.random.default_rng(0).integers(0, 255, (2, *GRID, 3), dtype=np.uint8)
    assert model.embed(frames).shape == (2, 96)
    assert model.gradient(frames, 1).shape == (2, 96)
    assert 0.3e6 < weights(net) < 1e6


def test_attention_is_that_of_torch():
    torch.manual_seed(0)
    block = VideoTransformer(2).blocks[0].eval()
    other = torch.nn.MultiheadAttention(96, block.heads, batch_first=True).eval()
    other.load_state_dict(
        {
            "in_proj_weight": block.qkv.weight,
            "in_proj_bias": block.qkv.bias,
            "out_proj.weight": block.project.weight,
            "out_proj.bias": block.project.bias,
        }
    )
    x = torch.randn(2, 10, 96)
    y = block.norm1(x)
    x2 = x + other(y, y, y, need_weights=False)[0]
    assert torch.allclose(block(x), x2 + block.mlp(block.norm2(x2)), atol=1e-5)


def test_fit_learns_bright_from_dark():
    rng = np.random.default_rng(0)
    labels = np.arange(32) % 2
    frames = [np.clip(rng.normal(100 + 60 * y, 20, (4, 16, 16, 3)), 0, 255).astype(np.uint8) for y in labels]
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2))
    model = VideoModel(net, layer="1", grid=(4, 16, 16))
    fit(
        model, TrainingVideos(frames, labels), Architecture(lambda n: net, "1", (Stage(15, 0.1),)), 0, lambda text: None
    )
    assert (model.logits(np.stack(frames)).argmax(1).numpy() == labels).all()
    assert not net.training


def test_cases_for_tuning_and_for_the_report_share_nothing():
    assert len({c.name for c in (*TUNING, *REPORT)}) == len(TUNING) + len(REPORT)
    assert not any("held-out" in c.design for c in TUNING)
    assert all(c.design.startswith("held-out") for c in REPORT)
    assert not {c.seed for c in TUNING} & {c.seed for c in REPORT}
    for cases in (TUNING, REPORT):
        assert {c.net for c in cases if c.kind == "trained"} == set(truth_nets.SMALL)
    assert not set(DEEP) & {*TUNING, *REPORT}
    assert {c.design for c in DEEP} == {"standard"}
    assert {len(c.planted_design.classes) for c in REPORT if c.classes} >= {2, 3, 6, 10}
    trap = next(c for c in REPORT if c.kind == "shortcut")
    assert trap.planted_design.shortcut in trap.planted_design.appearance


@pytest.mark.parametrize(
    "case", [Case("random", "standard", 1, "residual", 2), Case("trained", "standard", 1, "tiny", 2)]
)
def test_a_made_case_is_found_again(tmp_path, monkeypatch, case):
    for name in ("FULL", "SHORT", "BLIND", "TEST", "UNRELATED"):
        monkeypatch.setattr(truth_nets, name, 2)
    monkeypatch.setattr(truth_nets, "FURTHER", Architecture(truth_nets.tiny, "pool", (Stage(1, 1e-3),)))
    monkeypatch.setitem(NETWORKS, "transformer", Architecture(VideoTransformer, "norm", (Stage(1, 1e-3),)))
    model, planted, accuracy = make(case, tmp_path)
    assert model.classes == planted.design.classes == ("cross", "nothing")
    monkeypatch.setattr(truth_nets, "fit", None)  # nothing is trained again
    again, same, figure = make(case, tmp_path)
    assert (accuracy, planted.scenes) == (figure, same.scenes)
    for a, b in zip(model.net.state_dict().values(), again.net.state_dict().values(), strict=True):
        assert torch.equal(a, b)
