"""Evaluate a ranking: logits of held-out test videos while concepts are added or removed.

A step shows (adding) or hides (removing) the union of the masks of the first q concepts of an order. To the procedure
of STCE §4.2 come controls: many random orders, random regions of the same volume, intervals over videos. Letters: V
videos, O orders, S steps (q = 0 … Q, then all), C classes.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from voxplain.concepts.effect import concept_mask
from voxplain.errors import DataError
from voxplain.model import VideoModel, logits_of
from voxplain.perturb import FILLS, base_clip, reveal
from voxplain.record_html import fields_table
from voxplain.segment import Supervoxels, volume_matched
from voxplain.video import Clip

__all__ = ["AddRemove", "AddRemoveCurves", "join", "log_odds_of", "orders"]


@dataclass(frozen=True, eq=False)
class AddRemoveCurves:
    """Logits along adding or removing concepts.

    Parameters
    ----------
    kind : str
        "adding" or "removing".
    names : tuple of str
        Orders: "top", "least", "random0", "random1", …
    logits : ndarray, float32 [O,V,S,C]
    coverage : ndarray, float32 [O,V,S]
        Share of voxels shown (adding) or hidden (removing), 0 to 1.
    matched : ndarray, float32 [V,S,C]
        Logits of random supervoxels of the volume that "top" has at that step, mean over draws.
    matched_right : ndarray, float32 [V,S]
        Share of those draws that are recognised.
    truth : ndarray, int64 [V]
        Class index of each video.
    unmodified : ndarray, float32 [V,C]
        Logits of the whole videos.
    """

    kind: str
    names: tuple[str, ...]
    logits: np.ndarray
    coverage: np.ndarray
    matched: np.ndarray
    matched_right: np.ndarray
    truth: np.ndarray
    unmodified: np.ndarray

    _repr_html_ = fields_table

    def __post_init__(self) -> None:
        """Check that the shapes go together."""
        o, v, s, c = self.logits.shape
        got = [
            self.coverage.shape,
            self.matched.shape,
            self.matched_right.shape,
            self.truth.shape,
            len(self.names),
            self.unmodified.shape,
        ]
        if got != [(o, v, s), (v, s, c), (v, s), (v,), o, (v, c)]:
            raise DataError(f"expected arrays over {o} orders, {v} videos, {s} steps, {c} classes, got {got}")

    def __repr__(self) -> str:
        """Shapes, not data."""
        return "AddRemoveCurves({}, orders={}, videos={}, steps={})".format(self.kind, *self.logits.shape[:3])

    @property
    def quantity(self) -> bool:
        """Whether the logits are one output in its own unit, for which no video is right or wrong."""
        return self.logits.shape[-1] == 1

    def right(self) -> np.ndarray:
        """Whether each video is recognised, bool [O,V,S]. Raises DataError for a quantity."""
        if self.quantity:
            raise DataError("expected classes, of which one is right, got a quantity; use log_odds, its output")
        return recognised(self.logits, self.truth[None, :, None])

    def log_odds(self) -> np.ndarray:
        """Log-odds of the true class, or the output of a quantity, float64 [O,V,S]."""
        return log_odds_of(self.logits, self.truth[None, :, None])

    def baseline(self) -> float:
        """Accuracy on the unmodified videos, or the mean output of a quantity."""
        if self.quantity:
            return float(self.unmodified.mean())
        return float((self.unmodified.argmax(-1) == self.truth).mean())

    def by_order(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Values [O,V,S] of the three orders of the papers, float64 [V,S] each; "random" is the mean over its draws."""
        random = [i for i, name in enumerate(self.names) if name.startswith("random")]
        picked = {name: values[self.names.index(name)].astype(float) for name in ("top", "least")}
        return {**picked, "random": values[random].astype(float).mean(0)}


def recognised(logits: np.ndarray, truth: np.ndarray | int) -> np.ndarray:
    """Whether a class has the highest of logits [...,C], bool [...]; False where the network gave no numbers."""
    return np.asarray((logits.argmax(-1) == truth) & np.isfinite(logits).all(-1))


