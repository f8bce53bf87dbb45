"""A run as text: CSV of the table, JSON of everything, a table for the terminal, and the mean curves behind both.

Letters: V test videos, S steps (q = 0 … Q, then all concepts), K concepts, R repeats.
"""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from voxplain.concepts.concept_run import ConceptRow, ConceptRun, EvaluationRun
from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.report.add_remove import mean_curves
from voxplain.statistics import SIGNIFICANT

__all__ = ["evaluation_json", "interval_text", "number", "places_for", "plain", "table_csv", "table_json", "table_text"]


def number(value: float, digits: int = 2) -> str:
    """A number with so many decimals, – for one that does not exist, and a true minus sign."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def interval_text(tested: float, low: float, high: float, digits: int) -> str:
    """What is tested with its interval, as a table shows it; says so where it was not measured."""
    if math.isnan(tested):
        return "not measured"
    return f"{number(tested, digits)} [{number(low, digits)}, {number(high, digits)}]"


def places_for(values: Sequence[float] | np.ndarray) -> int:
    """Decimals that show about three digits of the largest of some values: 1.23, 0.0123."""
    known = [abs(v) for v in np.ravel(values) if math.isfinite(v) and v]
    return min(6, max(0, 2 - math.floor(math.log10(max(known))))) if known else 2


def table_csv(run: ConceptRun) -> str:
    """The table as CSV, one column a field of `ConceptRow`; numbers in full, so they read back equal.

    Parameters
    ----------
    run : ConceptRun
        Run of a class.

    Returns
    -------
    str
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(f.name for f in fields(ConceptRow))
    writer.writerows([repr(value) for value in asdict(row).values()] for row in run.rows())
    return out.getvalue()


def table_json(run: ConceptRun) -> dict[str, Any]:
    """A run as plain values for `json.dump`: rows, scores with every repeat, members, evaluation, warnings.

    Parameters
    ----------
    run : ConceptRun
        Run of a class.

    Returns
    -------
    dict
        Numbers that are not finite (a clip that lacks the concept, a test without data) are None.
    """
    return plain(
        {
            **{
                name: getattr(run, name) for name in ("target", "target_index", "network", "layer", "classes", "preset")
            },
            "sentence": run.sentence(),
            "ranking": run.ranking,
            "recognition": None if run.recognition is None else asdict(run.recognition),
            "clips": [clip.source for clip in run.clips],
            "rows": [asdict(row) for row in run.rows()],
            "scores": {name: asdict(score) for name, score in run.scores.items()},
            "cavs": {"layer": run.cavs.layer, "accuracy": run.cavs.accuracy, "alignment": run.alignment},
            "concepts": {
                "method": run.bank.method,
                "sizes": run.bank.sizes,
                "members": [[_member(run, row) for row in rows] for rows in run.bank.members],
                "distance": run.bank.distance,
                "clip_dependence": run.clip_dependence,
            },
            "evaluation": None if run.evaluation is None else evaluation_json(run.evaluation),
            "warnings": [asdict(warning) for warning in run.warnings],
            "skipped": [{"source": source, "reason": reason} for source, reason in run.skipped],
            "parameters": run.parameters,
            "provenance": run.provenance,
        }
    )


def _member(run: ConceptRun, row: int) -> dict[str, Any]:
    clip, supervoxel = (int(i) for i in run.origin[row])
    box = run.supervoxels[clip].boxes[supervoxel]
    return {"clip": clip, "supervoxel": supervoxel, "box_t0_t1_y0_y1_x0_x1": box}


def evaluation_json(evaluation: EvaluationRun) -> dict[str, Any]:
    """Curves and comparisons of one evaluation, as plain values for `json.dump`."""
    return plain(
        {
            **{steps.kind: _steps(steps) for steps in (evaluation.adding, evaluation.removing)},
            "order_tests": [asdict(order_test) for order_test in evaluation.order_tests],
        }
    )


def _steps(steps: AddRemoveCurves) -> dict[str, Any]:
    means = mean_curves(steps)
    each = steps.log_odds() if steps.quantity else steps.right()
    return {
        "videos": len(steps.truth),
        "baseline": means.baseline,
        "steps": [*range(steps.logits.shape[2] - 1), "all"],
        "output" if means.quantity else "accuracy": means.values,
        "coverage": means.coverage,
        "random_band_95": means.bands["random"],
        "orders": {name: row.mean(0) for name, row in zip(steps.names, each, strict=True)},
    }


def plain(value: Any) -> Any:
    """Arrays, tuples, paths and dataclasses as lists, strings and dicts; NaN and infinity as None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value) if isinstance(value, PurePath) else repr(value)


def table_text(run: ConceptRun) -> Table:
    """Table of concepts for the terminal, best first; significant q-values in bold.

    Parameters
    ----------
    run : ConceptRun
        Run of a class.

    Returns
    -------
    rich.table.Table
    """
    rows = run.rows()
    title = Text.assemble((run.target, "bold"), f" · {run.network} · {run.layer} · ranked by {run.ranking}")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    columns: list[tuple[str, Callable[[ConceptRow], str | Text]]] = [
        ("#", lambda r: str(r.rank)),
        ("concept", lambda r: str(r.concept)),
        (run.ranking, _field("score", places_for([r.score for r in rows]))),
        ("above chance", _tested(rows)),
        ("q", lambda r: Text(number(r.q_value, 3), "bold" if r.q_value < SIGNIFICANT else "")),
    ]
    shown = {"effect": [r.effect for r in rows], "tcav": [r.tcav for r in rows]}
    for name, values in shown.items():
        if name != run.ranking:
            columns.append((name, _field(name, places_for(values))))
    columns += [
        ("CAV", lambda r: number(r.cav_accuracy)),
        ("videos", lambda r: f"{r.videos}/{len(run.clips)}"),
        ("vol. %", lambda r: number(100 * r.volume, 1)),
    ]
    for name, _ in columns:
        table.add_column(Text(name), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(cell(row) for _, cell in columns))
    return table


def _tested(rows: list[ConceptRow]) -> Callable[[ConceptRow], str]:
    digits = max(0, places_for([r.tested for r in rows]) - 1)  # two digits leave room for the ends
    return lambda r: interval_text(r.tested, r.tested_low, r.tested_high, digits)


def _field(name: str, digits: int) -> Callable[[ConceptRow], str]:
    return lambda r: number(getattr(r, name), digits)
