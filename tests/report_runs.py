"""A small run made by hand, with names that would break a page that does not escape them."""

from dataclasses import replace

import numpy as np

from voxplain.concepts.cav import CAVs
from voxplain.concepts.clip_exploration import ExploredClip
from voxplain.concepts.concept_run import ConceptRun, EvaluationRun
from voxplain.concepts.discover import ConceptBank
from voxplain.concepts.effect import Effects
from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.concepts.order_tests import OrderTest
from voxplain.concepts.rank import ConceptScores
from voxplain.concepts.warnings import RunWarning
from voxplain.segment import Supervoxels
from voxplain.video import Clip

NASTY = (
    "<script>alert(1)</script>.mp4",
    '"><img src=x onerror="alert(2)">.mp4',
    "{{ 7 * 7 }} & 'co'.mp4",
    "动作\udcff.avi",
)
TARGET = "<b>bend & [red]back</b>"
CLASSES, GRID = 4, (5, 12, 10)
DRAWS, STEPS, VIDEOS = 6, 5, 7  # steps: q = 0 … 3, then all


def make_clips() -> tuple[Clip, ...]:
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (len(NASTY), *GRID, 3), dtype=np.uint8)
    return tuple(
        Clip(f, np.arange(GRID[0]) / 25, f"/data/a b/{name}", 0) for f, name in zip(frames, NASTY, strict=True)
    )


def make_supervoxels(seed: int) -> Supervoxels:
    """Two levels: halves, then a small box that grows in time within a rest."""
    coarse = np.zeros(GRID, int)
    coarse[:, :, 5:] = 1
    fine = np.zeros(GRID, int)
    for t in range(GRID[0]):
        fine[t, 2 : 4 + (t + seed) % GRID[0], 3:7] = 1
    return Supervoxels.from_levels([coarse, fine])


def make_scores(name: str, value: list[float], q: list[float], chance: float, null: int) -> ConceptScores:
    rng = np.random.default_rng(2)
    k, middle = len(value), np.array(value)
    return ConceptScores(
        name,
        0,
        rng.normal(size=(k, 4)).astype(np.float32),
        middle,
        rng.normal(size=null).astype(np.float32),
        np.stack([middle - 0.125, middle + 0.25], 1),
        np.array(q) / 2,
        np.array(q),
        np.zeros(k),
        chance,
        middle - chance,
        np.stack([middle - chance - 0.5, middle - chance + 0.75], 1),
    )


def make_steps(kind: str) -> AddRemoveCurves:
    rng = np.random.default_rng(3 if kind == "adding" else 4)
    names = ("top", "least", *(f"random{i}" for i in range(DRAWS)))
    o = len(names)
    return AddRemoveCurves(
        kind,
        names,
        rng.normal(size=(o, VIDEOS, STEPS, CLASSES)).astype(np.float32),
        np.sort(rng.random((o, VIDEOS, STEPS)), -1).astype(np.float32),
        rng.normal(size=(VIDEOS, STEPS, CLASSES)).astype(np.float32),
        rng.random((VIDEOS, STEPS)).astype(np.float32),
        np.zeros(VIDEOS, np.int64),
        rng.normal(size=(VIDEOS, CLASSES)).astype(np.float32),
    )


def make_evaluation() -> EvaluationRun:
    order_tests = (
        OrderTest("adding", "least", "accuracy", 0.125, 0.05, 0.2, 0.012),
        OrderTest("adding", "matched", "log_odds", 0.4, -0.1, 0.9, 0.2),
        OrderTest("removing", "random", "accuracy", -0.25, -0.5, -0.125, 0.001),
    )
    return EvaluationRun(make_steps("adding"), make_steps("removing"), order_tests)


