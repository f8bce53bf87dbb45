"""The verdict on the answer of a run: what was tested of it, and how each test ended.

A finding is *passed* only where it was measured; what was not measured is *untested*.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from voxplain.concepts.concept_run import ConceptRow, ConceptRun, EvaluationRun
from voxplain.concepts.description import ConceptDescription, ranking_stability
from voxplain.concepts.warnings import BACKGROUND, CLIP_DEPENDENCE, FEW_VIDEOS, POOR_CAV, STABLE, background_share
from voxplain.report.tables import number
from voxplain.statistics import SIGNIFICANT, holm

__all__ = ["Finding", "State", "Verdict", "verdict"]

State = Literal["passed", "failed", "untested"]
Level = Literal["supported", "limited", "unsupported", "untested"]

TOGETHER = 0.5  # share of clusterings of halves of the clips in which the regions of a concept are one cluster


@dataclass(frozen=True)
class Finding:
    """One question about the answer, with its outcome.

    Parameters
    ----------
    code : str
        "significance", "held_out", "stability", "coherence", "background" or "videos".
    label : str
        The outcome in a few words.
    state : {"passed", "failed", "untested"}
    reason : str
        What the outcome rests on, with the measured values; without a full stop.
    """

    code: str
    label: str
    state: State
    reason: str


@dataclass(frozen=True)
class Verdict:
    """The verdict on a run.

    Parameters
    ----------
    level : {"supported", "limited", "unsupported", "untested"}
        "supported": every finding is passed. "limited": significant and supported by held-out clips, but another
        finding is not passed. "unsupported": not significant, or not supported by held-out clips. "untested":
        significant, without held-out clips.
    label : str
        The level in words.
    reason : str
        One sentence.
    findings : tuple of Finding
        In the order in which a reader asks.
    """

    level: Level
    label: str
    reason: str
    findings: tuple[Finding, ...]


def verdict(run: ConceptRun, found: Sequence[ConceptDescription]) -> Verdict:
    """Judge the answer of a run by what was tested of it.

    Parameters
    ----------
    run : ConceptRun
    found : sequence of ConceptDescription
        The run's concepts as `describe_concepts` gives them.

    Returns
    -------
    Verdict
    """
    best = run.relied_on()
    if best is None:
        reason = "hiding none of the concepts lowers the class"
        none = Finding("significance", "no concept", "failed", reason)
        return Verdict("unsupported", "Not supported", f"{_upper(reason)}.", (none, _videos(run)))
    significant, held_out = _significance(run, best), _held_out(run.evaluation)
    rest = (_stability(run, best), _coherence(run, best), _background(run, found, best), _videos(run))
    findings = (significant, held_out, *rest)
    for finding in (significant, held_out):
        if finding.state == "failed":
            return Verdict("unsupported", "Not supported", f"{_upper(finding.label)}: {finding.reason}.", findings)
    if held_out.state == "untested":
        return Verdict("untested", _upper(held_out.label), f"{_upper(held_out.reason)}.", findings)
    limits = [finding.label for finding in (significant, *rest) if finding.state != "passed"]
    if limits:
        return Verdict("limited", "Supported, with limits", f"{_upper(', '.join(limits))}.", findings)
    return Verdict("supported", "Supported", f"{_upper(held_out.reason)}.", findings)


def _significance(run: ConceptRun, best: ConceptRow) -> Finding:
    """Whether the first concept's score is above what it is tested against."""
    if run.recognition is not None and not run.recognition.holds:
        recognise = "respond to the target" if run.quantity else "recognise the class"
        return Finding("significance", "not significant", "failed", f"the network does not clearly {recognise}")
    if not math.isfinite(best.tested):
        return Finding("significance", "significance not tested", "untested", f"not compared with {run.compared_with}")
    q = "q < 0.001" if best.q_value < 0.001 else f"q = {number(best.q_value, 3)}"
    q = q.replace(" ", "\u00a0")  # a number stays on the line of its sign
    if best.q_value < SIGNIFICANT:
        return Finding("significance", "significant", "passed", f"more than {run.compared_with}, {q}")
    few = 2.0 ** -len(run.effects.base) >= SIGNIFICANT
    why = f"{len(run.effects.base)} clips are too few" if few else f"not clearly more than {run.compared_with}"
    return Finding("significance", "not significant", "failed", f"{why}, {q}")


