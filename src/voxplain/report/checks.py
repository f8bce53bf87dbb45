"""Warning lights: the checks a reader needs before believing a ranking, each lit or not, each with its figure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.description import ConceptDescription, ranking_stability
from voxplain.report.tables import SIGNIFICANT, number

__all__ = ["Check", "background_share", "reader_checks"]

FEW = 20  # videos of the class below which intervals are wide
POOR = 0.7  # CAV accuracy below which concepts are not separated
STEADY = 0.8  # of the draws that keep the top concept, or mean rank correlation


@dataclass(frozen=True)
class Check:
    """One check: ``lit`` means look out; ``label`` two or three words; ``words`` one sentence with the figure."""

    lit: bool
    label: str
    words: str


def background_share(run: ConceptRun, found: Sequence[ConceptDescription]) -> float:
    """The share of all positive direct effects that concepts looking like background have; NaN without effects."""
    effect = np.clip(np.nan_to_num(run.scores["effect"].value), 0, None)
    like = np.array([c.like_background for c in found])
    return float(effect[like].sum() / effect.sum()) if effect.sum() > 0 else math.nan


def reader_checks(run: ConceptRun, found: Sequence[ConceptDescription]) -> list[Check]:
    """All checks of a run, the lit ones first."""
    made = [_background(run, found), _shortcut(run, found), _stability(run), _cavs(run), _videos(run), _head(run)]
    return sorted((light for light in made if light is not None), key=lambda light: not light.lit)


def _background(run: ConceptRun, found: Sequence[ConceptDescription]) -> Check | None:
    share = background_share(run, found)
    if math.isnan(share):
        return None
    sure = [int(k) for k in run.order if found[k].like_background and run.scores["effect"].q_value[k] < SIGNIFICANT]
    words = (
        "Concepts that sit at the edges of the picture and do not move more than the rest hold "
        f"{number(100 * share, 0)} % of the measured effect"
    )
    if sure:
        words += f"; significant among them: {', '.join(f'concept {k}' for k in sure[:4])}"
    return Check(share >= 0.25 or bool(sure), "background", words + ".")


def _shortcut(run: ConceptRun, found: Sequence[ConceptDescription]) -> Check:
    q = run.scores[run.ranking].q_value
    top = set(run.order[:3].tolist())
    fixed = [int(k) for k in run.order if found[k].fixed and (q[k] < SIGNIFICANT or int(k) in top)]
    if not fixed:
        return Check(
            False, "shortcut", "No important concept sits still at one place in all videos, as a caption or logo would."
        )
    named = ", ".join(f"concept {k}" for k in fixed[:4])
    return Check(True, "shortcut", f"Still, and at one place in all videos, like a caption or logo: {named}.")


def _stability(run: ConceptRun) -> Check:
    s = ranking_stability(run.scores[run.ranking].scores)
    what = "clips" if run.ranking == "effect" else "random sets"
    words = (
        f"With other draws of {what} the same concept comes first in {number(100 * s.top, 0)} % of them; mean rank "
        f"correlation {number(s.correlation)}."
    )
    unsteady = s.top < STEADY or s.correlation < STEADY
    return Check(unsteady, "unstable ranking" if unsteady else "ranking", words)


def _cavs(run: ConceptRun) -> Check:
    mean = float(run.cavs.accuracy.mean())
    return Check(
        mean < POOR or run.alignment > 0.5,
        "separation",
        f"CAVs tell their concept from unrelated supervoxels with accuracy {number(mean)} (chance 0.5); CAVs of "
        f"different concepts have mean cosine {number(run.alignment)}.",
    )


def _videos(run: ConceptRun) -> Check:
    count = len(run.clips)
    held = len(run.evaluation.adding.truth) if run.evaluation is not None else 0
    proof = f"{held} held-out videos prove the ranking" if held else "no held-out videos prove the ranking"
    return Check(count < FEW or not held, "few videos" if count < FEW else "videos", f"{count} videos; {proof}.")


def _head(run: ConceptRun) -> Check | None:
    said = [w for w in run.warnings if "linear" in w]
    return Check(True, "linear head", f"{said[0][:1].upper()}{said[0][1:]}.") if said else None
