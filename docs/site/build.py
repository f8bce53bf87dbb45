"""Builds the documentation site: ``python docs/site/build.py OUT``, or ``make docs``.

The pages are staged in ``OUT/source`` as they lie in the repository, so that links between them hold as on GitHub, with
the generated reference beside them. Then Sphinx writes ``OUT/html``. A warning is an error: an unknown link, a heading
that does not exist, a page outside the navigation, a docstring that cannot be read.
"""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from reference_pages import reference_pages

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
# Heading of the navigation → pages in order. Pages of docs/ that are named nowhere are guides.
NAVIGATION = {
    "Get started": ("docs/get_started", "README", "docs/coming_from", "docs/comparison"),
    "Guides": (
        "docs/tutorial_improve",
        "docs/audit",
        "docs/improve",
        "docs/targets",
        "docs/benchmark",
        "docs/networks",
        "docs/data",
        "docs/training",
        "docs/performance",
        "docs/reliability",
        "docs/weizmann",
    ),
    "Methods": ("docs/attribution", "methods/index"),
    "Metrics": ("metrics/index",),
    "API": ("api/index",),
    "Results": ("docs/results", "docs/defaults"),
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

.. image:: docs/img/report.png
   :alt: A report: the class, the answer in one sentence, checks, all concepts, and the first concept's card
   :width: 100%

- :doc:`docs/get_started`: from installation to a report, on planted videos and with your own network.
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
    options = ["-b", "html", "-W", "--keep-going", "-q", "-d", str(out / "doctrees")]
    code = sphinx([*options, str(out / "source"), str(out / "html")])
    if code == 0:
        print(f"the site: {out / 'html' / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
