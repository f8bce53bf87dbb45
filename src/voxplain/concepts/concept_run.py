"""`ConceptRun`: the explanation of one class at one layer, and its table."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from voxplain.concepts.cav import CAVs
from voxplain.concepts.clip_exploration import ExploredClip
from voxplain.concepts.discover import ConceptBank
from voxplain.concepts.effect import Effects
from voxplain.concepts.evaluate import AddRemoveCurves, join
from voxplain.concepts.held_out_match import HeldOutMatch
from voxplain.concepts.order_tests import OrderTest, all_order_tests
from voxplain.concepts.rank import ConceptScores
from voxplain.concepts.recognition import Recognition
from voxplain.concepts.settings import ConceptSettings
from voxplain.concepts.warnings import RunWarning
from voxplain.concepts.wholes import Whole
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.record_html import fields_table, rows_table
from voxplain.segment import Supervoxels
from voxplain.statistics import SIGNIFICANT
from voxplain.video import Clip

__all__ = ["ConceptRow", "ConceptRun", "EvaluationRun", "combined_evaluation"]


@dataclass(frozen=True)
class ConceptRow:
    """One row of the table of concepts.

    Parameters
    ----------
    rank : int
        1 is the best.
    concept : int
    score, low, high : float
        The ranking score with its 95 % interval.
    tested, tested_low, tested_high, p_value, q_value : float
        What is tested of the ranking score, with the interval that agrees with the test; see `ConceptScores`.
    effect, effect_q, tcav, tcav_q : float
        Direct effect and TCAV score with their q-values.
    cav_accuracy : float
        Mean over random sets, 0 to 1.
    videos : int
        Clips with a supervoxel of the concept.
    members : int
        Supervoxels that represent it.
    volume : float
        Mean share of a clip's voxels, 0 to 1.
    stability : float
        How far repeated clusterings agree on the concept, 0 to 1; NaN where the clusterer does not repeat.
    """

    rank: int
    concept: int
    score: float
    low: float
    high: float
    tested: float
    tested_low: float
    tested_high: float
    p_value: float
    q_value: float
    effect: float
    effect_q: float
    tcav: float
    tcav_q: float
    cav_accuracy: float
    videos: int
    members: int
    volume: float
    stability: float


@dataclass(frozen=True, eq=False)
class EvaluationRun:
    """Adding and removing concepts in test videos.

    Parameters
    ----------
    adding, removing : AddRemoveCurves
    order_tests : tuple of OrderTest
        The top concepts against the other orders.
    explored : tuple of ExploredClip
        Test clips for the report's clip explorer, the best recognised first.
    match : HeldOutMatch, optional
        How near the test clips' supervoxels are to their concepts.
    """

    adding: AddRemoveCurves
    removing: AddRemoveCurves
    order_tests: tuple[OrderTest, ...]
    explored: tuple[ExploredClip, ...] = ()
    match: HeldOutMatch | None = field(default=None, metadata={"later": True})

    _repr_html_ = fields_table


@dataclass(frozen=True, eq=False)
class ConceptRun:
    """The concepts of one class at one layer: bank, CAVs, scores, effects, and the place of every member.

    Parameters
    ----------
    target : str
        Name of the class.
    target_index : int
        Index of the class.
    layer, network : str
        Names of the layer and the network.
    classes : tuple of str
        Names of all classes; may be empty.
    preset : str
        The preset that the settings equal, or start from.
    parameters, provenance : dict
        The settings as plain values; versions, device and hashes of all inputs.
    clips : sequence of Clip
        M clips of the class.
    supervoxels : sequence of Supervoxels
        Of each clip.
    origin : ndarray, int64 [N,2]
        (clip, supervoxel) of each feature row that ``bank.members`` points to.
    assigned : tuple of ndarray
        The concept of each supervoxel of each clip.
    bank : ConceptBank
        The concepts and their members.
    cavs : CAVs
        Concept activation vectors of each concept.
    alignment : float
        Mean cosine between CAVs of different concepts.
    effects : Effects
        Direct effect of each concept in each clip.
    scores : dict of str to ConceptScores
        "effect" and "tcav".
    ranking : str
        The score that ranks.
    recognition : Recognition, optional
        Whether the network recognises the class.
    wholes : tuple of Whole
        Concepts that form one thing together, the largest effect first.
    clip_dependence : float
        How far the concept of a supervoxel depends on its clip, 0 to 1, lower is better; see `clip_dependence`. NaN
        where it was not measured.
    warnings : tuple of RunWarning
        Limits of the explanation that were found in the data.
    skipped : tuple of (str, str)
        Videos that could not be read, and why.
    evaluation : EvaluationRun, optional
        After `evaluate_concepts`, which continues with the fields model, settings and store; these are not saved.
    units : str
        Unit of a quantity that is explained instead of a class.
    """

    target: str
    target_index: int
    layer: str
    network: str
    classes: tuple[str, ...]
    preset: str
    parameters: dict[str, Any]
    provenance: dict[str, Any]
    clips: Sequence[Clip]
    supervoxels: Sequence[Supervoxels]
    origin: np.ndarray
    assigned: tuple[np.ndarray, ...]
    bank: ConceptBank
    cavs: CAVs
    alignment: float
    effects: Effects
    scores: dict[str, ConceptScores]
    ranking: str
    recognition: Recognition | None = None
    wholes: tuple[Whole, ...] = ()
    clip_dependence: float = math.nan
    warnings: tuple[RunWarning, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    evaluation: EvaluationRun | None = field(default=None)
    units: str = field(default="", metadata={"later": True})
    model: VideoModel | None = field(default=None, repr=False, metadata={"saved": False})
    settings: ConceptSettings | None = field(default=None, repr=False, metadata={"saved": False})
    store: Path | None = field(default=None, repr=False, metadata={"saved": False})

    def __post_init__(self) -> None:
        """Check that the ranking names a score and that there is a clip for each segmentation."""
        if self.ranking not in self.scores:
            raise DataError(f"expected a ranking of {sorted(self.scores)}, got {self.ranking!r}; choose one of them")
        if len(self.clips) != len(self.supervoxels) or len(self.clips) != len(self.assigned):
            raise DataError("expected supervoxels and assignments for every clip, got other counts")

    def __repr__(self) -> str:
        """What was explained, and how large."""
        return f"ConceptRun({self.target!r}, layer={self.layer!r}, clips={len(self.clips)}, concepts={len(self.bank)})"

    def _repr_html_(self) -> str:
        """The answer in a sentence, the table of concepts and the warnings, for a notebook."""
        columns = ("rank", "concept", "score", "tested", "q_value", "effect", "tcav", "videos", "members", "volume")
        said = "".join(f"<li>{html.escape(str(warning))}</li>" for warning in self.warnings)
        table = rows_table(self.rows(), columns, f"Concepts of “{self.target}”, {self.network}, layer {self.layer}")
        return f"<p>{html.escape(self.sentence())}</p>{table}" + (f"<ul>{said}</ul>" if said else "")

    @property
    def order(self) -> np.ndarray:
        """Concept indices, best first, by the ranking score."""
        return self.scores[self.ranking].rank

    @property
    def first(self) -> tuple[int, ...]:
        """What is shown first: the concept on top, or the parts of the whole that it is a part of."""
        top = int(self.order[0])
        return next((whole.parts for whole in self.wholes if top in whole.parts), (top,))

    def rows(self) -> list[ConceptRow]:
        """The table of concepts, best first."""
        score, effect, tcav = self.scores[self.ranking], self.scores["effect"], self.scores["tcav"]
        return [
            ConceptRow(
                rank=i + 1,
                concept=int(k),
                score=float(score.value[k]),
                low=float(score.interval[k, 0]),
                high=float(score.interval[k, 1]),
                tested=float(score.tested[k]),
                tested_low=float(score.tested_interval[k, 0]),
                tested_high=float(score.tested_interval[k, 1]),
                p_value=float(score.p_value[k]),
                q_value=float(score.q_value[k]),
                effect=float(effect.value[k]),
                effect_q=float(effect.q_value[k]),
                tcav=float(tcav.value[k]),
                tcav_q=float(tcav.q_value[k]),
                cav_accuracy=float(self.cavs.accuracy[k].mean()),
                videos=int(self.bank.clip_count[k]),
                members=len(self.bank.members[k]),
                volume=float(self.effects.volume[:, k].mean()),
                stability=float(self.bank.stability[k]),
            )
            for i, k in enumerate(self.order)
        ]

    def member(self, concept: int, place: int) -> tuple[Clip, np.ndarray]:
        """Clip and mask, bool [T,H,W], of a concept's supervoxel; ``place`` 0 is the nearest to the centre."""
        clip, supervoxel = self.origin[self.bank.members[concept][place]]
        return self.clips[clip], self.supervoxels[clip].mask(int(supervoxel))

    def table(self) -> str:
        """The concepts as plain text, best first: score, what is tested with its interval, q-values, CAV accuracy."""
        head = "rank concept    score above chance [     adjusted     ]      q  effect    tcav  CAV acc  videos  volume"
        lines = [
            f"{r.rank:4d} {r.concept:7d} {r.score:8.3f} {_tested(r)} "
            f"{r.q_value:6.3f} {r.effect:7.2f} {r.tcav:7.2f} {r.cav_accuracy:8.2f} "
            f"{r.videos:4d}/{len(self.clips):<3d} {100 * r.volume:5.1f} %"
            for r in self.rows()
        ]
        return "\n".join([head, *lines])

    def relied_on(self) -> ConceptRow | None:
        """The first concept of the ranking with a score above chance whose hiding lowers the class; None without one.

        A concept whose hiding raises the class is nothing that the network relies on for it, whatever its score.
        """
        drop = np.nan_to_num(self.effects.drop(self.target_index)).mean(0)
        chance = self.scores[self.ranking].chance
        return next((row for row in self.rows() if drop[row.concept] > 0 and row.score > chance), None)

    def sentence(self) -> str:
        """The answer in one plain sentence."""
        best = self.relied_on()
        if best is None:
            return f"“{self.target}” relies on none of the concepts: hiding none of them lowers it."
        videos = f"{best.videos} of {len(self.clips)} videos"
        found = f"it covers {100 * best.volume:.0f} % of the voxels and is found in {videos}."
        if self.recognition is not None and not self.recognition.holds:
            recognise = "respond to" if self.quantity else "recognise"
            return (
                f"The network does not clearly {recognise} “{self.target}”, so no concept is called significant; "
                f"first is concept {best.concept}, {self.ranking} {best.score:.2f}; {found}"
            )
        relies, sure = ("relies", "significant") if best.q_value < SIGNIFICANT else ("may rely", "not significant")
        tested = f"not compared with {self.compared_with}"
        if np.isfinite(best.tested):
            tested = (
                f"{best.tested:.2f} above {self.compared_with} (adjusted interval {best.tested_low:.2f} to "
                f"{best.tested_high:.2f}, q = {best.q_value:.3g}, {sure})"
            )
        measured = f"{self.ranking} {best.score:.2f}, {tested}"
        return f"“{self.target}” {relies} most on concept {best.concept}: {measured}; {found}"

    @property
    def quantity(self) -> bool:
        """Whether the target is a quantity in its own unit: effects are not log-odds, and no clip is right or wrong."""
        return self.effects.base.shape[-1] == 1

    @property
    def compared_with(self) -> str:
        """What the ranking score is tested against, in words."""
        return "random regions of its volume" if self.ranking == "effect" else "concepts of unrelated videos"


def _tested(row: ConceptRow) -> str:
    if np.isnan(row.tested):
        return f"{'not measured':>33s}"
    return f"{row.tested:12.3f} [{row.tested_low:8.3f}, {row.tested_high:8.3f}]"


def combined_evaluation(runs: Sequence[ConceptRun]) -> EvaluationRun:
    """One evaluation over the test videos of all classes, each video with its own class's order (STCE §4.2).

    Raises DataError when a run has no evaluation, or the runs are of different layers or networks.
    """
    places = {(run.network, run.layer, run.classes) for run in runs}
    found = [run.evaluation for run in runs if run.evaluation is not None]
    if len(places) != 1 or len(found) != len(runs):
        raise DataError(
            f"expected evaluated runs of one network and layer, got {len(found)} evaluated of {len(runs)} at "
            f"{len(places)} places; run evaluate for each and combine layer by layer"
        )
    adding, removing = join([e.adding for e in found]), join([e.removing for e in found])
    return EvaluationRun(adding, removing, all_order_tests(adding, removing))
