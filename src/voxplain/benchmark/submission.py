"""A benchmark that others can join: one network, one set of planted clips, both named by their hashes.

The network is the one that comes with voxplain, the clips are drawn from a seed, so a submission made elsewhere is of
the same pixels and weights, and its figures may stand in one table with others within their intervals.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from voxplain.attribution import AttributionMethod
from voxplain.benchmark.study import MeasureMap
from voxplain.benchmark.study_clips import FULL, known_clips, set_hash
from voxplain.errors import DataError
from voxplain.metrics import METRICS
from voxplain.nets import weights_digest
from voxplain.runtime import inline_engine
from voxplain.statistics import bootstrap_interval
from voxplain.store import Store
from voxplain.version import __version__
from voxplain.zoo.load import load_model

__all__ = ["FORMAT", "submission", "submission_markdown"]

FORMAT = 1  # raised with the clips, the network, or what is measured
DESIGN, CLIPS = "standard", 4  # a class
MEASURED = ("energy_inside", "tube_iou", "rank_accuracy", "pointing_game", "insertion")


def submission(
    methods: Mapping[str, AttributionMethod],
    work: Path,
    *,
    clips: int = CLIPS,
    tell: Callable[[str], object] = lambda text: None,
) -> dict[str, Any]:
    """Measure methods on the fixed network and clips.

    Parameters
    ----------
    methods : mapping
        Name to method.
    work : Path
        Where measured pieces are kept.
    clips : int
        Clips a class; another number than the default is another set, with another hash.
    tell : callable
        Is given a line for each method.

    Returns
    -------
    dict
        format, voxplain, network and set (hashes), clips, chance of the energy, and for each method its figures as
        [mean, low, high], seconds and passes a clip, or its error. Energy is a multiple of its chance.

    Raises
    ------
    DataError
        No method, or no clip that the network gets right.
    """
    if not methods:
        raise DataError("expected a method or more to submit, got none; name them with --method or --methods")
    size = replace(FULL, clips=clips)
    model = load_model("planted", device="cpu")
    known = known_clips(model, DESIGN, size)
    if not known:
        raise DataError(f"expected clips that the network gets right, got none of {clips} a class; draw more")
    metrics = {n: METRICS[n]() for n in MEASURED}
    engine, rows = inline_engine(model, Store(work / "store")), {}
    for name, method in methods.items():
        tell(name)
        found = []
        for case in known:
            row = engine.run(MeasureMap(case.clip, case.target, case.mask, method, metrics, (), False))
            if row.error:
                rows[name] = {"error": row.error}
                break
            found.append(row)
        else:
            values = {n: [r.values["map"][n] for r in found] for n in MEASURED}
            own: dict[str, Any] = {n: _figure(n, v) for n, v in values.items()}
            rows[name] = own | {
                "seconds": round(float(np.mean([r.seconds for r in found])), 4),
                "passes": round(float(np.mean([r.passes for r in found])), 1),
            }
    return {
        "format": FORMAT,
        "voxplain": __version__,
        "network": weights_digest(model.net),
        "set": set_hash(DESIGN, size),
        "clips": len(known),
        "chance": round(float(np.mean([c.mask.mean() for c in known])), 4),
        "methods": rows,
    }


def _figure(name: str, values: list[tuple[float, float | None]]) -> list[float | None]:
    """Mean and 95 % interval over clips; None where it is not defined."""
    scaled = [v / c if name == "energy_inside" and c else v for v, c in values]
    good = np.array([v for v in scaled if np.isfinite(v)])
    if not len(good):
        return [None, None, None]
    low, high = bootstrap_interval(good, np.random.default_rng(0))
    return [round(float(v), 4) if np.isfinite(v) else None for v in (good.mean(), low, high)]


def submission_markdown(found: Mapping[str, Any]) -> str:
    """The submission as a table, best energy first."""
    names = [n for n, row in found["methods"].items() if "error" not in row]
    order = sorted(names, key=lambda n: -(found["methods"][n]["energy_inside"][0] or 0))
    heads = ["energy ÷ chance", "overlap", "rank accuracy", "pointing game", "insertion", "seconds", "passes"]
    lines = ["| method | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    for name in order:
        row = found["methods"][name]
        cells = [_cell(row[n]) for n in MEASURED] + [f"{row['seconds']:.2f}", f"{row['passes']:.0f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    failed = {n: row["error"] for n, row in found["methods"].items() if "error" in row}
    lines += [f"| {n} | {why} |" + " |" * (len(heads) - 1) for n, why in failed.items()]
    head = f"network {found['network'][:12]}, set {found['set'][:12]}, {found['clips']} clips, format {found['format']}"
    return "\n".join([head, "", *lines]) + "\n"


def _cell(figure: list[float | None]) -> str:
    value, low, high = ("–" if v is None else f"{v:.2f}" for v in figure)
    return f"{value} [{low}, {high}]"
