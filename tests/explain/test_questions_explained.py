"""Multi-label and regression networks explained where the truth is planted: which voxels, which concept, how much."""

import json
from dataclasses import replace

import numpy as np
import pytest

import voxplain as vx
from question_nets import GRID, count_model, label_model, speed_model
from voxplain.concepts.cluster import KMeans
from voxplain.concepts.evaluate import AddRemove
from voxplain.datasets.planted import PlantedAnswer, planted_answers, render, without
from voxplain.model import VideoModel, narrow
from voxplain.perturb import FILLS
from voxplain.segment import Grid

TINY = vx.ConceptSettings(
    segmenter=Grid(cells=((2, 6, 6),)),
    clusterer=KMeans(clusters=3),
    keep=3,
    unrelated_crops=12,
    random_sets=4,
    evaluation=AddRemove(steps=2, draws=2, matched=1),
)
METHODS = ("occlusion", "supervoxel_occlusion", "rise", "input_x_gradient", "lrp_epsilon", "grad_cam", "kernel_shap")


def inside(values: np.ndarray, mask: np.ndarray) -> float:
    """Share of the positive part of a map that lies in a mask, over the mask's share of the voxels."""
    positive = np.maximum(values, 0)
    return float(positive[mask].sum() / max(positive.sum(), 1e-12) / mask.mean())


def of_shape(planted: PlantedAnswer, shape: str) -> np.ndarray:
    """Voxels of all objects of a shape."""
    masks = [m for name, m in planted.masks().items() if name.startswith(shape)]
    return np.any(masks, axis=0) if masks else np.zeros(GRID, bool)


def with_answer(question: str, keep, count: int, seed: int = 0) -> list[PlantedAnswer]:
    return [p for p in planted_answers(question, 6 * count, seed=seed) if keep(p)][:count]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("model", "question", "target", "shape"),
    [
        (label_model(), "labels", "square", "square"),
        (count_model(), "count", "rise", "disk"),
        (speed_model(), "speed", None, "disk"),
    ],
)
def test_maps_show_what_the_answer_depends_on(name, model, question, target, shape):
    if name not in vx.ATTRIBUTIONS:
        pytest.skip("not registered")
    (planted,) = with_answer(question, lambda p: of_shape(p, shape).any() and len(p.scene.objects) > 1, 1)
    heat = vx.ATTRIBUTIONS[name]()(model, planted.clip, target)
    assert heat.notes == ()
    if name == "rise":  # of few samples, whose level is that of the clip as a whole
        heat = replace(heat, values=heat.values - heat.values.mean())
    assert inside(heat.values, of_shape(planted, shape)) > (1.2 if name in ("rise", "grad_cam") else 3)


def test_effects_of_a_quantity_are_in_its_own_unit():
    """Hiding one disk costs what rendering the clip without it costs: one disk."""
    model, target = narrow(count_model(), "rise")
    (planted,) = with_answer("count", lambda p: p.answer[0] == 3, 1)
    disk = next(thing.name for thing in planted.scene.objects if thing.shape == "disk")
    truth = model.logits(np.stack([planted.clip.frames, render(without(planted.scene, disk), codec=False)]))[:, 0]
    assert float(truth[0] - truth[1]) == pytest.approx(1, abs=0.1)
    assert set(FILLS) >= {"median"}
    heat = vx.Occlusion(fill="median")(model, planted.clip, target)
    whole = vx.Insertion(steps=8, fill="median")(model, planted.clip, heat)
    assert whole.details["end"] == pytest.approx(float(truth[0]), abs=1e-4)
    assert whole.details["start"] == pytest.approx(0, abs=0.05)
    assert whole.value > 1.5, "most of the three disks come first"


def explained(model: VideoModel, question: str, shape: str, target: str, unrelated: list[PlantedAnswer]):
    found = with_answer(question, lambda p: of_shape(p, shape).any(), 10)
    held = with_answer(question, lambda p: of_shape(p, shape).any(), 6, seed=5)
    run = vx.explain_concepts(
        model, [p.clip for p in found], random=[p.clip for p in unrelated], target=target, settings=TINY
    )
    return found, vx.evaluate_concepts(run, [p.clip for p in held])


@pytest.mark.parametrize(
    ("model", "question", "shape", "target"),
    [(count_model(), "count", "disk", "rise of disks"), (label_model(), "labels", "square", "square")],
)
def test_the_first_concept_is_what_the_answer_depends_on(model, question, shape, target, tmp_path):
    unrelated = with_answer(question, lambda p: not of_shape(p, shape).any(), 12, seed=9)
    found, run = explained(model, question, shape, target, unrelated)
    top = int(run.order[0])
    recall = []
    for planted, supervoxels, assigned in zip(found, run.supervoxels, run.assigned, strict=True):
        mask = supervoxels.masks(np.flatnonzero(assigned == top))
        mask = mask if mask.ndim == 3 else mask.any(0)
        truth = of_shape(planted, shape)
        recall.append(float((mask & truth).sum() / truth.sum()))
    assert np.mean(recall) > 0.8
    assert run.recognition.holds, run.recognition
    assert run.target == target
    drop = float(np.nan_to_num(run.effects.drop(0)[:, top]).mean())
    if run.quantity:  # disks lost when the disks are hidden
        assert drop == pytest.approx(np.mean([p.answer[0] for p in found]), rel=0.35)
        assert "disks" in run.units
        assert {t.measure for t in run.evaluation.order_tests} == {"output"}
    else:
        assert drop > 3, "log-odds of the label's own logit"
        assert run.classes == ("square", "not square")
    page = vx.write_report(run, tmp_path / "report.html").read_text()
    words = page.partition("<h2>How it was made")[0]  # not the script behind it
    assert words != page
    assert ("log-odds" in words) != run.quantity
    assert words.count('<svg class="chart"') == 4
    assert ("Concepts added to a blank clip: output" in words) == run.quantity
    assert ("One test clip, step by step" in words) == bool(run.evaluation.explored)
    json.dumps(vx.table_json(run))
    vx.save_run(tmp_path, run)
    again = vx.load_run(tmp_path)
    assert (again.target, again.quantity, again.units) == (run.target, run.quantity, run.units)
    wide = vx.evaluate_concepts(again, [p.clip for p in found[:4]], model=model)
    assert wide.evaluation is not None
