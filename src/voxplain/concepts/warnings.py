"""Checks of a concept run, each with a code: limits to consider before relying on the ranking.

Every threshold is defined here, once. Each check takes plain inputs or records and returns a `RunWarning`, or None
where there is nothing to warn of; `of_run` applies the checks of `explain_concepts`. The command line prints the
messages, ``run.json`` keeps them with their codes, and the report merges warnings and checks by code.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from voxplain.concepts.evaluate import AddRemove, AddRemoveCurves
from voxplain.concepts.held_out_match import HeldOutMatch
from voxplain.concepts.recognition import Recognition
from voxplain.datasets.duplicates import DistinctClips
from voxplain.datasets.duplicates import near_duplicates as near_pairs
from voxplain.model import VideoModel, tasks
from voxplain.record_html import fields_table
from voxplain.statistics import SIGNIFICANT
from voxplain.video import damage_sentence

if TYPE_CHECKING:  # records that hold warnings, or are made from records that do
    from voxplain.concepts.cav import CAVs
    from voxplain.concepts.concept_run import ConceptRun
    from voxplain.concepts.description import ConceptDescription, Stability
    from voxplain.concepts.settings import ConceptSettings

__all__ = [
    "RunWarning",
    "WarningCode",
    "aligned_cavs",
    "assumed_classes",
    "background",
    "background_share",
    "budget",
    "class_not_predicted",
    "class_not_recognised",
    "clip_dependence",
    "collect",
    "damaged",
    "duplicates",
    "far_held_out",
    "few_videos",
    "fill_not_recognised",
    "fixed_concept",
    "leaked",
    "like_labels",
    "like_unrelated",
    "linear_head",
    "near_duplicates",
    "near_leaked",
    "no_direction",
    "not_evaluated",
    "of_run",
    "poor_cavs",
    "unstable_ranking",
]

PREDICTED = 0.5  # share of the class's clips predicted as the class, at least: with fewer, most are explained as errors
FEW_VIDEOS = 20  # videos below which a 95 % interval is wide: from there on t quantiles are near the normal's
ALIGNED = 0.5  # mean cosine between CAVs; matched crops gave 0.08 to 0.44, raw clips as the other side 0.71 to 0.75
CLIP_DEPENDENCE = 0.5  # of concepts on clips, 0 to 1: clips tell half of what can be told; small networks reach 0.18
POOR_CAV = 0.7  # held-out CAV accuracy, chance 0.5: below, a third of the features lie on the wrong side
STABLE = 0.8  # share of bootstrap draws that keep the top concept, and mean rank correlation of the draws
BACKGROUND = 0.25  # share of the positive direct effects held by concepts that look like background
TOP = 3  # first concepts, which a reader looks at even where they are not significant
NAMED = 4  # concepts that a message names
RECOGNISED = 0.5  # accuracy on whole test clips from which adding concepts can be expected to reach the class
NOT_RECOGNISED = 0.05  # accuracy on partly shown clips, in the best order, up to which the fill is suspected

WarningCode = Literal[
    "aligned_cavs",
    "assumed_classes",
    "background",
    "budget",
    "class_not_predicted",
    "class_not_recognised",
    "clip_dependence",
    "damaged",
    "duplicates",
    "far_held_out",
    "few_videos",
    "fill_not_recognised",
    "fixed_concept",
    "leaked",
    "like_labels",
    "like_unrelated",
    "linear_head",
    "near_duplicates",
    "near_leaked",
    "no_direction",
    "not_evaluated",
    "poor_cavs",
    "unstable_ranking",
]


@dataclass(frozen=True)
class RunWarning:
    """One warning of a run; ``str(warning)`` is its message.

    Parameters
    ----------
    code : WarningCode
        Kind of the warning, the same for every run; pages and programs distinguish warnings by it.
    message : str
        One sentence with the measured value, without a full stop.

    Examples
    --------
    >>> str(leaked(2, 10))
    '2 of 10 test clips are clips that the concepts were found in: not held out'
    """

    code: WarningCode
    message: str

    _repr_html_ = fields_table

    def __str__(self) -> str:
        return self.message


def of_run(run: "ConceptRun", settings: "ConceptSettings", *, linear: bool = False) -> tuple[RunWarning, ...]:
    """Warnings of a run that has not been evaluated yet.

    Parameters
    ----------
    run : ConceptRun
    settings : ConceptSettings
        The settings of the run.
    linear : bool
        Whether everything above the layer is one linear map (`is_linear_above`).

    Returns
    -------
    tuple of RunWarning
        In a fixed order; empty where no check warns.

    See Also
    --------
    duplicates, near_duplicates, like_unrelated : warnings of the clips that went in.
    leaked, near_leaked, fill_not_recognised : warnings of an evaluation.
    """
    y = run.target_index
    predicted = 1.0 if run.quantity else float((run.effects.base.argmax(1) == y).mean())
    return collect(
        class_not_predicted(predicted, run.target),
        class_not_recognised(run.recognition, run.target),
        few_videos(len(run.clips), len(run.effects.base)),
        aligned_cavs(run.alignment),
        poor_cavs(run.cavs.mean_accuracy),
        no_direction(run.cavs, len(run.scores["tcav"].null)),
        clip_dependence(run.clip_dependence) if settings.embedder.one_pass else None,
        linear_head(settings, linear),
    )


def collect(*made: RunWarning | None) -> tuple[RunWarning, ...]:
    """The warnings among the results of several checks."""
    return tuple(warning for warning in made if warning is not None)


def class_not_predicted(share: float, target: str) -> RunWarning | None:
    """The network predicts the class for less than half of the class's own clips."""
    if share >= PREDICTED:
        return None
    return RunWarning(
        "class_not_predicted",
        f"the network predicts “{target}” for only {100 * share:.0f} % of these clips: the concepts may not be those "
        "of the class",
    )


