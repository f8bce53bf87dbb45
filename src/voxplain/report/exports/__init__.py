"""Runs in the formats of other tools: functions from a run to the files of a folder."""

from collections.abc import Callable, Iterator, Sequence

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.concepts.concept_run import ConceptRun
from voxplain.report.exports.coco import coco_files
from voxplain.report.exports.fiftyone import fiftyone_files
from voxplain.report.exports.tables import csv_files
from voxplain.report.exports.tensorboard import tensorboard_files

__all__ = ["EXPORTS", "coco_files", "csv_files", "fiftyone_files", "tensorboard_files"]

Export = Callable[[Sequence[ConceptRun] | Sequence[AttributionRun]], Iterator[tuple[str, bytes]]]

EXPORTS: dict[str, Export] = {
    "csv": csv_files,
    "coco": coco_files,
    "fiftyone": fiftyone_files,
    "tensorboard": tensorboard_files,
}
"""Every format by name; each gives (path in the folder, bytes) for the runs of one kind."""
