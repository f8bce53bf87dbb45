"""The report page of attribution runs: synchronised maps of several methods side by side, with their metrics."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import colormaps
from scipy.special import softmax

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.attribution.overlay import DIVERGING, SEQUENTIAL, Scale
from voxplain.errors import DataError
from voxplain.files import write_whole
from voxplain.large import forget
from voxplain.report.cards import clip_speed, short_name
from voxplain.report.charts import sparkline
from voxplain.report.embed import base64_bytes, jpeg, sprite
from voxplain.report.page import Origin, render
from voxplain.report.tables import number

__all__ = ["AttributionPage", "attribution_page", "write_attribution_report"]

LONGEST = 64  # frames of a video on the page, evenly spaced
LARGEST = 64 << 20  # characters of the pictures of a page, from which on further runs are only counted
LIKELY = 3  # classes whose probability is shown


def write_attribution_report(
    run: AttributionRun | Sequence[AttributionRun], path: Path | str, *, origin: Origin | None = None
) -> Path:
    """Write one self-contained HTML page for one or several attribution runs.

    Parameters
    ----------
    run : AttributionRun or sequence of AttributionRun
        Maps of one clip or of several.
    path : str or Path
        The page to write; an existing file is replaced.
    origin : Origin, optional
        The command that made the run and the seconds of each step, shown on the page.

    Returns
    -------
    Path
        ``path``.
    """
    write_whole(Path(path), attribution_page(run, origin=origin))
    return Path(path)


def attribution_page(run: AttributionRun | Iterable[AttributionRun], *, origin: Origin | None = None) -> bytes:
    """The page itself, as `write_attribution_report` writes it. Raises DataError without any run."""
    page = AttributionPage()
    for each in [run] if isinstance(run, AttributionRun) else run:
        page.add(each)
    return page.render(origin)


class AttributionPage:
    """A page to which runs are added one by one; of each only what the page shows is kept, not its maps.

    A browser has to hold the whole page: once its pictures take 64 MiB, further runs are not shown, but counted.

    Examples
    --------
    >>> len(AttributionPage())
    0
    """

    def __init__(self) -> None:
        self._sections: list[dict[str, Any]] = []
        self._size = 0
        self.left_out = 0

    def __len__(self) -> int:
        """Number of runs, those that are not shown included."""
        return len(self._sections) + self.left_out

    def add(self, run: AttributionRun) -> None:
        """Add a run."""
        if self._size >= LARGEST:
            self.left_out += 1
            return
        section = _section(run, f"a{len(self._sections)}")
        self._sections.append(section)
        self._size += len(section["viewer"]["frames"]) + sum(len(m["levels"]) for m in section["viewer"]["maps"])

    def render(self, origin: Origin | None = None) -> bytes:
        """The page as HTML. Raises DataError without any run."""
        if not self._sections:
            raise DataError("expected at least one run to report on, got none; explain a video first")
        return render("attribution.html", sections=self._sections, left_out=self.left_out, origin=origin or Origin())


def _without_data(run: AttributionRun) -> AttributionRun:
    """A run with arrays of the same shapes that take no memory."""
    frames = np.broadcast_to(np.uint8(0), run.clip.frames.shape)
    maps = {name: np.broadcast_to(np.float32(0), values.shape) for name, values in run.maps.items()}
    return replace(run, clip=replace(run.clip, frames=frames), maps=maps)


def _section(run: AttributionRun, anchor: str) -> dict[str, Any]:
    likely = softmax(np.asarray(run.logits, np.float64))
    first = np.argsort(-likely, kind="stable")[:LIKELY]
    return {
        "id": anchor,
        "run": _without_data(run),
        "name": short_name(run.clip.source),
        "part": _part(run),
        "wrong": _wrong(run, int(first[0])),
        "likely": [(run.classes[c] if run.classes else str(c), float(likely[c])) for c in first],
        "viewer": _viewer(run),
        "profiles": {
            name: Markup(sparkline(run.importance(name), f"Share of {name} in each frame, from start to end"))
            for name in run.maps
        },
        "metrics": _metrics(run),
        "parameters": {name: ", ".join(f"{k} {v}" for k, v in own.items()) for name, own in run.parameters.items()},
        "found": {name: _found(own) for name, own in run.details.items()},
    }


def _part(run: AttributionRun) -> str:
    """The part of the video that was explained, in words; empty for all of it."""
    part = run.provenance.get("excerpt", {})
    start, stop, crop = (part.get(name) for name in ("start", "stop", "crop"))
    times = {
        (True, True): f"seconds {start} to {stop}",
        (True, False): f"from second {start} on",
        (False, True): f"to second {stop}",
    }
    said = [times.get((start is not None, stop is not None), "")]
    said += [f"{crop[2]}×{crop[3]} pixels at {crop[0]}, {crop[1]}"] if crop else []
    return ", ".join(filter(None, said))


def _wrong(run: AttributionRun, predicted: int) -> str:
    """The class of the folder that holds the video, where it is a class that the network does not predict; else ""."""
    folder = PurePosixPath(run.clip.source.replace("\\", "/")).parent.name
    known = not run.quantity and folder in run.classes
    return folder if known and run.classes[predicted] != folder else ""


def _viewer(run: AttributionRun) -> dict[str, Any]:
    """Frames and maps as pictures that a script can step through; maps in 256 levels, 0 of a signed map at 128."""
    count = len(run.clip)
    at = np.unique(np.linspace(0, count - 1, min(count, LONGEST)).round().astype(int))
    t, h, w = len(at), *run.clip.frames.shape[1:3]
    maps = []
    for name, values in run.maps.items():
        scale = Scale.of(values)
        v, signed = scale(values[at]), scale.signed
        levels = np.rint(128 + 127 * v if signed else 255 * v).clip(0, 255).astype(np.uint8)
        maps.append({"name": name, "signed": signed, "levels": jpeg(levels.reshape(t * h, w), 92)})
        forget(values)
    return {
        "size": [t, h, w],
        "fps": clip_speed(run.clip.seconds),
        "seconds": [round(float(run.clip.seconds[i] - run.clip.seconds[0]), 3) for i in at],
        "frames": sprite(run.clip.frames[at]),
        "maps": maps,
        "colours": {"plain": _colours(SEQUENTIAL), "signed": _colours(DIVERGING)},
    }


def _colours(name: str) -> str:
    """256 colours of a map as base64 of RGB bytes."""
    return base64_bytes(np.rint(255 * colormaps[name](np.arange(256))[:, :3]).astype(np.uint8).tobytes())


def _metrics(run: AttributionRun) -> dict[str, Any]:
    """Columns with their direction, and a row for each method; the best of each column is marked."""
    names = list(dict.fromkeys(n for own in run.measured.values() for n in own))
    better = {n: next(own[n][2] for own in run.measured.values() if n in own) for n in names}
    rows = [
        {"method": method, "measured": run.measured.get(method, {}), "seconds": run.seconds.get(method)}
        for method in run.maps
    ]
    best = {}
    for n in names:
        known = [own[n][0] for own in run.measured.values() if n in own and np.isfinite(own[n][0])]
        if known and better[n] is not None:
            best[n] = max(known) if better[n] else min(known)
    return {"names": names, "better": better, "rows": rows, "best": best}


def _found(details: Any) -> str:
    """Short facts that a method found on the way: plain values only."""
    facts = []
    for key, value in details.items():
        if isinstance(value, bool | str | int):
            facts.append(f"{key} {value}")
        elif isinstance(value, float):
            facts.append(f"{key} {number(value, 4)}")
    return ", ".join(facts)
