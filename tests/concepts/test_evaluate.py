"""Adding and removing concepts: end points to the last bit, logits by hand, order_tests with known differences."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from known_nets import BIAS, CLASSES, GRID, colour_model, conv_model, logits, noise, plain, quarters, two_levels
from voxplain.concepts.evaluate import AddRemove, AddRemoveCurves, join, log_odds_of, orders
from voxplain.concepts.order_tests import order_test
from voxplain.errors import DataError
from voxplain.segment import Supervoxels

RANKED = np.array([2, 0, 3, 1])
QUARTERS = Supervoxels.from_levels([quarters()])  # a partition: all concepts together are the clip
EACH = np.arange(4)


def by_order(steps: AddRemoveCurves) -> dict[str, np.ndarray]:
    """Logits [S,C] of each order of a single clip."""
    return {name: steps.logits[i, 0] for i, name in enumerate(steps.names)}


def test_orders():
    got = orders(RANKED, 3, seed=1)
    assert list(got) == ["top", "least", "random0", "random1", "random2"]
    assert got["top"].tolist() == [2, 0, 3, 1]
    assert got["least"].tolist() == [1, 3, 0, 2]
    assert all(sorted(order) == [0, 1, 2, 3] for order in got.values())
    many = orders(RANKED, 200, seed=1)
    firsts = np.bincount([order[0] for name, order in many.items() if name.startswith("random")], minlength=4)
    assert firsts.min() > 25  # 50 expected, standard deviation 6
    assert all(np.array_equal(a, b) for a, b in zip(got.values(), orders(RANKED, 3, seed=1).values(), strict=True))
    assert any(not np.array_equal(many[f"random{i}"], orders(RANKED, 200, seed=2)[f"random{i}"]) for i in range(5))


@pytest.mark.parametrize("fill", ["mean", "black"])
def test_logits_and_coverage_by_hand(fill):
    """Two levels whose supervoxels overlap: a voxel is shown or hidden once."""
    clip, parts, assigned = noise(), two_levels(), np.array([0, 1, 3, 0, 3])  # concept 2 is absent
    adding, removing = AddRemove(steps=3, draws=2, matched=1, fill=fill)(
        colour_model(), clip, parts, assigned, RANKED, 1
    )
    base = np.broadcast_to(np.array((51, 102, 153) if fill == "mean" else 0, np.uint8), clip.frames.shape)
    listed = orders(RANKED, 2, 0)
    assert adding.names == removing.names == tuple(listed)
    for name, order in listed.items():
        for s, chosen in enumerate([order[:0], order[:1], order[:2], order[:3], order]):
            shown = np.zeros(GRID, bool)
            for i in np.flatnonzero(np.isin(assigned, chosen)):
                shown |= parts.mask(i)
            place = list(listed).index(name)
            assert adding.coverage[place, 0, s] == removing.coverage[place, 0, s] == np.float32(shown.mean())
            for steps, mask in ((adding, shown), (removing, ~shown)):
                expected = logits(np.where(mask[..., None], clip.frames, base))
                np.testing.assert_allclose(by_order(steps)[name][s], expected, atol=1e-4)
    assert adding.kind == "adding"
    assert removing.kind == "removing"
    assert adding.truth.tolist() == [1]
    np.testing.assert_allclose(adding.unmodified[0], logits(clip.frames), atol=1e-4)
    absent = by_order(adding)["top"]
    assert np.array_equal(absent[0], absent[1])  # adding what is not there changes nothing


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_end_points_are_the_unmodified_prediction_to_the_last_bit(batch_size):
    adding, removing = AddRemove(steps=3, draws=4, fill="mean")(
        conv_model(batch_size=batch_size), noise(), QUARTERS, EACH, RANKED, 2
    )
    whole = np.broadcast_to(adding.unmodified[None], (6, 1, CLASSES))
    assert np.array_equal(adding.unmodified, removing.unmodified)
    assert np.array_equal(removing.logits[:, :, 0], whole)
    assert np.array_equal(adding.logits[:, :, -1], whole)
    assert np.array_equal(adding.logits[:, :, 0], removing.logits[:, :, -1])
    np.testing.assert_allclose(removing.matched[:, 0], adding.unmodified, rtol=1e-6)  # a mean of equal logits rounds
    np.testing.assert_allclose(adding.matched[:, -1], adding.unmodified, rtol=1e-6)
    assert not np.array_equal(adding.logits[:, :, 1], adding.logits[:, :, 0])
    assert (adding.coverage[..., 0] == 0).all()
    assert (adding.coverage[..., -1] == 1).all()


@pytest.mark.parametrize("matched", [1, 4])
def test_matched_regions_have_exactly_the_volume_of_the_top_concepts(matched):
    """In a plain clip the network sees nothing but how much is shown."""
    work = AddRemove(steps=3, draws=1, matched=matched, fill="black")
    for steps in work(colour_model(), plain((240, 60, 160)), two_levels(), np.array([0, 1, 2, 3, -1]), RANKED, 0):
        assert np.ptp(steps.logits[0, 0, :, 0]) > 0.5
        np.testing.assert_allclose(steps.matched[0], steps.logits[0, 0], atol=1e-5)
        np.testing.assert_array_equal(steps.matched_right[0], steps.right()[0, 0])


def test_matched_regions_are_random_and_their_share_right_is_counted():
    model, clip = colour_model(), noise()
    runs = [AddRemove(steps=2, draws=1, matched=1, seed=s)(model, clip, QUARTERS, EACH, RANKED, 0)[0] for s in range(6)]
    assert len({r.matched[0, 1].tobytes() for r in runs}) > 1
    for run in runs:
        np.testing.assert_array_equal(run.matched_right[0], run.matched[0].argmax(-1) == 0)
    several = AddRemove(steps=2, draws=1, matched=5)(model, clip, QUARTERS, EACH, RANKED, 0)[0]
    assert set(np.round(5 * several.matched_right.ravel(), 5)) <= {0, 1, 2, 3, 4, 5}


def test_same_seed_same_bytes_and_place_moves_only_the_matched_regions():
    def run(seed=0, place=0):
        return AddRemove(steps=3, draws=3, seed=seed)(conv_model(), noise(), QUARTERS, EACH, RANKED, 1, place=place)[0]

    first = run()
    for name in ("logits", "coverage", "matched", "matched_right", "unmodified"):
        assert getattr(run(), name).tobytes() == getattr(first, name).tobytes()
    moved = run(place=1)
    assert moved.matched.tobytes() != first.matched.tobytes()
    assert moved.logits.tobytes() == first.logits.tobytes()
    assert run(seed=1).logits[2:].tobytes() != first.logits[2:].tobytes()


def test_batches_do_not_change_the_result():
    one, many = (
        AddRemove(steps=3, draws=3)(conv_model(batch_size=n), noise(), two_levels(), np.arange(5), np.arange(5), 1)
        for n in (1, 64)
    )
    for a, b in zip(one, many, strict=True):
        np.testing.assert_allclose(a.logits, b.logits, atol=1e-6)
        np.testing.assert_allclose(a.matched, b.matched, atol=1e-6)


def test_each_distinct_picture_is_forwarded_once():
    model, seen = conv_model(batch_size=8).settled(), []
    model.net.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    AddRemove(steps=5, draws=30, matched=1)(model, noise(), QUARTERS, EACH, RANKED, 0)
    pictures = torch.cat(seen).flatten(1).numpy()
    assert len(np.unique(pictures, axis=0)) == len(pictures)
    assert len(pictures) <= 2**4 + 2 * 7  # unions of four concepts, and what the matched regions add


def test_fewer_concepts_than_steps():
    adding, removing = AddRemove(steps=5, draws=1, fill="mean")(
        colour_model(), noise(), QUARTERS, EACH // 2, np.array([1, 0]), 0
    )
    assert adding.logits.shape == (3, 1, 7, CLASSES)
    for steps in (adding, removing):
        assert (steps.logits[:, :, 2:] == steps.logits[:, :, 2:3]).all()
        assert (steps.logits[:, :, 1] != steps.logits[:, :, 2]).any()
    np.testing.assert_allclose(removing.logits[:, 0, -1], np.broadcast_to(BIAS, (3, CLASSES)), atol=1e-5)


def test_margin_is_the_log_odds_of_the_true_class():
    z = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32) * 400  # far beyond float32's exp
    truth = np.array([0, 3, 1])
    got = log_odds_of(z, truth[None, :, None])
    for v, y in enumerate(truth):
        own = z[:, v].astype(float)
        expected = own[..., y] - logsumexp(np.delete(own, y, axis=-1), axis=-1)
        np.testing.assert_allclose(got[:, v], expected, rtol=1e-10)


def planted(
    kind: str, right: dict[str, float], *, videos: int = 40, matched: float = 0.5, steps: int = 3
) -> AddRemoveCurves:
    """Curves in which an order is recognised in a share of the videos at q = 1 … Q, all before and after it."""
    rng = np.random.default_rng(0)
    truth = np.arange(videos) % 3
    wrong = (truth + 1) % 3

    def scores(share: float, margin: float = 2.0) -> np.ndarray:
        hit = (np.arange(videos) < round(share * videos))[:, None] | np.isin(np.arange(steps + 2), [0, steps + 1])
        return margin * np.eye(3)[np.where(hit, truth[:, None], wrong[:, None])]

    values = np.stack([scores(share) for share in right.values()]).astype(np.float32)
    return AddRemoveCurves(
        kind,
        tuple(right),
        values,
        rng.random(values.shape[:3]).astype(np.float32),
        scores(matched).astype(np.float32),
        (scores(matched).argmax(-1) == truth[:, None]).astype(np.float32),
        truth,
        scores(1)[:, 0].astype(np.float32),
    )


SHARES = {"top": 0.75, "least": 0.25, "random0": 0.5, "random1": 0.4}


@pytest.mark.parametrize(("other", "difference"), [("least", 0.5), ("random", 0.3), ("matched", 0.25)])
@pytest.mark.parametrize("kind", ["adding", "removing"])
def test_contrast_is_the_known_difference(kind, other, difference):
    steps = planted(kind, SHARES)
    sign = 1 if kind == "adding" else -1
    got = order_test(steps, other)
    assert (got.kind, got.other, got.measure) == (kind, other, "accuracy")
    assert got.difference == pytest.approx(sign * difference)
    assert got.low < got.difference < got.high
    edge = np.log(np.e**2 / 2) - np.log(1 / (np.e**2 + 1))  # margin of a hit minus that of a miss, two other classes
    wider = order_test(steps, other, measure="log_odds")
    assert wider.difference == pytest.approx(sign * difference * edge, rel=1e-4)


def test_contrast_interval_and_p_value():
    steps = planted("adding", {**SHARES, "top": 0.6, "least": 0.4}, videos=400)
    got = order_test(steps, "least", samples=4000)
    half = 1.96 * np.sqrt(0.2 * 0.8 / 400)  # a fifth of the videos differ, the bootstrap is near normal here
    assert got.low == pytest.approx(0.2 - half, abs=0.006)
    assert got.high == pytest.approx(0.2 + half, abs=0.006)
    assert got.p_value == 1 / 4096  # 80 videos that differ, all one way: beyond the random sign flips
    turned = order_test(replace(steps, kind="removing"), "least")
    assert (turned.difference, turned.p_value) == (-got.difference, 1 / 4096)
    same = order_test(planted("adding", {**SHARES, "least": 0.75}), "least")
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_three_videos_that_agree_are_three_coins():
    steps = planted("adding", {**SHARES, "top": 1.0, "least": 0.0}, videos=3)
    assert order_test(steps, "least").p_value == pytest.approx(2 / 2**3)


def test_contrasts_are_seeded():
    steps = planted("adding", SHARES)
    noisy = np.random.default_rng(1).normal(size=steps.logits.shape).astype(np.float32)
    first, again, other = (
        order_test(replace(steps, logits=noisy), "least", measure="log_odds", seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first.difference == other.difference
    assert first.low != other.low


def test_contrast_ignores_the_end_points():
    steps = planted("adding", SHARES)
    changed = steps.logits.copy()
    changed[0, :, [0, -1]] = 100 * np.eye(3)[(steps.truth + 1) % 3]
    assert order_test(replace(steps, logits=changed), "least").difference == pytest.approx(0.5)


@pytest.mark.parametrize(("options", "named"), [({"other": "best"}, "'best'"), ({"measure": "acuracy"}, "'acuracy'")])
def test_contrasts_that_do_not_exist_are_refused(options, named):
    with pytest.raises(DataError, match=f"expected .*, got .*{named}.*; choose"):
        order_test(planted("adding", SHARES), **{"other": "least", **options})


def test_accuracies():
    steps = planted("adding", SHARES)
    np.testing.assert_allclose(steps.right().mean(1)[:, 1:-1], np.tile([[0.75], [0.25], [0.5], [0.4]], 3))
    assert steps.right()[..., [0, -1]].all()
    assert steps.baseline() == 1
    assert replace(steps, unmodified=np.roll(steps.unmodified, 1, axis=1)).baseline() == 0
    papers = steps.by_order(steps.right())
    assert set(papers) == {"top", "least", "random"}
    np.testing.assert_allclose(papers["random"].mean(0)[1:-1], 0.45)  # the mean of both draws
    np.testing.assert_allclose(papers["top"].mean(0)[1:-1], 0.75)
    np.testing.assert_allclose(steps.log_odds(), log_odds_of(steps.logits, steps.truth[:, None]))


def test_joined_steps_keep_videos_apart():
    work = AddRemove(steps=2, draws=1, matched=1)
    parts = [
        work(colour_model(), noise(i), QUARTERS, EACH, RANKED, target, place=i)[0] for i, target in enumerate([3, 0, 3])
    ]
    whole = join(parts)
    assert repr(whole) == "AddRemoveCurves(adding, orders=3, videos=3, steps=4)"
    assert whole.truth.tolist() == [3, 0, 3]
    for i, part in enumerate(parts):
        np.testing.assert_array_equal(whole.logits[:, i], part.logits[:, 0])
        np.testing.assert_array_equal(whole.coverage[:, i], part.coverage[:, 0])
        for name in ("matched", "matched_right", "unmodified"):
            np.testing.assert_array_equal(getattr(whole, name)[i], getattr(part, name)[0])
    with pytest.raises(DataError, match="at least one test clip to evaluate on, got none; give"):
        join([])
    for other in (replace(parts[1], kind="removing"), replace(parts[1], names=("top", "least", "random1"))):
        with pytest.raises(DataError, match="one kind with the same orders, got different ones; run"):
            join([parts[0], other])


@pytest.mark.parametrize(
    "options", [{"fill": "white"}, {"steps": 0}, {"draws": 0}, {"matched": 0}], ids=lambda o: next(iter(o))
)
def test_settings_without_a_comparison_are_refused(options):
    with pytest.raises(DataError, match=r"expected a fill of .*, got .*; correct them"):
        AddRemove(**options)


@pytest.mark.parametrize("wrong", ["coverage", "matched", "matched_right", "truth", "names", "unmodified"])
def test_steps_check_their_shapes(wrong):
    steps = planted("adding", SHARES)
    with pytest.raises(DataError, match="expected arrays over 4 orders, 40 videos, 5 steps, 3 classes, got"):
        replace(steps, **{wrong: getattr(steps, wrong)[:1]})


def test_equal_coverage_compares_the_curves_where_both_are():
    """Both orders follow one line of accuracy over coverage; top only gets there in fewer steps."""
    steps = planted("adding", SHARES)
    videos, count = len(steps.truth), steps.logits.shape[2]
    margin = np.zeros((len(steps.names), videos, count), np.float32)
    coverage = np.zeros_like(margin)
    for name, rate in (("top", 0.18), ("least", 0.09)):
        coverage[steps.names.index(name), :, :-1] = rate * np.arange(count - 1)
    coverage[..., -1] = 1
    margin[:] = 10 * coverage
    others = np.arange(steps.logits.shape[-1]) != steps.truth[:, None]
    logits = np.where(others[None, :, None], -margin[..., None] / 2, margin[..., None] / 2).astype(np.float32)
    same = replace(steps, logits=logits, coverage=coverage)
    assert order_test(same, "least", measure="log_odds").difference > 0.5
    assert order_test(same, "least at equal coverage", measure="log_odds").difference == pytest.approx(0, abs=1e-5)
    lifted = replace(same, logits=np.where(np.arange(len(steps.names))[:, None, None, None] == 0, 2, 1) * logits)
    end = 0.09 * (count - 2)
    expected = 10 * end * np.linspace(0, 1, 21)[1:].mean()  # twice the line less the line
    assert order_test(lifted, "least at equal coverage", measure="log_odds").difference == pytest.approx(
        expected, rel=1e-4
    )


def test_orders_that_cover_nothing_cannot_be_compared_at_equal_coverage():
    steps = planted("adding", SHARES)
    got = order_test(replace(steps, coverage=0 * steps.coverage), "least at equal coverage")
    assert np.isnan([got.difference, got.low, got.high, got.p_value]).all()
