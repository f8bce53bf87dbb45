"""Figures of real sets: parts of a set, near copies and the person's overlap, counted by hand on a run made here."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import truth_real
from report_runs import make_run, make_steps
from truth_real import (
    REAL,
    _only,
    area,
    before_all,
    curves_of,
    missing,
    near_copies,
    person_figures,
    report_real,
    saved_curves,
)
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.order_tests import order_test
from voxplain.datasets import VideoSet
from voxplain.segment import Supervoxels


def run_of(concepts: list[int], centers: list[list[float]]) -> ConceptRun:
    """A run in which supervoxel i of every clip is of concept ``concepts[i]``."""
    run = make_run()
    quarters = np.zeros((1, *run.clips[0].frames.shape[:3]), np.int16)
    h, w = (n // 2 for n in quarters.shape[2:])
    quarters[:, :, h:] += 1
    quarters[:, :, :, w:] += 2
    return replace(
        run,
        supervoxels=tuple(Supervoxels(quarters) for _ in run.clips),
        assigned=tuple(np.array(concepts) for _ in run.clips),
        bank=replace(run.bank, centers=np.float32(centers)),
    )


def test_classes_that_are_left_out_leave_no_gap_in_the_labels():
    videos = VideoSet(("a", "b", "c"), tuple(Path(f"{i}.mp4") for i in range(5)), np.array([0, 1, 2, 2, 0]))
    found = _only(videos, np.array([0, 2]))
    assert (found.classes, found.labels.tolist()) == (("a", "c"), [0, 1, 1, 0])
    assert [p.stem for p in found.paths] == ["0", "2", "3", "4"]


def test_near_copies_are_counted_by_direction():
    apart = run_of([0, 1, 2, 2], [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert near_copies(apart) == 0
    near = run_of([0, 1, 2, 2], [[1, 0, 0], [2, 0.1, 0], [0, 0, 1]])
    assert near_copies(near) == pytest.approx(2 / 3)


def test_the_overlap_with_the_person_is_that_of_the_concept_on_top():
    run = run_of([0, 1, 1, 2], [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    top, other = ([s.masks(np.array(ids)) for s in run.supervoxels] for ids in ([1, 2], [0]))  # concept 1 ranks first
    assert not any((a & b).any() for a, b in zip(top, other, strict=True))
    found = person_figures(run, top)
    assert (found["person_iou"], found["person_recall"], found["person_precision"]) == (1, 1, 1)
    found = person_figures(run, other)
    assert (found["person_iou"], found["person_recall"], found["best_person_iou"]) == (0, 0, 1)


def test_curves_survive_json_and_give_the_same_areas():
    steps = make_steps("removing")
    again = curves_of(json.loads(json.dumps(saved_curves(steps))))
    for other in ("least", "matched", "least at equal coverage"):
        assert order_test(again, other).difference == pytest.approx(order_test(steps, other).difference, abs=1e-6)


def test_steps_at_which_all_concepts_are_in_are_left_out():
    steps = make_steps("adding")
    short = before_all(steps, concepts=2)  # only the first concept alone tells orders apart
    assert short.coverage.shape[2] == 3
    top, least = (steps.by_order(steps.right().astype(float))[name] for name in ("top", "least"))
    assert area([short, short], "least")[0] == pytest.approx((top - least)[:, 1].mean(), abs=1e-4)
    assert before_all(steps, concepts=99).coverage.shape == steps.coverage.shape


def test_the_summary_has_a_key_a_figure_with_every_set(capsys):
    curves = [saved_curves(make_steps(kind)) for kind in ("adding", "removing")]
    figures = {"near_copies": 0.25, "seed_iou": 0.9, "concepts": 3.0}
    classes = [{"label": str(i), "figures": figures, "curves": curves} for i in range(3)]
    result = {"case": "weizmann", "preset": "default", "accuracy": 0.8, "classes": classes}
    found = report_real([result])
    assert found["real_near_copies"] == {"weizmann": [0.25, 0.25, 0.25]}
    assert found["real_seed_iou"]["weizmann"][0] == 0.9
    assert len(found["real_areas"]["weizmann"]) == len(found["real_areas_before_all"]["weizmann"]) == 6
    alone = order_test(make_steps("adding"), "least")
    assert found["real_areas"]["weizmann"]["adding_least"][0] == pytest.approx(alone.difference, abs=1e-4)
    assert "3 classes" in capsys.readouterr().out


def test_a_set_that_is_absent_is_named_with_the_variable_to_set(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXPLAIN_DATA", str(tmp_path))
    assert "VOXPLAIN_DATA" in str(missing(REAL[0]))
    for folder in (REAL[0].folder, "unrelated"):
        (tmp_path / folder).mkdir()
    assert missing(REAL[0]) is None
    assert truth_real.data_folder() == tmp_path
