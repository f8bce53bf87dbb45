"""The comparisons of an evaluation as the rows of a table."""

import math
from collections.abc import Sequence
from typing import Any

from voxplain.concepts.order_tests import OrderTest
from voxplain.report.tables import number, places_for

__all__ = ["comparison_rows"]

_RIVALS = {
    "random": "random order",
    "matched": "random regions, same volume",
    "least": "least first",
    "least at equal coverage": "least first, same coverage",
}
_MEASURES = {"accuracy": "accuracy, points", "log_odds": "log-odds", "output": "output"}


def comparison_rows(tests: Sequence[OrderTest]) -> dict[str, Any]:
    """Rows and columns of the comparisons of the top concepts with other orders.

    Parameters
    ----------
    tests : sequence of OrderTest

    Returns
    -------
    dict
        "measures": the headings of the columns. "rows": "kind", "rival" and a cell for each measure, each None or a
        dict of "difference", "interval", "p" and "outcome", which is "above", "below" or "unclear".
    """
    measures = [m for m in _MEASURES if any(test.measure == m for test in tests)]
    kinds = dict.fromkeys(test.kind for test in tests)
    rows = []
    for kind in kinds:
        others = dict.fromkeys(test.other for test in tests if test.kind == kind)
        for other in sorted(others, key=lambda name: list(_RIVALS).index(name) if name in _RIVALS else len(_RIVALS)):
            cells = [
                next((_cell(t) for t in tests if (t.kind, t.other, t.measure) == (kind, other, m)), None)
                for m in measures
            ]
            rows.append({"kind": kind, "rival": _RIVALS.get(other, other), "cells": cells})
    return {"measures": [_MEASURES[m] for m in measures], "rows": rows}


def _cell(test: OrderTest) -> dict[str, str]:
    if math.isnan(test.difference):
        return {"difference": "–", "interval": "", "p": "", "outcome": "unclear"}
    factor = 100 if test.measure == "accuracy" else 1
    difference, low, high = (factor * v for v in (test.difference, test.low, test.high))
    digits = 0 if test.measure == "accuracy" else min(3, max(1, places_for([difference, low, high]) - 1))
    sign = "+" if difference > 0 else ""
    outcome = "unclear" if not test.is_clear else "above" if difference > 0 else "below"
    return {
        "difference": f"{sign}{number(difference, digits)}",
        "interval": f"{number(low, digits)} to {number(high, digits)}",
        "p": "< 0.001" if test.p_value < 0.001 else f"{test.p_value:.2g}",
        "outcome": outcome,
    }