def class_not_recognised(found: Recognition | None, target: str) -> RunWarning | None:
    """The network does not recognise the class in its own clips."""
    if found is None or found.holds:
        return None
    said = found.sentence(target).removesuffix(".")
    return RunWarning("class_not_recognised", said[0].lower() + said[1:])


def few_videos(videos: int, effect_videos: int) -> RunWarning | None:
    """Too few videos of the class for narrow intervals, or for any significant concept.

    With n videos the sign-flip test's smallest p-value is 2⁻ⁿ.
    """
    if videos >= FEW_VIDEOS:
        return None
    rest = ", and no direct effect can be significant" if 2.0**-effect_videos >= SIGNIFICANT else ""
    return RunWarning("few_videos", f"only {videos} videos of the class: intervals are wide{rest}")


def aligned_cavs(cosine: float) -> RunWarning | None:
    """CAVs of different concepts have nearly one direction."""
    if not cosine > ALIGNED:  # NaN: fewer than two concepts with directions
        return None
    return RunWarning(
        "aligned_cavs",
        f"CAVs of different concepts are nearly parallel (mean cosine {cosine:.2f}): they may separate crops from "
        "whole clips; use unrelated_examples=matched",
    )


def poor_cavs(accuracy: float) -> RunWarning | None:
    """The linear classifiers do not separate concepts from unrelated examples."""
    if not accuracy < POOR_CAV:  # NaN: no concept has directions
        return None
    return RunWarning("poor_cavs", f"CAVs separate concepts poorly (held-out accuracy {accuracy:.2f})")


def no_direction(cavs: "CAVs", null: int) -> RunWarning | None:
    """Concepts whose features at the layer equal those of unrelated videos: TCAV is not computed for them.

    With fewer than two random concepts that have directions (``null``) it is tested for none.
    """
    said = [cavs.without_direction([f"concept {k}" for k in range(len(cavs.vectors))])]
    if null < 2:
        said.append(f"TCAV scores are not tested: {null} concepts of unrelated videos have a CAV, 2 are needed")
    message = "; ".join(s for s in said if s)
    return RunWarning("no_direction", message) if message else None


def clip_dependence(found: float) -> RunWarning | None:
    """The concept of a supervoxel is mostly that of its clip: the layers see the whole picture at every position."""
    if not found > CLIP_DEPENDENCE:  # NaN: not measured
        return None
    return RunWarning(
        "clip_dependence",
        f"the concepts depend on the clip (adjusted mutual information {found:.2f}): they may be the surroundings of "
        "single clips instead of things that clips share; name layers with smaller receptive fields with "
        "--embedder.layers, or use --embedder crops",
    )


