"""Identical and near-identical clips, whose copies would make intervals too narrow and p-values too small.

Letters: N clips; a clip's signature is its mean colour in 4×8×8 cells of time, height and width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxplain.hashing import content_hash
from voxplain.lazy import pick
from voxplain.video import Clip

__all__ = ["NEAR", "DistinctClips", "distinct_clips", "near_duplicates"]

CELLS = (4, 8, 8)  # of a signature, in time, height and width
NEAR = 4.0  # grey levels: largest difference of any cell between clips that count as near-identical


@dataclass(frozen=True, eq=False)
class DistinctClips:
    """Clips of which no two have the same frames.

    Parameters
    ----------
    clips : sequence of Clip
        The first clip of every group of identical ones, in the order given.
    hashes : tuple of str
        Hash of the frames of each clip.
    signatures : ndarray, float32 [N, 768]
        Mean colour of each clip's cells, 0-255.
    sources : tuple of str
        Source of each clip.
    dropped : tuple of (str, str)
        Sources of the clips that were dropped, each with the source of the clip that is kept.
    damaged : tuple of (str, int)
        Sources of the clips of damaged videos among ``clips``, each with the number of lost frames.
    """

    clips: Sequence[Clip]
    hashes: tuple[str, ...]
    signatures: np.ndarray
    sources: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...]
    damaged: tuple[tuple[str, int], ...] = ()


def distinct_clips(clips: Sequence[Clip]) -> DistinctClips:
    """Drop all but the first of clips with identical frames; each clip is read once.

    Examples
    --------
    >>> import numpy as np
    >>> from voxplain.datasets.duplicates import distinct_clips
    >>> from voxplain.video import Clip
    >>> clip = Clip(np.zeros((16, 8, 8, 3), np.uint8), np.arange(16) / 25, "a.mp4")
    >>> len(distinct_clips([clip, clip, clip]).dropped)
    2
    """
    first: dict[str, tuple[int, str]] = {}
    signatures: list[np.ndarray] = []
    dropped: list[tuple[str, str]] = []
    damaged: list[tuple[str, int]] = []
    for i, clip in enumerate(clips):
        content = content_hash(clip.frames)
        if content in first:
            dropped.append((clip.source, first[content][1]))
            continue
        first[content] = i, clip.source
        damaged += [(clip.source, clip.damaged)] if clip.damaged else []
        signatures.append(_signature(clip.frames))
    kept = [i for i, _ in first.values()]
    own = clips if len(kept) == len(clips) else pick(clips, kept)
    stacked = np.stack(signatures) if signatures else np.zeros((0, 3 * int(np.prod(CELLS))), np.float32)
    sources = tuple(source for _, source in first.values())
    return DistinctClips(own, tuple(first), stacked, sources, tuple(dropped), tuple(damaged))


def near_duplicates(
    clips: DistinctClips, others: DistinctClips | None = None, *, limit: float = NEAR
) -> list[tuple[int, int]]:
    """Pairs of clips whose cells differ by at most ``limit`` grey levels: re-encoded or slightly cut copies.

    Parameters
    ----------
    clips : DistinctClips
    others : DistinctClips, optional
        Compare with these; without them the clips with one another.
    limit : float
        Largest absolute difference of mean colour in any cell, in grey levels (0-255).

    Returns
    -------
    list of (int, int)
        Index among ``clips`` and among ``others``; within one set the smaller index first.
    """
    found = []
    for i, own in enumerate(clips.signatures):
        rest = clips.signatures[i + 1 :] if others is None else others.signatures
        gaps = np.abs(rest - own).max(axis=1, initial=0.0)
        offset = i + 1 if others is None else 0
        found += [(i, offset + int(j)) for j in np.flatnonzero(gaps <= limit)]
    return found


def _signature(frames: np.ndarray) -> np.ndarray:
    values: np.ndarray = frames.astype(np.float32)
    for axis, cells in enumerate(CELLS):
        edges = np.linspace(0, values.shape[axis], cells + 1).round().astype(int)
        low = np.minimum(edges[:-1], values.shape[axis] - 1)
        sizes = np.maximum(np.diff(edges), 1)
        sums = np.add.reduceat(values, low, axis=axis)
        values = sums / sizes.reshape([-1 if i == axis else 1 for i in range(4)]).astype(np.float32)
    return values.reshape(-1)
