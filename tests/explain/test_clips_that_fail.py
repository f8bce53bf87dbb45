"""What cannot be computed for one clip, method or metric is noted, and does not lose the others."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import voxplain as vx
from small_nets import GRID, ConvNet, clips
from voxplain.attribution.attribution import with_notes
from voxplain.concepts.cluster import KMeans
from voxplain.concepts.evaluate import AddRemove
from voxplain.model import VideoModel
from voxplain.report import attribution_page
from voxplain.segment import Grid


class Standardises(nn.Module):
    """A network that divides each clip by its standard deviation: NaN for a clip of one colour."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = ConvNet()

    def forward(self, x: Tensor) -> Tensor:
        x = x.double()  # in which the mean of equal values is exactly that value
        centred = x - x.mean((2, 3, 4), keepdim=True)
        return self.net((centred / centred.square().mean((2, 3, 4), keepdim=True).sqrt()).float())


def model(**options) -> VideoModel:
    return VideoModel(Standardises().eval(), **{"layer": "net.pool", "grid": GRID, "task": "classification", **options})


def test_a_metric_that_cannot_be_computed_is_noted_beside_the_others():
    """Insertion starts from a clip of the mean colour, for which the network gives NaN."""
    run = vx.explain_clip(model(), clips(1)[0].numpy(), "gradient,grad_cam", metrics="insertion,infidelity")
    assert list(run.maps) == ["gradient", "grad_cam"]
    for name in run.maps:
        assert list(run.measured[name]) == ["infidelity"]
        assert "insertion was not computed: expected finite logits" in run.notes[name][-1]
    assert any("insertion was not computed" in note for note in run["gradient"].notes)


def test_a_clip_without_logits_is_an_error_of_its_own():
    with pytest.raises(vx.ModelError, match="finite logits"):
        vx.explain_clip(model(), np.zeros((*GRID, 3), np.uint8), "gradient")


def test_concepts_whose_blank_clip_has_no_logits(tmp_path):
    frames = clips(14, seed=1).numpy()
    settings = vx.ConceptSettings(
        segmenter=Grid(cells=((1, 2, 2),)),
        clusterer=KMeans(clusters=2),
        keep=2,
        unrelated_crops=4,
        random_sets=3,
        embedder=vx.MaskedCrops(),
        evaluation=AddRemove(steps=1, draws=2, matched=1, fill="median"),
    )
    own = [vx.Clip.from_array(f) for f in frames[:5]]
    others = [vx.Clip.from_array(f) for f in frames[5:11]]
    run = vx.explain_concepts(model(), own, random=others, target=0, settings=settings)
    assert np.isfinite(run.effects.drop(0)[run.effects.volume > 0]).any()
    run = vx.evaluate_concepts(run, [vx.Clip.from_array(f) for f in frames[11:]])
    blank = run.evaluation.adding.logits[:, :, 0]
    assert np.isnan(blank).all(), "nothing shown is one colour"
    assert not run.evaluation.adding.right()[:, :, 0].any()
    vx.write_report(run, tmp_path / "page.html")


def test_maps_that_say_nothing_carry_a_note():
    values = np.zeros(GRID, np.float32)
    assert with_notes(values)[1] == ("the map is zero everywhere",)
    assert with_notes(values + 3)[1] == ("the map is constant",)
    values[0, 0, :2] = np.nan, 1
    found, notes = with_notes(values)
    assert (notes, found[0, 0, 0]) == (("1 of 256 values were not finite and are set to 0",), 0)
    head = nn.Sequential(nn.Conv3d(3, 2, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(2, 3)).eval()
    with torch.no_grad():
        head[3].weight.zero_()
    blind = VideoModel(head, layer="1", grid=GRID, task="classification")
    heat = vx.GradCAM()(blind, clips(1)[0], 1)
    assert heat.notes == ("the map is zero everywhere",)
    assert "the map is zero everywhere" in repr(heat)
    assert "the map is zero everywhere" in heat._repr_html_()
    run = vx.explain_clip(blind, clips(1)[0].numpy(), "grad_cam", target=1)
    assert "Note: grad_cam: the map is zero everywhere" in attribution_page(run).decode()


def test_notes_are_saved_with_a_map(tmp_path):
    heat = vx.Attribution(np.zeros(GRID, np.float32), 1, "mine", notes=("the map is zero everywhere",))
    assert vx.Attribution.load(heat.save(tmp_path / "heat.npz")).notes == heat.notes
