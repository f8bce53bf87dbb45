"""Graph of the main concepts of a class and their relations, as SVG."""

import math

from markupsafe import Markup, escape

from voxplain.audits import ClassAudit
from voxplain.report.tables import number
from voxplain.statistics import SIGNIFICANT

__all__ = ["relation_graph"]

_WIDTH, _HEIGHT, _RADIUS, _NODE = 460, 300, 105, 24


def relation_graph(found: ClassAudit) -> Markup | None:
    """Concepts as circles, relations as lines with their names; None without a relation.

    A line is thick where the network depends on the relation: where moving one concept against the other costs
    significantly more than moving both together.
    """
    pairs = sorted(
        {(r.first, r.second) for r in found.relations} | {(e.first, e.second) for e in found.relation_effects}
    )
    nodes = list(dict.fromkeys(k for pair in pairs for k in pair))
    if not nodes:
        return None
    places = {k: _place(i, len(nodes)) for i, k in enumerate(nodes)}
    parts = [_edge(found, pair, places) for pair in pairs]
    kinds = {c.concept: c.kind for c in found.concepts}
    for k, (x, y) in places.items():
        parts.append(
            f'<g><circle cx="{x:.1f}" cy="{y:.1f}" r="{_NODE}"/>'
            f'<text class="node" x="{x:.1f}" y="{y + 5:.1f}">{k}</text>'
            f'<text x="{x:.1f}" y="{y + _NODE + 14:.1f}">{escape(kinds.get(k, ""))}</text></g>'
        )
    title = f"Relations between the main concepts of {escape(found.label)}"
    head = f'<svg class="relations" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">'
    return Markup(f"{head}{''.join(parts)}</svg>")


def _place(i: int, count: int) -> tuple[float, float]:
    angle = -math.pi / 2 + 2 * math.pi * i / count
    return _WIDTH / 2 + 1.5 * _RADIUS * math.cos(angle), _HEIGHT / 2 - 8 + 0.95 * _RADIUS * math.sin(angle)


def _edge(found: ClassAudit, pair: tuple[int, int], places: dict[int, tuple[float, float]]) -> str:
    (x1, y1), (x2, y2) = places[pair[0]], places[pair[1]]
    own = sorted((r for r in found.relations if (r.first, r.second) == pair), key=lambda r: -r.share)
    names = ", ".join(f"{r.name} {100 * r.share:.0f} %" for r in own[:2])
    effects = [e for e in found.relation_effects if (e.first, e.second) == pair and e.q_value < SIGNIFICANT]
    cost = ", ".join(f"{e.axis} {number(e.lost, 1)}" for e in effects)
    strong = ' class="depends"' if effects else ""
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    text = f'<text x="{x:.1f}" y="{y - 4:.1f}">{escape(f"{pair[0]} {names}" if names else "")}</text>'
    if cost:
        text += f'<text class="cost" x="{x:.1f}" y="{y + 11:.1f}">{escape(cost)}</text>'
    return f'<line{strong} x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>{text}'
