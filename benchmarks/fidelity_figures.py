"""How alike two explanations of a class are, and the table and the words that `fidelity.py` prints of many.

A result is a plain dict of one class in one mode at one seed. Intervals are 95 % by percentile bootstrap: over classes,
each the mean of its seeds, for all that is one number a class; over test videos for the areas of adding and removing.
A mode is called worse where it agrees less with exact fp32 than another seed does (paired t over classes), or has
less than exact fp32 of what that has, too (bootstrap over units and over the seeds of both): q < 0.05 by Benjamini and
Hochberg over all modes and figures of a set. Below p = 0.05 alone it is said apart.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import ttest_1samp
from sklearn.metrics import adjusted_rand_score

from voxplain.statistics import benjamini_hochberg, spearman

Result = dict[str, Any]
Figure = tuple[float, float, float]  # mean, low, high

EXACT = "exact fp32"
SEEDS = "another seed"
TOP = 5
ALIKE = {
    "ari": "adjusted Rand",
    "members": "members kept",
    "effect": "effect ρ",
    "tcav": "TCAV ρ",
    "top": "same on top",
    "top five": "top five kept",
}
OWN = {"truth effect": "truth, effect ρ", "truth tcav": "truth, TCAV ρ", "object first": "object first"}
SEEN = {
    "follows clip": "follows the clip",
    "top covers": "top covers",
    "concepts": "concepts",
}  # neither good nor bad by itself
LEGEND = """\
adjusted Rand: of the concepts that the same supervoxels are given to, with exact fp32 of the same seed; members kept:
of exact fp32's, in the concept matched to theirs (Hungarian, by shared members); ρ: rank correlation of a score over
matched concepts; same on top, top five kept: by direct effect; truth: rank correlation of a score with true reliance,
and whether the object relied on most is on top; adding, removing: area between top and least on held-out videos, in
points of accuracy; follows the clip: adjusted mutual information of concepts and clips; top covers: share of a held-out
video's voxels in the concept on top; times: processor time of exact fp32 over that of the mode, first seed, segmenting
left out; in the row “another seed” exact fp32 is compared with itself at other seeds (lowest to highest where it is no
comparison)."""


def agreement(exact: Result, other: Result) -> dict[str, float]:
    """How far the concepts and scores of ``other`` are those of ``exact``, same clips and supervoxels."""
    shared = np.array([[len(np.intersect1d(a, b)) for b in other["members"]] for a in exact["members"]])
    rows, columns = linear_sum_assignment(shared, maximize=True)
    known = shared[rows, columns] > 0  # concepts that share nothing are no pair
    kept, rows, columns = shared[rows, columns].sum(), rows[known], columns[known]
    match = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    best, found = exact["order"][:TOP], other["order"][:TOP]

    def rho(score: str) -> float:
        return spearman(np.array(exact[score])[rows], np.array(other[score])[columns]) if len(rows) > 2 else 0.0

    return {
        "ari": float(adjusted_rand_score(exact["assigned"], other["assigned"])),
        "members": float(kept / sum(map(len, exact["members"]))),
        "effect": rho("effect"),
        "tcav": rho("tcav"),
        "top": float(match.get(best[0]) == found[0]),
        "top five": float(np.mean([match.get(k) in found for k in best])),
    }


def interval(values: Sequence[float]) -> Figure:
    """Mean and bootstrap interval of the values that there are; of one value, itself."""
    x = np.asarray(values, float)
    x = x[~np.isnan(x)]
    if not len(x):
        return (float("nan"),) * 3
    means = x[np.random.default_rng(0).integers(len(x), size=(2000, len(x)))].mean(1)
    return float(x.mean()), float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


def difference(mode: np.ndarray, exact: np.ndarray) -> tuple[Figure, float]:
    """Mode − exact, [seeds, units] each, with an interval over units and the seeds of either, and p of no loss."""
    rng, known = np.random.default_rng(0), ~(np.isnan(mode).any(0) | np.isnan(exact).any(0))
    mode, exact = mode[:, known], exact[:, known]
    seeds, units = mode.shape
    if not units:
        return (float("nan"),) * 3, 1.0
    draws = np.empty(2000)
    for i in range(len(draws)):
        of = rng.integers(units, size=units)
        sides = [side[rng.integers(seeds, size=seeds)][:, of] for side in (mode, exact)]
        draws[i] = sides[0].mean() - sides[1].mean()
    low, high = np.percentile(draws, [2.5, 97.5])
    p = float(1 + (draws >= 0).sum()) / (1 + len(draws))
    return (float(mode.mean() - exact.mean()), float(low), float(high)), p


def _less(values: np.ndarray) -> float:
    """P-value that the mean of some classes' differences is not below 0, by Student's t; equal ones decide alone."""
    if len(values) < 2 or np.ptp(values) < 1e-12:
        return float(values.mean() >= 0)
    return float(ttest_1samp(values, 0, alternative="less").pvalue)


def _worse(p: dict[str, dict[str, float]]) -> dict[str, dict[str, list[str]]]:
    """Figures of every mode that are lower beyond doubt (q < 0.05), and those that are for the one test alone."""
    flat = [(mode, name) for mode, own in p.items() for name in own]
    q = dict(zip(flat, benjamini_hochberg([p[mode][name] for mode, name in flat]), strict=True))
    return {
        mode: {
            "clear": [n for n in own if q[mode, n] < 0.05],
            "unclear": [n for n in own if own[n] < 0.05 <= q[mode, n]],
        }
        for mode, own in p.items()
    }


def _mean(values: Sequence[Sequence[float]]) -> np.ndarray:
    """Means over the first axis, seeds; NaN only where there is no value at all."""
    x = np.asarray(values, float)
    count = (~np.isnan(x)).sum(0)
    return np.where(count > 0, np.nansum(x, 0) / np.maximum(count, 1), np.nan)


def _units(results: list[Result], pick: Callable[[Result], dict[str, list[float]]]) -> dict[str, np.ndarray]:
    """Every figure of a mode, [seeds, units] by name: units are classes, or the videos of all classes."""
    seeds = sorted({r["seed"] for r in results})
    rows = [[pick(r) for r in results if r["seed"] == seed] for seed in seeds]
    return {name: np.array([[v for r in row for v in r[name]] for row in rows]) for name in rows[0][0]}


def _own(r: Result) -> dict[str, list[float]]:
    return {name: [r["own"][name]] for name in r["own"]}


def _seen(r: Result) -> dict[str, list[float]]:
    return {name: [value] for name, value in r["seen"].items()} | {"concepts": [float(len(r["effect"]))]}


def _gains(r: Result) -> dict[str, list[float]]:
    return {name: [100 * v for v in values] for name, values in r["gains"].items()}


def _alike(results: list[Result], mode: str) -> dict[str, np.ndarray]:
    """Every figure of agreement with exact fp32, [classes]; of other seeds: of every pair of seeds."""
    at = {(r["label"], r["mode"], r["seed"]): r for r in results}
    seeds = sorted({r["seed"] for r in results})
    pairs = list(combinations(seeds, 2)) if mode == SEEDS else [(s, s) for s in seeds]
    labels = list(dict.fromkeys(r["label"] for r in results))
    other = EXACT if mode == SEEDS else mode
    rows = [[agreement(at[label, EXACT, s], at[label, other, t]) for s, t in pairs] for label in labels]
    return {name: np.array([np.mean([a[name] for a in row]) for row in rows]) for name in ALIKE}


def _times(results: list[Result], mode: str) -> dict[str, float | None]:
    """Processor seconds of exact fp32 over those of a mode, all classes at the first seed."""
    at = {(r["label"], r["mode"], r["seed"]): r for r in results}
    first = min(r["seed"] for r in results)
    both = [(at[label, EXACT, first]["cpu"], r["cpu"]) for (label, m, s), r in at.items() if (m, s) == (mode, first)]
    both = [pair for pair in both if None not in pair]
    found: dict[str, float | None] = {}
    for name, left_out in (("times without effects", "direct effects"), ("times", "")):
        sums = [sum(v for c in side for what, v in c.items() if what != left_out) for side in zip(*both, strict=True)]
        found[name] = sums[0] / sums[1] if both else None
    return found


def summary(results: list[Result]) -> dict[str, Any]:
    """Figures by mode, and in which of them a mode is worse than another seed of exact mode."""
    modes = list(dict.fromkeys(r["mode"] for r in results))
    seeds = sorted({r["seed"] for r in results})
    of = {mode: [r for r in results if r["mode"] == mode] for mode in modes}
    exact = _units(of[EXACT], _own) | _units(of[EXACT], _gains)
    noise = _alike(results, SEEDS) if len(seeds) > 1 else {}
    rows: dict[str, dict[str, Any]] = {}
    lower: dict[str, dict[str, float]] = {}  # p-values
    for mode in modes:
        alike = _alike(results, mode)
        own = _units(of[mode], _own) | _units(of[mode], _gains)
        rows[mode] = {name: interval(v) for name, v in alike.items()}
        shown = own | _units(of[mode], _seen)
        rows[mode] |= {name: interval(_mean(v)) for name, v in shown.items()} | _times(results, mode)
        beside = {name: difference(v, exact[name]) for name, v in own.items()}
        rows[mode] |= {f"{name}, beside exact": figure for name, (figure, _) in beside.items()}
        if mode != EXACT and noise:
            lower[mode] = {name: _less(alike[name] - v) for name, v in noise.items()}
            lower[mode] |= {name: p for name, (_, p) in beside.items()}
    if noise:
        rows[SEEDS] = {name: interval(v) for name, v in noise.items()}
        shown = exact | _units(of[EXACT], _seen)
        rows[SEEDS] |= {name: [float(f([np.nanmean(s) for s in v])) for f in (min, max)] for name, v in shown.items()}
    notes = {mode: sorted({_arithmetic(r) for r in of[mode]}) for mode in modes}
    return {"modes": rows, "worse": _worse(lower), "arithmetic": notes, "videos": len(exact["adding"][0])}


def _arithmetic(r: Result) -> str:
    return f"the same as {r['same']}" if "same" in r else r["precision"]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.1f}"
    digits = 1 if name.startswith(("adding", "removing", "concepts")) else 2
    words = [f"{v:.{digits}f}" for v in value]
    return f"{words[0]} to {words[1]}" if len(words) == 2 else f"{words[0]} [{words[1]}, {words[2]}]"


def markdown(found: dict[str, Any]) -> str:
    """The table of a set, a row a mode, below what its columns are."""
    rows = found["modes"]
    areas = [n for n in rows[EXACT] if n.startswith(("adding", "removing")) and "beside" not in n]
    own = {n: words for n, words in OWN.items() if n in rows[EXACT]}
    columns = ALIKE | own | {n: n for n in areas} | SEEN | {n: n for n in ("times without effects", "times")}
    lines = ["| mode | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 1) + "|"]
    for mode, row in rows.items():
        cells = [_cell(n, row.get(n)) for n in columns]
        lines.append(f"| {mode} ({', '.join(found['arithmetic'].get(mode, ['fp32']))}) | " + " | ".join(cells) + " |")
    return f"{LEGEND}\n\n" + "\n".join(lines)


def in_words(found: dict[str, Any]) -> str:
    """Which modes stay within the seed-to-seed difference of exact mode."""
    if not found["worse"]:
        return "With one seed there is no seed-to-seed difference to compare with."
    words = ALIKE | OWN
    within = [mode for mode, names in found["worse"].items() if not names["clear"]]
    said = [f"Within the seed-to-seed difference of exact mode in every figure: {', '.join(within) or 'none'}."]
    for mode, names in found["worse"].items():
        clear, alone = (", ".join(words.get(n, n) for n in names[kind]) for kind in ("clear", "unclear"))
        told = [f"worse in {clear}"] * bool(clear) + [f"by that figure's test alone in {alone}"] * bool(alone)
        said += [f"{mode}: {'; '.join(told)}."] * bool(told)
    return " ".join(said)
