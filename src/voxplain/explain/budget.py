"""Explain a class within a given time: videos are added until the ranking is stable, or the time is used up.

Every round explains a longer part of the videos in one seeded order. What was computed for a video stays in the store,
so a round computes the new videos' features and all videos' direct effects.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from voxplain.concepts import warnings
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.description import ranking_stability
from voxplain.concepts.settings import ConceptSettings
from voxplain.errors import DataError
from voxplain.explain.concepts import explain_concepts
from voxplain.lazy import pick
from voxplain.model import VideoModel
from voxplain.progress import duration
from voxplain.store import Store
from voxplain.video import Clip

__all__ = ["Budget", "Round", "explain_within_budget", "same_concept"]


@dataclass(frozen=True)
class Round:
    """One part of the videos: how many, the seconds up to its end, and how stable its ranking is."""

    videos: int
    seconds: float
    top: float  # share of bootstrap draws of the videos in which the same concept comes first
    correlation: float  # mean rank correlation of the draws with the ranking
    same_top: bool  # whether the top concept is that of the round before


@dataclass(frozen=True)
class Budget:
    """When to stop: after ``seconds``, or once two consecutive rounds agree and are stable."""

    seconds: float
    first: int = 8  # videos of the first round, which runs whatever the time
    growth: float = 2.0  # videos of a round over those of the round before, at most
    unrelated: int = 20  # unrelated videos at least; with fewer there are no null concepts
    top: float = 0.9  # `Round.top` that counts as stable
    correlation: float = 0.8  # `Round.correlation` that counts as stable

    def __post_init__(self) -> None:
        """Check that the time is positive and rounds grow."""
        if self.seconds <= 0 or self.first < 2 or self.growth <= 1 or self.unrelated < 4:
            raise DataError(
                f"expected a time above 0, a first round of 2 videos or more, growth above 1 and 4 unrelated videos or "
                f"more, got {self.seconds:g} s, {self.first}, {self.growth} and {self.unrelated}; correct them"
            )

    def is_stable(self, rounds: Sequence[Round]) -> bool:
        """Whether the last round's ranking is stable and its top concept that of the round before."""
        last = rounds[-1]
        return last.same_top and last.top >= self.top and last.correlation >= self.correlation


def explain_within_budget(
    budget: Budget,
    model: VideoModel,
    clips: Sequence[Clip],
    *,
    random: Sequence[Clip],
    settings: ConceptSettings | None = None,
    store: Store | Path | str,
    clock: Callable[[], float] = time.monotonic,
    **options: Any,
) -> ConceptRun:
    """`explain_concepts` of as many clips as the budget allows; ``options`` are those of `explain_concepts`.

    A last warning of the run gives why it stopped and how long all videos would take; its parameters hold the rounds
    under "budget". The result of a stable ranking depends on the seed only, that of a budget that ran out also on the
    machine's speed.
    """
    settings = settings or ConceptSettings()
    begun = clock()
    order = np.random.default_rng((settings.seed, 17)).permutation(min(len(clips), settings.videos)).tolist()
    count, rounds, before = min(budget.first, len(order)), list[Round](), None
    spent = 0.0
    while True:
        start, previous = clock(), rounds[-1].videos if rounds else 0
        few = random[: max(budget.unrelated, count)]
        run = explain_concepts(model, pick(clips, order[:count]), random=few, settings=settings, store=store, **options)
        firm = ranking_stability(run.scores[run.ranking], seed=settings.seed)
        same = before is not None and same_concept(before, run)
        rounds.append(Round(count, clock() - begun, firm.top, firm.correlation, same))
        spent = (clock() - start) / _cost(run, settings, previous, count)
        if budget.is_stable(rounds) or count == len(order):
            break
        left = budget.seconds - rounds[-1].seconds
        fits = [n for n in range(count + 1, len(order) + 1) if _cost(run, settings, count, n) * spent <= left]
        reach, least = max(fits, default=0), min(count + max(2, count // 5), len(order))
        if reach < least:  # fewer would repeat all direct effects and hardly change the ranking
            break
        following = min(reach, max(least, round(budget.growth * count)))
        before, count = run, following
    more = _cost(run, settings, count, len(order)) * spent
    record = {"seconds": budget.seconds, "rounds": [asdict(r) for r in rounds], "videos_there": len(order)}
    stopped = warnings.budget(
        firm,
        videos=count,
        total=len(order),
        used=duration(rounds[-1].seconds),
        limit=duration(budget.seconds),
        more=duration(more),
        stable=budget.is_stable(rounds),
        single=len(rounds) == 1 and rounds[-1].seconds > budget.seconds,
    )
    return replace(run, parameters={**run.parameters, "budget": record}, warnings=(*run.warnings, stopped))


def _cost(run: ConceptRun, settings: ConceptSettings, done: int, count: int) -> float:
    """Passes that a round of ``count`` videos takes when ``done`` of them have been embedded."""
    # A video and an unrelated one: features of both, a gradient and contributions; or one pass a supervoxel and 2 more.
    embedder, crops = settings.embedder, np.mean([len(a) for a in run.assigned]) + settings.unrelated_crops
    each = 3 + embedder.class_gradients if embedder.one_pass else crops + 2
    hidden = settings.effect.forwards(min(count, settings.effect_videos), len(run.bank))
    return float((count - done) * each + hidden)


def same_concept(before: ConceptRun, now: ConceptRun) -> bool:
    """Whether the concepts on top of two runs are mostly the same voxels of the videos that both have.

    Jaccard index of 0.5 or more over supervoxels, weighted by volume; ``now`` begins with the videos of ``before``.
    """
    old, new = int(before.order[0]), int(now.order[0])
    shared = either = 0
    for i, (a, b) in enumerate(zip(before.assigned, now.assigned, strict=False)):
        volume = now.supervoxels[i].volumes
        shared += int(volume[(a == old) & (b == new)].sum())
        either += int(volume[(a == old) | (b == new)].sum())
    return either > 0 and shared / either >= 0.5