def linear_head(settings: "ConceptSettings", linear: bool) -> RunWarning | None:
    """The sign count of the plain logit's derivative where it is the same for all clips."""
    if not (linear and settings.objective == "logit" and settings.tcav == "sign_count"):
        return None
    return RunWarning(
        "linear_head", "everything above the layer is linear: Eq. 2 of the plain logit is 0 or 1 for each CAV"
    )


def leaked(count: int, total: int) -> RunWarning | None:
    """Test clips are among the clips in which the concepts were found."""
    if not count:
        return None
    return RunWarning(
        "leaked", f"{count} of {total} test clips are clips that the concepts were found in: not held out"
    )


def near_leaked(sources: Sequence[str], total: int) -> RunWarning | None:
    """Test clips, by their sources, that look almost like clips in which the concepts were found."""
    if not sources:
        return None
    return RunWarning(
        "near_leaked",
        f"{len(sources)} of {total} test clips look almost the same as clips that the concepts were found in (for "
        f"instance {sources[0]}): they are hardly held out",
    )


def duplicates(found: DistinctClips, name: str) -> RunWarning | None:
    """Clips with exactly the same frames as another; ``name`` is the set in a sentence, as in "test clips"."""
    if not found.dropped:
        return None
    copy, first = found.dropped[0]
    return RunWarning(
        "duplicates",
        f"{len(found.dropped)} {name} have the same frames as others and were dropped (for instance {copy}, a copy of "
        f"{first}): each counts once",
    )


def damaged(found: DistinctClips, name: str) -> RunWarning | None:
    """Videos of which frames are lost and the rest is used."""
    sentence = damage_sentence(found.damaged, len(found.clips), name)
    return RunWarning("damaged", sentence) if sentence else None


def near_duplicates(found: DistinctClips, name: str) -> RunWarning | None:
    """Clips that differ little from another of the same set."""
    near = near_pairs(found)
    if not near:
        return None
    i, j = near[0]
    return RunWarning(
        "near_duplicates",
        f"{len({j for _, j in near})} of {len(found.clips)} {name} look almost the same as others (for instance "
        f"{found.sources[i]} and {found.sources[j]}): intervals and tests take them for independent",
    )


def like_labels(model: VideoModel, logits: np.ndarray) -> RunWarning | None:
    """Outputs that are taken as logits of classes and may be probabilities of labels."""
    one = model.narrowed is not None  # the logits are of a question to one or two outputs
    if one or not tasks.like_labels(model.task, model.probabilities, torch.from_numpy(logits)):
        return None
    return RunWarning("like_labels", tasks.LIKE_LABELS)


def assumed_classes(model: VideoModel) -> RunWarning | None:
    """Several outputs that are taken as logits of exclusive classes, because nothing says what they are."""
    unknown = model.narrowed is None and model.assumed  # a question to one or two outputs takes them for themselves
    return RunWarning("assumed_classes", tasks.ASSUMED) if unknown else None


def like_unrelated(own: DistinctClips, unrelated: DistinctClips, target: str) -> RunWarning | None:
    """Clips of the class that differ little from unrelated ones."""
    near = near_pairs(own, unrelated)
    if not near:
        return None
    i, j = near[0]
    return RunWarning(
        "like_unrelated",
        f"{len({i for i, _ in near})} videos of “{target}” look almost the same as unrelated videos "
        f"({own.sources[i]} and {unrelated.sources[j]}): the unrelated videos should not show the class",
    )


def fill_not_recognised(adding: AddRemoveCurves, evaluation: AddRemove) -> RunWarning | None:
    """Partly shown clips are hardly ever recognised in any order, although the whole clips mostly are.

    Parameters
    ----------
    adding : AddRemoveCurves
        Curves of adding concepts to test clips.
    evaluation : AddRemove
        The settings with which they were made.
    """
    if adding.quantity:
        return None
    partly = adding.right()[:, :, :-1].mean(1)  # [O,S−1]: the last step shows everything
    if adding.baseline() < RECOGNISED or partly.max() > NOT_RECOGNISED:
        return None
    return RunWarning(
        "fill_not_recognised",
        f"adding up to {evaluation.steps} concepts to a clip of fill “{evaluation.fill}” is recognised in no order, "
        "although the whole clip is: the fill may be unlike the training videos; try another with --evaluation.fill, "
        "black for videos on a black background",
    )


