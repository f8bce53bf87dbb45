"""The tables of the study as Markdown, and its figures as plain values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from voxplain.benchmark.study import CONTROLS
from voxplain.benchmark.study_tables import TRUTHS, Estimate, StudyTables
from voxplain.report.tables import number
from voxplain.statistics import spearman

__all__ = ["PUBLISHED", "published_agreement", "study_figures", "study_markdown"]

NEEDS_TRUTH = ("pointing_game", "rank_accuracy")  # metrics with the mask of the object

# Insertion areas of the video attribution study's logs by blocks (UCF101-24), by the structure that is nearest here.
PUBLISHED: dict[str, dict[str, float]] = {
    "r2plus1d": {
        "gradient": 0.608,
        "integrated_gradients": 0.699,
        "blur_ig": 0.601,
        "smooth_grad": 0.728,
        "smooth_grad_squared": 0.749,
        "linear_approximation": 0.525,
        "guided_backprop": 0.720,
        "excitation_backprop": 0.658,
        "grad_cam": 0.745,
        "score_cam": 0.754,
        "xrai": 0.738,
        "ep_3d": 0.763,
        "step": 0.805,
        "random": 0.206,
    },
    "cnn_lstm": {
        "gradient": 0.510,
        "integrated_gradients": 0.544,
        "blur_ig": 0.470,
        "smooth_grad": 0.555,
        "smooth_grad_squared": 0.576,
        "linear_approximation": 0.502,
        "guided_backprop": 0.561,
        "excitation_backprop": 0.575,
        "grad_cam": 0.516,
        "score_cam": 0.576,
        "xrai": 0.574,
        "ep_3d": 0.566,
        "step": 0.575,
        "random": 0.276,
    },
    "tsm": {  # Something-Something
        "gradient": 0.204,
        "integrated_gradients": 0.235,
        "smooth_grad": 0.251,
        "linear_approximation": 0.233,
        "grad_cam": 0.308,
        "excitation_backprop": 0.120,
        "ep_3d": 0.229,
        "step": 0.235,
    },
}


def published_agreement(tables: StudyTables) -> dict[str, float]:
    """Spearman's ρ of the published order of methods by insertion with ours, by structure."""
    found = {}
    for network, logged in PUBLISHED.items():
        if network in tables.networks:
            ours = {m: float(np.nanmean(v)) for m, v in _means(tables, network, "insertion", list(logged)).items()}
            shared = [m for m in logged if np.isfinite(ours.get(m, np.nan))]
            if len(shared) > 3:
                found[network] = spearman(np.array([logged[m] for m in shared]), np.array([ours[m] for m in shared]))
    return found


def _means(tables: StudyTables, network: str, metric: str, methods: Sequence[str]) -> dict[str, np.ndarray]:
    table = tables.table(network, metric, methods)
    return {m: row for m, row in zip(methods, table, strict=True) if np.isfinite(row).any()}


def study_figures(tables: StudyTables, accuracies: Mapping[str, float]) -> dict[str, Any]:
    """All figures of the study as plain values."""
    taus = {m: tables.metric_truth_tau(m).plain() for m in tables.metrics}
    unsafe = tables.unsafe()
    free = tables.candidates(unsafe)
    found = {m: t for m in free if (t := taus[m][0]) is not None}
    return {
        "networks": {n: round(accuracies[n], 4) for n in tables.networks if n in accuracies},
        "clips": {n: len(tables.clips(n)) for n in tables.networks},
        "methods": tables.methods,
        "metrics": tables.metrics,
        "best_truth_by_structure": tables.best_truth_by_structure(),
        "rank_stability": tables.rank_stability().plain(),
        "metric_truth_tau": taus,
        "tau_over_insertion": {m: tables.tau_over(m).plain() for m in tables.metrics if m != "insertion"},
        "default_metric": max(found, key=found.__getitem__, default=None),
        "chosen_on_other_networks": {n: [m, round(v, 4)] for n, (m, v) in tables.chosen_on_others(free).items()},
        "order_kept_by_little_noise": {m: tables.stable(m).plain() for m in tables.metrics},
        "falls_by_much_noise": {m: tables.falls(m).plain() for m in tables.metrics},
        "unsafe": unsafe,
        "objective_subjective": {n: e.plain() for n, e in tables.objective_subjective().items()},
        "published": {n: round(v, 4) for n, v in published_agreement(tables).items()},
        "step_over_chance": tables.over_chance("step").plain(),
        "occlusion_over_chance": tables.over_chance("supervoxel_occlusion").plain(),
    }


def study_markdown(tables: StudyTables, figures: Mapping[str, Any]) -> str:
    """The study's tables: truth, insertion, pointing and sanity by structure, metrics, attacks and ranks."""
    titles = {
        "energy_inside": "energy inside the object that the network relies on ÷ chance",
        "tube_iou": "overlap with that object (IoU at the best threshold)",
        "insertion": "insertion",
        "pointing_game": "pointing game",
        "parameter_randomisation": "similarity to maps of randomised weights (lower is better)",
    }
    unsafe = figures["unsafe"]
    parts = [_by_structure(tables, m, t, m in unsafe) for m, t in titles.items() if m in tables.metrics]
    parts.insert(1, _by_motion(tables))
    return "\n\n".join([*parts, _structures(tables, figures), _metric_table(figures), _rank_table(tables)]) + "\n"


