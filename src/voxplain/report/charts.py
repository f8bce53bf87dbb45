"""Line charts and small multiples as SVG that follows the page's colours, light or dark.

Arrays in, text out. Every curve has a marker of its own, so that it can be read without colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from voxplain.report.add_remove import ORDERS, Across, MeanCurves
from voxplain.report.tables import number, places_for

__all__ = ["curves_svg", "sparkline"]

WIDTH, HEIGHT = 420, 262
LEFT, RIGHT, TOP, BOTTOM = 38, 10, 10, 40


@dataclass(frozen=True)
class _Axes:
    """From data to the drawing: x in ``low``…``high``, y in ``bottom``…``top``."""

    low: float
    high: float
    bottom: float = 0.0
    top: float = 1.0

    def x(self, value: float) -> float:
        return LEFT + (value - self.low) / (self.high - self.low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return TOP + (self.top - value) / (self.top - self.bottom) * (HEIGHT - TOP - BOTTOM)

    def points(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in zip(xs, ys, strict=True))


def curves_svg(curves: MeanCurves, across: Across, limits: tuple[float, float] | None = None) -> str:
    """The curves against the number of concepts, or against the share of voxels that they cover, with the bands.

    What is ranking and what is only coverage shows in the second. ``limits`` of the vertical axis, by default its own.
    """
    ends = curves.limits if limits is None else limits
    if across == "count":
        axes = _Axes(0, float(curves.places[-1]), *ends)
        ticks = list(zip(curves.places.tolist(), curves.step_names, strict=True))
    else:
        axes, ticks = _Axes(0, 1, *ends), [(v, f"{100 * v:.0f}") for v in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    parts = [_band(axes, curves.across(across, name).tolist(), *band) for name, band in curves.bands.items()]
    parts += [_curve(axes, curves.across(across, name).tolist(), curves.values[name], name) for name in ORDERS]
    return _chart(axes, ticks, curves.axis_label(across), parts, curves)


def _band(axes: _Axes, xs: Sequence[float], low: np.ndarray, high: np.ndarray) -> str:
    """95 % of the random orders at each counted step."""
    points = axes.points([*xs[:-1], *xs[-2::-1]], [*high[:-1], *low[-2::-1]])
    return f'<polygon class="band" points="{points}"/>'


def _curve(axes: _Axes, xs: Sequence[float], ys: np.ndarray, name: str) -> str:
    """One order; thin from the last counted step to "all", for nothing was measured between them."""
    heights: list[float] = ys.tolist()
    marks = "".join(_mark(axes.x(x), axes.y(y), name) for x, y in zip(xs, heights, strict=True))
    return (
        f'<g class="{name}"><polyline points="{axes.points(xs[:-1], heights[:-1])}"/>'
        f'<polyline class="rest" points="{axes.points(xs[-2:], heights[-2:])}"/>{marks}</g>'
    )


def _mark(x: float, y: float, name: str) -> str:
    shapes = {
        "top": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.4"/>',
        "least": f'<path d="M{x - 4:.1f} {y - 3:.1f}h8l-4 6.6z"/>',
        "matched": f'<rect x="{x - 2.8:.1f}" y="{y - 2.8:.1f}" width="5.6" height="5.6"/>',
        "random": "",
    }
    return shapes[name]


def _chart(axes: _Axes, ticks: list[tuple[float, str]], label: str, parts: list[str], curves: MeanCurves) -> str:
    marks = [(v, f"{100 * v:.0f}") for v in (0, 0.25, 0.5, 0.75, 1)]
    if curves.quantity:
        heights = np.linspace(axes.bottom, axes.top, 5).tolist()
        marks = [(v, number(v, places_for(heights))) for v in heights]
    lines = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{axes.y(v):.1f}" y2="{axes.y(v):.1f}"/>'
        f'<text class="tick" x="{LEFT - 7}" y="{axes.y(v) + 4:.1f}" text-anchor="end">{escape(text)}</text>'
        for v, text in marks
    ]
    lines += [
        f'<text class="tick" x="{axes.x(x):.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{escape(text)}</text>'
        for x, text in ticks
    ]
    for name, value in (("baseline", curves.baseline), ("chance", curves.chance)):
        if value is not None:
            y = f"{axes.y(value):.1f}"
            lines.append(f'<line class="{name}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    lines.append(f'<text class="axis" x="{middle}" y="{HEIGHT - 5}" text-anchor="middle">{escape(label)}</text>')
    described = escape(_described(curves, label))
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{described}">'
    return f"{head}{''.join(lines + parts)}</svg>"


def _described(curves: MeanCurves, label: str) -> str:
    """The chart as a sentence, for screen readers."""
    last = len(curves.places) - 2
    reached = {name: float(curves.values[name][last]) for name in ("top", "least", "random")}
    digits = places_for(list(reached.values()))
    told = {n: number(v, digits) if curves.quantity else f"{100 * v:.0f} %" for n, v in reached.items()}
    values = ", ".join(f"{name} {value}" for name, value in told.items())
    return f"{'Output' if curves.quantity else 'Accuracy'} against {label}; after {last} concepts: {values}"


def sparkline(values: np.ndarray, label: str) -> str:
    """A small filled curve from the clip's start to its end, scaled to its own largest value."""
    peak = float(values.max())
    ys = 30 - 28 * (values / peak if peak > 0 else values)
    xs = np.linspace(0, 100, len(values))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    return (
        f'<svg class="spark" viewBox="0 0 100 32" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f'<polygon points="0,32 {line} 100,32"/><polyline points="{line}"/></svg>'
    )
