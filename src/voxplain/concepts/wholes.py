"""Wholes: concepts that touch each other and of which each lowers the class, such as the parts of a person.

Letters: M clips, K concepts, T×H×W the grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxplain.concepts.effect import Effects
from voxplain.concepts.joint_effects import loss
from voxplain.model import Objective
from voxplain.record_html import fields_table
from voxplain.segment import Supervoxels
from voxplain.statistics import bootstrap_interval

__all__ = ["Whole", "candidates", "contact", "measured_wholes"]

LEAST_DROP = 0.25  # of a part, in shares of the largest drop of a concept
LEAST_DENSITY = 0.5  # of a part: its drop a voxel, in shares of that of the concept of largest drop
CONTACT = 0.05  # share of the smaller one's surface from which on two concepts touch in a clip


@dataclass(frozen=True)
class Whole:
    """Concepts that form one thing: hiding all of them costs more than hiding any one of them.

    Parameters
    ----------
    parts : tuple of int
        Concepts, the one whose hiding costs most first.
    value, low, high : float
        Mean drop of the objective when all parts are hidden, with its 95 % interval.
    beyond, beyond_low, beyond_high : float
        By how much it exceeds the drop of the first part, in the same clips.
    clips : int
        Clips in which it was measured.
    """

    parts: tuple[int, ...]
    value: float
    low: float
    high: float
    beyond: float
    beyond_low: float
    beyond_high: float
    clips: int

    _repr_html_ = fields_table


def contact(labels: np.ndarray, count: int) -> np.ndarray:
    """Share of the smaller one's surface at which two concepts touch.

    Parameters
    ----------
    labels : int [T,H,W]
        Concept of each voxel, −1 for none.
    count : int
        K.

    Returns
    -------
    float64 [K,K]
        0 to 1; 0 where a concept is absent.

    Examples
    --------
    >>> contact(np.array([[[0, 0, 1, -1]]]), 3)[0].round(2).tolist()
    [0.0, 1.0, 0.0]
    """
    faces = np.zeros((count + 1, count + 1))
    for axis in range(3):
        a, b = np.delete(labels, -1, axis).ravel() + 1, np.delete(labels, 0, axis).ravel() + 1
        apart = a != b
        np.add.at(faces, (a[apart], b[apart]), 1)
    faces += faces.T
    surface = faces.sum(1)
    smaller = np.minimum(surface[1:, None], surface[None, 1:])
    return np.asarray(faces[1:, 1:] / np.maximum(smaller, 1))


def candidates(
    supervoxels: Sequence[Supervoxels],
    assigned: Sequence[np.ndarray],
    ranked: Sequence[int],
    drops: np.ndarray,
    volumes: np.ndarray,
) -> tuple[tuple[int, ...], ...]:
    """Groups of concepts that touch in more than half of the clips in which both are, and of which each costs enough.

    Parameters
    ----------
    supervoxels : sequence of Supervoxels
        Of some clips.
    assigned : sequence of int64 [N]
        The concept of each supervoxel, −1 for none.
    ranked : sequence of int
        Concepts that may be parts, best first.
    drops : float [K]
        Mean drop of every concept; a part's is a quarter or more of the largest.
    volumes : float [K]
        Mean share of a clip's voxels. A part's drop a voxel is at least half of that of the first concept: what
        surrounds a thing and holds a little of it is no part.

    Returns
    -------
    tuple of tuple of int
        Each with two parts or more, by falling drop; a concept is in one group at most.
    """
    first, density = ranked[0], drops / np.maximum(volumes, 1e-12)
    parts = [
        k for k in ranked if drops[k] >= LEAST_DROP * drops[first] > 0 and density[k] >= LEAST_DENSITY * density[first]
    ]
    if len(parts) < 2:
        return ()
    both, touching = np.zeros((len(drops),) * 2), np.zeros((len(drops),) * 2)
    for own, concepts in zip(supervoxels, assigned, strict=True):
        finest = own.labels[-1]
        found = contact(np.where(finest >= 0, concepts[finest], -1), len(drops))
        there = np.isin(np.arange(len(drops)), concepts)
        both += there[:, None] & there
        touching += found >= CONTACT
    joined = touching > both / 2
    groups: list[list[int]] = []
    for k in parts:
        near = [group for group in groups if any(joined[k, other] for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append([*(other for group in near for other in group), k])
    return tuple(tuple(sorted(group, key=lambda k: -drops[k])) for group in groups if len(group) > 1)


def measured_wholes(
    effects: Effects, groups: Sequence[tuple[int, ...]], target: int, objective: Objective = "log_odds"
) -> list[Whole]:
    """The groups that are wholes: hidden together they cost more than their first part alone, by the 95 % interval.

    Parameters
    ----------
    effects : Effects
        In which all parts of a group were hidden together.
    groups : sequence of tuple of int
        What `candidates` returned.
    target : int
        Class index.
    objective : str
        A key of `OBJECTIVES`.

    Returns
    -------
    list of Whole
        The largest effect first.
    """
    found = []
    for group in groups:
        fill = effects.fill_of(group, target, objective)
        together, first = (
            loss(effects, "hidden", parts, target, objective, fill=fill) for parts in (tuple(sorted(group)), group[:1])
        )
        known = ~np.isnan(together) & ~np.isnan(first)
        if known.sum() < 2:
            continue
        value, beyond = together[known], (together - first)[known]
        whole, more = (bootstrap_interval(x, np.random.default_rng(0)) for x in (value, beyond))
        if more[0] > 0:
            found.append(Whole(group, float(value.mean()), *whole, float(beyond.mean()), *more, clips=int(known.sum())))
    return sorted(found, key=lambda whole: -whole.value)
