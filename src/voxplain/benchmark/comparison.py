"""Comparison of attribution methods: means with intervals, tests against a random map, ranks, reliability.

Letters: V clips, M methods.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from voxplain.benchmark.agreement import AgainstRandom, against_random, krippendorff_alpha, reliability
from voxplain.benchmark.run import MethodResult
from voxplain.errors import DataError
from voxplain.metrics import MetricValue, mean_of
from voxplain.metrics.record import Needs
from voxplain.record_html import fields_table
from voxplain.report.tables import number
from voxplain.statistics import SIGNIFICANT

__all__ = [
    "CONTROLS",
    "KINDS",
    "Comparison",
    "Measure",
    "MethodCost",
    "class_markdown",
    "compare",
    "comparison_csv",
    "comparison_markdown",
    "mean_ranks",
    "ranks_of",
]

CONTROLS = ("random", "centre_prior", "motion_energy", "frame_constant")
_COLUMNS = (
    "method",
    "metric",
    "kind",
    "higher_is_better",
    "mean",
    "low",
    "high",
    "chance",
    "clips",
    "minus_random",
    "corrected_p",
    "seconds",
    "forwards",
    "backwards",
)
KINDS = {"map": "faithfulness", "mask": "localisation", "time": "localisation in time", "method": "sanity"}


class Measure(Protocol):
    """What a comparison reads of a metric."""

    @property
    def needs(self) -> Needs:
        """What the metric is called with."""
        ...

    @property
    def higher_is_better(self) -> bool | None:
        """None for a metric that does not rank methods."""
        ...


@dataclass(frozen=True)
class MethodCost:
    """Mean cost of a method's map of one clip.

    Parameters
    ----------
    seconds : float
    forwards, backwards : float
        Clips that pass through the network.
    """

    seconds: float
    forwards: float
    backwards: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Means over clips by method and metric, with tests, ranks and reliability.

    Parameters
    ----------
    clips : int
    methods, metrics : tuple of str
    kinds : mapping of str to str
        Kind of each metric, a value of `KINDS`.
    better : mapping of str to (bool or None)
        Whether higher is better; None for a metric that does not rank.
    means : mapping
        By method and metric; details hold the 95 % interval and the number of clips.
    costs : mapping of str to MethodCost
    random : mapping
        Paired test against the random map, by metric and method.
    reliability, alpha : mapping
        Agreement of the clips on the ranking of the methods, by metric: that of the study, and Krippendorff's α.
    ranks : mapping
        Mean rank of each method, 1 the best, by kind of metric.
    errors : mapping of str to str
        Why a method is not compared; a method without a map of some clip is left out.
    """

    clips: int
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    kinds: Mapping[str, str]
    better: Mapping[str, bool | None]
    means: Mapping[str, Mapping[str, MetricValue]]
    costs: Mapping[str, MethodCost]
    random: Mapping[str, Mapping[str, AgainstRandom]]
    reliability: Mapping[str, MetricValue]
    alpha: Mapping[str, float]
    ranks: Mapping[str, Mapping[str, float]]
    errors: Mapping[str, str]

    _repr_html_ = fields_table


def compare(results: Sequence[MethodResult], metrics: Mapping[str, Measure]) -> Comparison:
    """Compare the methods over all clips.

    Parameters
    ----------
    results : sequence of MethodResult
        As `run_benchmark` returns them.
    metrics : mapping of str to metric

    Raises
    ------
    DataError
        When no method gave maps of all clips.
    """
    errors = {j.method: j.error for j in results if j.error}
    rows: dict[str, list[MethodResult]] = {}
    for j in results:
        if j.method not in errors:  # the clips before an error are another sample than that of the other methods
            rows.setdefault(j.method, []).append(j)
    if not rows:
        raise DataError("expected a method that gave maps, got none: " + "; ".join(errors.values()))
    names = tuple(n for n in metrics if any(n in j.values for own in rows.values() for j in own))
    means = {
        method: {n: mean_of([MetricValue(*j.values[n]) for j in own if n in j.values]) for n in names}
        for method, own in rows.items()
    }
    better = {n: metrics[n].higher_is_better for n in names}
    kinds = {n: KINDS[metrics[n].needs] for n in names}
    tables = {n: _scores(rows, n, better[n]) for n in names}
    tested = {n: _against(*table) for n, table in tables.items()}
    return Comparison(
        clips=max(map(len, rows.values())),
        methods=tuple(rows),
        metrics=names,
        kinds=kinds,
        better=better,
        means=means,
        costs={m: _cost(own) for m, own in rows.items()},
        random={n: found for n, found in tested.items() if found},
        reliability={n: _reliable(*t) for n, t in tables.items() if len(t[1]) and "random" in t[0] and len(t[0]) > 2},
        alpha={n: _alpha(t) for n, (own, t) in tables.items() if len(t) and len(own) > 1},
        ranks={kind: ranks_of(means, [n for n in names if kinds[n] == kind], better) for kind in KINDS.values()},
        errors=errors,
    )


