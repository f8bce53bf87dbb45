"""The documentation site: a page for each public name, every entry of a registry, every page in the navigation."""

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import voxplain as vx

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs" / "site"


@pytest.fixture(scope="module")
def build() -> Iterator[ModuleType]:
    """The program docs/site/build.py, with the file that it imports from beside it."""
    sys.path.insert(0, str(SITE))
    try:
        spec = importlib.util.spec_from_file_location("site_build", SITE / "build.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(SITE))
        for name in ("reference_pages", "notes", "tutorials", "links"):
            sys.modules.pop(name, None)


def test_every_public_name_has_one_page(build: ModuleType) -> None:
    pages = build.reference_pages()
    names = [path.split("/")[1].removesuffix(".rst") for path in pages]
    public = {name for listed in vx.PUBLIC.values() for name in listed.split()}
    assert sorted(name for name in names if name != "index") == sorted(public)
    for name in public:
        assert f"<voxplain.{name}>" in pages["api/index.rst"]
    described = re.findall(r"^\.\. (?:auto\w+|py:data):: (\w+)", "\n".join(pages.values()), re.MULTILINE)
    assert sorted(described) == sorted(public)


@pytest.mark.parametrize(("folder", "registry"), [("methods", vx.ATTRIBUTIONS), ("metrics", vx.METRICS)])
def test_every_entry_of_a_registry_is_listed_once(build: ModuleType, folder: str, registry: dict[str, object]) -> None:
    pages = build.reference_pages()
    listed = re.findall(r"^   \* - ``(\w+)``", pages[f"{folder}/index.rst"], re.MULTILINE)
    assert sorted(listed) == sorted(registry)
    own = "".join(text for path, text in pages.items() if path.startswith(folder) and not path.endswith("index.rst"))
    assert sorted(re.findall(r"^   \* - ``(\w+)``", own, re.MULTILINE)) == sorted(registry)


def test_the_navigation_has_every_page_once(build: ModuleType) -> None:
    pages = [path.relative_to(ROOT).with_suffix("").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    pages += [name for name in build.ROOT_FILES if (ROOT / f"{name}.md").exists()]
    text = build.navigation([*pages, "docs/a_new_page"])
    found = re.findall(r"^   (?:.* <)?([\w/]+)>?$", text, re.MULTILINE)
    assert sorted(found) == sorted([*pages, "docs/a_new_page", "methods/index", "metrics/index", "api/index"])
    guides = text.partition(":caption: Guides")[2].partition(":caption:")[0]
    assert "docs/a_new_page" in guides


@pytest.mark.parametrize(("folder", "registry"), [("methods", vx.ATTRIBUTIONS), ("metrics", vx.METRICS)])
def test_every_class_says_when_to_use_it(build: ModuleType, folder: str, registry: dict[str, object]) -> None:
    notes = sys.modules["notes"]
    told = notes.METHOD_NOTES if folder == "methods" else notes.METRIC_NOTES
    assert set(told) == {type(make()).__name__ for make in registry.values()}  # type: ignore[operator]
    for path, text in build.reference_pages().items():
        if path.startswith(folder) and not path.endswith("index.rst"):
            assert "**When to use:**" in text


def test_pictures_of_the_reference_exist(build: ModuleType) -> None:
    for path, text in build.reference_pages().items():
        assert ("Picture\n" in text) == ("image:: /" in text), path
        for image in re.findall(r"image:: /(\S+)", text):
            assert (ROOT / image).is_file(), image


@pytest.mark.slow
def test_no_picture_of_a_method_is_missing(build: ModuleType) -> None:
    """Every method that can explain the included network has a picture and a cost; the others need other networks."""
    pages = build.reference_pages()
    without = {path for path in pages if path.startswith("methods/") and "Picture\n" not in pages[path]}
    other = ("index", "AttentionRollout", "GradientWeightedAttention", "ExcitationBackpropRNN")
    assert without == {f"methods/{name}.rst" for name in other}
    for path in set(pages) - without:
        if path.startswith("methods/"):
            assert "**Cost:**" in pages[path]


def test_broken_links_are_found(build: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="#top">1</a><a href="more/b.html#b">2</a><a href="https://elsewhere.example/x">3</a>'
        '<img src="more/c.png"><a href="more/b.html#c">4</a><a href="none.html">5</a>'
    )
    (tmp_path / "more" / "b.html").write_text('<p id="b"><a href="../a.html">6</a><a href="../../out.html">7</a></p>')
    assert build.broken_links(tmp_path) == [
        "a.html: more/c.png",
        "a.html: more/b.html#c",
        "a.html: none.html",
        "more/b.html: ../../out.html",
    ]
