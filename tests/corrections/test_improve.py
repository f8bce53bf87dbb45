"""`improve` and its command on planted videos: whole, resumable, comparable, and weights that load again."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import voxplain as vx
from checked_pages import check_page
from voxplain.concepts.cluster import KMeans
from voxplain.corrections import ConceptSwap, improve
from voxplain.corrections.content_effect import Reliance
from voxplain.corrections.improve import suspected
from voxplain.errors import DataError, ModelError
from voxplain.nets import weights_digest
from voxplain.segment import SLIC
from voxplain.train.recipe import Recipe

TINY = vx.ConceptSettings(
    segmenter=SLIC(segments=(4, 8)), clusterer=KMeans(clusters=4), keep=3, unrelated_crops=12, random_sets=4
)
QUICK = ConceptSwap(recipe=Recipe(epochs=1, batch=4, lr=0.001, flip=0.0))


@pytest.fixture(scope="module")
def explained(small_set: Path):
    model = vx.load_model("planted")
    clips = vx.read_clips(small_set / "train" / "cross", model.reader()).clips
    unrelated = vx.read_clips(small_set / "unrelated", model.reader()).clips
    run = vx.explain_concepts(model, clips, random=unrelated, target="cross", settings=TINY)

    def located(self, model, clip):
        """Concept 0 in every second video, in a corner; concept 1 elsewhere."""
        corner = np.zeros(model.grid, bool)
        corner[:, -40:, :40] = True  # as large as a concept of the run
        return {0: corner, 1: ~corner} if int(Path(clip.source).stem) % 2 else {1: ~corner}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("voxplain.explain.concept_map.ConceptMap.locate", located)
        yield model, run, 0


@pytest.fixture(scope="module")
def improved(explained, small_set: Path, tmp_path_factory):
    model, run, concept = explained
    folder = tmp_path_factory.mktemp("improved")
    before = weights_digest(model.net)
    found = improve(model, run, data=small_set, remove=[concept], method=QUICK, seeds=2, output=folder)
    assert weights_digest(model.net) == before
    return found, folder


def test_all_networks_are_compared(improved):
    found, _ = improved
    assert [row.network for row in found.rows] == ["original", "further", "random", "corrected"]
    assert all(0 <= row.accuracy <= 1 for row in found.rows)
    assert {(g.corrected, g.against) for g in found.gains} == {
        ("corrected", "original"),
        ("corrected", "further"),
        ("corrected", "random"),
        ("random", "further"),
    }
    assert "worst group" in repr(found)
    assert "corrected − random" in found.table()
    assert found.parameters["training_clips"] == 8
    assert found.parameters["test_clips"] == 4
    assert found.provenance["weights_before"] != found.provenance["weights_after"]


def test_the_weights_load_like_any_others(improved):
    found, folder = improved
    assert found.weights == folder / "weights.safetensors"
    again = vx.load_model("tiny", weights=found.weights)
    assert again.classes == found.model.classes
    assert weights_digest(again.net) == found.provenance["weights_after"]
    assert json.loads((folder / "improved.json").read_text())["networks"][0]["network"] == "original"


def test_a_second_run_trains_nothing(explained, improved, small_set, monkeypatch):
    model, run, concept = explained
    first, folder = improved
    monkeypatch.setattr("voxplain.corrections.pairs.fine_tune", None)
    monkeypatch.setattr("voxplain.corrections.further.fine_tune", None)
    again = improve(model, run, data=small_set, remove=[concept], method=QUICK, seeds=2, output=folder)
    assert again.record() == first.record()


def test_wrong_requests_are_one_sentence(explained, small_set):
    model, run, concept = explained
    for wrong in ({"remove": [99]}, {}, {"remove": [concept], "keep": [concept]}):
        with pytest.raises(DataError, match="expected different concepts"):
            improve(model, run, data=small_set, method=QUICK, **wrong)
    with pytest.raises(DataError, match="expected a correction of"):
        improve(model, run, data=small_set, remove=[concept], method="magic")
    with pytest.raises(DataError, match="1 seed or more"):
        improve(model, run, data=small_set, remove=[concept], seeds=0)
    other = vx.load_model("tiny", classes=model.classes)
    with pytest.raises(ModelError, match="got others"):
        improve(other, run, data=small_set, remove=[concept])


def test_suspected_concepts_are_significant_still_and_in_one_place(explained):
    _, run, _ = explained
    clips = [replace(c, frames=np.repeat(c.frames[:1], len(c.frames), 0)) for c in run.clips]
    with pytest.raises(DataError, match="expected a significant concept that is at one place"):
        suspected(replace(run, clips=clips, scores={run.ranking: replace_q(run.scores[run.ranking], 1.0)}))


def replace_q(scores, q):
    return replace(scores, q_value=np.full_like(scores.q_value, q))


def test_the_command_writes_weights(explained, small_set, tmp_path, capsys, monkeypatch):
    from voxplain.cli import main

    _, run, concept = explained
    vx.save_run(tmp_path / "run", run)
    words = ["improve", str(tmp_path / "run"), str(small_set), "--net", "planted", "--remove", str(concept)]
    words += ["--method", "p_clarc", "--seeds", "1", "-o", str(tmp_path / "better")]
    monkeypatch.setattr("sys.argv", ["voxplain", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert "p_clarc: conflicting" in capsys.readouterr().out
    assert (tmp_path / "better" / "weights.safetensors").exists()
    page = (tmp_path / "better" / "improved.html").read_text()
    assert "voxplain improve" in page
    check_page(tmp_path / "better" / "improved.html", small_set)
    times = json.loads((tmp_path / "better" / "times.json").read_text())
    assert times["estimate"]["passes"] > 0
    assert times["actual"]["seconds"] > 0


def test_what_the_network_does_not_rely_on_is_not_corrected(explained, improved):
    found, _ = improved
    tests = found.parameters["corrected_reliance_tests"]
    assert len(tests) == len(found.parameters["random_reliance_tests"]) == 2
    none = {"effect": 0.02, "p_value": 0.4, "clips": 5, "significant": False}
    some = {"effect": 2.0, "p_value": 0.001, "clips": 5, "significant": True}
    said = replace(found, parameters={**found.parameters, "corrected_reliance_tests": [none, some]})
    assert "No reliance on the concept is shown in 1 of 2 seeds" in said.table()
    assert "log-odds +0.02, p = 0.4" in said.not_corrected()
    told = replace(found, parameters={**found.parameters, "random_reliance_tests": [some, some]})
    assert told.random_not_corrected() == ""
    missing = replace(
        found, parameters={**found.parameters, "corrected_reliance_tests": [none | {"effect": None, "p_value": None}]}
    )
    assert "clips with and without it are missing" in missing.not_corrected()


def test_without_reliance_the_network_is_that_of_further_training(explained, small_set, monkeypatch):
    model, run, concept = explained
    unsure = Reliance(0.0, 1.0, 4)
    monkeypatch.setattr(sys.modules["voxplain.corrections.improve"], "reliance_on", lambda *a, **k: unsure)
    found = improve(model, run, data=small_set, remove=[concept], method=QUICK, seeds=1)
    further = found.row("further")
    for kind in ("corrected", "random"):
        assert (found.row(kind).accuracy, found.row(kind).reliance) == (further.accuracy, further.reliance)
    assert found.row("original").reliance != further.reliance


def test_the_command_tests_the_suspects_of_a_run_alone(explained, small_set, tmp_path, capsys, monkeypatch):
    from voxplain.cli import main

    _, run, concept = explained
    vx.save_run(tmp_path / "run", run)
    monkeypatch.setattr(sys.modules["voxplain.corrections.improve"], "suspected", lambda run: (concept, 1))
    effects = iter([Reliance(3.0, 0.001, 4), Reliance(0.5, 0.001, 4)])  # the second is too weak beside the first
    monkeypatch.setattr("voxplain.corrections.relied_on.reliance_on", lambda *a, **k: next(effects))
    words = ["improve", str(tmp_path / "run"), str(small_set), "--net", "planted", "--auto"]
    monkeypatch.setattr(
        "sys.argv", ["voxplain", *words, "--method", "p_clarc", "--seeds", "1", "-o", str(tmp_path / "b")]
    )
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert f"removing concept {concept}\n" in capsys.readouterr().out
    assert json.loads((tmp_path / "b" / "improved.json").read_text())["parameters"]["remove"] == [concept]
