"""Warnings: each given on one side of its threshold and not on the other; every threshold in one module."""

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from torch import nn

import voxplain
from report_runs import make_run
from voxplain.concepts import warnings
from voxplain.concepts.cav import CAVs
from voxplain.concepts.description import Stability
from voxplain.concepts.evaluate import AddRemove, AddRemoveCurves
from voxplain.concepts.features import MaskedCrops
from voxplain.concepts.recognition import Recognition
from voxplain.concepts.settings import ConceptSettings
from voxplain.concepts.warnings import RunWarning
from voxplain.datasets.duplicates import distinct_clips
from voxplain.model import VideoModel
from voxplain.video import Clip

SETTINGS = ConceptSettings()
SIGN = replace(SETTINGS, tcav="sign_count", objective="logit")


def flat(value: int) -> Clip:
    return Clip(np.full((4, 8, 8, 3), value, np.uint8), np.arange(4) / 25, f"{value}.mp4")


COPIED = distinct_clips([flat(0), flat(0)])
DISTINCT = distinct_clips([flat(90), flat(200)])
ALIKE = distinct_clips([flat(0), flat(2), flat(200)])


def stopped(**changes) -> RunWarning:
    given = {"videos": 4, "total": 9, "used": "2 s", "limit": "3 s", "more": "5 s", "stable": False, "single": False}
    return warnings.budget(Stability(0.5, 0.25), **{**given, **changes})


def adding(right: np.ndarray) -> AddRemoveCurves:
    """Two orders, ten videos of class 0 of 2, steps q = 0 … 3 and all; ``right`` bool [5] says what is recognised."""
    logits = np.zeros((2, 10, 5, 2), np.float32)
    logits[..., 1] = np.where(right, -1, 1)
    flat = logits[0].copy()
    return AddRemoveCurves(
        "adding",
        ("top", "least"),
        logits,
        np.zeros((2, 10, 5), np.float32),
        flat,
        np.zeros((10, 5), np.float32),
        np.zeros(10, np.int64),
        flat[:, -1],
    )


def recognised(p: float) -> Recognition:
    return Recognition(9, 9, 9, 0, 5.0, 3.0, 7.0, p)


CAVS = CAVs(np.eye(2, dtype=np.float32)[:, None], np.ones((2, 1), np.float32), "pool")
CAVS_LOST = CAVs(*(np.stack([x[0], x[1] * np.nan]) for x in (CAVS.vectors, CAVS.accuracy)), "pool")

CLASSIFIER = VideoModel(nn.Flatten(), grid=(2, 2, 2), layer="", task="classification", probabilities=False)

CASES = [
    (
        "class_not_predicted",
        lambda: warnings.class_not_predicted(0.49, "a"),
        lambda: warnings.class_not_predicted(0.5, "a"),
    ),
    (
        "class_not_recognised",
        lambda: warnings.class_not_recognised(recognised(0.05), "a"),
        lambda: warnings.class_not_recognised(recognised(0.049), "a"),
    ),
    (
        "class_not_recognised",
        lambda: warnings.class_not_recognised(recognised(0.5), "a"),
        lambda: warnings.class_not_recognised(None, "a"),
    ),
    ("few_videos", lambda: warnings.few_videos(19, 19), lambda: warnings.few_videos(20, 20)),
    ("aligned_cavs", lambda: warnings.aligned_cavs(0.51), lambda: warnings.aligned_cavs(0.5)),
    (
        "clip_dependence",
        lambda: warnings.clip_dependence(warnings.CLIP_DEPENDENCE + 0.01),
        lambda: warnings.clip_dependence(warnings.CLIP_DEPENDENCE),
    ),
    ("clip_dependence", lambda: warnings.clip_dependence(1.0), lambda: warnings.clip_dependence(float("nan"))),
    ("poor_cavs", lambda: warnings.poor_cavs(0.69), lambda: warnings.poor_cavs(0.7)),
    ("poor_cavs", lambda: warnings.poor_cavs(0.69), lambda: warnings.poor_cavs(float("nan"))),
    ("aligned_cavs", lambda: warnings.aligned_cavs(0.51), lambda: warnings.aligned_cavs(float("nan"))),
    (
        "like_labels",
        lambda: warnings.like_labels(CLASSIFIER, np.full((3, 2), 0.7, np.float32)),
        lambda: warnings.like_labels(CLASSIFIER, np.array([[0.7, 0.7], [0.7, 1.1]], np.float32)),
    ),
    (
        "like_labels",
        lambda: warnings.like_labels(CLASSIFIER, np.full((3, 2), 0.7, np.float32)),
        lambda: warnings.like_labels(replace(CLASSIFIER, task="multilabel"), np.full((3, 2), 0.7, np.float32)),
    ),
    ("no_direction", lambda: warnings.no_direction(CAVS_LOST, 2), lambda: warnings.no_direction(CAVS, 2)),
    ("no_direction", lambda: warnings.no_direction(CAVS, 1), lambda: warnings.no_direction(CAVS, 2)),
    ("linear_head", lambda: warnings.linear_head(SIGN, True), lambda: warnings.linear_head(SIGN, False)),
    ("linear_head", lambda: warnings.linear_head(SIGN, True), lambda: warnings.linear_head(SETTINGS, True)),
    ("leaked", lambda: warnings.leaked(1, 3), lambda: warnings.leaked(0, 3)),
    ("duplicates", lambda: warnings.duplicates(COPIED, "clips"), lambda: warnings.duplicates(DISTINCT, "clips")),
    ("near_duplicates", lambda: warnings.near_duplicates(ALIKE, "x"), lambda: warnings.near_duplicates(DISTINCT, "x")),
    (
        "like_unrelated",
        lambda: warnings.like_unrelated(COPIED, ALIKE, "a"),
        lambda: warnings.like_unrelated(COPIED, DISTINCT, "a"),
    ),
    (
        "damaged",
        lambda: warnings.damaged(replace(DISTINCT, damaged=(("a.mp4", 3),)), "test videos"),
        lambda: warnings.damaged(DISTINCT, "test videos"),
    ),
    ("near_leaked", lambda: warnings.near_leaked(["a.mp4"], 3), lambda: warnings.near_leaked([], 3)),
    (
        "fill_not_recognised",
        lambda: warnings.fill_not_recognised(adding(np.array([0, 0, 0, 0, 1], bool)), AddRemove()),
        lambda: warnings.fill_not_recognised(adding(np.array([0, 0, 0, 1, 1], bool)), AddRemove()),
    ),
    # The network does not recognise the class at all: the fill is not to blame.
    (
        "fill_not_recognised",
        lambda: warnings.fill_not_recognised(adding(np.array([0, 0, 0, 0, 1], bool)), AddRemove()),
        lambda: warnings.fill_not_recognised(adding(np.array([0, 0, 0, 0, 0], bool)), AddRemove()),
    ),
    (
        "unstable_ranking",
        lambda: warnings.unstable_ranking(Stability(0.79, 1), "clips"),
        lambda: warnings.unstable_ranking(Stability(0.8, 0.8), "clips"),
    ),
    (
        "unstable_ranking",
        lambda: warnings.unstable_ranking(Stability(1, 0.79), "clips"),
        lambda: warnings.unstable_ranking(Stability(1, 1), "clips"),
    ),
    ("not_evaluated", lambda: warnings.not_evaluated(0), lambda: warnings.not_evaluated(1)),
]


