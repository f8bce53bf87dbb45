"""The reports of several classes as several files: an index of cards, a page for each class, and what they share.

``report.html`` is the index. Beside it the folder ``report`` holds the pages, ``page.css`` and ``page.js``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from voxplain.concepts.concept_run import ConceptRun
from voxplain.files import write_whole
from voxplain.report.page import LIMIT, Origin, checked_runs, class_page, package_file, render, together
from voxplain.report.section import index_card, section

__all__ = ["file_name", "write_pages"]

SHARED = ("page.css", "page.js")


def write_pages(
    runs: Sequence[ConceptRun],
    path: Path | str,
    *,
    names: Mapping[str, Mapping[int, str]] | None = None,
    limit: int = LIMIT,
    origin: Origin | None = None,
    advance: Callable[[], object] = int,
) -> Path:
    """Write an index of several classes, and a page for each of them in a folder beside it.

    Parameters
    ----------
    runs : sequence of ConceptRun
    path : path
        The index. The folder of the pages has its name without the suffix. Each file is written whole or not at all,
        the index last.
    names : mapping, optional
        Names of concepts by class and concept: ``{"bend": {3: "bending trunk"}}``.
    limit : int
        Bytes of pictures a class, beyond which further examples are left out.
    origin : Origin, optional
        Command and times that the pages show.
    advance : callable
        Called after each class, for a progress display.

    Returns
    -------
    Path
        The index.

    Raises
    ------
    DataError
        Without any run.
    """
    path, found = Path(path), checked_runs(runs)
    folder, named = path.with_suffix(""), names or {}
    cards = []
    for name in SHARED:
        write_whole(folder / name, package_file(name).encode())
    for i, run in enumerate(found):
        values = section(run, "r0", named.get(run.target, {}), limit)
        name = f"{i + 1:02d}-{file_name(run.target)}.html"
        write_whole(folder / name, class_page([values], (), origin, assets="./", back=f"../{path.name}"))
        cards.append(index_card(values, f"{folder.name}/{name}"))
        advance()
    where = " · ".join(dict.fromkeys(f"{run.network}, layer {run.layer}" for run in found))
    page = render("index.html", cards=cards, together=together(found), where=where, assets=f"{folder.name}/")
    write_whole(path, page)
    return path


def file_name(target: str) -> str:
    """A class name as part of a file name: letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9]+", "-", target).strip("-")[:40] or "class"
