"""A whole `ConceptRun` on disk, so that its report and figures can be made again without the network or the videos.

Two files in a folder: ``run.json``, the structure with all plain values, to be read by people too, and ``run.npz``,
its arrays, which `numpy.load` opens under the names in run.json. Nothing in them is pickle.
"""

import json
from pathlib import Path
from typing import Any

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.concepts.concept_run import ConceptRun
from voxplain.errors import DataError
from voxplain.files import write_whole
from voxplain.plain_text import safe_name
from voxplain.reading import Unreadable, read_json
from voxplain.store.archive import Damaged, pack, seal, unpack

__all__ = ["RUN_FILES", "find_run", "find_runs", "is_attribution", "load_attribution", "load_run", "save_run"]

RUN_FILES = ("run.npz", "run.json")  # in the order of their writing
FORMAT = "voxplain run"
VERSION = 2  # 2: warnings with codes, log_odds as the second measure; records of version 1 had other names
_AGAIN = "make it again with `voxplain concepts`, or `voxplain evaluate` where it was evaluated"


def save_run(folder: Path | str, run: ConceptRun | AttributionRun) -> None:
    """Write ``run.npz`` and ``run.json`` into a folder; the same run gives the same bytes.

    Each file is written completely or not at all; run.json is written last and identifies its run.npz. Equal arrays are
    stored once.

    Parameters
    ----------
    folder : str or Path
        Folder to write.
    run : ConceptRun or AttributionRun
        The run.

    Raises
    ------
    VoxplainError
        When the folder cannot be written.
    TypeError
        For a run with other values than plain values and arrays.
    """
    folder = Path(folder)
    with pack(run) as (tree, arrays):
        record = {"format": FORMAT, "version": VERSION, "seal": seal(tree, arrays), "run": tree}
        # A lone surrogate of an undecodable file name becomes \udcff, which is how JSON spells it.
        text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
        write_whole(folder / "run.npz", arrays)
    write_whole(folder / "run.json", text + b"\n")


def load_run(folder: Path | str) -> ConceptRun:
    """Read the run of a class that `save_run` wrote into a folder; it is equal in every saved field.

    Parameters
    ----------
    folder : str or Path
        Folder of ``run.json`` and ``run.npz``, or the output folder of a command that holds one such folder.

    Returns
    -------
    ConceptRun

    Raises
    ------
    DataError
        Where there is no run, a file is damaged, the two files do not belong together, or the run is of a later version
        of voxplain.
    """
    run = _load(find_run(folder))
    if not isinstance(run, ConceptRun):
        raise DataError(f"expected the run of a class in {folder}, got a {type(run).__name__}; {_AGAIN}")
    return run


def load_attribution(folder: Path | str) -> AttributionRun:
    """Read the attribution run that `save_run` wrote into a folder.

    Parameters
    ----------
    folder : str or Path
        Folder of ``run.json`` and ``run.npz``, or the output folder of a command that holds one such folder.

    Returns
    -------
    AttributionRun

    Raises
    ------
    DataError
        As `load_run`.
    """
    run = _load(find_run(folder))
    if not isinstance(run, AttributionRun):
        raise DataError(
            f"expected an attribution run in {folder}, got a {type(run).__name__}; make one with `voxplain attribute`"
        )
    return run


def is_attribution(folder: Path | str) -> bool:
    """Whether the run in a folder is one of `voxplain attribute`."""
    record = _record(Path(folder) / "run.json")["run"]
    return isinstance(record, dict) and "$AttributionRun" in record


def _load(folder: Path) -> Any:
    record = _record(folder / "run.json")
    if record["version"] > VERSION:
        raise DataError(
            f"expected a run of format {VERSION} in {folder}, got format {record['version']}, made by a "
            "later voxplain; update voxplain"
        )
    if record["version"] < VERSION:
        raise DataError(
            f"expected a run of format {VERSION} in {folder}, got format {record['version']}, made by an earlier "
            f"voxplain; {_AGAIN}"
        )
    try:
        if not (folder / "run.npz").is_file() and (folder / "run.npz").exists():
            raise DataError(f"expected the file run.npz in {folder}, got another kind of file; {_AGAIN}")
        arrays = (folder / "run.npz").open("rb")
    except FileNotFoundError:
        raise DataError(f"expected run.npz beside {folder / 'run.json'}, got none; copy both, or {_AGAIN}") from None
    try:
        with arrays:
            if seal(record["run"], arrays) != record["seal"]:
                raise Damaged("run.json and run.npz do not belong together")
            run = unpack(record["run"], arrays)
    except DataError:
        raise
    except Exception as error:  # what was changed in a file makes the checks of records raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"expected a whole run in {folder}, got a damaged one ({reason}); {_AGAIN}") from None
    return run


def find_run(folder: Path | str) -> Path:
    """The folder of the only run in a job's output, or the folder itself when it holds one.

    Raises DataError where there is none, or more than one.
    """
    found = find_runs(folder)
    if len(found) > 1:
        names = ", ".join(place.relative_to(folder).as_posix() for place in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise DataError(f"expected one run in {folder}, got those of {names}{more}; name the folder of one of them")
    return found[0]


def find_runs(folder: Path | str) -> list[Path]:
    """The folders of runs in a job's output (CLASS or CLASS/LAYER), or the folder itself when it holds one.

    In the job's order where it left a job.json, else by name. Raises DataError where there is none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"expected the output folder of a run, got {folder}, which is no folder; check the path")
    if (folder / "run.json").exists():  # also a thing that is no file, which the reader names
        return [folder]
    found = [path.parent for pattern in ("*/run.json", "*/*/run.json") for path in folder.glob(pattern)]
    if not found:
        raise DataError(
            f"expected a run in {folder}, got no run.json in it, in its sub-folders or theirs; make one with "
            "`voxplain concepts`, or name one folder of results"
        )
    classes, layers = _order(folder)

    def place(path: Path) -> tuple[int, int, str]:
        parts = path.relative_to(folder).as_posix()
        name, layer = next(((c, parts[len(c) + 1 :]) for c in classes if f"{parts}/".startswith(f"{c}/")), (None, ""))
        return (
            layers.index(layer) if layer in layers else len(layers),
            classes.index(name) if name is not None else len(classes),
            parts,
        )

    return sorted(found, key=place)


def _order(folder: Path) -> tuple[list[str], list[str]]:
    """Classes and layers as the job names them; none where it left no record."""
    try:
        record = read_json(folder / "job.json")
        return [safe_name(str(name)) for name in record["classes"]], [str(name) for name in record["network"]["layer"]]
    except (OSError, ValueError, KeyError, TypeError):
        return [], []


def _record(path: Path) -> dict[str, Any]:
    try:
        record = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"expected a run in {path.parent}, got no {path.name} there; make one with `voxplain concepts`"
        ) from None
    except Unreadable as error:
        raise DataError(
            f"expected a whole run in {path.parent}, got a damaged {path.name} ({error}); {_AGAIN}"
        ) from None
    known = isinstance(record, dict) and record.get("format") == FORMAT
    if not known or type(record.get("version")) is not int or not {"seal", "run"} <= record.keys():
        raise DataError(f"expected a run's {path.name}, got another file at {path}; {_AGAIN}")
    return record