def make_run() -> ConceptRun:
    """Three concepts in four clips; concept 1 ranks first, then 2, then 0."""
    rng = np.random.default_rng(0)
    clips, parts = make_clips(), tuple(make_supervoxels(i) for i in range(len(NASTY)))
    origin = np.array([(c, s) for c in range(len(clips)) for s in range(4)])
    members = (np.array([0, 1, 4, 5]), np.array([3, 2, 1, 7, 11, 6]), np.array([13]))
    k, m = len(members), len(clips)
    bank = ConceptBank(
        rng.normal(size=(k, 6)).astype(np.float32),
        members,
        tuple(np.arange(len(x), dtype=np.float32) for x in members),
        np.array([9, 8, 7]),
        np.array([4, 3, 1]),
        "KMeans(clusters=3)",
        np.full(k, np.inf, np.float32),
        np.full(k, np.nan, np.float32),
    )
    vectors = rng.normal(size=(k, 5, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    hidden = rng.normal(size=(m, k, CLASSES)).astype(np.float32)
    hidden[..., 0] -= 9  # hiding any concept lowers the class
    hidden[0, 2] = np.nan
    base = rng.normal(size=(m, CLASSES)).astype(np.float32)
    effects = Effects(base, hidden, hidden, hidden, base, rng.random((m, k)).astype(np.float32))
    scores = {
        "effect": make_scores("effect (drop)", [0.5, 2.5, 1.5], [0.9, 0.01, 0.2], 0.0, 0),
        "tcav": make_scores("tcav (sign_count, log_odds)", [0.25, 1 / 3, 0.75], [0.04, 0.5, np.nan], 0.5, 12),
    }
    return ConceptRun(
        target=TARGET,
        target_index=0,
        layer="blocks.<5>",
        network="net&co",
        classes=("a", "b", "c", "d"),
        preset="default",
        parameters={"segmenter": {"method": "SLIC", "segments": (15, 50)}, "note": "</pre><script>alert(3)</script>"},
        provenance={"voxplain": "0.1.0", "weights": "sha256:00", "videos": {c.source: "ab" for c in clips}},
        clips=clips,
        supervoxels=parts,
        origin=origin,
        assigned=tuple(np.zeros(4, np.int64) for _ in clips),
        bank=bank,
        cavs=CAVs(vectors, rng.random((k, 5)).astype(np.float32), "blocks.<5>"),
        alignment=0.1,
        effects=effects,
        scores=scores,
        ranking="effect",
        warnings=(RunWarning("leaked", "few <videos>"),),
        skipped=((NASTY[1], "no frame <decoded>"),),
    )


def make_probed(run: ConceptRun) -> ExploredClip:
    """The first clip taken apart: concepts 1 and 2 can be switched, 0 is there too."""
    rng = np.random.default_rng(5)
    switched = rng.normal(size=(4, CLASSES)).astype(np.float32)
    return ExploredClip(
        run.clips[0],
        run.supervoxels[0],
        np.array([0, 1, 2, 1]),
        2,
        "mean",
        np.array([40, 80, 120], np.uint8),
        switched[0],
        rng.normal(size=CLASSES).astype(np.float32),
        rng.normal(size=(3, CLASSES)).astype(np.float32),
        np.array([1, 2]),
        switched,
    )


def quantity(steps: AddRemoveCurves) -> AddRemoveCurves:
    """The first logit, times 40 and below zero in part, as the one output of a network."""
    rest = {n: 40 * getattr(steps, n)[..., :1] for n in ("logits", "matched", "unmodified")}
    return replace(steps, **rest, truth=np.zeros_like(steps.truth))


def quantity_run(run: ConceptRun) -> ConceptRun:
    """An evaluated run as that of a network with one output, 40 times the first logit, in pixels."""
    evaluation, effects = run.evaluation, run.effects
    assert evaluation is not None
    parts = ("unmodified", "blank", "hidden", "switched")
    explored = tuple(replace(e, **{n: 40 * getattr(e, n)[..., :1] for n in parts}) for e in evaluation.explored)
    outputs = {n: 40 * getattr(effects, n)[..., :1] for n in ("base", "hidden", "control", "alone", "blank")}
    both = {n: quantity(getattr(evaluation, n)) for n in ("adding", "removing")}
    return replace(
        run,
        target="rise of speed",
        classes=("rise of speed",),
        units="px",
        effects=replace(effects, **outputs),
        evaluation=replace(evaluation, explored=explored, **both),
    )


def make_evaluated_run() -> ConceptRun:
    run = make_run()
    return replace(run, evaluation=replace(make_evaluation(), explored=(make_probed(run),)))
