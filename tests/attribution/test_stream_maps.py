"""Maps of parallel streams against autograd by hand and against what each stream can see."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import voxplain as vx
from voxplain.attribution.streams import stream_models
from voxplain.cli.attribute_output import print_attribution
from voxplain.errors import ModelError
from voxplain.explain import explain_clip

GRID = (4, 16, 16)


class TwoStreams(nn.Module):
    """Scores of a stream that is given the left half, and of one that is given the right half of the frame."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.left, self.right = nn.Conv3d(3, 4, 3, (1, 2, 2), 1), nn.Conv3d(3, 4, 3, (1, 2, 2), 1)
        self.left_act, self.right_act = nn.ReLU(), nn.ReLU()
        self.head = nn.Linear(8, 3)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        a, b = self.left_act(self.left(left)), self.right_act(self.right(right))
        features = torch.cat([a.mean((2, 3, 4)), b.mean((2, 3, 4))], 1)
        return self.head(features * features)


class Listed(TwoStreams):
    def forward(self, both: list[Tensor]) -> Tensor:  # type: ignore[override]
        return super().forward(*both)


def halves(x: Tensor) -> dict[str, Tensor]:
    return {"left": x[..., :8], "right": x[..., 8:]}


def model(pathways: object = halves, net: nn.Module | None = None) -> vx.VideoModel:
    return vx.VideoModel(
        net or TwoStreams(), layer="", grid=GRID, layout="BCTHW", pathways=pathways, classes=("a", "b", "c")
    )


def clip() -> vx.Clip:
    return vx.Clip.from_array(np.random.default_rng(0).integers(0, 256, (*GRID, 3), np.uint8), fps=25)


def test_gradients_of_streams_add_up_to_autograd_by_hand() -> None:
    own = model()
    method = vx.InputXGradient(channels="signed")
    found = vx.stream_maps(method, own, clip(), "b")
    assert list(found) == ["left", "right", "sum"]
    whole = method(own, clip(), "b").values
    np.testing.assert_allclose(found["sum"].values, whole, atol=1e-6)
    x = own.prepare(clip().frames[None]).requires_grad_(True)
    (g,) = torch.autograd.grad(own.net(**halves(x))[0, 1], x)
    truth = (g * x).sum(1)[0].detach().numpy()
    np.testing.assert_allclose(found["left"].values[..., :8], truth[..., :8], atol=1e-6)
    assert not found["left"].values[..., 8:].any()
    assert not found["right"].values[..., :8].any()


@pytest.mark.parametrize("name", ["grad_cam", "integrated_gradients", "lrp_epsilon"])
def test_a_stream_is_explained_by_what_it_sees(name: str) -> None:
    method = vx.ATTRIBUTIONS[name]()
    if name == "grad_cam":
        with pytest.raises(ModelError, match="of several streams; explain each with stream_maps"):
            method(model(), clip(), 0)
    for pathways, net in ((halves, None), (lambda x: list(halves(x).values()), Listed())):
        own = model(pathways, net)
        first, second, total = vx.stream_maps(method, own, clip(), 0).values()
        assert first.values.any()
        assert not np.array_equal(first.values, second.values)
        np.testing.assert_allclose(total.values, first.values + second.values, atol=1e-6)
        if name != "grad_cam":  # its maps are those of the stream's own picture, on the grid of the clip
            assert not first.values[..., 8:].any()


class Lateral(TwoStreams):
    """What the right stream is given also enters the left one, as the fast stream of SlowFast enters the slow one."""

    def __init__(self) -> None:
        super().__init__()
        self.across, self.left_end = nn.Conv3d(3, 4, 3, (1, 2, 2), 1), nn.Conv3d(4, 4, 1)
        self.right_end = nn.Conv3d(4, 4, 1)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        a = self.left_end(self.left_act(self.left(left)) + self.across(right))
        b = self.right_end(self.right_act(self.right(right)))
        return self.head(torch.cat([a.mean((2, 3, 4)), b.mean((2, 3, 4))], 1))


def test_a_stream_that_enters_another_one_has_the_map_at_the_end_of_its_own_layers() -> None:
    own = model(net=Lateral())
    found = vx.stream_maps(vx.GradCAM(), own, clip(), 0)
    assert {name: found[name].details["layer"] for name in ("left", "right")} == {
        "left": "left_end",
        "right": "right_end",
    }
    for name in ("left", "right"):
        one = vx.GradCAM(layer=f"{name}_end")(own, clip(), 0)
        np.testing.assert_allclose(found[name].values, one.values, atol=1e-6)
    assert found["right"].values.any()


def test_hiding_changes_one_stream_only() -> None:
    own = model()
    left, right = stream_models(own, clip()).values()
    frames = np.repeat(clip().frames[None], 3, 0)
    torch.testing.assert_close(left(frames), own(frames))
    changed = frames.copy()
    changed[1, ..., :8, :] = 0
    changed[2, ..., 8:, :] = 0
    same = own(frames[:1])[0]
    torch.testing.assert_close(left(changed)[2], same)
    torch.testing.assert_close(right(changed)[1], same)
    torch.testing.assert_close(left(changed)[1], own(changed)[1])
    found = vx.stream_maps(vx.Occlusion(), own, clip(), 0)
    assert np.abs(found["left"].values[..., 10:]).max() < 1e-6


def test_a_run_has_the_maps_of_streams_and_their_sum(tmp_path: Path) -> None:
    run = explain_clip(model(), clip(), ["gradient"], target="a", metrics=["insertion"], streams=True)
    assert list(run.maps) == ["gradient", "gradient_left", "gradient_right"]
    np.testing.assert_allclose(run.maps["gradient"], run.maps["gradient_left"] + run.maps["gradient_right"], atol=1e-6)
    assert run.measured["gradient"]
    assert not run.measured["gradient_left"]
    from rich.console import Console

    print_attribution(Console(), run)
    vx.save_run(tmp_path, run)
    assert list(vx.load_attribution(tmp_path).maps) == list(run.maps)
    assert "gradient_left" in vx.write_attribution_report(run, tmp_path / "page.html").read_text()


def test_one_stream_is_one_sentence() -> None:
    for pathways in (None, lambda x: [x], lambda x: x):
        own = model(pathways, Listed() if pathways else None)
        with pytest.raises(ModelError, match="expected a model whose pathways give several streams"):
            stream_models(own, clip())