def log_odds_of(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Log-odds log p − log(1 − p) of a class, over the last axis; of a single output the output itself.

    Parameters
    ----------
    logits : ndarray [...,C]
    truth : ndarray of int
        Class index; broadcasts against the other axes.

    Returns
    -------
    ndarray, float64 [...]

    Examples
    --------
    >>> float(log_odds_of(np.array([2.5, 0.0]), np.array(0)))
    2.5
    """
    z = logits.astype(np.float64)
    if z.shape[-1] == 1:
        return z[..., 0]
    own = np.arange(z.shape[-1]) == np.broadcast_to(truth, z.shape[:-1])[..., None]
    others = np.where(own, -np.inf, z)
    peak = others.max(-1)
    return np.where(own, z, 0).sum(-1) - peak - np.log(np.exp(others - peak[..., None]).sum(-1))


def orders(ranked: np.ndarray, draws: int, seed: int) -> dict[str, np.ndarray]:
    """Orders of concepts from a ranking (best first): top, least, and ``draws`` random ones.

    Examples
    --------
    >>> {name: order.tolist() for name, order in orders(np.array([2, 0, 1]), draws=0, seed=0).items()}
    {'top': [2, 0, 1], 'least': [1, 0, 2]}
    """
    rng = np.random.default_rng(seed)
    return {"top": ranked, "least": ranked[::-1], **{f"random{i}": rng.permutation(ranked) for i in range(draws)}}


@dataclass(frozen=True)
class AddRemove:
    """Add and remove concepts in one test clip; `join` puts the curves of several clips together.

    Parameters
    ----------
    steps : int
        Q: concepts added or removed one after the other. Source: STCE.
    draws : int
        Random orders.
    matched : int
        Random regions of the top concepts' volume, for each step.
    fill : str
        Fill of voxels that are not shown: mean, grey, black, blur or median.
    seed : int
        Seed of the random orders and regions.
    """

    steps: int = 5
    draws: int = 20
    matched: int = 5
    fill: str = "median"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the fill and that every count is at least 1."""
        if self.fill not in FILLS or min(self.steps, self.draws, self.matched) < 1:
            raise DataError(
                f"expected a fill of {', '.join(FILLS)}, and steps, draws and matched of 1 or more, got {self.fill!r}, "
                f"{self.steps}, {self.draws} and {self.matched}; correct them"
            )

    def forwards(self, ranked: np.ndarray, present: Collection[int]) -> int:
        """Forward passes of a clip, where equal pictures share one and every random region is another.

        Parameters
        ----------
        ranked : ndarray of int
            All concepts, best first.
        present : collection of int
            Those in the clip.

        Returns
        -------
        int

        Examples
        --------
        >>> AddRemove(steps=2, draws=1, matched=1).forwards(np.array([1, 0]), {0, 1})
        10
        """
        listed = [[int(k) for k in order] for order in orders(np.asarray(ranked), self.draws, self.seed).values()]
        shown = {frozenset(set(order[:q]) & set(present)) for order in listed for q in (*range(self.steps + 1), None)}
        top = [set(listed[0][:q]) & set(present) for q in range(1, self.steps + 1)]
        regions = self.matched * sum(bool(own) and own != set(present) for own in top)
        # The empty and the full picture are those of both directions where all concepts cover the clip.
        return 2 * (len(shown) + regions)

    def __call__(
        self,
        model: VideoModel,
        clip: Clip,
        supervoxels: Supervoxels,
        assigned: np.ndarray,
        ranked: np.ndarray,
        target: int,
        *,
        place: int = 0,
    ) -> tuple[AddRemoveCurves, AddRemoveCurves]:
        """Curves of a test clip.

        Parameters
        ----------
        model : VideoModel
        clip : Clip
            Of the network's length.
        supervoxels : Supervoxels
        assigned : ndarray, int64 [N]
            Concept of each supervoxel, −1 for none.
        ranked : ndarray of int
            Concept indices, best first.
        target : int
            Class index of the clip.
        place : int
            Index of the clip; the random regions of different clips differ, the random orders do not.

        Returns
        -------
        adding, removing : AddRemoveCurves
            With V = 1.
        """
        listed = orders(np.asarray(ranked), self.draws, self.seed)
        unmodified, *both = _Trial(self, model, clip, supervoxels, assigned, place).run(listed, target)
        adding, removing = (
            AddRemoveCurves(
                kind,
                tuple(listed),
                logits[:, None],
                coverage[:, None],
                matched[None],
                right[None],
                np.array([target], np.int64),
                unmodified[None],
            )
            for kind, (logits, coverage, matched, right) in zip(("adding", "removing"), both, strict=True)
        )
        return adding, removing


_Side = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # logits, coverage, matched logits, matched right


@dataclass(frozen=True, eq=False)
class _Trial:
    """One test clip: unions of masks along each order, and the logits of each distinct input once."""

    settings: AddRemove
    model: VideoModel
    clip: Clip
    supervoxels: Supervoxels
    assigned: np.ndarray
    index: int
    base: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "base", base_clip(self.clip.frames, self.settings.fill, self.model.mean_colour))

    def run(self, listed: dict[str, np.ndarray], target: int) -> tuple[np.ndarray, _Side, _Side]:
        """(unmodified logits, adding, removing), each of the two = logits, coverage, matched logits, matched right."""
        unions = [self._unions(order) for order in listed.values()]
        rng = np.random.default_rng((self.settings.seed, self.index))
        top = unions[list(listed).index("top")]
        draws = [[self._matched(rng, m) for m in top] for _ in range(self.settings.matched)]
        masks = [m for row in [*unions, *draws] for m in row]
        # Adding shows the masks, removing shows the rest: one list of what is shown, so that the untouched clip and
        # the end points of both curves are the same forward, equal to the last bit.
        rows = self._logits([np.ones_like(masks[0]), *masks, *(~m for m in masks)])
        sides = rows[1:].reshape(2, len(unions) + len(draws), len(top), -1)
        coverage = np.array([[m.mean() for m in row] for row in unions], np.float32)
        parts = []
        for logits in sides:
            matched = logits[len(unions) :]
            right = recognised(matched, target).mean(0).astype(np.float32)
            parts.append((logits[: len(unions)], coverage, matched.mean(0), right))
        return rows[0], parts[0], parts[1]

    def _unions(self, order: np.ndarray) -> list[np.ndarray]:
        """Masks at q = 0 … Q and with all concepts."""
        union = np.zeros(self.clip.frames.shape[:3], bool)
        masks = [union]
        for q, concept in enumerate(order):
            union = union | concept_mask(self.supervoxels, self.assigned, int(concept))
            if q < self.settings.steps:
                masks.append(union)
        masks += [union] * (self.settings.steps + 1 - len(masks))
        return [*masks, union]

    def _matched(self, rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
        return volume_matched(rng, self.supervoxels, int(mask.sum()))

    def _logits(self, shown: list[np.ndarray]) -> np.ndarray:
        """Logits [n,C] of what a list of masks shows; equal masks (a concept may be absent) share one forward."""
        packed = [np.packbits(m).tobytes() for m in shown]
        distinct = dict(zip(packed, shown, strict=True))  # in the order of first appearance
        place = {key: i for i, key in enumerate(distinct)}
        shown_clips = (reveal(self.clip.frames, mask, self.base) for mask in distinct.values())
        rows = logits_of(self.model, shown_clips, finite=False)
        return rows[[place[key] for key in packed]]


def join(parts: Sequence[AddRemoveCurves]) -> AddRemoveCurves:
    """Curves of several videos, also of several classes, as one record. DataError for different kinds or orders."""
    if not parts:
        raise DataError("expected at least one test clip to evaluate on, got none; give held-out videos")
    first = parts[0]
    if any(p.kind != first.kind or p.names != first.names for p in parts):
        raise DataError("expected evaluations of one kind with the same orders, got different ones; run them alike")
    return AddRemoveCurves(
        first.kind,
        first.names,
        np.concatenate([p.logits for p in parts], 1),
        np.concatenate([p.coverage for p in parts], 1),
        np.concatenate([p.matched for p in parts]),
        np.concatenate([p.matched_right for p in parts]),
        np.concatenate([p.truth for p in parts]),
        np.concatenate([p.unmodified for p in parts]),
    )
