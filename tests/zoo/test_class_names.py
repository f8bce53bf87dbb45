"""Class names from the files that they are published in."""

import json
from pathlib import Path

import pytest

from voxplain.errors import DataError
from voxplain.zoo import read_classes

FORMS = {
    "plain.txt": "bend\njump high\n\nrun\n",
    "numbered.txt": "1 bend\n2 jump high\n3 run",
    "header.csv": 'id,name\n0,bend\n1,"jump high"\n2,run\n',
    "list.json": json.dumps(["bend", "jump high", "run"]),
    "numbers.json": json.dumps({'"run"': 2, "bend": 0, "jump high": 1}),
    "config.json": json.dumps({"hidden_size": 8, "id2label": {"2": "run", "1": "jump high", "0": "bend"}}),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(FORMS[name])
    assert read_classes(tmp_path / name) == ("bend", "jump high", "run")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "", "got none"),
        ("a.txt", "bend\nbend", "'bend' twice"),
        ("a.txt", "0 bend\n2 run", "0 to 1 or 1 to 2"),
        ("a.json", "{", "expected JSON"),
        ("a.json", "3", "expected a list of names"),
    ],
)
def test_what_is_no_list_of_names(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=said):
        read_classes(tmp_path / name)
    with pytest.raises(DataError, match="No such file"):
        read_classes(tmp_path / "none")
