"""`voxplain audit`: pages with links, tables, records of the classes, one sentence for bad input."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from command_line import TINY, contents, voxplain

import voxplain as vx
from checked_pages import check_page


def test_audit_writes_its_page_and_those_of_the_classes(small_set: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(small_set / "train", data)
    shutil.copytree(small_set / "unrelated", data / "unrelated")
    (data / "cross" / "broken.mp4").touch()
    words = ("audit", data, "--net", "planted", *TINY, "-o", out)
    outcome = voxplain(*words)
    assert outcome.code == 3, outcome.err
    assert "broken.mp4" in outcome.out
    page = (out / "audit.html").read_text()
    links = set(re.findall(r'href="((?:cross|orbit)/[^"]+)"', page))
    assert links == {"cross/report.html", "orbit/report.html"}
    assert all((out / link).is_file() for link in links)
    for name in ("audit.html", *links):
        check_page(out / name, data, small_set)
    assert json.loads((out / "times.json").read_text())["estimate"]["passes"] > 0
    rows = {row["class"]: row for row in csv.DictReader((out / "audit.csv").read_text().splitlines())}
    record = json.loads((out / "audit.json").read_text())
    assert [c["label"] for c in record["classes"]] == ["cross", "orbit"]
    clips = {name: len(list((small_set / "train" / name).iterdir())) for name in rows}
    assert {name: int(row["clips"]) for name, row in rows.items()} == clips
    right = sum(int(row["right"]) for row in rows.values())
    assert f"{100 * right / sum(clips.values()):.1f} %" in outcome.out
    assert vx.load_run(out / "cross").target == "cross"
    assert vx.audit_json(vx.load_audit(out))["rows"] == record["rows"]

    kept = {name: content for name, content in contents(out).items() if name.endswith((".csv", "audit_run.json"))}
    assert len(kept) > 2
    again = voxplain(*words)
    assert again.code == 3, again.err
    assert {name: contents(out)[name] for name in kept} == kept


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--preset", "fast"), "expected a preset of"),
        (("--limit", "0"), "expected --limit of 1 video or more"),
        (("--random", "nowhere"), "expected a folder of unrelated videos, got nowhere"),
        (("--budget", "5m", "--shard", "1/2"), "expected either --budget or --shard"),
        (("--budget", "soon"), "expected a time such as 90s"),
        (("--layer", "block1", "pool"), "expected one --layer"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    small_set: Path, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    outcome = voxplain("audit", small_set, "--net", "planted", "-o", tmp_path / "out", *words)
    assert outcome.code == 2
    assert sentence in outcome.sentence
    assert not (tmp_path / "out").exists()
