"""The checks at the head of a report: each passed or not, with its measured value.

A check fails where `voxplain.concepts.warnings` gives a warning; the sentences of passed checks are defined here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

from voxplain.concepts import warnings
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.description import ConceptDescription, ranking_stability
from voxplain.concepts.warnings import RunWarning, WarningCode
from voxplain.report.sentences import dependence_sentence
from voxplain.report.tables import number

__all__ = ["Check", "reader_checks", "remaining_warnings"]


@dataclass(frozen=True)
class Check:
    """One check of a run.

    Parameters
    ----------
    code : WarningCode
        The code of the warning that a failed check gives.
    label : str
        Two or three words.
    message : str
        One sentence with the measured value.
    passed : bool
    details : str
        What the message rests on; empty where it says all.
    """

    code: WarningCode
    label: str
    message: str
    passed: bool
    details: str = ""


def reader_checks(run: ConceptRun, found: Sequence[ConceptDescription]) -> list[Check]:
    """All checks of a run, the failed ones first.

    Parameters
    ----------
    run : ConceptRun
    found : sequence of ConceptDescription
        The run's concepts as `describe_concepts` gives them.
    """
    stability = ranking_stability(run.scores[run.ranking])
    repeats = "clips" if run.ranking == "effect" or run.scores[run.ranking].video_draws is not None else "random sets"
    accuracy, videos = run.cavs.mean_accuracy, len(run.clips)
    held_out = len(run.evaluation.adding.truth) if run.evaluation is not None else 0
    share = warnings.background_share(run, found)
    made = [
        _check(
            "fixed_concept",
            "shortcut",
            warnings.fixed_concept(run, found),
            "no important concept is still and at one place in all videos, as a caption or logo is",
        ),
        _check(
            "unstable_ranking",
            "ranking",
            warnings.unstable_ranking(stability, repeats),
            f"with other draws of {repeats} the same concept comes first in {number(100 * stability.top, 0)} % of "
            f"them; mean rank correlation {number(stability.correlation)}",
        ),
        _check(
            "poor_cavs",
            "CAV accuracy",
            warnings.poor_cavs(accuracy),
            f"CAVs separate concepts from unrelated examples with held-out accuracy {number(accuracy)} (chance 0.5)",
        ),
        _check(
            "aligned_cavs",
            "CAV directions",
            warnings.aligned_cavs(run.alignment),
            f"CAVs of different concepts have mean cosine {number(run.alignment)}",
        ),
        _check(
            "few_videos", "videos", warnings.few_videos(videos, len(run.effects.base)), f"{videos} videos of the class"
        ),
        _check(
            "not_evaluated",
            "evaluation",
            warnings.not_evaluated(held_out),
            f"the ranking was tested on {held_out} held-out videos",
        ),
    ]
    if run.recognition is not None:
        failed = warnings.class_not_recognised(run.recognition, run.target)
        check = _check("class_not_recognised", "class", failed, run.recognition.sentence(run.target).rstrip("."))
        made.append(replace(check, details=run.recognition.details()))
    if isfinite(run.clip_dependence):
        # The run was warned only where its embedder has layers that another choice could replace.
        failed = next((w for w in run.warnings if w.code == "clip_dependence"), None)
        made.append(_check("clip_dependence", "clips", failed, dependence_sentence(run).rstrip(".")))
    if isfinite(share):
        passed = f"concepts that look like background hold {number(100 * share, 0)} % of the measured effect"
        made.insert(0, _check("background", "background", warnings.background(run, found), passed))
    return sorted(made, key=lambda check: check.passed)


def _check(code: WarningCode, label: str, warning: RunWarning | None, passed: str) -> Check:
    message = passed if warning is None else warning.message
    return Check(code, label, f"{message[0].upper()}{message[1:]}.", warning is None)


def remaining_warnings(run: ConceptRun, checks: Sequence[Check]) -> list[RunWarning]:
    """The run's warnings whose codes are not among the checks, one for each code with all its messages."""
    messages: dict[WarningCode, dict[str, None]] = {}
    for warning in run.warnings:
        messages.setdefault(warning.code, {})[warning.message] = None
    shown = {check.code for check in checks}
    return [RunWarning(code, "; ".join(own)) for code, own in messages.items() if code not in shown]
