"""Outcomes as the papers print them, in Markdown, LaTeX and CSV, with the published numbers beside ours."""

import csv
import io
from collections.abc import Sequence

from voxplain.experiments.outcome import Outcome, Row, rows_of
from voxplain.experiments.published import BASELINES, published_rows
from voxplain.plain_text import csv_cell

__all__ = ["settings_table", "table_csv", "table_latex", "table_markdown"]

_NAMES = {"top": "Top", "random": "Random", "least": "Least", "matched": "Same volume"}


def _rows(outcomes: Sequence[Outcome], kind: str) -> list[tuple[Outcome, Row]]:
    """Rows of one table: ours, each outcome followed by what was published for it."""
    found: list[tuple[Outcome, Row]] = []
    for outcome in outcomes:
        own = [*rows_of(outcome), *published_rows(outcome.published, outcome.net, outcome.setting)]
        found += [(outcome, row) for row in own if row.kind == kind]
    return found


def _baseline(outcome: Outcome, row: Row) -> float:
    """Accuracy on unmodified videos in %, ours or the published one."""
    if row.source == "here" or outcome.published is None:
        return 100 * outcome.baseline
    return BASELINES[outcome.published][outcome.net]


def _cells(outcome: Outcome, row: Row) -> list[str]:
    """net, setting, source, baseline, order, then a value a step with half of the interval's width."""
    steps = [f"{v:.2f}" for v in row.accuracy]
    if row.low:
        steps = [f"{v:.1f} [{a:.0f}, {b:.0f}]" for v, a, b in zip(row.accuracy, row.low, row.high, strict=True)]
    return [row.net, row.setting, row.source, f"{_baseline(outcome, row):.2f}", _NAMES[row.order], *steps]


def _head(rows: Sequence[tuple[Outcome, Row]]) -> list[str]:
    count = max((len(row.accuracy) for _, row in rows), default=0)
    return ["network", "setting", "from", "unmodified", "order", *map(str, range(1, count + 1))]


def table_markdown(outcomes: Sequence[Outcome], kind: str) -> str:
    """The paper's table for adding or removing, % accuracy [95 % over videos] after 1 … Q concepts."""
    rows = _rows(outcomes, kind)
    head = _head(rows)
    lines = [head, ["---"] * len(head), *(_cells(outcome, row) for outcome, row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def table_latex(outcomes: Sequence[Outcome], kind: str) -> str:
    """The same table for LaTeX with booktabs."""
    rows = _rows(outcomes, kind)
    head = _head(rows)
    body = [" & ".join(map(_escape, _cells(outcome, row))) + r" \\" for outcome, row in rows]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            rf"\begin{{tabular}}{{llll l{'r' * (len(head) - 5)}}}",
            r"\toprule",
            " & ".join(head) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _escape(text: str) -> str:
    for sign in "&%$#_{}":
        text = text.replace(sign, "\\" + sign)
    return text


def table_csv(outcomes: Sequence[Outcome]) -> str:
    """Both tables in long form: one line a network, setting, source, kind, order and step; numbers in full."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["net", "setting", "source", "unmodified", "kind", "order", "step", "accuracy", "low", "high", "coverage"]
    )
    for outcome, row in (pair for kind in ("adding", "removing") for pair in _rows(outcomes, kind)):
        blank = ("",) * len(row.accuracy)
        steps = zip(row.accuracy, row.low or blank, row.high or blank, row.coverage or blank, strict=True)
        for step, values in enumerate(steps, 1):
            names = [csv_cell(name) for name in (row.net, row.setting, row.source)]
            writer.writerow([*names, _baseline(outcome, row), row.kind, row.order, step, *values])
    return out.getvalue()


def settings_table(outcomes: Sequence[Outcome]) -> str:
    """Settings compared: the area between top and least, and between top and random regions, in points."""
    head = ["network", "setting", "unmodified", "videos"]
    head += [
        f"{kind}: top − {name}"
        for kind in ("adding", "removing")
        for name in ("least", "least at equal coverage", "same volume")
    ]
    lines = [head, ["---"] * len(head)]
    for outcome in outcomes:
        cells = [outcome.net, outcome.setting, f"{100 * outcome.baseline:.1f} %", str(len(outcome.sides[0].truth))]
        for kind in ("adding", "removing"):
            cells += [_area(outcome, kind, other) for other in ("least", "least at equal coverage", "matched")]
        lines.append(cells)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _area(outcome: Outcome, kind: str, other: str) -> str:
    """Difference of accuracy in points with its interval, positive in the claimed direction; bold where p < 0.05."""
    c = next(c for c in outcome.evaluation.order_tests if (c.kind, c.other, c.measure) == (kind, other, "accuracy"))
    if c.difference != c.difference:
        return "–"
    value = f"{100 * c.difference:.1f}"
    return f"{f'**{value}**' if c.is_clear else value} [{100 * c.low:.1f}, {100 * c.high:.1f}]"
