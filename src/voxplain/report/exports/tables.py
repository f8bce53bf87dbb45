"""Runs as CSV tables: concepts, their effect in each clip, and the importance of each frame by method."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.concepts.concept_run import ConceptRun
from voxplain.plain_text import csv_cell
from voxplain.report.cards import short_name
from voxplain.report.exports.concept_clips import concept_clips
from voxplain.report.tables import table_csv

__all__ = ["csv_files"]


def csv_files(runs: Sequence[ConceptRun] | Sequence[AttributionRun]) -> Iterator[tuple[str, bytes]]:
    """Tables of runs of one kind; numbers in full, empty where a value was not measured.

    Parameters
    ----------
    runs : sequence of ConceptRun or AttributionRun

    Yields
    ------
    (str, bytes)
        Of concepts ``concepts-CLASS.csv``, ``clips.csv`` and, where they were evaluated, ``comparisons.csv``; of
        attribution ``frames.csv`` and ``metrics.csv``.
    """
    concepts = [run for run in runs if isinstance(run, ConceptRun)]
    maps = [run for run in runs if isinstance(run, AttributionRun)]
    if concepts:
        for i, run in enumerate(concepts):
            name = re.sub(r"[^A-Za-z0-9._-]+", "_", run.target)
            yield f"concepts-{i + 1:02d}-{name}.csv", table_csv(run).encode()
        yield "clips.csv", _table(("class", "clip", "held_out", "concept", "volume", "effect"), _clip_rows(concepts))
        if any(run.evaluation is not None for run in concepts):
            head = ("class", "layer", "kind", "other", "measure", "difference", "low", "high", "p_value")
            yield "comparisons.csv", _table(head, _comparison_rows(concepts))
    if maps:
        yield "frames.csv", _table(("video", "class", "method", "frame", "seconds", "importance"), _frame_rows(maps))
        columns = ("video", "class", "method", "metric", "value", "chance", "higher_is_better")
        yield "metrics.csv", _table(columns, _metric_rows(maps))


def _clip_rows(runs: Sequence[ConceptRun]) -> Iterator[Sequence[object]]:
    for found in concept_clips(runs):
        for k, mask in found.masks():
            lost = float(found.lost[k])
            volume = float(mask.mean())
            yield found.run.target, short_name(found.clip.source), int(found.held_out), k, volume, lost


def _comparison_rows(runs: Sequence[ConceptRun]) -> Iterator[Sequence[object]]:
    for run in runs:
        for test in () if run.evaluation is None else run.evaluation.order_tests:
            values = (test.difference, test.low, test.high, test.p_value)
            yield run.target, run.layer, test.kind, test.other, test.measure, *values


def _frame_rows(runs: Sequence[AttributionRun]) -> Iterator[Sequence[object]]:
    for run in runs:
        for method in run.maps:
            for t, (seconds, share) in enumerate(zip(run.clip.seconds, run.importance(method), strict=True)):
                yield short_name(run.clip.source), run.target, method, t, float(seconds), float(share)


def _metric_rows(runs: Sequence[AttributionRun]) -> Iterator[Sequence[object]]:
    for run in runs:
        for method, own in run.measured.items():
            for metric, (value, chance, higher) in own.items():
                yield short_name(run.clip.source), run.target, method, metric, value, chance, higher


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: object) -> object:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return ""
    return repr(value) if isinstance(value, float) else csv_cell(value)
