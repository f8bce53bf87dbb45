"""The report of a run as HTML: one self-contained file, which needs no network and no other file.

Pictures and clips are data URIs, the script and the styles are inline. Text that comes from outside (class and file
names) is escaped by Jinja. `voxplain.report.pages` writes several classes as several files.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from voxplain.concepts.concept_run import ConceptRun, combined_evaluation
from voxplain.errors import DataError
from voxplain.files import write_whole
from voxplain.report.cards import SLOWER
from voxplain.report.section import evaluation_values, index_card, section
from voxplain.report.tables import interval_text, number
from voxplain.statistics import SIGNIFICANT
from voxplain.version import __version__

__all__ = [
    "LIMIT",
    "Origin",
    "checked_runs",
    "class_page",
    "package_file",
    "render",
    "report_page",
    "together",
    "write_report",
]

LIMIT = 15_000_000  # bytes of pictures and clips a class


@dataclass(frozen=True)
class Origin:
    """How a run was made, which the run itself does not hold.

    Parameters
    ----------
    command : str, optional
    seconds : mapping of str to float
        Seconds of each step.
    """

    command: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


def write_report(
    run: ConceptRun | Sequence[ConceptRun],
    path: Path | str,
    *,
    names: Mapping[str, Mapping[int, str]] | None = None,
    limit: int = LIMIT,
    origin: Origin | None = None,
    advance: Callable[[], object] = int,
) -> Path:
    """Write one self-contained HTML page for a run, or for the runs of several classes.

    Parameters
    ----------
    run : ConceptRun or sequence of ConceptRun
    path : path
        Written whole or not at all; the same runs give the same bytes, as far as the video encoder does.
    names : mapping, optional
        Names of concepts by class and concept: ``{"bend": {3: "bending trunk"}}``.
    limit : int
        Bytes of pictures a class, beyond which further examples are left out.
    origin : Origin, optional
        Command and times that the page shows.
    advance : callable
        Called after each class, for a progress display.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        Without any run.
    """
    write_whole(Path(path), report_page(run, names=names, limit=limit, origin=origin, advance=advance))
    return Path(path)


def report_page(
    run: ConceptRun | Sequence[ConceptRun],
    *,
    names: Mapping[str, Mapping[int, str]] | None = None,
    limit: int = LIMIT,
    origin: Origin | None = None,
    advance: Callable[[], object] = int,
) -> bytes:
    """The page itself, as `write_report` writes it."""
    runs = checked_runs(run)
    named, sections = names or {}, []
    for i, each in enumerate(runs):
        sections.append(section(each, f"r{i}", named.get(each.target, {}), limit))
        advance()
    return class_page(sections, together(runs), origin)


def checked_runs(run: ConceptRun | Sequence[ConceptRun]) -> list[ConceptRun]:
    """One run or several as a list. Raises DataError for none."""
    runs = [run] if isinstance(run, ConceptRun) else list(run)
    if not runs:
        raise DataError("expected at least one run to report on, got none; explain a class first")
    return runs


def class_page(
    sections: Sequence[Mapping[str, Any]],
    joined: Sequence[Mapping[str, Any]],
    origin: Origin | None,
    *,
    assets: str = "",
    back: str = "",
) -> bytes:
    """A page of classes.

    Parameters
    ----------
    sections : sequence of mapping
        What `voxplain.report.section.section` gives of each class.
    joined : sequence of mapping
        What `together` gives.
    origin : Origin or None
    assets : str
        Prefix of the addresses of ``page.css`` and ``page.js``; both are inside the page where it is empty.
    back : str
        Address of the index of classes, where there is one.

    Returns
    -------
    bytes
    """
    return render(
        "page.html",
        sections=sections,
        cards=[index_card(values, f"#{values['id']}") for values in sections],
        together=joined,
        origin=origin or Origin(),
        slower=SLOWER,
        significant=SIGNIFICANT,
        assets=assets,
        back=back,
    )


def render(template: str, **values: Any) -> bytes:
    """A page from one of the templates beside this file, with the styles and the script that all pages share.

    ``assets`` among the values is the prefix of their addresses; without it they are inside the page.
    """
    style, script = (Markup(package_file(name)) for name in ("page.css", "page.js"))
    values = {"assets": "", **values}
    text = _templates().get_template(template).render(**values, version=__version__, style=style, script=script)
    # A name of undecodable bytes holds lone surrogates, which UTF-8 cannot carry.
    return text.encode("utf-8", "backslashreplace")


def package_file(name: str) -> str:
    """Text of a template, of the styles or of the script."""
    return files("voxplain.report").joinpath(name).read_text("utf-8")


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FunctionLoader(package_file),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, interval_text=interval_text, tojson_pretty=_pretty)
    return environment


def together(runs: Sequence[ConceptRun]) -> list[dict[str, Any]]:
    """The evaluation over all classes of each layer that has several, with its title."""
    found: list[dict[str, Any]] = []
    for layer in dict.fromkeys(run.layer for run in runs):
        own = [run for run in runs if run.layer == layer and run.evaluation is not None]
        if len(own) > 1 and len({run.classes for run in own}) == 1:  # labels are questions of their own
            title = f"{len(own)} classes together, layer {layer}"
            found.append(
                {"id": f"all-{len(found)}", "title": title, "evaluation": evaluation_values(combined_evaluation(own))}
            )
    return found


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)
