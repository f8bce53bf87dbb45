"""Verdicts on a ranking: one line for each order test, with difference, interval and p-value."""

from collections.abc import Sequence

from voxplain.concepts.order_tests import OrderTest
from voxplain.experiments.outcome import Outcome

__all__ = ["verdict", "verdicts"]

_RIVALS = {
    "random": "random order",
    "least": "least first",
    "matched": "random regions of its volume",
    "least at equal coverage": "least first at equal coverage",
}


def verdict(order_test: OrderTest) -> str:
    """One order test as a line; "yes" only where the interval excludes 0 and p < 0.05."""
    accuracy = order_test.measure == "accuracy"
    factor, unit = (100, "points") if accuracy else (1, "log-odds")
    side = "above" if order_test.kind == "adding" else "below"
    asked = f"{order_test.kind}, {order_test.measure}: top {side} {_RIVALS[order_test.other]}?"
    if order_test.difference != order_test.difference:
        return f"{asked} cannot be compared"
    low, high = factor * order_test.low, factor * order_test.high
    answer = ("yes" if order_test.difference > 0 else "no, the other way round") if order_test.is_clear else "not clear"
    return (
        f"{asked} {answer}: {factor * order_test.difference:+.1f} {unit} [{low:+.1f}, {high:+.1f}], "
        f"p = {order_test.p_value:.2g}"
    )


def verdicts(outcomes: Sequence[Outcome]) -> list[str]:
    """A line for each order test, network and setting, then whether the end points are exact."""
    lines = []
    for outcome in outcomes:
        start = f"{outcome.net}, {outcome.setting}"
        lines += [f"{start}: {verdict(order_test)}" for order_test in outcome.evaluation.order_tests]
        exact = "yes" if outcome.ends_exactly() else "no"
        lines.append(
            f"{start}: all concepts added, and none removed, equal the unmodified clip to the last bit? {exact}"
        )
    return lines
