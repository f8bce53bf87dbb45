"""Tables of retraining benchmarks: accuracy by method and ratio, and similarity of maps under shuffled labels.

Letters: V test clips.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from voxplain.benchmark.agreement import AgainstRandom, against_random
from voxplain.benchmark.retraining import Trained
from voxplain.metrics import MetricValue, mean_of
from voxplain.report.tables import number
from voxplain.statistics import SIGNIFICANT, bootstrap_interval, holm, sign_flip_test

__all__ = [
    "Accuracies",
    "LabelPairRow",
    "accuracies",
    "accuracy_markdown",
    "accuracy_rows",
    "label_pair_markdown",
    "label_pair_rows",
]


@dataclass(frozen=True, eq=False)
class Accuracies:
    """Accuracy of networks trained on masked clips.

    Parameters
    ----------
    metric, method : str
        ``method`` is "" where nothing is hidden.
    ratio : float
        Share of voxels that are masked or kept.
    mean : MetricValue
        Mean over test clips of the share of seeds that are right, with its interval over clips.
    seeds : tuple of float
        Accuracy of each seed.
    random : AgainstRandom, optional
        Paired test against the random map, positive where the method is better.
    """

    metric: str
    method: str
    ratio: float
    mean: MetricValue
    seeds: tuple[float, ...]
    random: AgainstRandom | None


def accuracies(trained: Sequence[Trained], metrics: Mapping[str, Any], chance: float) -> list[Accuracies]:
    """One row a metric, ratio and method. Tests are corrected (Holm) over the methods of one metric and ratio."""
    cells: dict[tuple[str, float], dict[str, dict[int, tuple[bool, ...]]]] = {}
    for t in trained:
        cells.setdefault((t.metric, t.ratio), {}).setdefault(t.method, {})[t.seed] = t.right
    rows = []
    for (metric, ratio), own in cells.items():
        right = {m: np.array([seeds[s] for s in sorted(seeds)], float) for m, seeds in own.items()}
        shares = {m: r.mean(0) for m, r in right.items()}  # [V]
        tests = _against_random(shares, better=metrics[metric].higher_is_better)
        rows += [
            Accuracies(
                metric,
                m,
                ratio,
                mean_of([MetricValue(float(v), chance) for v in shares[m]]),
                tuple(right[m].mean(1).tolist()),
                tests.get(m),
            )
            for m in shares
        ]
    return rows


def _against_random(shares: Mapping[str, np.ndarray], *, better: bool) -> dict[str, AgainstRandom]:
    others = tuple(m for m in shares if m != "random")
    if "random" not in shares or not others:
        return {}
    sign = 1 if better else -1
    found = against_random(np.stack([sign * shares[m] for m in others], 1), sign * shares["random"], others)
    return {r.method: r for r in found}


def accuracy_rows(rows: Sequence[Accuracies]) -> list[dict[str, object]]:
    """One dict for each row, for CSV."""
    return [
        {
            "metric": r.metric,
            "method": r.method or "(nothing hidden)",
            "ratio": r.ratio,
            "accuracy": r.mean.value,
            "low": r.mean.details["low"],
            "high": r.mean.details["high"],
            "chance": r.mean.chance,
            "clips": r.mean.details["clips"],
            "seeds": " ".join(f"{s:.4f}" for s in r.seeds),
            "better_than_random": r.random.difference if r.random else None,
            "better_low": r.random.low if r.random else None,
            "better_high": r.random.high if r.random else None,
            "corrected_p": r.random.corrected if r.random else None,
        }
        for r in rows
    ]


def accuracy_markdown(rows: Sequence[Accuracies], metrics: Mapping[str, Any]) -> str:
    """A line a method, best first by its mean over columns; bold: better than random at p < 0.05, corrected."""
    columns = list(dict.fromkeys((r.metric, r.ratio) for r in rows))
    cells = {(r.method, r.metric, r.ratio): r for r in rows}
    shown = [c for c in columns if not metrics[c[0]].hides_nothing(c[1])]
    arrow = {n: "↑" if m.higher_is_better else "↓" for n, m in metrics.items()}

    def worth(method: str) -> float:
        signs = [(1 if metrics[n].higher_is_better else -1, cells[method, n, r].mean.value) for n, r in shown]
        return -float(np.mean([sign * v for sign, v in signs]))

    order = sorted({r.method for r in rows if r.method}, key=worth)
    lines = [
        "| accuracy %: method | " + " | ".join(f"{n} {r:g} {arrow[n]}" for n, r in shown) + " |",
        "| --- |" + " --- |" * len(shown),
        *(f"| {m} | " + " | ".join(_cell(cells[m, n, r]) for n, r in shown) + " |" for m in order),
    ]
    whole = next((r for r in rows if not r.method), None)
    if whole is not None:
        lines += ["", f"Nothing hidden: {_cell(whole)}."]
    first = rows[0]
    count = f"{len(first.seeds)} seed" + ("s" if len(first.seeds) > 1 else "")
    count_line = (
        f"{first.mean.details['clips']} test clips, {count}; chance {number(100 * float(first.mean.chance or 0), 1)}."
    )
    return "\n".join([*lines, "", f"{count_line} Intervals over clips, of the mean over seeds."]) + "\n"


def _cell(row: Accuracies) -> str:
    mean, low, high = (number(100 * v, 1) for v in (row.mean.value, row.mean.details["low"], row.mean.details["high"]))
    if row.random is not None and row.random.corrected < SIGNIFICANT and row.random.difference > 0:
        mean = f"**{mean}**"
    return f"{mean} [{low}, {high}]"


@dataclass(frozen=True)
class LabelPairRow:
    """Similarity of a method's maps to those of two networks that were trained alike, on shuffled and on true labels.

    Parameters
    ----------
    method : str
    shuffled, true : MetricValue
        Mean similarity to the maps of the network trained on shuffled labels, and on true labels.
    difference : float
        true − shuffled; positive where the maps depend on the labels.
    low, high : float
        95 % bootstrap interval over clips.
    corrected_p : float
        Sign-flip test, corrected (Holm) over methods.
    """

    method: str
    shuffled: MetricValue
    true: MetricValue
    difference: float
    low: float
    high: float
    corrected_p: float


def label_pair_rows(likeness: Mapping[str, Sequence[tuple[float, float]]]) -> list[LabelPairRow]:
    """One row a method over the clips where both are defined; tests corrected (Holm) over the methods."""
    found: list[LabelPairRow] = []
    for method, pairs in likeness.items():
        table = np.array(pairs, float).reshape(-1, 2)
        table = table[np.isfinite(table).all(1)]
        gain = table[:, 1] - table[:, 0]
        low, high = bootstrap_interval(gain, np.random.default_rng(0))
        shuffled, true = (mean_of([MetricValue(float(v)) for v in column]) for column in table.T)
        mean = float(gain.mean()) if len(gain) else float("nan")
        p = sign_flip_test(gain, np.random.default_rng(0))
        found.append(LabelPairRow(method, shuffled, true, mean, low, high, p))
    corrected = holm([row.corrected_p for row in found])
    return [replace(row, corrected_p=float(p)) for row, p in zip(found, corrected, strict=True)]


def label_pair_markdown(rows: Sequence[LabelPairRow]) -> str:
    """Markdown table, the largest difference first; bold: corrected p < 0.05."""
    lines = [
        "| similarity of maps: method | to the network trained on shuffled labels ↓ | on true | true − shuffled |",
        "| --- | --- | --- | --- |",
    ]
    for r in sorted(rows, key=lambda r: -r.difference if np.isfinite(r.difference) else np.inf):
        shown = number(r.difference, 2)
        shown = f"**{shown}**" if r.corrected_p < SIGNIFICANT and r.difference > 0 else shown
        both = [
            f"{number(m.value, 2)} [{number(m.details['low'], 2)}, {number(m.details['high'], 2)}]"
            for m in (r.shuffled, r.true)
        ]
        lines.append(f"| {r.method} | {both[0]} | {both[1]} | {shown} [{number(r.low, 2)}, {number(r.high, 2)}] |")
    return "\n".join(lines) + "\n"
