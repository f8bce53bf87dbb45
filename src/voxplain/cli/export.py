"""`voxplain export`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from voxplain.cli.options import OutputFile
from voxplain.errors import DataError

__all__ = ["export_command"]


def export_command(
    run: Path, *, to: Literal["csv", "coco", "fiftyone", "tensorboard", "schema"], output: OutputFile = None
) -> None:
    """Write a run in the format of another tool; needs neither network nor videos.

    csv: tables of concepts, of their effect in each clip and of the comparisons, or of maps by frame. coco: frames and
    masks of concepts as run lengths. fiftyone: videos with the frames in which each concept is visible. tensorboard: an
    event file with moving pictures and scores. schema: the JSON Schema of the run.json files, to check them elsewhere.

    Examples:

        voxplain export runs/bend --to csv
        voxplain export runs/bend --to coco -o bend-coco
        voxplain export runs/clip --to tensorboard

    Parameters
    ----------
    run
        The output folder of `voxplain concepts`, `evaluate`, `demo` or `attribute`, or the folder of one class.
    to
        csv, coco, fiftyone, tensorboard or schema; coco and fiftyone are for concepts only.
    output
        Folder to write into; default: export-TO in RUN.
    """
    from voxplain.cli.report import read_runs
    from voxplain.progress import progress_bar
    from voxplain.report.exports import EXPORTS
    from voxplain.store import find_runs, is_attribution, load_attribution, write_whole

    folder = output or run / f"export-{to}"
    if folder.is_file():
        raise DataError(f"expected a folder to export into, got the file {folder}; name a folder")
    places = find_runs(run)
    attribution = all(is_attribution(place) for place in places)
    runs = [load_attribution(place) for place in places] if attribution else read_runs(run)
    count = 0
    with progress_bar(f"exporting to {to}", None) as advance:
        for name, data in EXPORTS[to](runs) if to in EXPORTS else schema_file():
            write_whole(folder / name, data)
            count += 1
            advance()
    print(f"{to}: {count} file{'s' * (count != 1)} in {folder}")


def schema_file() -> Iterator[tuple[str, bytes]]:
    """run.schema.json, the JSON Schema of run.json."""
    import json

    from voxplain.store.json_schema import run_schema

    yield "run.schema.json", (json.dumps(run_schema(), indent=1) + "\n").encode()
