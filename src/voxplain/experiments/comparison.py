"""What a benchmark of attribution methods says: means with intervals, tests against random, ranks, reliability.

Letters: V clips, M methods.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from voxplain.errors import DataError
from voxplain.explain.benchmark import Judged
from voxplain.metrics import AgainstRandom, Measured, against_random, krippendorff_alpha, mean_of, reliability
from voxplain.report.tables import number

__all__ = ["CONTROLS", "Comparison", "MethodCost", "compare", "comparison_csv", "comparison_markdown", "ranks_of"]

CONTROLS = ("random", "centre_prior", "motion_energy", "frame_constant")
_COLUMNS = (
    "method", "metric", "kind", "higher_is_better", "mean", "low", "high", "chance", "clips", "minus_random",
    "corrected_p", "seconds", "forwards", "backwards",
)  # fmt: skip
KINDS = {"map": "faithfulness", "place": "localisation", "time": "localisation in time", "method": "sanity"}


@dataclass(frozen=True)
class MethodCost:
    """Means a clip: seconds, clips through the network forward and backward."""

    seconds: float
    forwards: float
    backwards: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Means over clips by method and metric, and what follows from them.

    ``random`` the paired test against the random map by metric and method; ``reliability`` and ``alpha`` (Krippendorff,
    ordinal) of each metric's ranking of the methods over clips; ``ranks`` the mean rank of each method, 1 the best, by
    kind of metric; ``refused`` why a method has no map.
    """

    clips: int
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    kinds: Mapping[str, str]
    better: Mapping[str, bool | None]
    means: Mapping[str, Mapping[str, Measured]]
    costs: Mapping[str, MethodCost]
    random: Mapping[str, Mapping[str, AgainstRandom]]
    reliability: Mapping[str, Measured]
    alpha: Mapping[str, float]
    ranks: Mapping[str, Mapping[str, float]]
    refused: Mapping[str, str]


def compare(judged: Sequence[Judged], metrics: Mapping[str, Any]) -> Comparison:
    """Put the results of all clips together. Raises DataError when no method gave a map."""
    refused = {j.method: j.refused for j in judged if j.refused}
    rows: dict[str, list[Judged]] = {}
    for j in judged:
        if not j.refused:
            rows.setdefault(j.method, []).append(j)
    if not rows:
        raise DataError("expected a method that gave maps, got none: " + "; ".join(refused.values()))
    names = tuple(n for n in metrics if any(n in j.values for own in rows.values() for j in own))
    means = {
        method: {n: mean_of([Measured(*j.values[n]) for j in own if n in j.values]) for n in names}
        for method, own in rows.items()
    }
    better = {n: metrics[n].higher_is_better for n in names}
    kinds = {n: KINDS[metrics[n].judges] for n in names}
    tables = {n: _scores(rows, n, better[n]) for n in names}
    tested = {n: _against(rows, table) for n, table in tables.items()}
    return Comparison(
        clips=max(map(len, rows.values())), methods=tuple(rows), metrics=names, kinds=kinds, better=better, means=means,
        costs={m: _cost(own) for m, own in rows.items()},
        random={n: found for n, found in tested.items() if found},
        reliability={n: _reliable(rows, t) for n, t in tables.items() if t.size and "random" in rows and len(rows) > 2},
        alpha={n: _alpha(t) for n, t in tables.items() if t.size and len(rows) > 1},
        ranks={kind: ranks_of(means, [n for n in names if kinds[n] == kind], better) for kind in KINDS.values()},
        refused=refused,
    )  # fmt: skip


def ranks_of(
    means: Mapping[str, Mapping[str, Measured]], names: Sequence[str], better: Mapping[str, bool | None]
) -> dict[str, float]:
    """The mean rank of each method over metrics that judge, 1 the best; methods with an undefined mean come last."""
    found: dict[str, list[float]] = {m: [] for m in means}
    for n in names:
        if better[n] is None:
            continue
        sign = -1 if better[n] else 1
        values = np.array([sign * means[m][n].value for m in means])
        ranked = stats.rankdata(np.where(np.isfinite(values), values, np.inf))
        for m, r in zip(means, ranked, strict=True):
            found[m].append(float(r))
    return {m: float(np.mean(r)) for m, r in found.items() if r}


