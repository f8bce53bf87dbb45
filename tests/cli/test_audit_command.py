"""`voxplain audit`: pages with links, tables, records of the classes, one sentence for bad input."""

import csv
import json
import re
from pathlib import Path

import pytest
import yaml
from command_line import contents, voxplain

import audit_world as world
import voxplain as vx

CONFIG = {
    "embedder.layers": ["colours"],
    "embedder.contribution": 0.5,
    "clusterer": "kmeans",
    "clusterer.clusters": 3,
    "effect.fills": ["median"],
    "keep": 4,
    "unrelated_crops": 6,
    "random_sets": 2,
    "random_size": 6,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.videos(tmp_path_factory.mktemp("audit-command") / "data", 9, 7, 3)


def test_audit_writes_its_page_and_those_of_the_classes(data: Path, tmp_path: Path) -> None:
    config, out = tmp_path / "config.yaml", tmp_path / "out"
    config.write_text(yaml.safe_dump(CONFIG))
    (data / "red" / "broken.mp4").touch()
    words = ("audit", data, "--model", "audit_world:model", "--config", config, "-o", out)
    outcome = voxplain(*words)
    assert outcome.code == 0, outcome.err
    assert "broken.mp4" in outcome.out
    assert "81.2 %" in outcome.out, "13 of 16 clips"
    page = (out / "audit.html").read_text()
    links = set(re.findall(r'href="((?:red|green)/[^"]+)"', page))
    assert links == {"red/report.html", "green/report.html"}
    assert all((out / link).is_file() for link in links)
    rows = {row["class"]: row for row in csv.DictReader((out / "audit.csv").open())}
    record = json.loads((out / "audit.json").read_text())
    assert [c["label"] for c in record["classes"]] == ["green", "red"]
    assert (rows["red"]["clips"], rows["red"]["right"], rows["red"]["most_taken_for"]) == ("9", "6", "green")
    assert vx.load_run(out / "red").target == "red"
    assert vx.load_audit(out).of_class("red").right == 6

    kept = {name: content for name, content in contents(out).items() if name.endswith((".csv", "audit_run.json"))}
    assert len(kept) > 2
    again = voxplain(*words)
    assert again.code == 0, again.err
    assert {name: contents(out)[name] for name in kept} == kept


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--preset", "fast"), "expected a preset of"),
        (("--limit", "0"), "expected --limit of 1 video or more"),
        (("--random", "nowhere"), "expected a folder of unrelated videos, got nowhere"),
        (("--budget", "5m", "--shard", "1/2"), "expected either --budget or --shard"),
        (("--budget", "soon"), "expected a time such as 90s"),
        (("--layer", "colours", "pool"), "expected one --layer"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    data: Path, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    outcome = voxplain("audit", data, "--model", "audit_world:model", "-o", tmp_path / "out", *words)
    assert outcome.code == 2
    assert sentence in outcome.sentence
    assert not (tmp_path / "out").exists()
