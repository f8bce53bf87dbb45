"""Every command does on a small set what its help says."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import concepts, contents, voxplain

from voxplain.attribution import ATTRIBUTIONS
from voxplain.cli import settings_as_options
from voxplain.cli.job import read_job
from voxplain.concepts.settings import PRESETS
from voxplain.datasets.planted import PlantedDesign, draw_scene, masks, read_planted
from voxplain.metrics import METRICS
from voxplain.segment import SEGMENTERS, SLIC


def test_doctor_of_the_shipped_network() -> None:
    outcome = voxplain("doctor", "--net", "planted")
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    for layer in ("block1", "block4", "pool", "head"):
        assert layer in outcome.out
    suggested = [line for line in outcome.out.splitlines() if line.startswith("layer for concepts:")]
    assert [line.split()[-1] for line in suggested] == ["pool"], outcome.out


def test_methods_lists_all_of_them() -> None:
    outcome = voxplain("methods")
    assert outcome.code == 0
    for name in (
        *SEGMENTERS,
        *PRESETS,
        *ATTRIBUTIONS,
        *METRICS,
        "kmeans",
        "ridge",
        "blur",
        "log_odds",
        "unrelated_crops",
    ):
        assert name in outcome.out


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("command") / "planted"
    made = voxplain("planted", folder, "--train", 2, "--test", 1, "--unrelated", 1)
    assert made.code == 0, made.err
    assert "22 videos of 7 classes" in made.out
    return folder


def test_planted_is_whole_and_goes_on(planted: Path, tmp_path: Path) -> None:
    assert len(read_planted(planted).scenes) == 22
    before = contents(planted)
    shutil.copytree(planted, tmp_path / "again")
    gone = ["train/cross/0001.mp4", "masks/test/orbit/0000.npz", "manifest.json"]
    for name in gone:
        (tmp_path / "again" / name).unlink()
    assert voxplain("planted", tmp_path / "again", "--train", 2, "--test", 1, "--unrelated", 1).code == 0
    assert contents(tmp_path / "again") == before
    other = voxplain("planted", planted, "--train", 2, "--test", 1, "--unrelated", 1, "--seed", 1)
    assert other.code == 2
    assert "choose another folder" in other.sentence
    assert contents(planted) == before


def train(data: Path, output: Path, epochs: int) -> list[dict[str, str]]:
    done = voxplain("train", data, "--net", "tiny", "--epochs", epochs, "--batch", 4, "--device", "cpu", "-o", output)
    assert done.code == 0, done.err
    with (output / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_train_resumes_and_ends_with_the_bytes_of_one_run(small_set: Path, tmp_path: Path) -> None:
    one = train(small_set, tmp_path / "net", 1)
    assert [row["epoch"] for row in one] == ["1"]
    half = contents(tmp_path / "net")
    assert sorted(name for name in half if not name.startswith("clips/")) == [
        "checkpoint.safetensors",
        "confusion.csv",
        "curves.png",
        "log.csv",
        "per_class.csv",
        "weights.safetensors",
    ]
    assert len(half) == 6 + 12, "a file of resized frames for each video"
    assert train(small_set, tmp_path / "net", 1) == one
    assert contents(tmp_path / "net") == half, "nothing was left to train"
    two = train(small_set, tmp_path / "net", 2)
    assert [row["epoch"] for row in two] == ["1", "2"]
    assert two[0] == one[0]
    straight = train(small_set, tmp_path / "straight", 2)
    assert straight == two
    weights = [contents(tmp_path / name)["weights.safetensors"] for name in ("net", "straight")]
    assert weights[0] == weights[1] != half["weights.safetensors"]


def test_a_dry_run_writes_nothing(small_set: Path, tmp_path: Path) -> None:
    before = contents(small_set)
    outcome = concepts(small_set, tmp_path / "run", "--dry-run")
    assert outcome.code == 0, outcome.err
    assert "“cross”: 4 videos" in outcome.out
    assert "nothing was written" in outcome.out
    assert list(tmp_path.iterdir()) == []
    assert contents(small_set) == before


def test_scores_of_own_concepts(small_set: Path, tmp_path: Path) -> None:
    command = ("own-concepts", small_set, small_set / "train", "--class", "cross", "--net", "planted")
    outcome = voxplain(*command, "--random", small_set / "unrelated", "-o", tmp_path / "t.csv")
    assert outcome.code == 0, outcome.err
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["concept"] for row in rows} == {"cross", "orbit"}
    assert rows[0]["concept"] == "cross", "clips of the class itself point to the class"
    assert float(rows[0]["score"]) > float(rows[1]["score"])
    assert all(row["concept"] in outcome.out for row in rows)
    few = voxplain(*command, "--random", small_set / "test" / "orbit")
    assert few.code == 2
    assert "8 unrelated" in few.sentence


def test_direct_effects_of_own_concepts_with_masks(small_set: Path, tmp_path: Path) -> None:
    design = PlantedDesign()
    for label in ("cross", "orbit"):
        (tmp_path / "masks" / label).mkdir(parents=True)
        for i in range(4):  # as conftest.py draws them
            mask = masks(draw_scene(design, label, 100 + i))["target"]
            np.savez_compressed(tmp_path / "masks" / label / f"{i}.npz", mask=mask)
    command = ("own-concepts", small_set, small_set / "train", "--class", "cross", "--net", "planted")
    command += ("--random", small_set / "unrelated", "--masks", tmp_path / "masks", "-o", tmp_path / "t.csv")
    outcome = voxplain(*command)
    assert outcome.code == 0, outcome.err
    with (tmp_path / "t.csv").open() as file:
        effect = {row["concept"]: float(row["effect"]) for row in csv.DictReader(file)}
    assert effect["cross"] > 2 > effect["orbit"], "only the cross decides the class"
    (tmp_path / "masks" / "orbit" / "0.npz").unlink()
    missing = voxplain(*command)
    assert missing.code == 2
    assert "expected one mask 0.npy, 0.npz or folder 0" in missing.sentence


def settings_of(small_set: Path, run: Path, *words: object) -> object:
    """The settings of a run as its job.json keeps them; the run itself ends at the first step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("voxplain.cli.concept_job.run_job", lambda job, **_: [])
        done = voxplain("concepts", small_set, "--class", "cross", "--net", "planted", "-o", run, *words)
    assert done.code == 0, done.err
    return read_job(run).settings


