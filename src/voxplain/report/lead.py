"""The first sentences of a page: what the network relies on, how much, and how far that is tested."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from voxplain.concepts.concept_run import ConceptRow, ConceptRun
from voxplain.concepts.concept_words import concept_words
from voxplain.concepts.description import ConceptDescription
from voxplain.report.sentences import in_words_of, significance_sentence
from voxplain.report.tables import number, places_for
from voxplain.statistics import SIGNIFICANT

__all__ = ["lead"]


def lead(run: ConceptRun, found: Sequence[ConceptDescription], names: Mapping[int, str]) -> dict[str, str]:
    """The answer in parts, so that the page can emphasise the thing.

    Parameters
    ----------
    run : ConceptRun
    found : sequence of ConceptDescription
        The run's concepts as `describe_concepts` gives them.
    names : mapping of int to str
        Names of concepts.

    Returns
    -------
    dict of str to str
        "before", "thing" and "after" make one sentence; "measured" are the figures behind it.
    """
    best = run.relied_on()
    count = significance_sentence(run)
    if best is None:
        none = f"For “{run.target}” the network relies on none of the concepts: hiding none of them lowers the class."
        return {"before": none, "thing": "", "after": "", "measured": count}
    sure = best.q_value < SIGNIFICANT
    relies = "relies mostly on" if sure else "may rely mostly on"
    others = [names.get(k) or f"concept {k}" for k in run.first if k != best.concept]
    thing = f"the {names[best.concept]}" if best.concept in names else f"concept {best.concept}"
    before = f"For “{run.target}” the network {relies} "
    if best.concept in run.first and others:
        before += f"one thing of {len(others) + 1} parts, first "
    words = concept_words(found[best.concept], best.volume)
    known = f" (concept {best.concept})" if best.concept in names else ""
    after = f"{known}, {words}." if sure else f"{known}, {words}; {_why_not(run, best)}."
    measured = f"{_amount(run, best)}, {_tested(run, best)}; found in {best.videos} of {len(run.clips)} videos. {count}"
    return {"before": before, "thing": thing, "after": after, "measured": measured}


def _why_not(run: ConceptRun, best: ConceptRow) -> str:
    """Why the concept is not called significant."""
    if run.recognition is not None and not run.recognition.holds:
        recognise = "respond to the target" if run.quantity else "recognise the class"
        return f"not significant, because the network does not clearly {recognise}"
    if not math.isfinite(best.tested):
        return f"not tested: it was not compared with {run.compared_with}"
    if 2.0 ** -len(run.effects.base) >= SIGNIFICANT and run.ranking == "effect":
        return f"not significant, because {len(run.effects.base)} clips are too few for any effect to be"
    if run.ranking == "effect":
        lowers = in_words_of("lowers the log-odds", run.quantity)
        return f"not significant, because hiding random regions of its volume {lowers} nearly as much"
    return "not significant, because concepts of unrelated videos reach nearly the same score"


def _amount(run: ConceptRun, best: ConceptRow) -> str:
    value = number(best.score, places_for([best.score]))
    if run.ranking == "effect" and run.scores["effect"].name.startswith("effect (drop)"):
        unit = f" {run.units}" if run.quantity and run.units else ""
        return in_words_of(f"Hiding it lowers the log-odds by {value}", run.quantity) + unit
    return f"Its score is {value}"


def _tested(run: ConceptRun, best: ConceptRow) -> str:
    """How far it lies above what it is tested against, with the interval that agrees with its q-value."""
    if not math.isfinite(best.tested):
        return f"not compared with {run.compared_with}"
    if run.recognition is not None and not run.recognition.holds:
        return "not tested"
    q = f"q = {number(best.q_value, 3)}" if best.q_value >= 0.001 else "q < 0.001"
    q = q.replace(" ", "\u00a0")  # a number stays on the line of its sign
    digits = places_for([best.tested])
    above, low, high = (number(v, digits) for v in (best.tested, best.tested_low, best.tested_high))
    return f"{above} above {run.compared_with} ({low} to {high}, {q})"


def plain_text(parts: Mapping[str, Any]) -> str:
    """The sentence of `lead` as one text."""
    return f"{parts['before']}{parts['thing']}{parts['after']}"
