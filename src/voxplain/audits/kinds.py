"""Kinds of concepts by geometry and motion, and how much of the log-odds of a class each kind holds.

Letters: M clips, K concepts, G×G cells of the frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from voxplain.concepts.description import ConceptDescription
from voxplain.concepts.joint_effects import ratio_interval
from voxplain.record_html import fields_table
from voxplain.statistics import sign_flips

__all__ = ["KINDS", "ClipChange", "KindShare", "kind_of", "kind_shares"]

KINDS = ("moving thing", "still thing", "scene", "overlay", "border")
_SMALL = 0.15  # largest share of the voxels of an overlay
_RING = 2  # cells of the sixteen of a side that count as the rim of the frame
_IN_RING = 0.75  # share of a border's coverage that is in the rim
_SIDE = 0.5  # share of one side of the frame that a border covers
_EDGE = 0.5  # preference for the edge of the frame from which on a still concept is scene; 1: no preference

Share = tuple[float, float, float]  # value and interval


def kind_of(found: ConceptDescription, volume: float) -> str:
    """Kind of a concept, an entry of `KINDS`.

    A border or an overlay is still and at the same place in all clips: a border lies along a side of the frame, an
    overlay covers at most 15 % of the voxels. Otherwise what changes more between frames than the clip does on average
    is a moving thing; of the rest, what prefers the edge of the frame is scene, and what does not is a still thing. No
    detector of persons or objects is used: a person who moves is a moving thing.

    Parameters
    ----------
    found : ConceptDescription
    volume : float
        Mean share of a clip's voxels, 0 to 1.

    Returns
    -------
    str
    """
    if found.fixed:
        where = found.where
        inner = where[_RING:-_RING, _RING:-_RING].sum()
        sides = (where[0], where[-1], where[:, 0], where[:, -1])
        in_ring = 1 - float(inner) / max(float(where.sum()), 1e-12)
        if in_ring >= _IN_RING and max(float(side.mean()) for side in sides) >= _SIDE:
            return "border"
        if volume <= _SMALL:
            return "overlay"
    if found.motion > 1 and not (found.edge >= 1 and volume > _SMALL):
        return "moving thing"
    return "scene" if found.edge >= _EDGE else "still thing"


@dataclass(frozen=True)
class KindShare:
    """How much of the log-odds of a class the concepts of one kind hold.

    Parameters
    ----------
    kind : str
        An entry of `KINDS`.
    concepts : tuple of int
        The concepts of the kind, hidden together.
    lost : (float, float, float)
        Log-odds lost by hiding them, over those lost by hiding everything, with the ends of the 95 % interval.
    control : (float, float, float)
        The same for random regions of the same volume.
    volume : float
        Mean share of a clip's voxels, 0 to 1.
    p_value, q_value : float
        Of the test that hiding the concepts costs more than hiding the regions; q is corrected for the kinds of the
        class by max-T.
    clips : int
        Clips measured.
    """

    kind: str
    concepts: tuple[int, ...]
    lost: Share
    control: Share
    volume: float
    p_value: float
    q_value: float
    clips: int

    _repr_html_ = fields_table


@dataclass(frozen=True)
class ClipChange:
    """What the motion of a whole clip holds: log-odds lost by a change of time, over those lost by hiding everything.

    Parameters
    ----------
    frozen, shuffled : (float, float, float)
        All frames equal to the middle one; frames in a random order; with the ends of the 95 % interval over clips.
    clips : int
        Clips measured.
    """

    frozen: Share
    shuffled: Share
    clips: int

    _repr_html_ = fields_table


def kind_shares(
    concepts: Mapping[str, Sequence[int]],
    volumes: Mapping[str, float],
    hidden: np.ndarray,
    control: np.ndarray,
    everything: np.ndarray,
    *,
    seed: int = 0,
) -> tuple[KindShare, ...]:
    """Shares of the log-odds by kind, from what hiding costs in each clip.

    Parameters
    ----------
    concepts : mapping of str to sequence of int
        Concepts by kind; its order is that of the columns.
    volumes : mapping of str to float
        Mean share of the voxels of each kind.
    hidden, control : ndarray, float [M,N]
        Log-odds lost by hiding the concepts of each of N kinds, and random regions of their volume; NaN where a clip
        has none of the kind.
    everything : ndarray, float [M]
        Log-odds lost by hiding everything.
    seed : int
        Of bootstrap and sign flips.

    Returns
    -------
    tuple of KindShare
        The largest share first.
    """
    measured = [n for n in range(len(concepts)) if not np.isnan(hidden[:, n]).all()]
    if not measured:
        return ()
    names = list(concepts)
    # A clip without the kind counts as no effect, as for single concepts.
    lost, other = (np.nan_to_num(values[:, measured]) for values in (hidden, control))
    rng = np.random.default_rng(seed)
    flips = sign_flips(lost - other, rng)
    p, q = flips.p_value(), flips.adjusted()
    found = [
        KindShare(
            names[n],
            tuple(int(k) for k in concepts[names[n]]),
            ratio_interval(lost[:, i], everything, rng),
            ratio_interval(other[:, i], everything, rng),
            float(volumes[names[n]]),
            float(p[i]),
            float(q[i]),
            len(lost),
        )
        for i, n in enumerate(measured)
    ]
    return tuple(sorted(found, key=lambda share: -np.nan_to_num(share.lost[0], nan=-np.inf)))
