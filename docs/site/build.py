"""Builds the documentation site: ``python docs/site/build.py OUT``, or ``make docs``.

The pages are staged in ``OUT/source`` as they lie in the repository, so that links between them hold as on GitHub, with
the generated reference beside them. Then Sphinx writes ``OUT/html``. A warning is an error: an unknown link, a heading
that does not exist, a page outside the navigation, a docstring that cannot be read. Last, the links of the written
pages are checked (`links.py`).
"""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from links import broken_links
from reference_pages import reference_pages
from tutorials import notebook

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
# Heading of the navigation → pages in order. Pages of docs/ that are named nowhere are guides.
NAVIGATION = {
    "Get started": ("docs/get_started", "README", "docs/commands", "docs/coming_from", "docs/comparison"),
    "Tutorials": (
        "docs/tutorials/index",
        "docs/tutorials/planted_truth",
        "docs/tutorials/video_transformer",
        "docs/tutorials/concepts_of_a_class",
        "docs/tutorials/shortcut",
        "docs/tutorials/compare_methods",
        "docs/tutorials/long_video",
        "docs/tutorial_improve",
    ),
    "Gallery": ("docs/gallery",),
    "Guides": (
        "docs/concepts",
        "docs/one_clip",
        "docs/which_method",
        "docs/audit",
        "docs/improve",
        "docs/benchmark",
        "docs/networks",
        "docs/targets",
        "docs/data",
        "docs/training",
        "docs/performance",
        "docs/report",
        "docs/numbers",
        "docs/limits",
        "docs/reliability",
        "docs/weizmann",
    ),
    "Methods": ("docs/attribution", "methods/index"),
    "Metrics": ("metrics/index",),
    "API": ("api/index",),
    "Results": ("docs/results", "docs/study", "docs/defaults"),
    "Design": ("docs/design", "docs/glossary", "CONTRIBUTING", "CODE_OF_CONDUCT", "SECURITY"),
    "Changelog": ("CHANGELOG",),
}
TITLES = {"README": "Overview"}
ROOT_FILES = ("README", "CONTRIBUTING", "CODE_OF_CONDUCT", "SECURITY", "CHANGELOG")  # .md
LINKED = ("CITATION.cff", "LICENSE")
OPENING = """\
voxplain
========

voxplain explains video classifiers, in particular 3D ConvNets: which objects and motions a network relies on for a
class, where and when it looked in a clip, which explanation method can be trusted, and how to correct a network that
relies on the wrong thing. What it finds is tested against random controls and unrelated videos, with confidence
intervals, and the methods themselves against planted videos whose truth is known.

.. image:: docs/img/moving.gif
   :alt: A planted clip whose class a ring decides: the clip, the ring alone, and maps by three methods

- :doc:`docs/get_started`: from installation to a report, on planted videos and with your own network.
- :doc:`docs/tutorials/index`: six notebooks that start from a question and end with a picture.
- :doc:`docs/gallery`: pictures first.
- :doc:`docs/concepts`, :doc:`docs/one_clip`, :doc:`docs/which_method`, :doc:`docs/numbers`, :doc:`docs/limits`: guides.
- :doc:`methods/index` and :doc:`metrics/index`: what each computes, its parameters, references and an example.
- :doc:`docs/results`: what was measured, on planted and on real videos, with what failed.
- :doc:`docs/comparison`: other libraries, and what they do better.

"""


def stage(source: Path) -> None:
    """Write all pages into an empty folder."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "docs", source / "docs", ignore=shutil.ignore_patterns("site"))
    for name in (*(f"{name}.md" for name in ROOT_FILES), *LINKED):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    for path in (source / "docs" / "tutorials").glob("*.py"):
        path.with_suffix(".ipynb").write_text(notebook(path.read_text("utf-8")), "utf-8")
        with open(path.with_suffix(".md"), "a", encoding="utf-8") as page:
            page.write(f"\nDownload: [{path.stem}.ipynb]({path.stem}.ipynb)\n")
    (source / "_static").mkdir()
    shutil.copy(HERE / "site.css", source / "_static")
    shutil.copy(HERE / "conf.py", source)
    for path, text in reference_pages().items():
        (source / path).parent.mkdir(exist_ok=True)
        (source / path).write_text(text, "utf-8")
    pages = sorted(path.relative_to(source).with_suffix("").as_posix() for path in source.rglob("*.md"))
    (source / "index.rst").write_text(OPENING + navigation(pages), "utf-8")


def navigation(pages: Iterable[str]) -> str:
    """The trees of the first page: every page of ``pages`` once, and those that are generated."""
    pages = set(pages)
    named = {page for listed in NAVIGATION.values() for page in listed}
    text = ""
    for heading, listed in NAVIGATION.items():
        shown = [page for page in listed if page in pages or page.endswith("/index")]
        if heading == "Guides":
            shown += sorted(pages - named)
        text += f".. toctree::\n   :hidden:\n   :maxdepth: 1\n   :caption: {heading}\n\n"
        text += "".join(f"   {f'{TITLES[page]} <{page}>' if page in TITLES else page}\n" for page in shown) + "\n"
    return text


def main() -> int:
    """Stage and build; the exit code of Sphinx."""
    if len(sys.argv) != 2:
        print("expected one argument, the folder of the site, as in: python docs/site/build.py build/docs")
        return 2
    from sphinx.cmd.build import main as sphinx

    out = Path(sys.argv[1])
    stage(out / "source")
    options = ["-b", "html", "-j", "auto", "-W", "--keep-going", "-q", "-d", str(out / "doctrees")]
    code = sphinx([*options, str(out / "source"), str(out / "html")])
    if broken := broken_links(out / "html"):
        print(*(f"broken link in {found}" for found in broken), sep="\n")
        code = code or 1
    if code == 0:
        print(f"the site: {out / 'html' / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
