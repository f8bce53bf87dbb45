"""Concepts on which a class rests for a wrong reason, by the measurements of an audit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voxplain.audits.causes import Cause
from voxplain.audits.kinds import KindShare
from voxplain.record_html import fields_table
from voxplain.statistics import SIGNIFICANT

__all__ = ["REASONS", "Suspect", "suspects"]

REASONS: Mapping[str, str] = {
    "overlay": "the class rests on what is still and at one place in all clips, as captions and logos are",
    "scene": "the scene holds more of the class's log-odds than all things do",
    "attracts": "clips of other classes are taken for this class because of it",
}
_OF_FIRST = 0.5  # of the largest gain among significant attractions, from which on a concept is suspected
_CORRECTED = 0.5  # share of the clips that hiding a moving thing corrects at least: it may be the class's own


@dataclass(frozen=True)
class Suspect:
    """A concept and why it is suspected.

    Parameters
    ----------
    concept : int
    reason : str
        A key of `REASONS`.
    """

    concept: int
    reason: str

    _repr_html_ = fields_table


def suspects(
    kinds: Sequence[str],
    effect: Sequence[float],
    q_value: Sequence[float],
    shares: Sequence[KindShare],
    attractions: Sequence[Cause] = (),
) -> tuple[Suspect, ...]:
    """Suspected concepts of a class, those of largest effect first.

    Parameters
    ----------
    kinds : sequence of str
        Kind of each of the K concepts, see `kind_of`.
    effect, q_value : sequence of float
        Direct effect of each concept and its q-value.
    shares : sequence of KindShare
    attractions : sequence of Cause
        Effects of hiding the concepts in clips of other classes that are predicted as this one.

    Returns
    -------
    tuple of Suspect
        A concept once, with its first reason in the order of `REASONS`. Only concepts with a significant effect: in
        clips of the class, or in clips of other classes that are taken for it. There half of the largest gain is asked,
        and of a moving thing, which may be what the class is, that hiding it corrects half of the clips.

    Examples
    --------
    >>> suspects(["moving thing", "overlay"], [3.0, 2.0], [0.001, 0.001], [])
    (Suspect(concept=1, reason='overlay'),)
    """
    lost = {share.kind: share.lost[0] for share in shares}
    things = lost.get("moving thing", 0.0) + lost.get("still thing", 0.0)
    scene_leads = any(s.kind == "scene" and s.q_value < SIGNIFICANT and s.lost[0] > things for s in shares)
    significant_draws = [c for c in attractions if c.q_value < SIGNIFICANT and min(c.gain, c.above_control) > 0]
    largest = max((c.gain for c in significant_draws), default=0.0)
    draws = {c.concept: c.corrected for c in significant_draws if c.gain >= _OF_FIRST * largest}
    found = []
    for k, kind in enumerate(kinds):
        significant = q_value[k] < SIGNIFICANT and effect[k] > 0
        if significant and kind in ("overlay", "border"):
            found.append(Suspect(k, "overlay"))
        elif significant and kind == "scene" and scene_leads:
            found.append(Suspect(k, "scene"))
        elif k in draws and (kind != "moving thing" or draws[k] >= _CORRECTED):
            found.append(Suspect(k, "attracts"))
    return tuple(sorted(found, key=lambda suspect: -effect[suspect.concept]))