@pytest.mark.parametrize(("code", "given", "absent"), CASES)
def test_each_warning_is_given_on_one_side_of_its_threshold(code, given, absent):
    warning = given()
    assert warning.code == code
    assert str(warning) == warning.message
    assert not warning.message.endswith(".")
    assert absent() is None


def test_every_code_has_a_function_of_its_name():
    assert all(callable(getattr(warnings, code)) for code in get_args(warnings.WarningCode))


@pytest.mark.parametrize(
    ("videos", "said"),
    [
        (5, "only 5 videos of the class: intervals are wide"),  # 1/32 < 0.05
        (4, "and no direct effect can be significant"),
    ],
)
def test_few_videos_say_whether_any_concept_can_be_significant(videos, said):
    assert warnings.few_videos(videos, videos).message.endswith(said)


def test_a_budget_says_why_it_ended():
    assert stopped(videos=9).message.startswith("all 9 videos were used within the time given (2 s; the same concept")
    assert stopped(stable=True).message.startswith("stopped early: the ranking is stable after 4 of 9 videos in 2 s")
    late = stopped(single=True).message
    assert late.startswith("the time of 3 s is spent (the smallest round takes longer than that) after 4 of 9 videos")
    assert late.endswith("all 9 would take about 5 s more and narrow the intervals by about 33 %")


def test_a_run_collects_its_warnings_in_order():
    run = make_run()
    wrong = np.zeros_like(run.effects.base)
    wrong[:, 1] = 9
    run = replace(run, effects=replace(run.effects, base=wrong), alignment=0.9, recognition=recognised(1.0))
    found = warnings.of_run(run, SIGN, linear=True)
    codes = [w.code for w in found]
    assert codes[:2] == ["class_not_predicted", "class_not_recognised"]
    assert {"few_videos", "aligned_cavs", "linear_head"} <= set(codes)
    assert len(codes) == len(set(codes))


def test_only_an_embedder_with_layers_to_choose_is_warned_of_dependence_on_clips():
    run = replace(make_run(), clip_dependence=0.99)
    assert "clip_dependence" in {w.code for w in warnings.of_run(run, SETTINGS)}
    assert "clip_dependence" not in {w.code for w in warnings.of_run(run, replace(SETTINGS, embedder=MaskedCrops()))}


def test_thresholds_are_compared_with_in_one_module():
    """No other module that warns or draws compares with a number of `warnings`, nor with 0.05."""
    root = Path(voxplain.__file__).parent
    values = {v for name, v in vars(warnings).items() if name.isupper() and type(v) in (int, float)} - {3, 4}
    assert {0.05, 0.5, 0.7, 0.8, 20} <= values
    numbers = "|".join(sorted(re.escape(f"{v:g}") for v in values))
    pattern = re.compile(rf"(?<![<>])[<>]=? (?:{numbers})(?![\d.])")
    places = ["explain/*.py", "report/**/*.py", "experiments/*.py", "benchmark/*.py", "concepts/concept_run.py"]
    paths = [path for place in places for path in sorted(root.glob(place))]
    assert len(paths) > 20
    allowed = {"sentences.py: < 0.05", "budget.py: >= 0.5"}  # rounding of a percentage; a Jaccard index
    code = {path: re.sub(r'"""[\s\S]*?"""|"[^"\n]*"|#[^\n]*', "", path.read_text()) for path in paths}
    found = {f"{path.name}: {hit}" for path, text in code.items() for hit in pattern.findall(text)}
    assert found <= allowed
