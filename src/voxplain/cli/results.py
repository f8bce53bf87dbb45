"""The files of a run: table, JSON, curves, a picture of each concept, and the run itself; each whole or absent."""

import io
import json
from pathlib import Path

from PIL import Image

from voxplain.concepts.concept_run import ConceptRun, EvaluationRun
from voxplain.report import curves, evaluation_json, montage, table_csv, table_json
from voxplain.store import save_run, write_whole

__all__ = ["write_evaluation", "write_run"]


def write_run(folder: Path, run: ConceptRun) -> None:
    """Write the run's table, JSON and concept pictures, the curves once it is evaluated, and last the run itself.

    So where `load_run` reads a run, all the others are there.
    """
    if run.evaluation is not None:
        _write_curves(folder, run.evaluation)
    write_whole(folder / "concepts.csv", table_csv(run).encode())
    write_whole(folder / "concepts.json", json.dumps(table_json(run), indent=1).encode())
    for row in run.rows():
        image = io.BytesIO()
        Image.fromarray(montage(run, row.concept)).save(image, format="png")
        write_whole(folder / f"concept_{row.concept:02d}.png", image.getvalue())
    save_run(folder, run)


def write_evaluation(folder: Path, evaluation: EvaluationRun) -> None:
    """Write the evaluation over several classes: evaluation.json and curves.png."""
    _write_curves(folder, evaluation)
    write_whole(folder / "evaluation.json", json.dumps(evaluation_json(evaluation), indent=1).encode())


def _write_curves(folder: Path, evaluation: EvaluationRun) -> None:
    image = io.BytesIO()
    curves(evaluation).savefig(image, format="png", dpi=80, metadata={"Software": None})
    write_whole(folder / "curves.png", image.getvalue())
