"""Interactions, completeness, fill sensitivity, motion and place, against values put in by hand."""

import numpy as np
import pytest

from voxplain.concepts.effect import Effects
from voxplain.concepts.joint_effects import completeness, fill_sensitive, interactions, loss, ratio_interval
from voxplain.concepts.motion_or_place import motion_or_place

M, K, C, TARGET = 30, 4, 3, 2


def effects(losses=None, drops=None, blank=12.0, fills=2):
    """Effects whose logit of the target falls by the given losses; ``drops`` [F,K]."""
    noise = np.random.default_rng(1).normal(0, 0.1, M)

    def fallen(lost):
        z = np.zeros((*np.shape(lost), C), np.float32)
        z[..., TARGET] = 10 - np.asarray(lost)
        return z

    drops = np.zeros((fills, K)) if drops is None else np.asarray(drops, float)
    hidden = fallen(drops[:, None] + 0.1 * np.random.default_rng(2).standard_normal((fills, M, K)))
    alone = fallen(np.full((fills, M, K), blank))
    variants = tuple(sorted(losses or {}))
    logits = np.stack([fallen(losses[v] + np.tile(noise, (fills, 1))) for v in variants], 2) if losses else None
    return Effects(
        fallen(np.zeros(M)),
        hidden,
        hidden,
        alone,
        fallen(np.full((fills, M), blank)),
        np.full((M, K), 0.1, np.float32),
        tuple("ab"[:fills]),
        variants=variants,
        variant_logits=logits,
    )


def test_interaction_is_what_both_cost_beyond_their_sum():
    drops = [[3.0, 2.0, 0.0, 0.0]] * 2
    got = interactions(effects({("hidden", (0, 1)): 7.0, ("hidden", (1, 2)): 1.0}, drops), TARGET, "logit")
    assert [x.concepts for x in got] == [(0, 1), (1, 2)]
    for x, value in zip(got, (2.0, -1.0), strict=True):
        assert x.value == pytest.approx(value, abs=0.1)
        assert x.low < value < x.high
        assert x.high - x.low < 0.3
        assert x.clips == M


def test_completeness_is_the_share_between_blank_and_whole():
    e = effects({("hidden", (0, 2)): 9.0, ("alone", (0, 2)): 2.0})
    got = completeness(e, (0, 2), TARGET, "logit")
    assert got.hidden[0] == pytest.approx(0.75, abs=0.02)
    assert got.shown[0] == pytest.approx(10 / 12, abs=0.02)
    assert got.hidden[1] < got.hidden[0] < got.hidden[2]
    assert completeness(e, (0, 1), TARGET) is None
    assert completeness(e, (), TARGET) is None
    nothing = completeness(
        effects({("hidden", (0, 2)): 9.0, ("alone", (0, 2)): 2.0}, blank=-1.0), (0, 2), TARGET, "logit"
    )
    assert np.isnan(nothing.hidden).all()


def test_one_concept_is_as_complete_as_its_own_measurement_says():
    got = completeness(effects(drops=[[6.0, 0, 0, 0]] * 2), (0,), TARGET, "logit")
    assert got.hidden[0] == pytest.approx(0.5, abs=0.02)
    assert got.shown[0] == pytest.approx(0, abs=0.02)


def test_concepts_on_which_the_fills_disagree():
    #        on top  as large  half, or nothing  a fifth more
    drops = [[8.0, 4.0, 4.0, 0.1], [16.0, 8.0, 0.0, 3.0]]
    assert fill_sensitive(effects(drops=drops), TARGET, "logit").tolist() == [False, False, True, False]
    assert not fill_sensitive(effects(drops=drops[:1], fills=1), TARGET, "logit").any()
    opposite = [[8.0, -2.0, 0.0, 0.0], [8.0, 2.0, 0.0, 0.0]]
    assert fill_sensitive(effects(drops=opposite), TARGET, "logit").tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("frozen", "moved", "verdict"),
    [
        (0.1, 0.1, "appearance"),
        (0.4, 0.1, "motion"),
        (0.9, 0.3, "motion"),
        (0.1, 0.8, "place"),
        (0.6, 0.9, "place"),
        (0.3, 1.7, "unclear"),
    ],
)
def test_motion_appearance_or_place(frozen, moved, verdict):
    losses = {("frozen", (1,)): 10 * frozen, ("shuffled", (1,)): 5.0, ("moved", (1,)): 10 * moved}
    (got,) = motion_or_place(effects(losses, [[0, 10.0, 0, 0]] * 2), TARGET, "logit")
    assert (got.concept, got.matters_by, got.clips) == (1, verdict, M)
    for share, value in ((got.frozen, frozen), (got.shuffled, 0.5), (got.moved, moved)):
        assert share[0] == pytest.approx(value, abs=0.02)
        assert share[1] <= share[0] <= share[2]


def test_a_concept_without_effect_matters_by_nothing():
    losses = {(kind, (1,)): 1.0 for kind in ("frozen", "shuffled", "moved")}
    (got,) = motion_or_place(effects(losses, [[0, -5.0, 0, 0]] * 2), TARGET, "logit")
    assert np.isnan(got.frozen).all()
    assert got.matters_by == "unclear"


def test_ratios_of_means():
    part, whole = np.arange(10.0), np.full(10, 9.0)
    value, low, high = ratio_interval(part, whole, np.random.default_rng(0))
    assert value == 0.5
    assert low < 0.5 < high
    assert np.isnan(ratio_interval(part, part - 9, np.random.default_rng(0))).all()
    assert np.isnan(ratio_interval(part, np.array([-1.0] * 9 + [9.1]), np.random.default_rng(0))[1:]).all()


def test_effects_are_those_of_the_fill_with_which_concepts_cost_least():
    e = effects(drops=[[2.0, 3.0, 0, 0], [4.0, 0.5, 0, 0]])
    assert [e.fill_of(ks, TARGET, "logit") for ks in ((0,), (1,), (0, 1))] == [0, 1, 1]
    by_fill = e.drop_by_fill(TARGET, "logit")
    np.testing.assert_array_equal(e.drop(TARGET, "logit")[:, :2], np.stack([by_fill[0, :, 0], by_fill[1, :, 1]], 1))
    np.testing.assert_array_equal(loss(e, "hidden", (1,), TARGET, "logit", fill=1), e.drop(TARGET, "logit")[:, 1])
    np.testing.assert_allclose(loss(e, "alone", (), TARGET, "logit", fill=0), 12.0, atol=1e-5)
    np.testing.assert_array_equal(e.gain_alone(TARGET, "logit"), 0.0)
    assert np.isnan(loss(e, "moved", (0,), TARGET, fill=0)).all()
