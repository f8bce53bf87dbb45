"""The table of `networks.py` in Markdown: rendered, and merged into a page that has rows of earlier runs.

A cell is "works", or a state with its reason, "n/a: expected …"; in the table the reason is a number, listed below it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["BEGIN", "END", "NetworkRow", "merged", "render"]

TITLES = ("doctor", "gradient", "Grad-CAM", "LRP", "RISE", "supervoxel occlusion", "concepts")
ENDS = ("logits", "gradient", "LRP lost")
BEGIN, END = "<!-- rows of benchmarks/networks.py -->", "<!-- end of rows -->"


@dataclass(frozen=True)
class NetworkRow:
    """A network, the size of its clip, a cell for each of `TITLES`, and figures for `ENDS`."""

    network: str
    clip: str
    cells: tuple[str, ...]
    ends: tuple[str, ...] = ()


def render(rows: Sequence[NetworkRow]) -> str:
    """The table, and the reasons below it."""
    lines = ["| network | clip | " + " | ".join((*TITLES, *ENDS)) + " |"]
    lines.append("|---" * (2 + len(TITLES) + len(ENDS)) + "|")
    reasons: dict[str, list[str]] = {}
    for row in rows:
        cells = [*row.cells, *[""] * (len(TITLES) - len(row.cells))]
        for i, cell in enumerate(cells):
            state, colon, reason = cell.partition(": ")
            if colon:
                reasons.setdefault(reason, []).append(f"{row.network}, {TITLES[i]}")
                cells[i] = f"{state} ({list(reasons).index(reason) + 1})"
        ends = (*row.ends, *["–"] * (len(ENDS) - len(row.ends)))
        lines.append(f"| `{row.network}` | {' | '.join((row.clip, *cells, *ends))} |")
    if reasons:
        lines += ["", *(f"{i}. {'; '.join(own)}: {text}" for i, (text, own) in enumerate(reasons.items(), 1))]
    return "\n".join(lines)


def merged(page: str, rows: Sequence[NetworkRow], order: Sequence[str]) -> str:
    """A page whose table has ``rows`` in place of its own of these networks, in the order of the networks' names."""
    before, between, after = re.split(f"{re.escape(BEGIN)}|{re.escape(END)}", page)
    known = {row.network: row for row in (*_read(between), *rows)}
    table = render([known[name] for name in order if name in known])
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def _read(text: str) -> list[NetworkRow]:
    """The rows of a rendered table."""
    reasons = dict(re.findall(r"^(\d+)\. .*?: (.*)$", text, re.MULTILINE))

    def whole(cell: str) -> str:
        numbered = re.fullmatch(r"(.*) \((\d+)\)", cell)
        return f"{numbered[1]}: {reasons[numbered[2]]}" if numbered else cell

    rows = []
    for name, line in re.findall(r"^\| `(.*?)` \| (.*) \|$", text, re.MULTILINE):
        clip, *cells = line.split(" | ")
        rows.append(NetworkRow(name, clip, tuple(map(whole, cells[: len(TITLES)])), tuple(cells[len(TITLES) :])))
    return rows
