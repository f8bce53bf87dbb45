"""`ConceptRun`: everything one class's explanation at one layer consists of, and its table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from voxplain.concepts.cav import CAVs
from voxplain.concepts.clip_exploration import ExploredClip
from voxplain.concepts.discover import ConceptBank
from voxplain.concepts.effect import Effects
from voxplain.concepts.evaluate import AddRemoveCurves, join
from voxplain.concepts.order_tests import OrderTest, all_order_tests
from voxplain.concepts.rank import ConceptScores
from voxplain.concepts.settings import ConceptSettings
from voxplain.concepts.warnings import RunWarning
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.segment import Supervoxels
from voxplain.statistics import SIGNIFICANT
from voxplain.video import Clip

__all__ = ["ConceptRow", "ConceptRun", "EvaluationRun", "combined_evaluation"]


@dataclass(frozen=True)
class ConceptRow:
    """One line of the table, best concept first; scores as the run's ranking score gives them."""

    rank: int
    concept: int
    score: float
    low: float
    high: float
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


@dataclass(frozen=True, eq=False)
class EvaluationRun:
    """Adding and removing concepts in test videos, what the comparison says, and some clips taken apart."""

    adding: AddRemoveCurves
    removing: AddRemoveCurves
    order_tests: tuple[OrderTest, ...]
    explored: tuple[ExploredClip, ...] = ()


@dataclass(frozen=True, eq=False)
class ConceptRun:
    """The concepts of one class at one layer: bank, CAVs, scores, effects, and where every member is.

    ``origin`` int64 [N,2] = (clip, supervoxel) of each feature row that ``bank.members`` points to; ``assigned``
    the concept of each supervoxel of each clip; ``scores`` by name, ``ranking`` the name that ranks.
    """

    target: str
    target_index: int
    layer: str
    network: str
    classes: tuple[str, ...]
    preset: str
    parameters: dict
    provenance: dict
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
    warnings: tuple[RunWarning, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    evaluation: EvaluationRun | None = field(default=None)
    # What `evaluate_concepts` goes on with; not written to disk.
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

    @property
    def order(self) -> np.ndarray:
        """Concept indices, best first, by the ranking score."""
        return self.scores[self.ranking].rank

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
            )
            for i, k in enumerate(self.order)
        ]

    def member(self, concept: int, place: int) -> tuple[Clip, np.ndarray]:
        """(clip, mask bool [T,H,W]) of a concept's supervoxel, nearest the centre first."""
        clip, supervoxel = self.origin[self.bank.members[concept][place]]
        return self.clips[clip], self.supervoxels[clip].mask(int(supervoxel))

    def table(self) -> str:
        """The concepts as plain text, best first: score with 95 % interval, q-values, CAV accuracy, videos, volume."""
        head = "rank concept    score [      95 %      ]      q  effect    tcav  CAV acc  videos  volume"
        lines = [
            f"{r.rank:4d} {r.concept:7d} {r.score:8.3f} [{r.low:8.3f}, {r.high:8.3f}] {r.q_value:6.3f} {r.effect:7.2f} "
            f"{r.tcav:7.2f} {r.cav_accuracy:8.2f} {r.videos:4d}/{len(self.clips):<3d} {100 * r.volume:5.1f} %"
            for r in self.rows()
        ]
        return "\n".join([head, *lines])

    def sentence(self) -> str:
        """The answer in one plain sentence."""
        best = self.rows()[0]
        sure = "significant" if best.q_value < SIGNIFICANT else "not significant"
        return (
            f"“{self.target}” rests most on concept {best.concept}: {self.ranking} {best.score:.2f} "
            f"(95 % interval {best.low:.2f} to {best.high:.2f}, q = {best.q_value:.3g}, {sure}); "
            f"it covers {100 * best.volume:.0f} % of the voxels "
            f"and is found in {best.videos} of {len(self.clips)} videos."
        )


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
