"""What concepts look like, measured on clips where it is known; how steady a ranking is, in closed form."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from voxplain.concepts.description import BINS, CELLS, Stability, describe_concepts, ranking_stability
from voxplain.concepts.rank import ConceptScores
from voxplain.segment import Supervoxels
from voxplain.video import Clip

T, H, W = 8, 32, 32


@dataclass
class Bank:
    count: int

    def __len__(self):
        return self.count


@dataclass
class Run:
    """The parts of a run that a character is made of."""

    clips: list
    supervoxels: list
    assigned: list
    bank: Bank


def made(shift: int = 0) -> Run:
    """A square moves over a still wall (with a little noise everywhere); concept 0 the square, 1 the wall, 2 a corner.

    The corner flickers never, is at the same place in all clips; the square starts elsewhere in each.
    """
    rng = np.random.default_rng(0)
    clips, parts, assigned = [], [], []
    for c in range(6):
        labels = np.ones((T, H, W), int)
        labels[:, :4, :4] = 2
        frames = np.full((T, H, W, 3), 90, np.uint8)
        for t in range(T):
            y, x = 8 + (3 * c + 2 * t) % 12, 8 + (5 * c + shift) % 12
            labels[t, y : y + 6, x : x + 6] = 0
            frames[t, y : y + 6, x : x + 6] = 220
        frames += rng.integers(0, 3, frames.shape, dtype=np.uint8)
        frames[:, :4, :4] = 10
        clips.append(Clip(frames, np.arange(T) / 25, f"{c}.mp4"))
        parts.append(Supervoxels.from_levels([labels]))
        assigned.append(np.array([0, 1, 2]))
    return Run(clips, parts, assigned, Bank(4))


def test_what_moves_and_what_is_wall():
    square, wall, corner, absent = describe_concepts(made())
    assert square.motion > 3
    assert square.edge == 0
    assert not square.like_background
    assert wall.like_background
    assert wall.edge > 1
    assert wall.motion < 1
    assert corner.motion == 0
    assert corner.fixed
    assert corner.wander == 0
    assert not square.fixed
    assert square.wander > 0.06
    assert absent.when.sum() == 0


def test_when_and_where():
    run = made()
    square, *_ = describe_concepts(run)
    assert square.when.shape == (BINS,)
    assert square.where.shape == (CELLS, CELLS)
    np.testing.assert_allclose(square.when, 36 / (H * W), rtol=1e-5)  # the same size all the time
    assert square.where[:4].sum() == 0  # never in the upper quarter
    assert square.where.mean() == pytest.approx(36 / (H * W), rel=1e-4)
    labels = np.ones((T, H, W), int)
    labels[T // 2 :, :16, :16] = 0  # a concept that comes in the second half
    late = Run(run.clips[:1], [Supervoxels.from_levels([labels])], [np.array([0, 1])], Bank(2))
    when = describe_concepts(late)[0].when
    assert when[: BINS // 2 - 1].max() == 0
    assert when[-1] == pytest.approx(0.25)


def scored(values: np.ndarray, **others: np.ndarray) -> ConceptScores:
    """Effects [K,M] as a score that ranks by their mean."""
    mean, none = np.nanmean(values, 1), np.zeros(len(values))
    pairs = np.zeros((len(values), 2))
    return ConceptScores("x", 0, values, mean, none[:0], pairs, none, none, none, 0.0, mean, pairs, **others)


def test_a_clear_ranking_is_steady_and_noise_is_not():
    rng = np.random.default_rng(1)
    clear = scored(np.array([[5.0], [3.0], [1.0], [0.0]]) + 0.1 * rng.normal(size=(4, 30)))
    found = ranking_stability(clear)
    assert found.top == 1
    assert found.correlation > 0.99
    noise = ranking_stability(scored(rng.normal(size=(4, 30))))
    assert noise.top < 0.95
    assert noise.correlation < 0.9
    assert ranking_stability(clear) == found  # seeded
    assert ranking_stability(scored(np.ones((1, 3)))) == Stability(1.0, 1.0)


def test_two_equal_concepts_share_the_first_place():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(2, 400))
    values -= values.mean(1, keepdims=True)  # the means are equal, so each draw is a coin
    assert ranking_stability(scored(values), draws=2000).top == pytest.approx(0.5, abs=0.05)


def test_clips_that_were_not_measured_do_not_count():
    values = np.array([[1.0, 1.0, 1.0, 1.0], [3.0, 3.0, np.nan, np.nan]])
    assert ranking_stability(scored(values)).top > 0.9  # 0 where neither clip is drawn: 1 of 16 draws


NO_TESTS = {name: np.zeros(3) for name in ("p_value", "q_value", "effect_size", "tested")} | {
    name: np.zeros((3, 2)) for name in ("interval", "tested_interval")
}


def test_a_concept_without_a_score_is_last_in_every_draw():
    values = np.array([[np.nan] * 6, [-5.0] * 6, [-1.0] * 6])
    lost = replace(scored(values[1:]), scores=values, value=values.mean(1), **NO_TESTS)
    assert ranking_stability(lost) == Stability(1.0, pytest.approx(1.0))
    drawn = replace(lost, video_draws=np.array([[np.nan] * 4, [-5.0] * 4, [-1.0, -1.0, -1.0, np.nan]]))
    assert ranking_stability(drawn).top == 0.75


def test_draws_of_videos_are_taken_where_the_repeats_are_none():
    draws = np.array([[2.0, 2.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
    found = ranking_stability(scored(np.array([[2.0, 2.0], [1.0, 1.0]]), video_draws=draws))
    assert (found.top, found.correlation) == (0.75, pytest.approx(0.5))
