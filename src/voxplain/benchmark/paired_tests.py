"""What a benchmark says of chosen methods: paired tests against one of them, and whether two kinds of metrics agree.

Letters: V clips, M methods, K metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxplain.benchmark.agreement import paired_gain
from voxplain.benchmark.comparison import CONTROLS, KINDS, mean_ranks
from voxplain.benchmark.run import MethodResult
from voxplain.errors import DataError
from voxplain.report.tables import number
from voxplain.statistics import SIGNIFICANT, holm, spearman

__all__ = ["Agreement", "Pair", "pair_rows", "paired", "pairs_markdown", "ranks_agreement"]

RESAMPLES = 999  # of clips, for the interval of a rank correlation


@dataclass(frozen=True)
class Pair:
    """One method against another by one metric, on the ``clips`` where both are defined.

    ``difference`` of the means, positive where ``method`` does better, with a 95 % bootstrap interval over clips;
    ``wins`` the share of clips on which it does better, a tie counting half; ``p_value`` of the sign-flip test,
    ``corrected`` (Holm) for all methods tested against ``against`` by this metric.
    """

    metric: str
    method: str
    against: str
    difference: float
    low: float
    high: float
    wins: float
    p_value: float
    corrected: float
    clips: int


def paired(
    judged: Sequence[MethodResult], metrics: Mapping[str, Any], against: Mapping[str, Sequence[str]]
) -> list[Pair]:
    """Test each chosen method against a reference, by each metric.

    ``against``: reference → the methods tested against it, none: all others. Raises DataError for a method that gave
    no maps in this benchmark.
    """
    refused = {j.method for j in judged if j.refused}
    known = tuple(dict.fromkeys(j.method for j in judged if j.method not in refused))
    found: list[Pair] = []
    for reference, chosen in against.items():
        others = tuple(chosen) or tuple(m for m in known if m != reference)
        if lost := [m for m in (reference, *others) if m not in known]:
            raise DataError(
                f"expected methods of this benchmark to compare, got {', '.join(lost)}; it has {', '.join(known)}"
            )
        for name in (n for n, m in metrics.items() if m.higher_is_better is not None):
            found += _family(_scores(judged, known, name), known, name, reference, others, metrics[name])
    return found


def _scores(judged: Sequence[MethodResult], known: Sequence[str], name: str) -> np.ndarray:
    """A metric's values [V,M], NaN where there is none."""
    rows = [[j.values.get(name, (np.nan, None))[0] for j in judged if j.method == m] for m in known]
    return np.array(rows, float).T


def _family(
    table: np.ndarray, known: Sequence[str], name: str, reference: str, others: Sequence[str], metric: Any
) -> list[Pair]:
    """The tests that are corrected together; none where nothing is defined."""
    sign = 1 if metric.higher_is_better else -1
    rows = []
    for other in (m for m in others if m != reference):
        gain = sign * (table[:, known.index(other)] - table[:, known.index(reference)])
        gain = gain[np.isfinite(gain)]
        if len(gain) > 1:
            rows.append((other, paired_gain(gain), len(gain)))
    corrected = holm([test[-1] for _, test, _ in rows])
    return [
        Pair(name, other, reference, *test, float(c), clips)
        for (other, test, clips), c in zip(rows, corrected, strict=True)
    ]


def pairs_markdown(pairs: Sequence[Pair]) -> str:
    """A line a test, by reference and metric, the best method first; bold: p < 0.05, corrected."""
    lines = [
        "| against | metric | method | difference (positive: method is better) | wins | p | corrected p | clips |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    metrics = list(dict.fromkeys(p.metric for p in pairs))
    for p in sorted(pairs, key=lambda p: (p.against, metrics.index(p.metric), -p.difference)):
        told = number(p.difference, 3)
        told = f"**{told}**" if p.corrected < SIGNIFICANT else told
        lines.append(
            f"| {p.against} | {p.metric} | {p.method} | {told} [{number(p.low, 3)}, {number(p.high, 3)}] | "
            f"{number(p.wins, 2)} | {number(p.p_value, 4)} | {number(p.corrected, 4)} | {p.clips} |"
        )
    return "\n".join(lines) + "\n"


def pair_rows(pairs: Sequence[Pair]) -> list[dict[str, object]]:
    """The tests for spreadsheets."""
    return [dict(vars(p)) for p in pairs]


@dataclass(frozen=True)
class Agreement:
    """Spearman's ρ of the methods' mean ranks by faithfulness and by localisation, controls left out.

    ``low`` and ``high``: 95 % of ρ when the clips are drawn anew; drawing makes ranks noisier, so the interval reaches
    further down than up.
    """

    spearman: float
    low: float
    high: float
    methods: int
    clips: int

    def sentence(self) -> str:
        """The finding in words."""
        return (
            f"Objective (faithfulness) against subjective (localisation) mean ranks: Spearman {number(self.spearman)} "
            f"[{number(self.low)}, {number(self.high)}] over {self.methods} methods, controls left out; interval over "
            f"{self.clips} clips."
        )


def ranks_agreement(judged: Sequence[MethodResult], metrics: Mapping[str, Any], *, seed: int = 0) -> Agreement | None:
    """Do objective and subjective metrics rank the methods alike? None without both kinds or with fewer than 3 methods.

    The study's headline question (arXiv 2005.00375).
    """
    refused = {j.method for j in judged if j.refused}
    known = tuple(dict.fromkeys(j.method for j in judged if j.method not in refused))
    parts = []
    for kind in ("faithfulness", "localisation"):
        names = [n for n, m in metrics.items() if KINDS.get(m.needs) == kind and m.higher_is_better is not None]
        tables = [(-1 if metrics[n].higher_is_better else 1) * _scores(judged, known, n) for n in names]
        measured = [_measured(judged, known, n) for n in names]
        if not any(m.any() for m in measured):
            return None
        parts.append((np.stack(tables, -1), np.stack(measured, -1)))  # [V,M,K] each; lower is better
    kept = np.array([m not in CONTROLS for m in known])
    if kept.sum() < 3:
        return None
    rng, count = np.random.default_rng(seed), len(parts[0][0])
    drawn = [_correlation(parts, kept, rng.integers(0, count, count)) for _ in range(RESAMPLES)]
    low, high = np.nanquantile(drawn, (0.025, 0.975)) if np.isfinite(drawn).any() else (np.nan, np.nan)
    value = _correlation(parts, kept, np.arange(count))
    return Agreement(value, float(low), float(high), int(kept.sum()), count)


def _measured(judged: Sequence[MethodResult], known: Sequence[str], name: str) -> np.ndarray:
    """Where a metric was measured, bool [V,M]; its value may still be undefined."""
    return np.array([[name in j.values for j in judged if j.method == m] for m in known]).T


def _correlation(parts: Sequence[tuple[np.ndarray, np.ndarray]], kept: np.ndarray, clips: np.ndarray) -> float:
    across, up = (mean_ranks(*_means(values[clips], measured[clips]))[kept] for values, measured in parts)
    both = np.isfinite(across) & np.isfinite(up)
    return spearman(across[both], up[both]) if both.sum() > 2 else float("nan")


def _means(values: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over clips [M,K] of [V,M,K], NaN where none is defined, and where any was measured."""
    there = np.isfinite(values)
    count = there.sum(0)
    means = np.where(there, values, 0).sum(0) / np.maximum(count, 1)
    return np.where(count > 0, means, np.nan), np.asarray(measured.any(0))
