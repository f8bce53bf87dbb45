"""Modified clips by which the effect of concepts is measured: hidden, shown alone, held still, shuffled, moved.

Letters: T×H×W the clip, F fills, V variants, C classes. A variant is (kind, concepts): the kind of modification, an
entry of `KINDS`, and the concepts whose joint voxels are modified.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from voxplain.concepts.effect import concept_mask
from voxplain.errors import DataError
from voxplain.model import VideoModel, logits_of
from voxplain.perturb import base_clip, hide, reveal
from voxplain.segment import Supervoxels, volume_matched
from voxplain.video import Clip

__all__ = ["CHANGES", "KINDS", "Variant", "freeze", "move", "shuffle", "variant_logits", "with_rim"]

Variant = tuple[str, tuple[int, ...]]
Change = Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def freeze(frames: np.ndarray, mask: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Frames in which the voxels of a mask do not move: their content and place in one frame, shown in all.

    The frame is the one nearest to the middle of the clip in which the mask has at least half of its largest area.
    Voxels of the mask in other frames, outside that place, are taken from ``base``.

    Parameters
    ----------
    frames, base : ndarray, uint8 [T,H,W,3]
    mask : ndarray, bool [T,H,W]

    Returns
    -------
    ndarray, uint8 [T,H,W,3]
    """
    area = mask.reshape(len(mask), -1).sum(1)
    large = np.flatnonzero(area >= max(1, area.max() / 2))
    changed = hide(frames, mask, base)
    if len(large):
        still = large[np.argmin(np.abs(large - len(frames) // 2))]
        changed[:, mask[still]] = frames[still][mask[still]]
    return changed


def shuffle(frames: np.ndarray, mask: np.ndarray, base: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Frames in which the voxels of a mask come in a random order in time, each frame's part in its own place.

    Parameters
    ----------
    frames, base : ndarray, uint8 [T,H,W,3]
    mask : ndarray, bool [T,H,W]
    rng : numpy Generator
        Draws the order.

    Returns
    -------
    ndarray, uint8 [T,H,W,3]
    """
    order = rng.permutation(len(frames))
    return np.where(mask[order][..., None], frames[order], hide(frames, mask, base))


def move(frames: np.ndarray, mask: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Frames in which the voxels of a mask lie elsewhere in the picture, by one offset in all frames.

    The offset is at least 0.3 of the height or the width. Of those that keep most of the mask in the picture, the
    longest up to half of the picture is taken. What the mask left is taken from ``base``.

    Parameters
    ----------
    frames, base : ndarray, uint8 [T,H,W,3]
    mask : ndarray, bool [T,H,W]

    Returns
    -------
    ndarray, uint8 [T,H,W,3]
    """
    _, height, width = mask.shape
    y, x = np.nonzero(mask.any(0))
    best, offset = (-1.0, 0.0), (0, 0)
    for dy in range(-height + 1, height, max(1, height // 16)):
        for dx in range(-width + 1, width, max(1, width // 16)):
            if max(abs(dy) / height, abs(dx) / width) < 0.3:
                continue
            inside = ((y + dy >= 0) & (y + dy < height) & (x + dx >= 0) & (x + dx < width)).mean() if len(y) else 0.0
            found = (round(float(inside), 2), min(0.5, float(np.hypot(dy / height, dx / width))))
            if found > best:
                best, offset = found, (dy, dx)
    changed = hide(frames, mask, base)
    t, y, x = np.nonzero(mask)
    to_y, to_x = y + offset[0], x + offset[1]
    kept = (to_y >= 0) & (to_y < height) & (to_x >= 0) & (to_x < width)
    changed[t[kept], to_y[kept], to_x[kept]] = frames[t[kept], y[kept], x[kept]]
    return changed


def with_rim(mask: np.ndarray) -> np.ndarray:
    """A mask with the voxels that touch it in its own frame, corners included; bool [T,H,W].

    Supervoxels miss voxels at the edges of a thing, which would stay visible around what is hidden. Evidence is in
    docs/defaults.md.

    Examples
    --------
    >>> with_rim(np.eye(1, 5, 1, dtype=bool)[None])[0, 0].astype(int).tolist()
    [1, 1, 1, 0, 0]
    """
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask, np.ones((1, 3, 3), bool)))


# What is done with the joint voxels of the concepts; "control" hides random supervoxels of their volume instead.
KINDS: Mapping[str, Change] = {
    "hidden": lambda frames, mask, base, rng: hide(frames, with_rim(mask), base),
    "alone": lambda frames, mask, base, rng: reveal(frames, mask, base),
    "control": lambda frames, mask, base, rng: hide(frames, with_rim(mask), base),
    "frozen": lambda frames, mask, base, rng: freeze(frames, mask, base),
    "shuffled": shuffle,
    "moved": lambda frames, mask, base, rng: move(frames, mask, base),
}

CHANGES = ("frozen", "shuffled", "moved")  # kinds that keep the content and change its motion or place


def variant_logits(
    model: VideoModel,
    clip: Clip,
    supervoxels: Supervoxels,
    assigned: np.ndarray,
    variants: Sequence[Variant],
    *,
    fills: Sequence[str],
    seed: int,
    place: int,
) -> np.ndarray:
    """Logits of modified versions of one clip, from one forward pass each.

    Parameters
    ----------
    model : VideoModel
    clip : Clip
        Of the network's length.
    supervoxels : Supervoxels
    assigned : ndarray, int64 [N]
        Concept of each supervoxel, −1 for none.
    variants : sequence of (str, tuple of int)
        V kinds of `KINDS` with their concepts. No concept: nothing is modified, or with "alone" nothing is shown.
    fills : sequence of str
        F entries of `voxplain.perturb.FILLS`.
    seed : int
    place : int
        Index of the clip; with the seed, the kind and the concepts it draws control regions and orders.

    Returns
    -------
    ndarray, float32 [F,V,C]
        Control regions and orders are the same with every fill.

    Raises
    ------
    DataError
        For an unknown kind or fill.
    """
    if unknown := {kind for kind, _ in variants} - set(KINDS):
        raise DataError(f"expected kinds of {', '.join(KINDS)}, got {', '.join(sorted(unknown))}; correct them")
    regions = [_region(supervoxels, assigned, variant, seed, place) for variant in variants]

    def pictures() -> Iterator[np.ndarray]:
        for fill in fills:
            base = base_clip(clip.frames, fill, model.mean_colour)
            for variant, region in zip(variants, regions, strict=True):
                yield KINDS[variant[0]](clip.frames, region, base, _rng(variant, seed, place))

    logits = logits_of(model, pictures(), finite=False)
    return logits.reshape(len(fills), len(variants), -1)


def _region(supervoxels: Supervoxels, assigned: np.ndarray, variant: Variant, seed: int, place: int) -> np.ndarray:
    """The voxels that a variant modifies, bool [T,H,W]."""
    kind, concepts = variant
    mask = np.zeros(supervoxels.shape, bool)
    for k in concepts:
        mask |= concept_mask(supervoxels, assigned, k)
    return volume_matched(_rng(variant, seed, place), supervoxels, int(mask.sum())) if kind == "control" else mask


def _rng(variant: Variant, seed: int, place: int) -> np.random.Generator:
    """A generator that depends on the variant and the clip, not on what else is measured."""
    kind, concepts = variant
    return np.random.default_rng((seed, place, list(KINDS).index(kind), *concepts))
