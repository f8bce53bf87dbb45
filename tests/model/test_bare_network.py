"""``VideoModel(net)`` of networks whose input is known here, and what users call on a model first."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import voxplain as vx
from small_nets import GRID, ConvNet, LinearNet, TokenNet, clips
from voxplain.errors import ModelError
from voxplain.model.input_search import GRIDS


class Takes(nn.Module):
    """Gives logits for clips of one layout and grid; counts how often it runs."""

    def __init__(self, layout: str, grid: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = (3, *grid) if layout == "BCTHW" else (grid[0], 3, *grid[1:])
        self.squeeze, self.head, self.runs = nn.AdaptiveAvgPool3d(2), nn.Linear(6, 5), 0
        self.feature = nn.Linear(8 * self.shape[0], 6)

    def forward(self, x: Tensor) -> Tensor:
        self.runs += 1
        if x.shape[1:] != self.shape:
            raise AttributeError("not my input")
        return self.head(self.feature(self.squeeze(x).flatten(1)))


@pytest.mark.parametrize("layout", ["BCTHW", "BTCHW"])
@pytest.mark.parametrize("grid", GRIDS)
def test_layout_grid_and_layer_are_found(layout, grid):
    net = Takes(layout, grid)
    model = vx.VideoModel(net)
    assert (model.layout, model.grid, model.layer) == (layout, grid, "feature")
    assert model(np.zeros((2, *grid, 3), np.uint8)).shape == (2, 5)


def test_the_first_grid_that_runs_is_taken_and_the_network_is_left_as_found():
    net = ConvNet(inplace=True).train()
    state = {k: v.clone() for k, v in net.state_dict().items()}
    random = torch.get_rng_state()
    model = vx.VideoModel(net, classes=tuple("abcde"))
    assert (model.grid, model.layout, model.layer) == ((16, 112, 112), "BCTHW", "act")
    assert all(m.training and not m._forward_hooks and not m._forward_pre_hooks for m in net.modules())
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert vx.VideoModel(TokenNet()).layout == "BTCHW"


def test_what_is_given_is_kept_and_nothing_is_searched_again():
    net = Takes("BTCHW", (8, 20, 24))
    model = vx.VideoModel(net, grid=(8, 20, 24))
    assert (model.layout, model.layer) == ("BTCHW", "feature")
    assert vx.VideoModel(net, grid=(8, 20, 24), layer="squeeze").layout == "BCTHW"  # as before: nothing is tried
    net.runs = 0
    assert replace(model, batch_size=2, layer="squeeze").layout == "BTCHW"
    vx.VideoModel(net, grid=(8, 20, 24), layer="feature", layout="BTCHW")
    assert net.runs == 0
    crop = vx.Geometry((40, 40), (20, 24))
    assert vx.VideoModel(net, geometry=crop).grid == (8, 20, 24)
    assert vx.VideoModel(net, layout="BTCHW", geometry=crop, layer="squeeze").layer == "squeeze"


def test_one_sentence_where_nothing_is_found():
    tried = "layout BCTHW, BTCHW, TBCHW, BTHWC of 16×112×112"
    with pytest.raises(ModelError, match=rf"{tried}, .*'not my input'.*grid=\(T, H, W\)"):
        vx.VideoModel(Takes("BCTHW", (5, 6, 7)))
    with pytest.raises(ModelError, match=r"layout BTCHW of 5×6×7, got"):
        vx.VideoModel(Takes("BCTHW", (5, 6, 7)), grid=(5, 6, 7), layout="BTCHW")
    with pytest.raises(ModelError, match=r"output of shape \(1, 5\) where \[1,2\] is needed"):
        vx.VideoModel(LinearNet(), grid=GRID, classes=("a", "b"))
    bare = vx.VideoModel(nn.Sequential(nn.Flatten(), nn.Linear(768, 5)), grid=GRID)
    assert bare.layer == ""
    assert vx.Gradient()(bare, clips(1)[0]).shape == GRID  # attribution needs no layer
    with pytest.raises(ModelError, match="expected a layer to explain net at, got none"):
        bare.embed(clips(1))
    with pytest.raises(ModelError, match="did you mean 'feature'"):
        vx.VideoModel(LinearNet(), layer="featur")


def test_a_prediction_is_the_softmax_best_first():
    model = vx.VideoModel(ConvNet().eval(), layer="pool", grid=GRID, classes=("a", "b", "c", "d", "e"))
    frames = clips(1)
    found, p = model.predict(frames[0]), model(frames)[0].double().softmax(0)
    assert found.indices.tolist() == p.argsort(descending=True).tolist()
    assert found.classes == tuple("abcde"[i] for i in found.indices)
    np.testing.assert_allclose(found.probabilities, p[found.indices.tolist()].numpy(), rtol=1e-6)
    assert found.probabilities.dtype == np.float32
    assert repr(found).splitlines()[0] == f"{found.classes[0]}  {100 * p.max():.1f} %"
    assert found._repr_html_().count("<tr>") == 6
    assert replace(model, classes=()).predict(frames).classes == tuple(map(str, found.indices))
    with pytest.raises(ModelError, match="expected one clip, got 2"):
        model.predict(clips(2))


def test_a_long_prediction_shows_five_and_escapes_names():
    found = vx.Prediction.from_logits(torch.zeros(8), ("<b>", *"bcdefgh"))
    assert repr(found).splitlines()[-1] == "and 3 more classes"
    assert found.classes[0] == "<b>"
    assert "&lt;b&gt;" in found._repr_html_()


def test_to_moves_the_network_and_names_a_missing_device():
    model = vx.VideoModel(ConvNet(), layer="pool", grid=GRID)
    assert model.to("cpu") is model
    assert model.to("meta").device.type == "meta"
    for missing in ("cuda:77", "nonsense"):
        with pytest.raises(ModelError, match=f"device of this machine, got '{missing}': .*try 'cpu'"):
            vx.VideoModel(ConvNet(), layer="pool", grid=GRID).to(missing)


def test_read_is_the_reader(tmp_path):
    model = vx.load_model("planted")
    np.save(tmp_path / "clip.npy", np.random.default_rng(0).integers(0, 256, (40, 50, 60, 3), dtype=np.uint8))
    clip = model.read(tmp_path / "clip.npy")
    assert np.array_equal(clip.frames, model.reader()(tmp_path / "clip.npy").frames)
    assert clip.frames.shape[:3] == model.grid
    windows = model.read(str(tmp_path / "clip.npy"), sampler=vx.Uniform(model.grid[0]))
    assert windows.seconds[-1] > clip.seconds[-1]
    with pytest.raises(vx.VideoError, match="no such file"):
        model.read("missing.mp4")


def test_warnings_of_candidates_are_not_the_users():
    class Warns(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            warnings.warn("odd size", stacklevel=1)
            return super().forward(x)

    assert vx.VideoModel(Warns()).grid == (16, 112, 112)
