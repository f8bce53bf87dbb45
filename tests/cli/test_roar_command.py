"""`voxplain roar` on a small planted set: tables, pairs of networks, stored results, wrong options."""

import csv
import json
from pathlib import Path

import pytest
from command_line import Outcome, contents, voxplain

from voxplain.metrics import Retrain
from voxplain.zoo.load import load_model

QUICK = (
    "--methods",
    "random,gradient",
    "--epochs",
    1,
    "--batch",
    4,
    "--maps",
    2,
    "--set",
    "roar.ratios=[0.0, 0.3]",
    "--set",
    "kar.ratios=[0.3]",
)
TABLES = {"retrained.md", "retrained.csv", "retrained.json"}


def roar(data: Path, output: Path, *words: object) -> Outcome:
    return voxplain("roar", data, "--net", "planted", "--device", "cpu", "-o", output, *words)


@pytest.fixture(scope="module")
def done(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    output = tmp_path_factory.mktemp("retrained") / "out"
    return output, roar(small_set, output, *QUICK, "-v")


def test_files_tables_and_words(done):
    output, outcome = done
    assert outcome.code == 0, outcome.err
    made = {n for n in contents(output) if not n.startswith("store/")}
    networks = {f"label_pair/{n}-0{end}.safetensors" for n in ("true", "shuffled") for end in ("", "-weights")}
    assert made == TABLES | networks
    text = (output / "retrained.md").read_text()
    assert text in outcome.out
    assert "| accuracy %: method | roar 0.3 ↓ | kar 0.3 ↑ |" in text
    assert "4 test clips, 1 seed; chance 50.0" in text
    assert "| random | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] | 0.00" in text
    rows = list(csv.DictReader((output / "retrained.csv").read_text().splitlines()))
    assert {(r["metric"], r["ratio"], r["method"]) for r in rows} == {("roar", "0.0", "(nothing hidden)")} | {
        (n, "0.3", m) for n in ("roar", "kar") for m in ("random", "gradient")
    }
    record = json.loads((output / "retrained.json").read_text())
    assert record["recipe"]["epochs"] == 1
    assert {len(t["right"]) for t in record["trainings"]} == {4}
    assert set(record["label_pair"]["similarity"]) == {"random", "gradient"}
    assert [len(v) for v in record["label_pair"]["similarity"].values()] == [2, 2]


def test_the_weights_of_the_pair_can_be_opened(done):
    model = load_model("tiny", weights=done[0] / "label_pair/shuffled-0-weights.safetensors", device="cpu")
    assert model.classes == load_model("planted", device="cpu").classes


def test_again_nothing_is_trained_and_the_tables_are_the_same_bytes(done, small_set, monkeypatch):
    output, _ = done
    before = contents(output)
    monkeypatch.setattr(Retrain, "right", None)
    assert roar(small_set, output, *QUICK).code == 0
    assert contents(output) == before


def test_wrong_words_are_one_sentence_and_write_nothing(small_set, tmp_path):
    out = tmp_path / "out"
    for words, expected in (
        (("--methods", "gradiant"), "got gradiant"),
        (("--methods", "random", "--metrics", "insertion"), "got insertion; see `voxplain benchmark`"),
        (("--methods", "random", "--set", "roar.ratios=[0.1, 1.5]"), "ratios from 0 to 1, got (0.1, 1.5)"),
        (("--methods", "random", "--set", "rise.samples=3"), "a method or metric of this benchmark"),
        (("--methods", "random", "--limit", 0), "a limit of 1 or more"),
        (("--methods", "random", "--class", "crosss"), "no class 'crosss'"),
        (("--methods", "random", "--target", "crosss"), "a class of the network, got 'crosss'"),
        (("--methods", "random", "--seeds", 0), "1 seed or more, got 0"),
    ):
        outcome = roar(small_set, out, *words)
        assert outcome.code == 2, words
        assert expected in outcome.sentence, (words, outcome.sentence)
        assert not TABLES & set(contents(tmp_path))
    none = roar(small_set / "train", out, "--methods", "random")
    assert none.code == 2
    assert "got no test videos; give --hold-out" in none.sentence