def far_held_out(match: HeldOutMatch, first: Sequence[int]) -> RunWarning | None:
    """Held-out supervoxels of the first concepts are far from what the concepts were found from."""
    far = [k for k in first if match.far[k]]
    if not far:
        return None
    k = far[0]
    return RunWarning(
        "far_held_out",
        f"held-out supervoxels of {_named(far)} are far from it: {100 * match.near[k]:.0f} % of those of concept {k} "
        f"are as near its centre as {100 * match.expected[k]:.0f} % of the supervoxels that it was found from",
    )


def budget(
    stability: "Stability", *, videos: int, total: int, used: str, limit: str, more: str, stable: bool, single: bool
) -> RunWarning:
    """Why `explain_within_budget` stopped, and what more time would give.

    Parameters
    ----------
    stability : Stability
        That of the last round's ranking.
    videos, total : int
        Videos used in the last round, and in the set.
    used, limit, more : str
        Time used, time allowed and time that all videos would take, formatted.
    stable : bool
        Whether it stopped because the ranking was stable.
    single : bool
        Whether the first round alone took longer than allowed.
    """
    measured = (
        f"the same concept on top in {100 * stability.top:.0f} % of bootstrap draws, rank correlation "
        f"{stability.correlation:.2f}"
    )
    if videos == total:
        return RunWarning("budget", f"all {total} videos were used within the time given ({used}; {measured})")
    narrower = 100 * (1 - (videos / total) ** 0.5)
    gain = f"all {total} would take about {more} more and narrow the intervals by about {narrower:.0f} %"
    spent = f"{videos} of {total} videos in {used}"
    if stable:
        return RunWarning("budget", f"stopped early: the ranking is stable after {spent} ({measured}); {gain}")
    over = " (the smallest round takes longer than that)" * single
    return RunWarning(
        "budget", f"the time of {limit} is spent{over} after {spent}, before the ranking is stable ({measured}); {gain}"
    )


def background_share(run: "ConceptRun", found: Sequence["ConceptDescription"]) -> float:
    """Share of all positive direct effects held by concepts that look like background, 0 to 1.

    NaN where no effect is positive.
    """
    positive = np.clip(np.nan_to_num(run.scores["effect"].value), 0, None)
    like = np.array([c.like_background for c in found])
    return float(positive[like].sum() / positive.sum()) if positive.sum() > 0 else math.nan


def background(run: "ConceptRun", found: Sequence["ConceptDescription"]) -> RunWarning | None:
    """Concepts that look like background hold much of the effect, or are significant."""
    share, q = background_share(run, found), run.scores["effect"].q_value
    significant = [int(k) for k in run.order if found[k].like_background and q[k] < SIGNIFICANT]
    if math.isnan(share) or (share < BACKGROUND and not significant):
        return None
    named = f"; significant among them: {_named(significant)}" if significant else ""
    return RunWarning(
        "background",
        "concepts at the edges of the picture that do not move more than the rest hold "
        f"{100 * share:.0f} % of the measured effect{named}",
    )


def fixed_concept(run: "ConceptRun", found: Sequence["ConceptDescription"]) -> RunWarning | None:
    """A significant concept, or one of the first, is still and at the same place in all videos."""
    q, first = run.scores[run.ranking].q_value, set(run.order[:TOP].tolist())
    fixed = [int(k) for k in run.order if found[k].fixed and (q[k] < SIGNIFICANT or int(k) in first)]
    if not fixed:
        return None
    return RunWarning(
        "fixed_concept", f"still, and at one place in all videos, as a caption or logo is: {_named(fixed)}"
    )


def _named(concepts: Sequence[int]) -> str:
    return ", ".join(f"concept {k}" for k in concepts[:NAMED])


def unstable_ranking(stability: "Stability", repeats: str) -> RunWarning | None:
    """Other draws of the repeats (clips or random sets) give another ranking."""
    if stability.top >= STABLE and stability.correlation >= STABLE:
        return None
    return RunWarning(
        "unstable_ranking",
        f"with other draws of {repeats} the same concept comes first in {100 * stability.top:.0f} % of them; mean rank "
        f"correlation {stability.correlation:.2f}".replace("-", "−"),
    )


def not_evaluated(test_videos: int) -> RunWarning | None:
    """The ranking has not been tested on held-out videos."""
    if test_videos:
        return None
    return RunWarning("not_evaluated", "the ranking has not been tested on held-out videos")
