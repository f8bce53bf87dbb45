"""The clips of concept runs with the masks of their concepts, as the exports show them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.effect import concept_mask
from voxplain.errors import DataError
from voxplain.report.figures.effect_map import drops
from voxplain.segment import Supervoxels
from voxplain.video import Clip

__all__ = ["ConceptClip", "concept_clips", "concept_runs", "frame_rate", "label_of"]


@dataclass(frozen=True, eq=False)
class ConceptClip:
    """One clip of a run.

    Parameters
    ----------
    run : ConceptRun
    clip : Clip
    name : str
        Place in an export, unlike that of any other clip; letters, digits, "_", "-", "." and "/".
    held_out : bool
        Whether it is a test clip.
    lost : ndarray, float64 [K]
        Log-odds lost when each concept is hidden; NaN where it is absent or was not measured.
    supervoxels : Supervoxels
    assigned : ndarray, int64 [N]
        Concept of each supervoxel.
    """

    run: ConceptRun
    clip: Clip
    name: str
    held_out: bool
    lost: np.ndarray
    supervoxels: Supervoxels
    assigned: np.ndarray

    def masks(self) -> Iterator[tuple[int, np.ndarray]]:
        """(concept, mask bool [T,H,W]) of each concept in the clip, best first."""
        for k in map(int, self.run.order):
            mask = concept_mask(self.supervoxels, self.assigned, k)
            if mask.any():
                yield k, mask


def concept_runs(runs: Sequence[ConceptRun] | Sequence[AttributionRun], format_: str) -> list[ConceptRun]:
    """The runs, where all are of concepts. Raises DataError for attribution runs, which have no masks."""
    found = [run for run in runs if isinstance(run, ConceptRun)]
    if len(found) != len(runs) or not found:
        raise DataError(
            f"expected runs of concepts to export to {format_}, got attribution runs; choose csv or tensorboard"
        )
    return found


def concept_clips(runs: Sequence[ConceptRun]) -> Iterator[ConceptClip]:
    """Clips of the runs, then the explored held-out ones of each.

    Parameters
    ----------
    runs : sequence of ConceptRun

    Yields
    ------
    ConceptClip
    """
    used: set[str] = set()
    for run in runs:
        rows = range(len(run.effects.base)) if run.effects.clips is None else run.effects.clips.tolist()
        lost, row_of = run.effects.drop(run.target_index), {int(clip): row for row, clip in enumerate(rows)}
        unknown = np.full(len(run.bank), np.nan)
        for i, clip in enumerate(run.clips):
            name = _name(run, clip, "found", used)
            own = lost[row_of[i]] if i in row_of else unknown
            yield ConceptClip(run, clip, name, False, own, run.supervoxels[i], run.assigned[i])
        for explored in () if run.evaluation is None else run.evaluation.explored:
            name = _name(run, explored.clip, "held_out", used)
            own = drops(run, explored)
            yield ConceptClip(run, explored.clip, name, True, own, explored.supervoxels, explored.assigned)


def label_of(run: ConceptRun, concept: int) -> str:
    """A concept's name in an export: the class with the concept."""
    return f"{run.target}: concept {concept}"


def frame_rate(clip: Clip) -> int:
    """Frames a second of a clip, at least 1."""
    span = float(clip.seconds[-1] - clip.seconds[0])
    return max(1, round((len(clip) - 1) / span)) if span > 0 else 25


def _name(run: ConceptRun, clip: Clip, part: str, used: set[str]) -> str:
    stem = _safe(PurePosixPath(clip.source.replace("\\", "/")).stem)
    place, count = f"{_safe(run.target)}/{part}/{stem}", 1
    while place in used:
        count += 1
        place = f"{_safe(run.target)}/{part}/{stem}-{count}"
    used.add(place)
    return place


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip(".") or "clip"
