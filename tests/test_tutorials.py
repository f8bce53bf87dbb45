"""The tutorials: pages that show the notebooks, notebooks that other programs open, and runs from top to bottom."""

import importlib.util
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "tutorials"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
LIMIT = 180  # seconds of processor


@pytest.fixture(scope="module")
def tutorials() -> Iterator[ModuleType]:
    """The program docs/site/tutorials.py."""
    spec = importlib.util.spec_from_file_location("site_tutorials", ROOT / "docs" / "site" / "tutorials.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["site_tutorials"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["site_tutorials"]


def source(name: str) -> str:
    return (FOLDER / f"{name}.py").read_text("utf-8")


def test_cells(tutorials: ModuleType, tmp_path: Path) -> None:
    text = (
        "# %% [markdown]\n# # One\n#\n# **Two or\n# three?**\n\n"
        "# %%\nimport matplotlib.pyplot as plt\nprint('a')\n7 * 6\n\n"
        "# %% [markdown]\n# End.\n\n# %%\n_ = plt.plot([1, 2])\nopen('here', 'w').close()\n"
    )
    cells = tutorials.cells_of(text)
    assert [cell.markdown for cell in cells] == [True, False, True, False]
    assert tutorials.title_and_question(text) == ("One", "Two or three?")
    outputs, names = tutorials.run(text, tmp_path)
    assert outputs[0] is outputs[2] is None
    assert outputs[1].printed == "a\n42\n"
    assert outputs[1].pictures == ()
    assert outputs[3].printed == ""
    assert [picture[:4] for picture in outputs[3].pictures] == [b"\x89PNG"]
    assert "plt" in names
    assert (tmp_path / "here").exists()
    written, pictures = tutorials.page("one", text, outputs, "Took 1 s.")
    assert "```text\na\n42\n```" in written
    assert "(../img/tutorials/one-1.png)" in written
    assert list(pictures) == ["one-1.png"]
    book = json.loads(tutorials.notebook(text))
    assert [cell["cell_type"] for cell in book["cells"]] == ["markdown", "code", "markdown", "code"]
    assert "".join(book["cells"][0]["source"]).startswith("# One\n\n**Two or\nthree?**")


def test_all_are_listed(tutorials: ModuleType) -> None:
    assert sorted(tutorials.NAMES) == NAMES
    assert len(NAMES) == 6
    assert (FOLDER / "index.md").read_text("utf-8") == tutorials.index_page()


@pytest.mark.parametrize("name", NAMES)
def test_pages_show_their_notebooks(tutorials: ModuleType, name: str) -> None:
    """A page that was not written again after a change of its notebook fails here."""
    page, cells = (FOLDER / f"{name}.md").read_text("utf-8"), tutorials.cells_of(source(name))
    assert re.findall(r"^```python\n(.*?)\n```", page, re.MULTILINE | re.DOTALL) == [
        cell.text for cell in cells if not cell.markdown
    ]
    for cell in cells:
        assert cell.text in page
    assert tutorials.title_and_question(source(name))[1].endswith("?")
    took, pictures = re.search(r"Took (\d+) s of processor", page), re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page)
    assert (took is None) == (tutorials.NOT_RUN in page) == (not pictures)
    assert all((FOLDER / path).is_file() for path in pictures)
    if took is not None:
        assert int(took[1]) <= LIMIT
        assert page.index("![") > page.index("## The picture")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_page_waits_for_its_run(tutorials: ModuleType, name: str) -> None:
    assert tutorials.NOT_RUN not in (FOLDER / f"{name}.md").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", NAMES)
def test_tutorials_run(tutorials: ModuleType, name: str, tmp_path: Path) -> None:
    if "transformers" in source(name):
        pytest.importorskip("transformers")
    start = time.process_time()
    outputs, _ = tutorials.run(source(name), tmp_path)
    assert time.process_time() - start <= LIMIT
    assert outputs[-2].pictures, "the last cell draws the picture"
