"""Labels that name what was computed, and runs that carry all that evaluating them needs."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import voxplain as vx
from voxplain.concepts.cluster import KMeans
from voxplain.concepts.effect import concept_mask
from voxplain.concepts.embedders import EMBEDDERS
from voxplain.concepts.evaluate import AddRemove
from voxplain.concepts.settings import PRESETS
from voxplain.explain.concept_map import ConceptMap
from voxplain.explain.parameters import parameters_of, settings_and_label, settings_from
from voxplain.inference import Inference
from voxplain.segment import SLIC, Deduplicate

FP32 = Inference(precision="fp32")  # in which the map, too, is computed
TINY = vx.ConceptSettings(
    segmenter=SLIC(segments=(4, 8)),
    clusterer=KMeans(clusters=4),
    keep=3,
    unrelated_crops=10,
    random_sets=4,
    evaluation=AddRemove(steps=2, draws=2, matched=1),
)


@pytest.fixture(scope="module")
def model() -> vx.VideoModel:
    return vx.load_model("planted")


@pytest.mark.parametrize("name", PRESETS)
def test_settings_survive_being_written_down(name: str) -> None:
    assert settings_from(parameters_of(PRESETS[name])) == PRESETS[name]


def test_other_parameters_are_an_error_in_one_sentence() -> None:
    with pytest.raises(vx.DataError, match="expected the parameters of a run of this version"):
        settings_from({"segmenter": {"method": "Voronoi"}})


@pytest.mark.parametrize(
    ("settings", "preset", "wanted"),
    [
        (None, None, "default"),
        (None, "paper", "paper"),
        (vx.ConceptSettings(), None, "default"),
        (vx.ConceptSettings(seed=3), None, "default"),
        (PRESETS["paper"], None, "paper"),
        (vx.ConceptSettings(keep=30), None, "default, changed"),
        (PRESETS["paper"], "paper", "paper"),
        (vx.ConceptSettings(), "paper", "paper, changed"),
        (replace(PRESETS["paper"], keep=3), "paper", "paper, changed"),
    ],
)
def test_the_label_names_the_settings(settings: vx.ConceptSettings | None, preset: str | None, wanted: str) -> None:
    found, label = settings_and_label(settings, preset)
    assert label == wanted
    assert found == (PRESETS[preset or "default"] if settings is None else settings)


def test_an_unknown_preset_is_an_error_with_near_names() -> None:
    with pytest.raises(vx.DataError, match="did you mean paper"):
        settings_and_label(None, "papers")


def test_a_preset_is_what_is_computed(model: vx.VideoModel, small_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`preset="paper"` once wrote "paper" into the run and computed the default."""
    paper = replace(PRESETS["paper"], **{n: getattr(TINY, n) for n in ("segmenter", "clusterer", "random_sets")})
    monkeypatch.setitem(
        PRESETS, "paper", replace(paper, keep=3, unrelated_crops=10, cluster_filter=TINY.cluster_filter)
    )
    run = vx.explain_concepts(
        model, small_set / "train/cross", random=small_set / "unrelated", target="cross", preset="paper"
    )
    assert run.preset == "paper"
    assert run.settings == PRESETS["paper"]
    assert (run.ranking, run.parameters["tcav"], run.parameters["unrelated_examples"]) == ("tcav", "sign_count", "raw")
    assert "sign_count, log_probability" in run.scores["tcav"].name


def test_a_run_carries_its_network_and_settings(model: vx.VideoModel, small_set: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    run = vx.explain_concepts(
        model, small_set / "train/cross", random=small_set / "unrelated", target="cross", settings=TINY, store=store
    )
    evaluated = vx.evaluate_concepts(run, small_set / "test/cross")
    vx.save_run(tmp_path / "run", run)
    stored = vx.load_run(tmp_path / "run")
    assert stored.model is None
    with pytest.raises(vx.DataError, match="pass model=…"):
        vx.evaluate_concepts(stored, small_set / "test/cross")
    again = vx.evaluate_concepts(stored, small_set / "test/cross", model=model, store=store)
    assert evaluated.evaluation is not None
    assert again.evaluation is not None
    np.testing.assert_array_equal(evaluated.evaluation.adding.logits, again.evaluation.adding.logits)
    with pytest.raises(vx.ModelError, match="got other layer 'block4'"):
        vx.evaluate_concepts(stored, small_set / "test/cross", model=replace(model, layer="block4"))
    other = copy.deepcopy(model.net)
    other.get_parameter("head.bias").data += 1
    with pytest.raises(vx.ModelError, match="got other weights"):
        vx.evaluate_concepts(stored, small_set / "test/cross", model=replace(model, net=other))


SCALE = 1.0


class Scaled(nn.Module):
    """The planted network; its code multiplies by a number outside of it, as a user's own edit may."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.net(x) * SCALE)


def test_results_of_a_network_whose_code_changed_are_its_own(
    model: vx.VideoModel, small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = replace(model, net=Scaled(model.net), layer="net.pool")

    def effect(scale: float, store: str) -> np.ndarray:
        monkeypatch.setattr(f"{__name__}.SCALE", scale)
        run = vx.explain_concepts(
            own,
            small_set / "train/cross",
            random=small_set / "unrelated",
            target="cross",
            settings=TINY,
            store=tmp_path / store,
        )
        return run.scores["effect"].value

    shared = [effect(scale, "shared") for scale in (1.0, 0.2)]
    np.testing.assert_array_equal(shared[0], effect(1.0, "one"))
    np.testing.assert_array_equal(shared[1], effect(0.2, "two"))
    assert shared[0].shape != shared[1].shape or not np.allclose(shared[0], shared[1])


def test_a_run_is_not_evaluated_with_a_network_whose_code_changed(
    model: vx.VideoModel, small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and printed structure are the same: only the answer to the probe clip shows it."""
    own = replace(model, net=Scaled(model.net), layer="net.pool")
    run = vx.explain_concepts(
        own, small_set / "train/cross", random=small_set / "unrelated", target="cross", settings=TINY
    )
    assert vx.evaluate_concepts(run, small_set / "test/cross").evaluation is not None
    monkeypatch.setattr(f"{__name__}.SCALE", 0.2)
    for kept in (None, own):
        with pytest.raises(vx.ModelError, match="got other structure or code"):
            vx.evaluate_concepts(run, small_set / "test/cross", model=kept)


@pytest.mark.parametrize("embedder", EMBEDDERS)
def test_a_concept_map_takes_any_embedder_and_the_runs_network_only(
    model: vx.VideoModel, small_set: Path, monkeypatch: pytest.MonkeyPatch, embedder: str
) -> None:
    own = replace(model, net=Scaled(model.net), layer="net.pool")
    settings = replace(TINY, embedder=EMBEDDERS[embedder], deduplicate=Deduplicate(max_jaccard=0.9), inference=FP32)
    run = vx.explain_concepts(
        own, small_set / "train/cross", random=small_set / "unrelated", target="cross", settings=settings
    )
    clip = run.clips[0]
    located = ConceptMap(run).locate(own, clip)
    for k, mask in located.items():
        np.testing.assert_array_equal(mask, concept_mask(run.supervoxels[0], run.assigned[0], k))
    assert ConceptMap(run)(own, clip, "cross").values.shape == own.grid
    monkeypatch.setattr(f"{__name__}.SCALE", 0.2)
    with pytest.raises(vx.ModelError, match="other weights, structure or code"):
        ConceptMap(run)(own, clip, "cross")