def _held_out(evaluation: EvaluationRun | None) -> Finding:
    """Whether the top concepts count for more in held-out clips than other orders and regions.

    Four comparisons of log-odds (or of a quantity's output): adding and removing, against concepts in random order and
    against random regions of the same volume, with Holm's correction. Supported where adding or removing is clearly
    above both and none is clearly below.
    """
    if evaluation is None:
        return Finding("held_out", "not tested on held-out clips", "untested", "no held-out clips were given")
    videos = len(evaluation.adding.truth)
    tests = [
        test for test in evaluation.order_tests if test.measure != "accuracy" and test.other in ("random", "matched")
    ]
    tests = [test for test in tests if math.isfinite(test.p_value)]
    if not tests or 2.0 ** (1 - videos) * len(tests) >= SIGNIFICANT:
        reason = f"{videos} held-out clips are too few for any difference to be significant"
        return Finding("held_out", "not tested on enough held-out clips", "untested", reason)
    sure = holm([test.p_value for test in tests]) < SIGNIFICANT
    above = {(t.kind, t.other) for t, clear in zip(tests, sure, strict=True) if clear and t.difference > 0}
    below = [t for t, clear in zip(tests, sure, strict=True) if clear and t.difference < 0]
    ways = [kind for kind in ("adding", "removing") if {(kind, "random"), (kind, "matched")} <= above]
    if below:
        reason = f"{below[0].kind} the top concepts first does worse than {_rival(below[0].other)} in {videos} clips"
        return Finding("held_out", "contradicted by held-out clips", "failed", reason)
    if ways:
        how = " and ".join(ways)
        reason = (
            f"{how} the top concepts does more than other concepts and than regions of their volume, {videos} clips"
        )
        return Finding("held_out", "supported by held-out clips", "passed", reason)
    reason = (
        f"the top concepts do not clearly change more than {_rival('random')} and {_rival('matched')} "
        f"({len(above)} of {len(tests)} comparisons, {videos} clips)"
    )
    return Finding("held_out", "not supported by held-out clips", "failed", reason)


def _rival(other: str) -> str:
    return "concepts in random order" if other == "random" else "random regions of their volume"


def _stability(run: ConceptRun, best: ConceptRow) -> Finding:
    """Whether the same concept is first under other draws of clips, other fills and other clusterings."""
    draws = ranking_stability(run.scores[run.ranking]).top
    parts = [(f"first in {number(100 * draws, 0)} % of draws of clips", draws >= STABLE)]
    missing = []
    if run.ranking == "effect" and len(run.effects.fills) > 1:
        means = np.nan_to_num(run.effects.mean_drops(run.target_index), nan=-np.inf)
        first = sum(int(k) in run.first for k in means.argmax(1))
        parts.append((f"with {first} of {len(means)} fills", first == len(means)))
    else:
        missing.append("fills")
    if math.isfinite(best.stability):
        words = f"one cluster in {number(100 * best.stability, 0)} % of clusterings of half of the clips"
        parts.append((words, best.stability >= TOGETHER))
    else:
        missing.append("clusterings")
    reason = ", ".join(words for words, _ in parts)
    if not all(passed for _, passed in parts):
        return Finding("stability", "unstable", "failed", reason)
    if missing:
        return Finding(
            "stability", "stability partly tested", "untested", f"{reason}; {' and '.join(missing)} untested"
        )
    return Finding("stability", "stable", "passed", reason)


def _coherence(run: ConceptRun, best: ConceptRow) -> Finding:
    """Whether the regions of the concept are alike, and shared by clips."""
    depends = run.clip_dependence
    reason = f"a linear classifier tells it from unrelated videos with accuracy {number(best.cav_accuracy)}"
    if math.isfinite(depends) and depends > CLIP_DEPENDENCE:
        return Finding("coherence", "differs by clip", "failed", f"concepts depend on the clip by {number(depends)}")
    if not math.isfinite(best.cav_accuracy):
        return Finding("coherence", "coherence not tested", "untested", "no classifier was trained")
    if best.cav_accuracy < POOR_CAV:
        return Finding("coherence", "not coherent", "failed", reason)
    return Finding("coherence", "coherent", "passed", reason)


def _background(run: ConceptRun, found: Sequence[ConceptDescription], best: ConceptRow) -> Finding:
    """Whether the concept is at the edges and still, or at one place in all clips."""
    own, share = found[best.concept], background_share(run, found)
    if own.fixed:
        return Finding("background", "like a caption or logo", "failed", "still, and at one place in all clips")
    if own.like_background:
        return Finding("background", "like background", "failed", "at the edges, and it moves no more than the rest")
    if not math.isfinite(share):
        return Finding("background", "background not measured", "untested", "no effect is positive")
    reason = f"concepts like background hold {number(100 * share, 0)} % of the effect"
    if share >= BACKGROUND:
        return Finding("background", "much background", "failed", reason)
    return Finding("background", "not background", "passed", reason)


def _videos(run: ConceptRun) -> Finding:
    count = len(run.clips)
    if count < FEW_VIDEOS:
        return Finding("videos", "few videos", "failed", f"{count} videos of the class: intervals are wide")
    return Finding("videos", "enough videos", "passed", f"{count} videos of the class")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
