"""The audit of a network of which everything is known: red clips with a white corner are taken for green."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import audit_world as world
import voxplain as vx
from voxplain.audits import ClassAudit
from voxplain.concepts.effect import concept_mask
from voxplain.corrections.improve import audited_suspects
from voxplain.datasets import scan_folder
from voxplain.errors import DataError, ModelError

RED, GREEN, MARKED = 26, 10, 8
PLANTED = {f"{i:02d}" for i in range(MARKED)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.videos(tmp_path_factory.mktemp("audit") / "data", RED, GREEN, MARKED)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit-store")


def audited(folder: Path | vx.VideoSet, **options: object) -> vx.AuditRun:
    given = {"settings": world.SETTINGS, "measures": world.MEASURES, **options}
    return vx.audit(world.model(), folder, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found(folder: Path, store: Path) -> vx.AuditRun:
    return audited(folder, store=store)


def names(own: ClassAudit) -> list[str]:
    return [Path(source).name for source in own.sources]


@pytest.fixture(scope="module")
def corner(found: vx.AuditRun) -> int:
    """The concept that covers the white corner best, over the marked clips."""
    red = found.runs[1]
    overlap = np.zeros(len(red.bank))
    for i in np.flatnonzero([name in PLANTED for name in names(found.classes[1])]):
        truth = (red.clips[i].frames >= 200).all(3)
        for k in range(len(red.bank)):
            mask = concept_mask(red.supervoxels[i], red.assigned[i], k)
            overlap[k] += (mask & truth).sum() / (mask | truth).sum() / MARKED
    assert overlap.max() > 0.3
    return int(overlap.argmax())


def test_accuracy_and_confusion_are_counted(found: vx.AuditRun) -> None:
    green, red = found.classes
    assert (red.clips, red.right, red.predicted_as) == (RED, RED - MARKED, (("green", MARKED),))
    assert (green.clips, green.right, green.predicted_as) == (GREEN, GREEN, ())
    assert {Path(s).name for s, w in zip(red.sources, red.wrong, strict=True) if w} == {
        f"{i:02d}" for i in range(MARKED)
    }
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.confused, pair.reverse) == ("red", "green", MARKED, 0)
    assert pair.rate == MARKED / (RED + GREEN)


def test_a_class_rests_on_its_square(found: vx.AuditRun) -> None:
    for own in found.classes:
        assert own.rests_on == "moving thing"
        assert own.share("moving thing") > 0.8
        assert own.share("scene") < 0.3
        assert own.recognised
        assert own.change is not None
        assert max(own.change.frozen[0], own.change.shuffled[0]) < 0.1, "colours do not depend on motion"
        assert own.suspects == ()


def test_the_corner_marks_the_wrong_clips_and_hiding_it_corrects_them(found: vx.AuditRun, corner: int) -> None:
    red = found.of_class("red")
    test = next(t for t in red.presence if t.concept == corner)
    assert (test.wrong, test.right, test.more) == (1.0, 0.0, 1.0)
    assert test.q_value < 0.05
    first = red.causes[0]
    assert (first.concept, first.corrected, first.clips) == (corner, 1.0, MARKED)
    assert first.q_value < 0.05 < min(c.q_value for c in red.causes[1:])
    assert next(c.kind for c in red.concepts if c.concept == corner) == "overlay"


def test_the_first_slice_is_the_planted_one(found: vx.AuditRun, corner: int) -> None:
    red = found.of_class("red")
    first = red.slices[0]
    assert (first.present, first.absent, first.accuracy) == ((corner,), (), 0.0)
    assert first.taken_for == "green"
    assert first.repaired > 0.95
    assert {names(red)[i] for i in first.clips} == PLANTED
    assert first.q_value < 0.05


def test_the_difference_of_logits_is_explained_by_the_square(found: vx.AuditRun) -> None:
    (pair,) = found.pairs
    red, green = found.runs[1], found.runs[0]
    for own, run in ((pair.for_first, red), (pair.for_second, green)):
        y, other = run.target_index, 1 - run.target_index
        best = own[0]
        # Independent of the code under test: the mean loss over clips from the logits.
        lost = run.effects.base - run.effects.hidden[0, :, best.concept]
        lost = np.where(run.effects.volume[:, best.concept] > 0, lost[:, y] - lost[:, other], 0)
        assert best.value == pytest.approx(lost.mean(), rel=1e-5)
        assert best.low > 0


def test_adding_the_square_makes_the_class(found: vx.AuditRun) -> None:
    for own in found.classes:
        best = own.added[0]
        assert best.gain > 5
        assert best.q_value < 0.05
        assert best.hidden == pytest.approx(own.concepts[0].effect)


def test_a_second_audit_computes_nothing_and_gives_the_same_record(
    found: vx.AuditRun, folder: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused:
        workers = 1

        def __call__(self, task: object) -> object:
            raise AssertionError(f"computed again: {type(task).__name__}")

    again = audited(folder, store=store, executor=lambda model: Refused())
    vx.save_audit(tmp_path / "one", found)
    vx.save_audit(tmp_path / "two", again)
    one, two = ((tmp_path / name / "audit_run.json").read_bytes() for name in ("one", "two"))
    assert one == two
    loaded = vx.load_audit(tmp_path / "one")
    assert vx.audit_json(loaded) == vx.audit_json(found)
    assert loaded.classes[0].index == 0
    vx.save_audit(tmp_path / "three", loaded)
    assert (tmp_path / "three" / "audit_run.json").read_bytes() == one


@pytest.mark.slow
def test_shards_together_are_the_whole(folder: Path, tmp_path: Path) -> None:
    from voxplain.runtime import MissingShards, read_shard

    some = scan_folder(folder).select([*range(5), *range(GREEN, GREEN + 5)])
    done: list[vx.AuditRun] = []
    while len(done) < 2:  # each round ends where results of the other shard are missing
        before = len(list((tmp_path / "shards").rglob("*")))
        done = []
        for text in ("1/2", "2/2"):
            try:
                done.append(audited(some, store=tmp_path / "shards", shard=read_shard(text)))
            except MissingShards:
                continue
        assert len(done) == 2 or len(list((tmp_path / "shards").rglob("*"))) > before, "no shard went on"
    whole = audited(some, store=tmp_path / "whole")
    assert vx.audit_json(done[0])["classes"] == vx.audit_json(done[1])["classes"] == vx.audit_json(whole)["classes"]


def test_a_budget_that_is_over_names_what_it_left_out(folder: Path, tmp_path: Path) -> None:
    ticks = iter(range(10_000))
    found = audited(folder, store=tmp_path, budget=1.0, limit=9, clock=lambda: float(next(ticks)))
    assert all(any(own.label in what for what in found.left_out) for own in found.classes)
    assert all(own.kinds == () and own.concepts for own in found.classes)


def test_a_class_that_the_network_lacks_is_skipped(folder: Path) -> None:
    videos = scan_folder(folder)
    renamed = replace(videos, classes=("green", "crimson"))
    with pytest.raises(DataError, match="2 classes or more"):
        audited(renamed)


def test_a_network_without_classes_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="tells named classes apart"):
        vx.audit(replace(world.model(), classes=()), folder)


def test_suspects_of_an_audit_are_what_auto_removes(found: vx.AuditRun, tmp_path: Path) -> None:
    from voxplain.audits import Suspect

    red = found.runs[1]
    assert audited_suspects(tmp_path / "red", red) == (), "without an audit"
    vx.save_audit(tmp_path, found)
    with pytest.raises(DataError, match="suspects a concept"):
        audited_suspects(tmp_path / "red", red)
    marked = replace(found.classes[1], suspects=(Suspect(1, "overlay"),))
    vx.save_audit(tmp_path, replace(found, classes=(found.classes[0], marked)))
    assert audited_suspects(tmp_path / "red", red) == (1,)
