"""A line per claim: is top above random, least, random regions of its volume? Difference, interval, p."""

from collections.abc import Sequence

from voxplain.concepts.contrast import Contrast
from voxplain.experiments.outcome import Outcome

__all__ = ["verdict", "verdicts"]

_RIVALS = {
    "random": "random order",
    "least": "least first",
    "matched": "random regions of its volume",
    "least at equal coverage": "least first at equal coverage",
}


def verdict(contrast: Contrast) -> str:
    """One claim as a line. "Yes" only where the interval excludes 0 and p < 0.05."""
    accuracy = contrast.measure == "accuracy"
    factor, unit = (100, "points") if accuracy else (1, "log-odds")
    side = "above" if contrast.kind == "adding" else "below"
    asked = f"{contrast.kind}, {contrast.measure}: top {side} {_RIVALS[contrast.other]}?"
    if contrast.difference != contrast.difference:
        return f"{asked} cannot be compared"
    low, high = factor * contrast.low, factor * contrast.high
    sure = contrast.p_value < 0.05 and not low <= 0 <= high
    answer = ("yes" if contrast.difference > 0 else "no, the other way round") if sure else "not clear"
    return (
        f"{asked} {answer}: {factor * contrast.difference:+.1f} {unit} [{low:+.1f}, {high:+.1f}], "
        f"p = {contrast.p_value:.2g}"
    )


def verdicts(outcomes: Sequence[Outcome]) -> list[str]:
    """A line per claim, network and setting, then whether the end points are exact."""
    lines = []
    for outcome in outcomes:
        start = f"{outcome.net}, {outcome.setting}"
        lines += [f"{start}: {verdict(contrast)}" for contrast in outcome.evaluation.contrasts]
        exact = "yes" if outcome.ends_exactly() else "no"
        lines.append(
            f"{start}: all concepts added, and none removed, equal the unmodified clip to the last bit? {exact}"
        )
    return lines
