import json

import pytest
import yaml
from command_line import voxplain

from voxplain.experiments import EXPERIMENTS

PLAN = {
    "title": "Two classes, tiny",
    "planted": {"train": 3, "test": 2, "unrelated": 24, "seed": 5},
    "nets": [{"net": "planted", "name": "tiny"}],
    "classes": ["cross", "orbit"],
    "settings": [
        {
            "name": "A b/c",
            "changes": {
                "segmenter": {"method": "slic", "segments": [8, 15]},
                "clusterer": {"method": "kmeans", "clusters": 4},
                "unrelated_crops": 15,
                "random_sets": 5,
                "evaluation.draws": 3,
                "evaluation.steps": 2,
            },
        }
    ],
}
FILES = (
    "adding.md",
    "adding.tex",
    "curves.pdf",
    "curves.png",
    "removing.md",
    "removing.tex",
    "results.json",
    "settings.md",
    "table.csv",
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduce")
    (folder / "mine.yaml").write_text(yaml.safe_dump(PLAN))
    return folder, voxplain("reproduce", folder / "mine.yaml", "-o", folder / "out", "--device", "cpu")


def test_an_experiment_writes_tables_curves_and_verdicts(done):
    folder, outcome = done
    assert {f.name for f in (folder / "out").iterdir()} == {*FILES, "tiny", "verdicts.txt", "videos"}
    assert (folder / "out" / "tiny" / "a-b-c" / "report.html").exists()
    lines = (folder / "out" / "verdicts.txt").read_text().splitlines()
    assert lines[-1] == (
        "tiny, A b/c: all concepts added, and none removed, equal the unmodified clip to the last bit? yes"
    )
    for line in (*lines, "Two classes, tiny, seed 0"):
        assert line in outcome.out
    record = json.loads((folder / "out" / "results.json").read_text())
    assert record["outcomes"][0]["adding"]["videos"] == 4
    assert record["experiment"]["settings"][0]["changes"]["evaluation.steps"] == 2


def test_again_gives_the_same_bytes(done):
    folder, _ = done
    before = {name: (folder / "out" / name).read_bytes() for name in FILES}
    voxplain("reproduce", folder / "mine.yaml", "-o", folder / "out", "--device", "cpu")
    assert {name: (folder / "out" / name).read_bytes() for name in FILES} == before


def test_experiments_are_listed():
    outcome = voxplain("reproduce").out
    assert [line.split()[0] for line in outcome.splitlines()] == list(EXPERIMENTS)


def test_data_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("VOXPLAIN_DATA", raising=False)
    output = ("-o", tmp_path / "out")
    for words, expected in (
        (("weizmann", *output), "--data DIR"),
        (("weizmann", "--data", tmp_path, *output), f"a folder of videos at {tmp_path / 'weizmann'}"),
        (("planned", *output), "planted"),
    ):
        outcome = voxplain("reproduce", *words)
        assert outcome.code == 2
        assert expected in outcome.sentence
    assert not (tmp_path / "out").exists()
