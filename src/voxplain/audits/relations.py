"""How two concepts stand to each other in space and time, and clips in which that is changed.

Letters: A and B the masks of two concepts, bool [T,H,W]; centres in pixels, times in frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxplain.concepts.variants import with_rim
from voxplain.perturb import hide
from voxplain.record_html import fields_table

__all__ = [
    "AXES",
    "RELATIONS",
    "AddedConcept",
    "Relation",
    "RelationEffect",
    "against_and_together",
    "relations_of",
    "shifted",
]

RELATIONS = (
    "above",
    "below",
    "left of",
    "right of",
    "inside",
    "around",
    "touching",
    "moving together",
    "before",
    "after",
)
AXES = ("vertical", "horizontal", "time")  # along which one concept is moved against the other
_APART = 0.08  # of the frame's side by which centres differ
_EARLIER = 0.12  # of the clip's length
_INSIDE = 0.8  # share of a concept that lies in the box of the other
_STEPS = 0.5  # mean cosine of the steps of two concepts that move together
_MOVES = 0.05  # of the frame's side, that a moving concept covers in the clip at least


@dataclass(frozen=True)
class Relation:
    """A relation of two concepts, and how frequent it is.

    Parameters
    ----------
    first, second : int
        Concepts; the relation is that of the first to the second.
    name : str
        An entry of `RELATIONS`.
    share : float
        Share of the clips with both concepts in which it holds.
    right, wrong : float
        The same of rightly and of wrongly classified clips; NaN without such clips.
    p_value, q_value : float
        That it is as frequent in wrong as in right clips (permutation, two-sided; q corrected for all relations of the
        class by max-T); NaN where there are too few clips to test.
    clips : int
        Clips with both.
    """

    first: int
    second: int
    name: str
    share: float
    right: float
    wrong: float
    p_value: float
    q_value: float
    clips: int

    _repr_html_ = fields_table


@dataclass(frozen=True)
class RelationEffect:
    """What changing the relation of two concepts costs while both stay visible.

    Parameters
    ----------
    first, second : int
        The first concept is moved to the other side of the second along ``axis``, or behind it in time; where there is
        no space for that, the two change places.
    axis : str
        An entry of `AXES`.
    lost, low, high : float
        Mean loss of log-odds by that, minus the loss when both are moved together along the axis as far as the frame or
        the clip allows, with its 95 % interval.
    against, together : float
        The two mean losses.
    p_value, q_value : float
        One-sided; q corrected for all pairs and axes of the class by max-T.
    clips : int
    """

    first: int
    second: int
    axis: str
    lost: float
    low: float
    high: float
    against: float
    together: float
    p_value: float
    q_value: float
    clips: int

    _repr_html_ = fields_table


@dataclass(frozen=True)
class AddedConcept:
    """Effect of adding a concept to clips without it, in the sense of CaCE (Goyal et al. 2019).

    Parameters
    ----------
    concept : int
    gain, low, high : float
        Mean rise of the class's log-odds when the concept's voxels of a clip of the class are pasted into a clip of
        another class that has no such concept, with its 95 % interval.
    above_control : float
        Mean rise above that of pasting random regions of the same volume from the same clip, which is what is tested.
    hidden : float
        Mean loss when the concept is hidden in clips of the class.
    p_value, q_value : float
        One-sided; q corrected for the concepts of the class by max-T.
    clips : int
    """

    concept: int
    gain: float
    low: float
    high: float
    above_control: float
    hidden: float
    p_value: float
    q_value: float
    clips: int

    _repr_html_ = fields_table


def relations_of(a: np.ndarray, b: np.ndarray) -> tuple[str, ...]:
    """Relations of concept A to concept B in one clip.

    Places are compared in the frames in which both are, as means over these frames. "inside" means that 80 % of A are
    in the box around B, which is larger; "touching", that they are neighbours in half of the frames; "moving together",
    that both move and their steps point the same way; "before", that the mean frame of A is earlier by 12 % of the
    clip.

    Parameters
    ----------
    a, b : ndarray, bool [T,H,W]

    Returns
    -------
    tuple of str
        Entries of `RELATIONS`.

    Examples
    --------
    >>> a, b = np.zeros((2, 4, 20, 20), bool)
    >>> a[:, 2:4, 8:10] = b[:, 14:18, 8:10] = True
    >>> relations_of(a, b)
    ('above',)
    """
    if not a.any() or not b.any():
        return ()
    found: list[str] = []
    frames, height, width = a.shape
    both = np.flatnonzero(a.any((1, 2)) & b.any((1, 2)))
    if len(both):
        at, to = _centres(a[both]), _centres(b[both])
        dy, dx = ((to - at).mean(0) / (height, width)).tolist()
        found += ["above"] * (dy >= _APART) + ["below"] * (dy <= -_APART)
        found += ["left of"] * (dx >= _APART) + ["right of"] * (dx <= -_APART)
        found += ["inside"] * _inside(a[both], b[both]) + ["around"] * _inside(b[both], a[both])
        near = with_rim(a[both]) & b[both]
        found += ["touching"] * bool(near.any((1, 2)).mean() >= 0.5)
        found += ["moving together"] * _together(at, to, np.array([height, width]))
    early, late = _time(a), _time(b)
    found += ["before"] * (late - early >= _EARLIER * frames) + ["after"] * (early - late >= _EARLIER * frames)
    return tuple(found)


def _centres(mask: np.ndarray) -> np.ndarray:
    """Centre of a mask in each frame, float [T,2] as (y, x)."""
    area = mask.sum((1, 2))
    y = (mask.sum(2) @ np.arange(mask.shape[1])) / area
    x = (mask.sum(1) @ np.arange(mask.shape[2])) / area
    return np.stack([y, x], 1)


def _time(mask: np.ndarray) -> float:
    area = mask.sum((1, 2))
    return float(area @ np.arange(len(mask)) / area.sum())


def _inside(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether A lies in the box around B, in the mean over frames."""
    shares = []
    for own, other in zip(a, b, strict=True):
        y, x = np.flatnonzero(other.any(1)), np.flatnonzero(other.any(0))
        shares.append(own[y[0] : y[-1] + 1, x[0] : x[-1] + 1].sum() / own.sum())
    return bool(np.mean(shares) >= _INSIDE and a.sum() < b.sum())