def _structures(tables: StudyTables, figures: Mapping[str, Any]) -> str:
    """Each network: accuracy, the truest method, and how objective and subjective and published orders agree."""
    heads = ["accuracy", "clips", "truest method", "its energy ÷ chance", "ρ insertion, pointing", "ρ published order"]
    lines = ["| network | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    for network in tables.networks:
        best = figures["best_truth_by_structure"][network]
        published = figures["published"].get(network)
        cells = [
            number(figures["networks"].get(network, float("nan")), 3),
            str(figures["clips"][network]),
            best["method"],
            _interval(best["energy_over_chance"]),
            _interval(figures["objective_subjective"][network]),
            "–" if published is None else number(published, 2),
        ]
        lines.append(f"| {network} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _by_structure(tables: StudyTables, metric: str, title: str, unsafe: bool) -> str:
    names = [*tables.methods, *CONTROLS]
    sign = -1 if metric == "parameter_randomisation" else 1
    cells = {m: [sign * _finite_mean(tables.table(n, metric, [m])[0]) for n in tables.networks] for m in names}
    shown = [m for m in names if np.isfinite(cells[m]).any()]
    means = {m: [sign * v for v in _signed(tables.overall(m, metric), sign)] for m in shown}
    order = sorted(shown, key=lambda m: -sign * means[m][0])
    warning = " (*unsafe*)" if unsafe else ""
    lines = [
        f"| {title}{warning}: method | mean | " + " | ".join(tables.networks) + " |",
        "| --- | --- |" + " --- |" * len(tables.networks),
    ]
    for m in order:
        name = f"*{m}*" if m in CONTROLS else m
        row = [_interval(means[m]), *(number(v, 2) for v in cells[m])]
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def _signed(found: Estimate, sign: int) -> tuple[float, float, float]:
    """Value and ends of an interval, exchanged where the sign will be turned."""
    low, high = (found.low, found.high) if sign > 0 else (found.high, found.low)
    return found.value, low, high


def _by_motion(tables: StudyTables) -> str:
    """Energy ÷ chance over the classes that a shape decides, and over those that a motion decides."""
    found = {}
    for method in [*tables.methods, *CONTROLS]:
        own = [
            [tables.table(n, "energy_inside", [method])[0][_moving(tables, n) == moving] for n in tables.networks]
            for moving in (False, True)
        ]
        found[method] = [_finite_mean(np.concatenate(v)) for v in own]
    lines = ["| energy ÷ chance: method | shape classes | motion classes |", "| --- | --- | --- |"]
    for m in sorted((m for m in found if np.isfinite(found[m]).any()), key=lambda m: -float(np.nansum(found[m]))):
        lines.append(f"| {m} | " + " | ".join(number(v, 2) for v in found[m]) + " |")
    return "\n".join(lines)


def _moving(tables: StudyTables, network: str) -> np.ndarray:
    of = {r.clip: r.moving for r in tables.rows if r.network == network}
    return np.array([of[c] for c in tables.clips(network)], bool)


def _metric_table(figures: Mapping[str, Any]) -> str:
    taus = figures["metric_truth_tau"]
    heads = ["Kendall’s τ with the true order", "τ − that of insertion", "order kept by little noise"]
    heads += ["falls by much noise", "attacks preferred to the truth"]
    lines = ["| metric | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    for m in sorted(taus, key=lambda m: -(taus[m][0] if taus[m][0] is not None else -2)):
        over = figures["tau_over_insertion"].get(m)
        attacks = figures["unsafe"].get(m, [])
        cells = [
            _interval(taus[m]),
            "–" if over is None else _interval(over),
            _interval(figures["order_kept_by_little_noise"][m]),
            _interval(figures["falls_by_much_noise"][m]),
            "*unsafe*: " + ", ".join(attacks) if attacks else "none",
        ]
        name = f"**{m}**" if m == figures["default_metric"] else m
        name += " (part of the truth)" if m in TRUTHS else " (needs the truth)" if m in NEEDS_TRUTH else ""
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rank_table(tables: StudyTables) -> str:
    spread = tables.rank_spread()
    lines = ["| rank by truth, methods that explain every network | mean | standard deviation |", "| --- | --- | --- |"]
    for m in sorted(spread, key=lambda m: spread[m][0]):
        lines.append(f"| {m} | {number(spread[m][0], 1)} | {number(spread[m][1], 1)} |")
    return "\n".join(lines)


def _interval(plain: Sequence[float | None]) -> str:
    value, low, high = (number(float("nan") if v is None else v, 2) for v in plain)
    return f"{value} [{low}, {high}]"


def _finite_mean(values: np.ndarray) -> float:
    good = values[np.isfinite(values)]
    return float(good.mean()) if len(good) else float("nan")


def estimate_text(found: Estimate) -> str:
    """A value with its interval."""
    return _interval(found.plain())