def ranks_of(
    means: Mapping[str, Mapping[str, MetricValue]], names: Sequence[str], better: Mapping[str, bool | None]
) -> dict[str, float]:
    """The mean rank of each method over the metrics that rank methods, 1 the best.

    A method whose mean is undefined comes last; one that was not measured at all, because it costs too much, gets no
    rank by that metric.
    """
    ranking = [n for n in names if better[n] is not None]
    cells = [[means[m][n] for n in ranking] for m in means]
    if not ranking:
        return {}
    signs = [-1 if better[n] else 1 for n in ranking]
    values = np.array([[c.value for c in row] for row in cells]) * signs
    found = mean_ranks(values, np.array([[c.details["clips"] > 0 for c in row] for row in cells]))
    return {m: float(r) for m, r in zip(means, found, strict=True) if np.isfinite(r)}


def mean_ranks(values: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Mean rank of each method, float64 [M], 1 the best; NaN for one without any.

    ``values`` [M,K], lower is better, NaN comes last; only where ``measured``, bool [M,K], is a method ranked.
    """
    ranks = np.full(values.shape, np.nan)
    for k, own in enumerate(measured.T):
        ranks[own, k] = stats.rankdata(np.where(np.isfinite(values[own, k]), values[own, k], np.inf))
    count = measured.sum(1)
    return np.where(count, np.nansum(ranks, 1) / np.maximum(count, 1), np.nan)


Scores = tuple[tuple[str, ...], np.ndarray]


def _scores(rows: Mapping[str, list[MethodResult]], name: str, better: bool | None) -> Scores:
    """Methods and their scores [V,M], higher better, on the clips where all of these are defined.

    A method takes part where it is defined on half of the clips that any is defined on, so that one that was not
    measured, or hardly ever is defined, does not remove clips for all others. Empty where the metric does not rank.
    """
    if better is None:
        return (), np.empty((0, 0))
    table = np.array([[j.values.get(name, (np.nan,))[0] for j in own] for own in rows.values()], dtype=float).T
    defined = np.isfinite(table)
    kept = 2 * defined.sum(0) >= max(1, int(defined.any(1).sum()))
    table = table[:, kept]
    table = table[np.isfinite(table).all(1)]
    return tuple(m for m, k in zip(rows, kept, strict=True) if k), table if better else -table


def _against(names: tuple[str, ...], table: np.ndarray) -> dict[str, AgainstRandom]:
    if "random" not in names or len(table) < 2 or len(names) < 2:
        return {}
    chance = table[:, names.index("random")]
    others = [i for i, n in enumerate(names) if n != "random"]
    found = against_random(table[:, others], chance, tuple(names[i] for i in others))
    return {r.method: r for r in found}


def _reliable(names: tuple[str, ...], table: np.ndarray) -> MetricValue:
    at = names.index("random")
    return reliability(np.delete(table, at, 1), table[:, at])


def _alpha(table: np.ndarray) -> float:
    return krippendorff_alpha(np.apply_along_axis(stats.rankdata, 1, table)) if len(table) > 1 else float("nan")


def _cost(own: Sequence[MethodResult]) -> MethodCost:
    return MethodCost(*(float(np.mean([getattr(j, f) for j in own])) for f in ("seconds", "forwards", "backwards")))


def comparison_csv(found: Comparison) -> str:
    """CSV with a line for each method and metric; columns are `_COLUMNS`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for m in found.methods:
        cost = found.costs[m]
        for n in found.metrics:
            mean, test = found.means[m][n], found.random.get(n, {}).get(m)
            writer.writerow(
                [
                    m,
                    n,
                    found.kinds[n],
                    found.better[n],
                    mean.value,
                    mean.details["low"],
                    mean.details["high"],
                    mean.chance,
                    mean.details["clips"],
                    test.difference if test else "",
                    test.corrected if test else "",
                    cost.seconds,
                    cost.forwards,
                    cost.backwards,
                ]
            )
    return out.getvalue()


def comparison_markdown(found: Comparison) -> str:
    """A table for each kind of metric, methods in the order of their mean rank.

    Bold: better than the random map with corrected p < 0.05.
    """
    parts = [_table(found, kind) for kind in dict.fromkeys(found.kinds.values())]
    parts.append(_costs(found))
    if found.errors:
        parts.append("\n".join(["Methods without maps:", "", *(f"- {m}: {why}" for m, why in found.errors.items())]))
    return "\n\n".join(parts) + "\n"


def class_markdown(results: Sequence[MethodResult], classes: Sequence[str], metric: str = "energy_inside") -> str:
    """A localisation metric by class, as multiples of its chance: mean over a class's clips; best method first."""
    found: dict[str, dict[int, list[float]]] = {}
    for j in results:
        value, chance = j.values.get(metric, (np.nan, None))
        if chance and np.isfinite(value):
            found.setdefault(j.method, {}).setdefault(j.target, []).append(value / chance)
    targets = sorted({t for own in found.values() for t in own})
    means = {m: [float(np.mean(own[t])) if t in own else np.nan for t in targets] for m, own in found.items()}
    names = [classes[t] if classes else str(t) for t in targets]
    lines = [
        f"| {metric} ÷ chance: method | all | " + " | ".join(names) + " |",
        "| --- | --- |" + " --- |" * len(names),
    ]
    for m in sorted(means, key=lambda m: -float(np.nanmean(means[m]))):
        cells = [number(v, 1) for v in (float(np.nanmean(means[m])), *means[m])]
        lines.append(f"| {m} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _table(found: Comparison, kind: str) -> str:
    names = [n for n in found.metrics if found.kinds[n] == kind]
    ranks = found.ranks.get(kind, {})
    order = sorted(found.methods, key=lambda m: ranks.get(m, np.inf))
    arrow = {True: " ↑", False: " ↓", None: ""}
    lines = [
        f"| {kind}: method | mean rank | " + " | ".join(n + arrow[found.better[n]] for n in names) + " |",
        "| --- | --- |" + " --- |" * len(names),
    ]
    for m in order:
        cells = [_cell(found, m, n) for n in names]
        lines.append(f"| {m} | {number(ranks.get(m, float('nan')), 1)} | " + " | ".join(cells) + " |")
    chances = {n: [found.means[m][n].chance for m in order] for n in names}
    known = [
        number(float(np.mean([c for c in own if c is not None])), 3) if any(c is not None for c in own) else "–"
        for own in chances.values()
    ]
    lines.append("| *chance* | – | " + " | ".join(known) + " |")
    agree = [number(found.alpha.get(n, float("nan")), 2) for n in names]
    lines.append("| *agreement of clips (Krippendorff’s α)* | – | " + " | ".join(agree) + " |")
    return "\n".join(lines)


def _cell(found: Comparison, method: str, name: str) -> str:
    mean, test = found.means[method][name], found.random.get(name, {}).get(method)
    value = number(mean.value, 3)
    if test is not None and test.corrected < SIGNIFICANT and test.difference > 0:
        value = f"**{value}**"
    return f"{value} [{number(mean.details['low'], 3)}, {number(mean.details['high'], 3)}]"


def _costs(found: Comparison) -> str:
    lines = ["| cost a clip: method | seconds | forwards | backwards |", "| --- | --- | --- | --- |"]
    for m in sorted(found.methods, key=lambda m: found.costs[m].seconds):
        c = found.costs[m]
        lines.append(f"| {m} | {number(c.seconds, 2)} | {number(c.forwards, 0)} | {number(c.backwards, 0)} |")
    return "\n".join(lines)
