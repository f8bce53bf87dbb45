"""`voxplain benchmark`: tables of a small planted set, in one run, in shards, and after an interruption."""

import csv
import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import Outcome, contents, voxplain

import voxplain as vx
from voxplain.attribution import ATTRIBUTIONS
from voxplain.datasets.planted import write_planted
from voxplain.metrics import METRICS
from voxplain.model import cost
from voxplain.store import Store

METHODS = ("random", "gradient", "grad_cam", "excitation_backprop_rnn")
METRIC_NAMES = ("sufficiency", "energy_inside", "temporal_energy", "sensitivity")
QUICK = (
    "--methods",
    ",".join(METHODS),
    "--metrics",
    ",".join(METRIC_NAMES),
    "--set",
    "sensitivity.draws=2",
    "--set",
    "sufficiency.ratios=[0.1, 0.3]",
)
TABLES = ("table.md", "table.csv", "by_class.md", "ranks.png", "results.json")


def benchmark(data: Path, output: Path, *words: object) -> Outcome:
    return voxplain("benchmark", data, "--net", "planted", "--device", "cpu", "-o", output, *words)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("benchmark") / "planted"
    write_planted(root, train=1, test=3, unrelated=0, seed=3)
    return root


@pytest.fixture(scope="module", autouse=True)
def timeless() -> object:
    """Seconds are the only part of a table that two runs do not share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "time", SimpleNamespace(perf_counter=lambda: 0.0))
        yield


@pytest.fixture(scope="module")
def done(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    output = tmp_path_factory.mktemp("done") / "out"
    words = ("--class", "cross", "orbit", "--truth", "planted", "--sanity", 2, "-v")
    return output, benchmark(planted, output, *QUICK, *words)


def rows(output: Path) -> dict[tuple[str, str], dict[str, str]]:
    text = (output / "table.csv").read_text()
    return {(r["method"], r["metric"]): r for r in csv.DictReader(io.StringIO(text))}


def test_files_and_words(done):
    output, outcome = done
    assert outcome.code == 0, outcome.err
    assert {n for n in contents(output) if not n.startswith("store/")} == {*TABLES, "ranks.pdf"}
    table = (output / "table.md").read_text()
    assert table in outcome.out
    assert f"\ntables: {output} (" in outcome.out.replace("\n\n", "\n")
    assert "- excitation_backprop_rnn: expected a network with an RNN" in table
    assert {m for m, _ in rows(output)} == {"random", "gradient", "grad_cam"}
    assert {n for _, n in rows(output)} == set(METRIC_NAMES)


def test_numbers_are_those_of_the_library(done, planted):
    output, _ = done
    model = vx.load_model("planted")
    truth = vx.datasets.planted.read_planted(planted)
    energy, sufficiency = [], []
    for label in ("cross", "orbit"):
        for i in range(3):
            video = planted / f"test/{label}/{i:04d}.mp4"
            clip = model.reader()(video)
            found = ATTRIBUTIONS["grad_cam"]()(model, clip, label)
            energy.append(METRICS["energy_inside"]()(found, truth.masks(video)["target"]).value)
            sufficiency.append(vx.metrics.Sufficiency(ratios=(0.1, 0.3))(model, clip, found).value)
    row = rows(output)
    assert float(row["grad_cam", "energy_inside"]["mean"]) == pytest.approx(np.mean(energy))
    assert float(row["grad_cam", "sufficiency"]["mean"]) == pytest.approx(np.mean(sufficiency))
    assert row["grad_cam", "energy_inside"]["clips"] == "6"
    assert [row[m, "sufficiency"]["forwards"] for m in ("random", "gradient")] == ["0.0", "1.0"]
    assert [row[m, "sufficiency"]["backwards"] for m in ("random", "grad_cam")] == ["0.0", "1.0"]


def test_the_costly_metrics_are_measured_on_clips_of_all_classes(done):
    output, _ = done
    assert rows(output)["gradient", "sensitivity"]["clips"] == "2"
    results = json.loads((output / "results.json").read_text())["results"]
    again = [j["target"] for j in results if j["method"] == "gradient" and "sensitivity" in j["values"]]
    assert len(set(again)) == 2


def test_results_are_json_as_others_read_it(done):
    output, _ = done

    def fail(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    record = json.loads((output / "results.json").read_text(), parse_constant=fail)
    assert record["clips"] == 6
    assert record["methods"]["grad_cam"]["method"] == "GradCAM"
    assert record["metrics"]["sensitivity"]["draws"] == "2"
    assert len(record["results"]) == 6 * len(METHODS)
    assert {j["seconds"] for j in record["results"] if j["error"]} == {None}


def test_shards_and_then_the_whole_give_the_bytes_of_one_run(done, planted, tmp_path, monkeypatch):
    words = (*QUICK, "--class", "cross", "orbit", "--truth", "planted", "--sanity", 2)
    counts = []
    for i in (3, 1, 2):
        outcome = benchmark(planted, tmp_path / "out", *words, "--shard", f"{i}/3")
        assert outcome.code == 0, outcome.err
        assert "of 6 videos done; run without --shard for the tables" in outcome.out
        counts.append(int(outcome.out.split(f"shard {i}/3: ")[1].split()[0]))
        assert not (tmp_path / "out/table.md").exists()
    assert sum(counts) == 6
    made = []
    record = Store.record
    monkeypatch.setattr(
        Store, "record", lambda self, step, key, make: record(self, step, key, lambda: made.append(key) or make())
    )
    assert benchmark(planted, tmp_path / "out", *words).code == 0
    assert made == [], "nothing is left to compute"
    for name in TABLES:
        assert (tmp_path / "out" / name).read_bytes() == (done[0] / name).read_bytes(), name


def test_methods_against_a_chosen_one_and_the_agreement_of_ranks(planted, tmp_path):
    words = (
        "--methods",
        "random,gradient,input_x_gradient,grad_cam",
        "--metrics",
        "sufficiency,energy_inside",
        "--class",
        "cross",
        "orbit",
        "--truth",
        "planted",
        "--limit",
        6,
    )
    outcome = benchmark(planted, tmp_path, *words, "--against", "grad_cam:gradient", "random")
    assert outcome.code == 0, outcome.err
    pairs = list(csv.DictReader(io.StringIO((tmp_path / "against.csv").read_text())))
    assert {(p["against"], p["method"]) for p in pairs} == {("grad_cam", "gradient")} | {
        ("random", m) for m in ("gradient", "input_x_gradient", "grad_cam")
    }
    record = json.loads((tmp_path / "results.json").read_text())
    assert [str(p["difference"]) for p in record["against"]] == [p["difference"] for p in pairs]
    row = rows(tmp_path)["gradient", "energy_inside"]
    own = next(p for p in pairs if (p["against"], p["method"], p["metric"]) == ("random", "gradient", "energy_inside"))
    assert (own["difference"], own["corrected"]) == (row["minus_random"], row["corrected_p"])
    assert (tmp_path / "against.md").read_text() in outcome.out
    assert record["rank_agreement"]["methods"] == 3
    assert f"Spearman {record['rank_agreement']['spearman']:.2f}" in outcome.out.replace("−", "-")


def test_an_empty_shard_is_no_error(planted, tmp_path):
    outcome = [
        benchmark(
            planted,
            tmp_path,
            "--class",
            "ring",
            "--limit",
            1,
            "--methods",
            "random",
            "--metrics",
            "sufficiency",
            "--shard",
            f"{i}/2",
        )
        for i in (1, 2)
    ]
    assert [t.code for t in outcome] == [0, 0], outcome
    assert sorted(t.out.split(": ")[1][0] for t in outcome) == ["0", "1"]


def test_a_corrupt_video_and_one_without_truth_are_skipped_and_told(planted, tmp_path):
    shutil.copytree(planted, tmp_path / "data")
    (tmp_path / "data/test/cross/bad.mp4").write_bytes(b"no video" * 50)
    shutil.copy(planted / "test/orbit/0000.mp4", tmp_path / "data/test/orbit/unlisted.mp4")
    words = ("--methods", "random", "--metrics", "energy_inside", "--truth", "planted")
    outcome = benchmark(tmp_path / "data", tmp_path / "out", *words, "--class", "cross", "orbit", "nothing")
    assert outcome.code == 3, outcome.err
    skipped = [line for line in outcome.out.splitlines() if line.startswith("skipped: ")]
    assert len(skipped) == 2 + 3
    assert "bad.mp4" in skipped[0]
    assert any("unlisted.mp4" in line for line in skipped)
    assert sum("leave the class out" in line for line in skipped) == 3
    assert rows(tmp_path / "out")["random", "energy_inside"]["clips"] == "6"


def test_without_a_truth_localisation_is_left_out(small_set, tmp_path):
    outcome = benchmark(small_set, tmp_path / "out", *QUICK, "--limit", 3)
    assert outcome.code == 0, outcome.err
    assert {n for _, n in rows(tmp_path / "out")} == {"sufficiency", "temporal_energy", "sensitivity"}
    assert "localisation: method" not in outcome.out
    assert not (tmp_path / "out/ranks.png").exists()
    assert not (tmp_path / "out/by_class.md").exists()


def test_wrong_words_are_one_sentence_and_write_nothing(planted, tmp_path):
    out = tmp_path / "out"
    quick = ("--methods", "random,grad_cam", "--metrics", "sufficiency")
    for words, expected in (
        (("--methods", "random,gradcam"), "got gradcam"),
        (("--metrics", "insertion,inertion"), "got inertion"),
        (("--metrics", "roar,insertion"), "got roar, which train or compare networks; see `voxplain roar`"),
        ((*quick, "--set", "grad_cam.pool=channel"), "a field of grad_cam (layer, pooling, objective)"),
        ((*quick, "--set", "rise.samples=5"), "a method or metric of this benchmark, got 'rise.samples=5'"),
        ((*quick, "--set", "grad_cam"), "got 'grad_cam'"),
        ((*quick, "--set", "random.seed=three"), "expected seed to be a int like 0, got 'three'"),
        ((*quick, "--set", "random.seed=-1"), "expected a seed of 0 or more, got -1"),
        ((*quick, "--set", "grad_cam.layer=["), "a value in YAML"),
        ((*quick, "--against", "step"), "of this benchmark (random, grad_cam), got step"),
        ((*quick, "--against", "random:grad_cam,step"), "got step"),
        ((*quick, "--shard", "3"), "expected a shard such as 2/8, got '3'"),
        ((*quick, "--shard", "3/2"), "from 1/2 to 2/2, got 3/2"),
        ((*quick, "--shard", "0/2"), "got 0/2"),
        ((*quick, "--limit", "0"), "a limit of 1 or more"),
        ((*quick, "--truth", "boxes"), "planted, jhmdb, silhouette, got 'boxes'"),
        ((*quick, "--class", "cross", "crosss"), "no class 'crosss'"),
    ):
        outcome = benchmark(planted, out, *words)
        assert outcome.code == 2, words
        assert expected in outcome.sentence, (words, outcome.sentence)
        assert not out.exists(), words
    none = voxplain("benchmark", tmp_path, "--net", "planted", "-o", out)
    assert none.code == 2
    assert "no video found" in none.sentence


def test_methods_that_all_fail_are_one_sentence(planted, tmp_path):
    words = ("--methods", "excitation_backprop_rnn", "--metrics", "sufficiency", "--limit", 2)
    outcome = benchmark(planted, tmp_path / "out", *words)
    assert outcome.code == 2
    assert "a method that gave maps, got none: expected a network with an RNN" in outcome.sentence
