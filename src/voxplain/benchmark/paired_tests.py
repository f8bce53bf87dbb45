"""Paired tests of attribution methods against a reference method, and agreement of two kinds of metrics.

Letters: V clips, M methods, K metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from voxplain.benchmark.agreement import paired_gain
from voxplain.benchmark.comparison import CONTROLS, KINDS, Measure, mean_ranks
from voxplain.benchmark.run import MethodResult
from voxplain.errors import DataError
from voxplain.report.tables import number
from voxplain.statistics import SIGNIFICANT, holm, spearman

__all__ = ["Agreement", "Pair", "pair_rows", "paired", "pairs_markdown", "ranks_agreement"]

RESAMPLES = 999  # of clips, for the interval of a rank correlation


@dataclass(frozen=True)
class Pair:
    """One method against another by one metric, on the clips where both are defined.

    Parameters
    ----------
    metric, method, against : str
    difference : float
        Of the means, positive where ``method`` is better.
    low, high : float
        95 % bootstrap interval over clips.
    wins : float
        Share of clips on which ``method`` is better; a tie counts half.
    p_value, corrected : float
        Sign-flip test; corrected (Holm) over all methods tested against ``against`` by this metric.
    clips : int
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
    results: Sequence[MethodResult], metrics: Mapping[str, Measure], against: Mapping[str, Sequence[str]]
) -> list[Pair]:
    """Test methods against references, by each metric.

    Parameters
    ----------
    results : sequence of MethodResult
    metrics : mapping of str to metric
    against : mapping of str to sequence of str
        Reference and the methods tested against it; an empty sequence means all others.

    Raises
    ------
    DataError
        For a method that gave no maps in this benchmark.
    """
    failed = {j.method for j in results if j.error}
    known = tuple(dict.fromkeys(j.method for j in results if j.method not in failed))
    found: list[Pair] = []
    for reference, chosen in against.items():
        others = tuple(chosen) or tuple(m for m in known if m != reference)
        if lost := [m for m in (reference, *others) if m not in known]:
            raise DataError(
                f"expected methods of this benchmark to compare, got {', '.join(lost)}; it has {', '.join(known)}"
            )
        for name in (n for n, m in metrics.items() if m.higher_is_better is not None):
            found += _family(_scores(results, known, name), known, name, reference, others, metrics[name])
    return found


def _scores(results: Sequence[MethodResult], known: Sequence[str], name: str) -> np.ndarray:
    """A metric's values [V,M], NaN where there is none."""
    rows = [[j.values.get(name, (np.nan, None))[0] for j in results if j.method == m] for m in known]
    return np.array(rows, float).T


def _family(
    table: np.ndarray, known: Sequence[str], name: str, reference: str, others: Sequence[str], metric: Measure
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
    """Markdown table of the tests, by reference and metric, the best method first; bold: corrected p < 0.05."""
    lines = [
        "| against | metric | method | difference (positive: method is better) | wins | p | corrected p | clips |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    metrics = list(dict.fromkeys(p.metric for p in pairs))
    for p in sorted(pairs, key=lambda p: (p.against, metrics.index(p.metric), -p.difference)):
        shown = number(p.difference, 3)
        shown = f"**{shown}**" if p.corrected < SIGNIFICANT else shown
        lines.append(
            f"| {p.against} | {p.metric} | {p.method} | {shown} [{number(p.low, 3)}, {number(p.high, 3)}] | "
            f"{number(p.wins, 2)} | {number(p.p_value, 4)} | {number(p.corrected, 4)} | {p.clips} |"
        )
    return "\n".join(lines) + "\n"


def pair_rows(pairs: Sequence[Pair]) -> list[dict[str, object]]:
    """The tests for spreadsheets."""
    return [dict(vars(p)) for p in pairs]


@dataclass(frozen=True)
class Agreement:
    """Spearman's ρ of the methods' mean ranks by faithfulness and by localisation, without controls.

    Parameters
    ----------
    spearman : float
    low, high : float
        95 % of ρ over bootstrap draws of the clips; the draws have noisier ranks, so the interval reaches further down
        than up.
    methods, clips : int
    """

    spearman: float
    low: float
    high: float
    methods: int
    clips: int

    def sentence(self) -> str:
        """The result as a sentence."""
        return (
            f"Objective (faithfulness) against subjective (localisation) mean ranks: Spearman {number(self.spearman)} "
            f"[{number(self.low)}, {number(self.high)}] over {self.methods} methods, controls left out; interval over "
            f"{self.clips} clips."
        )


def ranks_agreement(
    results: Sequence[MethodResult], metrics: Mapping[str, Measure], *, seed: int = 0
) -> Agreement | None:
    """Do objective and subjective metrics rank the methods alike? None without both kinds or with fewer than 3 methods.

    The study's headline question (arXiv 2005.00375).
    """
    failed = {j.method for j in results if j.error}
    known = tuple(dict.fromkeys(j.method for j in results if j.method not in failed))
    parts = []
    for kind in ("faithfulness", "localisation"):
        names = [n for n, m in metrics.items() if KINDS.get(m.needs) == kind and m.higher_is_better is not None]
        tables = [(-1 if metrics[n].higher_is_better else 1) * _scores(results, known, n) for n in names]
        measured = [_measured(results, known, n) for n in names]
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


def _measured(results: Sequence[MethodResult], known: Sequence[str], name: str) -> np.ndarray:
    """Where a metric was measured, bool [V,M]; its value may still be undefined."""
    return np.array([[name in j.values for j in results if j.method == m] for m in known]).T


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
