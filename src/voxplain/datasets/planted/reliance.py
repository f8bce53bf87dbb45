"""Planted ground truth for concepts: the objects that the network relies on, and those that each concept covers.

Letters: M clips, K concepts, O objects. The ground truth is an intervention on the scene, not on the pixels of a
segment: the clip is rendered again without one object, and the drop of the class's objective is the network's
*reliance* on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from voxplain.datasets.planted import PlantedSet, freeze, render, without
from voxplain.errors import DataError
from voxplain.model import OBJECTIVES, Objective, VideoModel, logits_of
from voxplain.segment import Supervoxels
from voxplain.statistics import spearman
from voxplain.video import Clip

__all__ = ["Reliance", "concept_coverage", "reliance", "spearman", "true_scores"]


@dataclass(frozen=True, eq=False)
class Reliance:
    """Drop of the objective per clip when an object is gone, ``drop`` [M,O] (NaN: not in the clip), or held still.

    ``frozen`` [M,O]: drop when only its motion is taken away; ``names`` of the objects.
    """

    names: tuple[str, ...]
    drop: np.ndarray
    frozen: np.ndarray

    @property
    def most(self) -> str:
        """The object with the largest mean drop over all clips; an object that is absent drops nothing."""
        return self.names[int(np.nan_to_num(self.drop).mean(0).argmax())]


def reliance(
    model: VideoModel, planted: PlantedSet, clips: Sequence[Clip], target: int, *, objective: Objective = "log_odds"
) -> Reliance:
    """Render every clip without each of its objects, and with each held still, and measure the objective's drop.

    Raises DataError when a clip is not the whole rendered picture, as after a resize and a crop: then neither the
    counterfactuals nor the masks would show what the clip shows.
    """
    names = tuple(sorted({o.name for c in clips for o in planted.scene(c.source).objects}))
    drop, frozen = (np.full((len(clips), len(names)), np.nan) for _ in range(2))
    for m, clip in enumerate(clips):
        scene = planted.scene(clip.source)
        present = [o.name for o in scene.objects]
        changed = [change(scene, name) for change in (without, freeze) for name in present]
        whole = render(scene)
        _require_whole_view(clip, whole)
        z = torch.from_numpy(logits_of(model, iter([whole, *(render(s) for s in changed)]))).double()
        value = OBJECTIVES[objective](z, target).numpy()
        columns = [names.index(name) for name in present]
        drop[m, columns] = value[0] - value[1 : 1 + len(present)]
        frozen[m, columns] = value[0] - value[1 + len(present) :]
    return Reliance(names, drop, frozen)


def _require_whole_view(clip: Clip, whole: np.ndarray) -> None:
    # Another encoder's file may differ from ours by a few grey levels, another view of the scene by tens.
    same = clip.frames.shape == whole.shape and np.abs(clip.frames.astype(int) - whole).mean() < 4
    if not same:
        raise DataError(
            f"expected clips with the whole picture of {len(whole)} frames at {whole.shape[1]}×{whole.shape[2]}, got "
            f"another view of {clip.source} ({clip.frames.shape}); read them with a geometry that neither resizes nor "
            "crops"
        )


def concept_coverage(
    planted: PlantedSet,
    clips: Sequence[Clip],
    supervoxels: Sequence[Supervoxels],
    assigned: Sequence[np.ndarray],
    concepts: int,
    names: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """(recall, share), both [M,K,O]: how much of the object the concept covers, and how much of the concept it is.

    Zero where the clip lacks the object or the concept.
    """
    recall, share = (np.zeros((len(clips), concepts, len(names))) for _ in range(2))
    for m, clip in enumerate(clips):
        truth = planted.masks(clip.source)
        for k in np.unique(assigned[m][assigned[m] >= 0]):
            mask = supervoxels[m].masks(np.flatnonzero(assigned[m] == k))
            for name, visible in truth.items():
                both = float((mask & visible).sum())
                recall[m, k, list(names).index(name)] = both / max(int(visible.sum()), 1)
                share[m, k, list(names).index(name)] = both / max(int(mask.sum()), 1)
    return recall, share


def true_scores(truth: Reliance, recall: np.ndarray) -> np.ndarray:
    """True reliance of what each concept covers, [K]: sum over objects of (mean drop × mean share of it covered)."""
    return recall.mean(0) @ np.nan_to_num(truth.drop).mean(0)
