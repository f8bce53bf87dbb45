"""Explaining within a time: when it stops, what it says, and that the same videos give the same run."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

import voxplain as vx
from voxplain.cli.concept_job import run_job
from voxplain.cli.execution import read_duration
from voxplain.cli.job import Job
from voxplain.cli.network import Network
from voxplain.concepts.cluster import KMeans
from voxplain.errors import DataError
from voxplain.explain import Budget, explain_within_budget
from voxplain.explain.budget import same_concept
from voxplain.segment import SLIC

SETTINGS = vx.ConceptSettings(
    segmenter=SLIC(segments=(4, 8)), clusterer=KMeans(clusters=3), keep=3, unrelated_crops=12, random_sets=4
)


@pytest.fixture(scope="module")
def clips(small_set: Path) -> dict[str, list[vx.Clip]]:
    reader = vx.load_model("planted").reader()
    own = [
        *vx.read_clips(small_set / "train/cross", reader).clips,
        *vx.read_clips(small_set / "test/cross", reader).clips,
    ]
    return {"own": own, "random": list(vx.read_clips(small_set / "unrelated", reader).clips)}


def explained(clips: dict[str, list[vx.Clip]], budget: Budget, store: Path, tick: float) -> vx.ConceptRun:
    """With a clock that moves ``tick`` seconds each time it is asked."""
    ticks = count()
    return explain_within_budget(
        budget,
        vx.load_model("planted"),
        clips["own"],
        random=clips["random"],
        target="cross",
        settings=SETTINGS,
        store=store,
        clock=lambda: tick * next(ticks),
    )


NEVER = {"top": 2.0}  # no ranking is as stable as that
AT_ONCE = {"top": 0.0, "correlation": -1.0}


def test_all_videos_when_there_is_time(clips: dict[str, list[vx.Clip]], tmp_path: Path) -> None:
    run = explained(clips, Budget(1e6, first=2, **NEVER), tmp_path, 1.0)
    assert len(run.clips) == 6
    assert [r["videos"] for r in run.parameters["budget"]["rounds"]] == [2, 4, 6]
    assert run.warnings[-1].message.startswith("all 6 videos were used")
    order = np.random.default_rng((0, 17)).permutation(6)
    assert [c.source for c in run.clips] == [clips["own"][i].source for i in order]
    whole = vx.explain_concepts(
        vx.load_model("planted"),
        [clips["own"][i] for i in order],
        random=clips["random"],
        target="cross",
        settings=SETTINGS,
        store=tmp_path / "another",
    )
    np.testing.assert_array_equal(whole.scores["effect"].scores, run.scores["effect"].scores)
    np.testing.assert_array_equal(whole.cavs.vectors, run.cavs.vectors)


def test_a_spent_time_stops_it(clips: dict[str, list[vx.Clip]], tmp_path: Path) -> None:
    run = explained(clips, Budget(3.0, first=2, **NEVER), tmp_path, 1.0)
    assert len(run.clips) == 2
    said = run.warnings[-1].message
    assert "the time of 3 s is spent after 2 of 6 videos" in said
    assert "all 6 would take about" in said
    assert "narrow the intervals by about 42 %" in said  # 1 − √(2/6)
    late = explained(clips, Budget(1.0, first=2, **NEVER), tmp_path, 1.0)
    assert "(the smallest round takes longer than that)" in late.warnings[-1].message


def test_a_stable_ranking_stops_it(clips: dict[str, list[vx.Clip]], tmp_path: Path) -> None:
    run = explained(clips, Budget(1e6, first=2, growth=1.5, **AT_ONCE), tmp_path, 1.0)
    rounds = run.parameters["budget"]["rounds"]
    assert not rounds[0]["same_top"]  # nothing to agree with yet
    assert rounds[-1]["same_top"] or rounds[-1]["videos"] == 6
    assert [r["same_top"] for r in rounds[:-1]] == [False] * (len(rounds) - 1)
    if rounds[-1]["videos"] < 6:
        assert "stopped early: the ranking is stable" in run.warnings[-1].message


def test_the_same_concept_is_the_same_voxels(clips: dict[str, list[vx.Clip]], tmp_path: Path) -> None:
    run = explained(clips, Budget(1e6, first=6, **NEVER), tmp_path, 1.0)
    assert same_concept(run, run)
    top = int(run.order[0])
    elsewhere = replace(run, assigned=tuple(np.where(a == top, (top + 1) % len(run.bank), top) for a in run.assigned))
    assert not same_concept(run, elsewhere)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("1.5h", 5400)])
def test_spans(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["5", "m", "0s", "-3m", "5 min", ""])
def test_wrong_spans(text: str) -> None:
    with pytest.raises(DataError, match="expected a time such as 90s, 5m or 2h"):
        read_duration(text)


def test_wrong_budgets() -> None:
    for wrong in ({"seconds": 0}, {"first": 1}, {"growth": 1.0}, {"unrelated": 3}):
        with pytest.raises(DataError, match="expected a time above 0"):
            Budget(**{"seconds": 1.0, **wrong})


def test_classes_and_layers_share_the_time(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clips: dict[str, list[vx.Clip]]
) -> None:
    """A clock that stands still: each gets what is left over those to come."""
    given: list[float] = []
    done = explained(clips, Budget(1e6, first=6, **NEVER), tmp_path / "done", 1.0)

    def within(budget: Budget, model: vx.VideoModel, *_: object, target: str, **__: object) -> vx.ConceptRun:
        given.append(budget.seconds)
        return replace(done, target=target, layer=model.layer)

    monkeypatch.setattr("voxplain.cli.concept_job.explain_within_budget", within)
    monkeypatch.setattr("voxplain.cli.concept_job.time.monotonic", lambda: 0.0)
    job = Job(
        small_set,
        small_set / "unrelated",
        tmp_path / "run",
        ("cross", "orbit"),
        Network(net="planted", layer=("pool", "block3")),
        SETTINGS,
        "default",
        budget=120.0,
    )
    run_job(job, evaluate=False)
    assert given == pytest.approx([120 / 4, 120 / 3, 120 / 2, 120])