def _scores(rows: Mapping[str, list[Judged]], name: str, better: bool | None) -> np.ndarray:
    """Scores [V,M] on the clips where every method is defined, higher better; empty where the metric does not judge."""
    if better is None:
        return np.empty((0, 0))
    count = min(len(own) for own in rows.values())
    table = np.array(
        [[own[v].values.get(name, (np.nan,))[0] for own in rows.values()] for v in range(count)], dtype=float
    ).reshape(count, len(rows))
    table = table[np.isfinite(table).all(1)]
    return table if better else -table


def _against(rows: Mapping[str, list[Judged]], table: np.ndarray) -> dict[str, AgainstRandom]:
    names = list(rows)
    if "random" not in names or len(table) < 2 or len(names) < 2:
        return {}
    chance = table[:, names.index("random")]
    others = [i for i, n in enumerate(names) if n != "random"]
    found = against_random(table[:, others], chance, tuple(names[i] for i in others))
    return {r.method: r for r in found}


def _reliable(rows: Mapping[str, list[Judged]], table: np.ndarray) -> Measured:
    at = list(rows).index("random")
    return reliability(np.delete(table, at, 1), table[:, at])


def _alpha(table: np.ndarray) -> float:
    return krippendorff_alpha(np.apply_along_axis(stats.rankdata, 1, table)) if len(table) > 1 else float("nan")


def _cost(own: Sequence[Judged]) -> MethodCost:
    return MethodCost(*(float(np.mean([getattr(j, f) for j in own])) for f in ("seconds", "forwards", "backwards")))


def comparison_csv(found: Comparison) -> str:
    """One line a method and metric: mean, interval, chance, clips, difference to random with its corrected p-value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
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
        ]
    )
    for m in found.methods:
        cost = found.costs[m]
        for n in found.metrics:
            mean, test = found.means[m][n], found.random.get(n, {}).get(m)
            writer.writerow(_COLUMNS)
    for m in found.methods:
        cost = found.costs[m]
        for n in found.metrics:
            mean, test = found.means[m][n], found.random.get(n, {}).get(m)
            writer.writerow([
                m, n, found.kinds[n], found.better[n], mean.value, mean.details["low"], mean.details["high"],
                mean.chance, mean.details["clips"], test.difference if test else "", test.corrected if test else "",
                cost.seconds, cost.forwards, cost.backwards,
            ])  # fmt: skip
    return out.getvalue()


def comparison_markdown(found: Comparison) -> str:
    """A table a kind of metric, methods in the order of their mean rank; bold: beats random at p < 0.05, corrected."""
    parts = [_table(found, kind) for kind in dict.fromkeys(found.kinds.values())]
    parts.append(_costs(found))
    if found.refused:
        parts.append("\n".join(["Refused:", "", *(f"- {m}: {why}" for m, why in found.refused.items())]))
    return "\n\n".join(parts) + "\n"


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
    known = [number(float(np.mean([c for c in own if c is not None])), 3) if any(c is not None for c in own) else "–"
             for own in chances.values()]  # fmt: skip
    lines.append("| *chance* | – | " + " | ".join(known) + " |")
    agree = [number(found.alpha.get(n, float("nan")), 2) for n in names]
    lines.append("| *agreement of clips (Krippendorff’s α)* | – | " + " | ".join(agree) + " |")
    return "\n".join(lines)


def _cell(found: Comparison, method: str, name: str) -> str:
    mean, test = found.means[method][name], found.random.get(name, {}).get(method)
    value = number(mean.value, 3)
    if test is not None and test.corrected < 0.05 and test.difference > 0:
        value = f"**{value}**"
    return f"{value} [{number(mean.details['low'], 3)}, {number(mean.details['high'], 3)}]"


def _costs(found: Comparison) -> str:
    lines = ["| cost a clip: method | seconds | forwards | backwards |", "| --- | --- | --- | --- |"]
    for m in sorted(found.methods, key=lambda m: found.costs[m].seconds):
        c = found.costs[m]
        lines.append(f"| {m} | {number(c.seconds, 2)} | {number(c.forwards, 0)} | {number(c.backwards, 0)} |")
    return "\n".join(lines)
