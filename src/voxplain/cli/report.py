"""`voxplain report`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from voxplain.concepts.concept_run import ConceptRun
from voxplain.errors import DataError
from voxplain.report import Origin, attribution_page, report_page
from voxplain.store import find_runs, is_attribution, load_attribution, load_run, write_whole

__all__ = ["read_runs", "report_command"]


def report_command(
    run: Path,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    name: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    limit: float = 15.0,
) -> None:
    """Write the report page of a run again, from what the run left: no network and no video is needed.

    Examples:
        voxplain report runs/bend
        voxplain report runs/bend/bend -o bend.html
        voxplain report runs/bend --name bend:3="bending trunk" bend:0=wall

    Parameters
    ----------
    run
        The output folder of `voxplain concepts`, `attribute`, `demo` or of one setting of `reproduce`, or the folder
        of one class.
    output
        The HTML file; default: report.html in RUN.
    name
        Words of your own for concepts, as CLASS:CONCEPT=WORDS.
    limit
        Megabytes of pictures and clips a class; the first examples of each concept are always shown.
    """
    found = find_runs(run)
    path = output or run / "report.html"
    if path.is_dir():
        raise DataError(f"expected a file to write the page to, got the folder {path}; name a file in it")
    if all(is_attribution(place) for place in found):
        page = attribution_page([load_attribution(place) for place in found], origin=_origin(run))
    else:
        runs = read_runs(run)
        page = report_page(runs, names=_named(runs, name), limit=int(limit * 1e6), origin=_origin(run))
    write_whole(path, page)
    Console().print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)


def _named(runs: Sequence[ConceptRun], given: Sequence[str]) -> dict[str, dict[int, str]]:
    """--name CLASS:CONCEPT=WORDS by class and concept."""
    names: dict[str, dict[int, str]] = {run.target: {} for run in runs}
    counts = {run.target: len(run.bank) for run in runs}
    for text in given:
        place, equals, words = text.partition("=")
        target, colon, concept = place.rpartition(":")
        known = equals and colon and target in names and concept.isdigit() and int(concept) < counts[target]
        if not known or not words.strip():
            first = next(iter(counts))
            raise DataError(
                f"expected --name CLASS:CONCEPT=WORDS with a class of {', '.join(names)} and a concept from 0, got "
                f"{text!r}; for example {first}:{counts[first] - 1}=background"
            )
        names[target][int(concept)] = words.strip()
    return names


def _origin(folder: Path) -> Origin | None:
    """The command and the seconds that the job left in origin.json, in its folder or above a class's."""
    for place in (folder, *folder.absolute().parents[:2]):
        try:
            record = json.loads((place / "origin.json").read_text())
            return Origin(str(record["command"]), {str(k): float(v) for k, v in record["seconds"].items()})
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
    return None


def read_runs(folder: Path) -> list[ConceptRun]:
    """All runs of a job's folder, in its order. Raises DataError where there is none, or not of one job."""
    runs = [load_run(place) for place in find_runs(folder)]
    _refuse_several_jobs(folder, runs)
    return runs


def _refuse_several_jobs(folder: Path, runs: Sequence[ConceptRun]) -> None:
    seen: set[tuple[str, str]] = set()
    for run in runs:
        if (run.target, run.layer) in seen:
            raise DataError(
                f"expected the runs of one job in {folder}, got “{run.target}” at layer {run.layer} more than once; "
                "name one of the folders in it"
            )
        seen.add((run.target, run.layer))