def test_the_command_line_wins_over_the_config_and_that_over_the_preset(small_set: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(
        "keep: 31\nrandom_sets: 7\nsegmenter: {segments: [5, 9], compactness: 3}\nclusterer.clusters: 6\n"
    )
    words = ("--preset", "paper", "--config", config, "--set", "keep=12", "--set", "segmenter.segments=[15, 30, 60]")
    got = settings_of(small_set, tmp_path / "run", *words, "--random", small_set / "unrelated")
    paper = PRESETS["paper"]
    assert (got.keep, got.random_sets) == (12, 7)  # type: ignore[attr-defined]
    assert got.segmenter == SLIC(segments=(15, 30, 60), compactness=3.0)  # type: ignore[attr-defined]
    assert got.clusterer.clusters == 6  # type: ignore[attr-defined]
    assert (got.ranking, got.classifier) == (paper.ranking, paper.classifier)  # type: ignore[attr-defined]
    assert paper.keep not in (12, 31)


def test_settings_are_options_too(small_set: Path, tmp_path: Path) -> None:
    words = ("--segmenter.explained", 0.5, 0.8, 0.95, "--keep=9", "--unrelated-crops", 4, "--effect.fills", "grey")
    got = settings_of(small_set, tmp_path / "run", *words, "--random", small_set / "unrelated", "--seed", 3)
    assert got.segmenter.explained == (0.5, 0.8, 0.95)  # type: ignore[attr-defined]
    assert (got.keep, got.unrelated_crops, got.effect.fills, got.seed) == (9, 4, ("grey",), 3)  # type: ignore[attr-defined]
    assert settings_as_options(["concepts", "--segmenter.explained", "0.8", "0.95", "--class", "a", "b"]) == [
        "concepts",
        "--set",
        "segmenter.explained=[0.8, 0.95]",
        "--class",
        "a",
        "b",
    ]
    assert settings_as_options(["concepts", "--thorough", "a"]) == ["concepts", "--set", "effect.thorough=true", "a"]


def test_the_job_keeps_what_evaluate_needs(small_set: Path, tmp_path: Path) -> None:
    settings_of(small_set, tmp_path / "run", "--layer", "pool", "block3", "--random", small_set / "unrelated")
    job = read_job(tmp_path / "run")
    assert (job.data, job.random) == (small_set.resolve(), (small_set / "unrelated").resolve())
    assert (job.classes, job.network.net, job.network.layer) == (("cross",), "planted", ("pool", "block3"))
    assert json.loads((tmp_path / "run" / "job.json").read_text())["preset"] == "default"
