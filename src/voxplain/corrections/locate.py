"""Where the concepts of a run are in labelled clips."""

from collections.abc import Callable, Sequence

import numpy as np

from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.effect import concept_mask
from voxplain.concepts.variants import with_rim
from voxplain.corrections.examples import LEAST, Examples
from voxplain.errors import DataError
from voxplain.explain.central_window import central_window
from voxplain.explain.concept_map import ConceptMap
from voxplain.model import VideoModel
from voxplain.store import Store
from voxplain.store.keys import key
from voxplain.video import Clip

__all__ = ["locate"]

USUAL = 1 / 3  # of the usual volume, see docs/improve.md


def locate(
    model: VideoModel,
    run: ConceptRun,
    clips: Sequence[Clip],
    labels: Sequence[int],
    *,
    remove: Sequence[int] = (),
    keep: Sequence[int] = (),
    store: Store | None = None,
    advance: Callable[[], object] = lambda: None,
) -> Examples:
    """The clips as `Examples`, with the voxels of the concepts to remove and to keep.

    Each clip is segmented and embedded as those of the run were, and each supervoxel belongs to the nearest concept, or
    to none where it is too far from all. Masks include the voxels at their rim, as for the direct effects. A concept
    counts as present from a third of its usual volume on, the median in those clips of the run that have it: most of
    what is smaller is another thing.

    Parameters
    ----------
    model : VideoModel
        The network that the run explains.
    run : ConceptRun
    clips : sequence of Clip
    labels : sequence of int
        Class index of each clip.
    remove, keep : sequence of int
        Concepts of the run.
    store : Store, optional
        Keeps the masks of each clip, so that a killed run goes on.
    advance : callable, optional
        Called after each clip.

    Returns
    -------
    Examples

    Raises
    ------
    DataError
        For a concept that the run does not have, one that is to be removed and kept, and no concept at all.
    """
    count, asked = len(run.bank), (*remove, *keep)
    wrong = [k for k in asked if not 0 <= k < count]
    if wrong or not asked or set(remove) & set(keep):
        raise DataError(
            f"expected different concepts from 0 to {count - 1} to remove or to keep, got {list(remove)} and "
            f"{list(keep)}; the run's table lists them"
        )
    where, frames, unwanted, wanted = ConceptMap(run), [], [], []
    for given in clips:
        clip = central_window(model, given)
        found = _stored(model, run, where, clip, store)
        frames.append(clip.frames)
        unwanted.append(with_rim(_union(found, remove)))
        wanted.append(with_rim(_union(found, keep)))
        advance()
    return Examples(
        np.stack(frames),
        np.asarray(labels, np.int64),
        np.stack(unwanted),
        np.stack(wanted) if len(keep) else None,
        smallest=_smallest(run, remove if len(remove) else keep),
        target=run.target_index,
    )


def _smallest(run: ConceptRun, concepts: Sequence[int]) -> float:
    """Share of a clip's voxels from which on the concepts count as present."""
    volumes = []
    for found, assigned in zip(run.supervoxels, run.assigned, strict=True):
        masks = [concept_mask(found, assigned, k) for k in concepts]
        volumes.append(float(with_rim(np.any(masks, axis=0)).mean()))
    having = [v for v in volumes if v >= LEAST]
    return max(LEAST, USUAL * float(np.median(having))) if having else LEAST


def _union(found: np.ndarray, concepts: Sequence[int]) -> np.ndarray:
    """Voxels of any of the concepts; ``found`` bool [K,T,H,W]."""
    union: np.ndarray = np.any(found[list(concepts)], axis=0)
    return union


def _stored(model: VideoModel, run: ConceptRun, where: ConceptMap, clip: Clip, store: Store | None) -> np.ndarray:
    """Voxels of every concept in a clip, bool [K,T,H,W]."""

    def compute() -> np.ndarray:
        masks = np.zeros((len(run.bank), *model.grid), np.bool_)
        for k, mask in where.locate(model, clip).items():
            masks[k] = mask
        return masks

    if store is None:
        return compute()
    network = str(run.provenance.get("weights", run.network))
    name = key("concept voxels", 1, clip=clip.frames, network=network, bank=run.bank.centers, layer=run.layer)
    packed = store.arrays("concept_voxels", name, lambda: {"bits": np.packbits(compute())})["bits"]
    shape = (len(run.bank), *model.grid)
    return np.unpackbits(packed, count=int(np.prod(shape))).reshape(shape).astype(np.bool_)