def _together(at: np.ndarray, to: np.ndarray, side: np.ndarray) -> bool:
    """Whether two paths [T,2] move, and into the same direction."""
    paths = [_smooth(path) / side for path in (at, to)]
    if len(at) < 4 or any(np.ptp(path, axis=0).max() < _MOVES for path in paths):
        return False
    one, other = (np.diff(path, axis=0) for path in paths)
    length = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return bool((one * other).sum() >= _STEPS * max(length.sum(), 1e-12))


def _smooth(path: np.ndarray) -> np.ndarray:
    """Means over three frames: the edges of supervoxels flicker."""
    return np.stack([np.convolve(column, np.ones(3) / 3, "valid") for column in path.T], 1)


def shifted(
    frames: np.ndarray,
    moves: Sequence[tuple[np.ndarray, tuple[int, int, int]]],
    base: np.ndarray,
    front: np.ndarray | None = None,
) -> np.ndarray:
    """Frames in which the voxels of masks are moved in time and space.

    Parameters
    ----------
    frames, base : ndarray, uint8 [T,H,W,3]
        The clip, and what is shown where the masks were.
    moves : sequence of (ndarray, (int, int, int))
        Masks bool [T,H,W], the later ones in front, and their offsets in frames, rows and columns; what leaves the clip
        is lost.
    front : ndarray, bool [T,H,W], optional
        Voxels that stay in front of all.

    Returns
    -------
    ndarray, uint8 [T,H,W,3]
    """
    changed = hide(frames, with_rim(np.any([mask for mask, _ in moves], axis=0)), base)
    for mask, offset in moves:
        source = np.nonzero(mask)
        places = tuple(axis + move for axis, move in zip(source, offset, strict=True))
        kept = np.all([(p >= 0) & (p < n) for p, n in zip(places, mask.shape, strict=True)], axis=0)
        changed[tuple(p[kept] for p in places)] = frames[tuple(s[kept] for s in source)]
    if front is not None:
        changed[front] = frames[front]
    return changed


def against_and_together(
    frames: np.ndarray, a: np.ndarray, b: np.ndarray, base: np.ndarray, axis: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """Two changed clips: A moved to the other side of B along an axis, and both moved together.

    Where there is no space for A on the other side of B, the two change places.

    Parameters
    ----------
    frames, base : ndarray, uint8 [T,H,W,3]
    a, b : ndarray, bool [T,H,W]
    axis : str
        An entry of `AXES`.

    Returns
    -------
    tuple of ndarray or None
        None where A and B are at about the same place along the axis, where there is no space to turn their relation
        round, or where both together cannot be moved.
    """
    n = {"time": 0, "vertical": 1, "horizontal": 2}[axis]
    apart = _centre(b, n) - _centre(a, n)
    least = (_EARLIER if axis == "time" else _APART) * a.shape[n]
    if abs(apart) < least:
        return None
    both = a | b
    move = _within(a, n, round(2 * apart))
    if abs(move) >= abs(apart) + least / 2:
        against = shifted(frames, [(a, _along(n, move))], base, front=b & ~a)
    else:  # there is no space beyond B: the two change places
        moves = [_within(mask, n, round(size)) for mask, size in ((a, apart), (b, -apart))]
        if abs(moves[0]) + abs(moves[1]) < abs(apart) + least / 2:
            return None
        against = shifted(frames, [(a, _along(n, moves[0])), (b & ~a, _along(n, moves[1]))], base)
    # Into the direction that has more space, as far as A is moved at most.
    joint = max((_within(both, n, sign * round(2 * abs(apart))) for sign in (1, -1)), key=abs)
    if not joint:
        return None
    return against, shifted(frames, [(both, _along(n, joint))], base)


def _along(axis: int, size: int) -> tuple[int, int, int]:
    return (size if axis == 0 else 0, size if axis == 1 else 0, size if axis == 2 else 0)


def _centre(mask: np.ndarray, axis: int) -> float:
    return float(np.nonzero(mask)[axis].mean())


def _within(mask: np.ndarray, axis: int, move: int) -> int:
    """The move, shortened so that the mask stays in the clip."""
    places = np.nonzero(mask)[axis]
    return int(np.clip(move, -places.min(), mask.shape[axis] - 1 - places.max()))
