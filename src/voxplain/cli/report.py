"""`voxplain report`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from voxplain.cli.options import OutputFile, Words
from voxplain.errors import DataError, VoxplainError

if TYPE_CHECKING:
    from voxplain.concepts.concept_run import ConceptRun
    from voxplain.report import Origin

__all__ = ["consistent", "read_origin", "read_runs", "report_command"]


def report_command(
    run: Path,
    *,
    output: OutputFile = None,
    name: Words = (),
    words: Path | None = None,
    text_image: Path | None = None,
    limit: float = 15.0,
    single_file: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write the report page of a run again from the run's files; needs neither network nor videos.

    Several classes give an index, and beside it a folder with a page for each class.

    Examples:

        voxplain report runs/bend
        voxplain report runs/bend/bend -o bend.html
        voxplain report runs/bend --name bend:3="bending trunk" bend:0=wall
        voxplain report runs/bend --words words.txt --text-image clip-folder
        voxplain report runs/all --single-file -o all.html

    Parameters
    ----------
    run
        The output folder of `voxplain concepts`, `attribute`, `demo` or of one setting of `reproduce`, or the folder
        of one class.
    output
        The HTML file; default: report.html in RUN.
    name
        Your own names of concepts, as CLASS:CONCEPT=WORDS.
    words
        A text file of words, one a line, of which names are suggested for the other concepts; needs --text-image.
    text_image
        Folder of a network that compares pictures with words, such as CLIP, saved with its processor; extra names.
    limit
        Megabytes of images and clips a class; the first examples of each concept are always shown.
    single_file
        Write all classes into one page, which can be sent by mail.
    """
    from voxplain.cli.console import Console
    from voxplain.progress import progress_bar
    from voxplain.report import attribution_page, write_pages, write_report
    from voxplain.store import find_runs, is_attribution, load_attribution, write_whole

    folders = find_runs(run)
    path = output or run / "report.html"
    if path.is_dir():
        raise DataError(f"expected a file to write the page to, got the folder {path}; name a file in it")
    if all(is_attribution(folder) for folder in folders):
        with consistent(run):
            page = attribution_page(map(load_attribution, folders), origin=read_origin(run))
        write_whole(path, page)
    else:
        runs = read_runs(run)
        names = _concept_names(runs, name)
        if words is not None or text_image is not None:
            for target, found in _suggested(runs, words, text_image).items():
                names[target] = found | names[target]
        write = write_pages if len(runs) > 1 and not single_file else write_report
        with consistent(run), progress_bar("writing the report", len(runs)) as advance:
            write(runs, path, names=names, limit=int(limit * 1e6), origin=read_origin(run), advance=advance)
    Console().print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def consistent(run: Path) -> Iterator[None]:
    """Turn what drawing a run raises into one sentence: every field is checked, but not whether they fit together."""
    try:
        yield
    except (VoxplainError, OSError):
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise DataError(
            f"expected a run in {run} whose values fit together, got {reason}; make the run again, or tell the "
            "developers if voxplain wrote it like this"
        ) from error


def _concept_names(runs: "Sequence[ConceptRun]", given: Sequence[str]) -> dict[str, dict[int, str]]:
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


def _suggested(runs: "Sequence[ConceptRun]", words: Path | None, text_image: Path | None) -> dict[str, dict[int, str]]:
    """Suggested names by class and concept, marked as such and printed."""
    from voxplain.cli.console import Console
    from voxplain.report.suggested_names import suggest_names
    from voxplain.zoo.class_names import read_classes
    from voxplain.zoo.text_image import load_text_image

    if words is None or text_image is None:
        raise DataError("expected --words FILE and --text-image FOLDER, got one of them; give both")
    listed, network = read_classes(words), load_text_image(text_image)
    names = {}
    for run in runs:
        found = suggest_names(run, listed, network.pictures, network.texts)
        names[run.target] = {concept: f"{word} (suggested)" for concept, word in found.items()}
        told = ", ".join(f"{concept} {word}" for concept, word in found.items()) or "none"
        Console().print(f"names suggested for “{run.target}”: {told}", markup=False, highlight=False, soft_wrap=True)
    return names


def read_origin(folder: Path) -> "Origin | None":
    """Read the command of a job.

    Parameters
    ----------
    folder : Path
        The output folder of a job, or the folder of a class in it.

    Returns
    -------
    Origin or None
        What origin.json holds; None where there is none or it is damaged.
    """
    from voxplain.reading import read_json
    from voxplain.report import Origin

    for place in (folder, *folder.absolute().parents[:2]):
        try:
            record = read_json(place / "origin.json")
            return Origin(str(record["command"]))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
    return None


def read_runs(folder: Path) -> "list[ConceptRun]":
    """Read all concept runs of a job.

    Parameters
    ----------
    folder : Path
        The output folder of a job, or the folder of one class.

    Returns
    -------
    list of ConceptRun
        The runs in the order of the job.

    Raises
    ------
    DataError
        Where there is no run, or the runs are of several jobs.
    """
    from voxplain.store import find_runs, load_run

    runs = [load_run(place) for place in find_runs(folder)]
    known: set[tuple[str, str]] = set()
    for run in runs:
        if (run.target, run.layer) in known:
            raise DataError(
                f"expected the runs of one job in {folder}, got “{run.target}” at layer {run.layer} more than once; "
                "name one of the folders in it"
            )
        known.add((run.target, run.layer))
    return runs
