"""Direct effect of a user's own concepts, whose place in their example clips is given by masks.

Letters: M example clips of all concepts together, K concepts, C classes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from voxplain.concepts.effect import Effects, HideConcepts
from voxplain.concepts.rank import ConceptScores, rank_by_effect
from voxplain.concepts.settings import ConceptSettings
from voxplain.errors import DataError
from voxplain.explain.central_window import fit_grid
from voxplain.model import VideoModel
from voxplain.progress import quiet
from voxplain.runtime import Progress
from voxplain.segment import Supervoxels
from voxplain.video import Clip

__all__ = ["score_masked_concepts"]


def score_masked_concepts(
    model: VideoModel,
    concepts: Mapping[str, Sequence[Clip]],
    masks: Mapping[str, Sequence[NDArray[np.bool_]]],
    target: int,
    *,
    settings: ConceptSettings | None = None,
    progress: Progress = quiet,
) -> ConceptScores:
    """Direct effects of concepts that are given by example clips and masks.

    The effect of a concept is the mean drop of the class's log-odds over the concept's own example clips when its
    voxels are hidden there. It is tested against hiding random supervoxels of the same volume in the same clips, as in
    `rank_by_effect`.

    Parameters
    ----------
    model : VideoModel
    concepts : mapping of str to sequence of Clip
        Example clips by the concept's name.
    masks : mapping of str to sequence of bool [T,H,W]
        Where the concept is in each of its clips, on the clip's grid; False throughout where it is absent.
    target : int
        Class index.
    settings : ConceptSettings, optional
        Segmenter of the random regions, and the seed.
    progress : callable
        Progress display.

    Returns
    -------
    ConceptScores
        In the order of ``concepts``; ``scores`` [K,M] is NaN for the clips of other concepts.

    Raises
    ------
    DataError
        For masks of other concepts, counts, shapes or types than the clips'.
    """
    s = settings or ConceptSettings()
    _check(concepts, masks)
    parts: list[tuple[int, Effects]] = []
    with progress("direct effects of own concepts", sum(map(len, concepts.values()))) as advance:
        for k, (name, clips) in enumerate(concepts.items()):
            for clip, mask in zip(clips, masks[name], strict=True):
                own = np.where(mask, 0, -1)
                regions = s.segmenter(clip)
                both = Supervoxels.from_levels([own, *regions.labels])
                assigned = np.full(both.count, -1)
                assigned[: int(mask.any())] = 0
                window, both, assigned = fit_grid(model, clip, both, assigned)
                effects = HideConcepts(seed=s.seed)(model, window, both, assigned, 1, place=len(parts))
                parts.append((k, effects))
                advance()
    return rank_by_effect(_side_by_side(parts, len(concepts)), target, seed=s.seed)


def _side_by_side(parts: Sequence[tuple[int, Effects]], count: int) -> Effects:
    """Effects of one concept each as those of ``count`` concepts that were measured in their own clips only."""
    m, c = len(parts), parts[0][1].base.shape[1]
    hidden, control, alone = (np.full((m, count, c), np.nan, np.float32) for _ in range(3))
    volume = np.ones((m, count), np.float32)  # with NaN: not measured
    for i, (k, part) in enumerate(parts):
        hidden[i, k], control[i, k], alone[i, k] = part.hidden[0, 0], part.control[0, 0], part.alone[0, 0]
        volume[i, k] = part.volume[0, 0]
    base, blank = (np.concatenate([getattr(part, name) for _, part in parts]) for name in ("base", "blank"))
    return Effects(base, hidden, control, alone, blank, volume)


def _check(concepts: Mapping[str, Sequence[Clip]], masks: Mapping[str, Sequence[NDArray[np.bool_]]]) -> None:
    if set(concepts) != set(masks):
        raise DataError(f"expected masks of the concepts {sorted(concepts)}, got {sorted(masks)}; give all of them")
    for name, clips in concepts.items():
        shapes, given = [c.frames.shape[:3] for c in clips], [np.shape(m) for m in masks[name]]
        kinds = {np.asarray(m).dtype for m in masks[name]}
        if shapes != given or kinds - {np.dtype(bool)}:
            raise DataError(
                f"expected a bool mask [T,H,W] of its clip's shape for each clip of {name!r}, got {given} of "
                f"{sorted(map(str, kinds))} for {shapes}; make them from the clips' frames"
            )
