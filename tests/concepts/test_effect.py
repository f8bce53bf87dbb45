"""Direct effects against logits worked out by hand."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from known_nets import BIAS, CLASSES, GRID, colour_model, conv_model, logits, noise, plain, two_levels
from voxplain.concepts.effect import ARRAYS, Effects, HideConcepts, concept_mask, join_effects
from voxplain.errors import DataError
from voxplain.model import logits_of
from voxplain.perturb import FILLS, base_clip
from voxplain.segment import volume_matched

# Concept 0: the first half in time and the first quarter; 1: a quarter that lies in both halves; 3: a half; 2: absent.
ASSIGNED = np.array([0, 3, 0, 1, -1])


def masks() -> dict[int, np.ndarray]:
    t, y, x = np.indices(GRID)
    return {0: (t < 2) | ((y < 4) & (x < 4)), 1: (y < 4) & (x >= 4), 3: t >= 2}


def test_a_concept_is_the_union_of_its_supervoxels():
    for k, mask in masks().items():
        assert np.array_equal(concept_mask(two_levels(), ASSIGNED, k), mask)
    assert not concept_mask(two_levels(), ASSIGNED, 2).any()


@pytest.mark.parametrize("fill", FILLS)
def test_logits_by_hand(fill):
    clip, model = noise(), colour_model()
    before = clip.frames.copy()
    base = base_clip(clip.frames, fill, np.array([51, 102, 153], np.uint8))
    got = HideConcepts(fill=fill)(model, clip, two_levels(), ASSIGNED, 4)
    assert repr(got) == "Effects(clips=1, concepts=4, classes=4)"
    np.testing.assert_allclose(got.base[0], logits(clip.frames), atol=1e-4)
    np.testing.assert_allclose(got.blank[0], logits(base), atol=1e-4)
    for k, mask in masks().items():
        np.testing.assert_allclose(got.hidden[0, k], logits(np.where(mask[..., None], base, clip.frames)), atol=1e-4)
        np.testing.assert_allclose(got.alone[0, k], logits(np.where(mask[..., None], clip.frames, base)), atol=1e-4)
        assert got.volume[0, k] == pytest.approx(mask.mean())
    for absent in (got.hidden, got.alone, got.control):
        assert np.isnan(absent[0, 2]).all()
        assert np.isfinite(absent[0, [0, 1, 3]]).all()
    assert got.volume[0, 2] == 0
    assert {getattr(got, name).dtype for name in ARRAYS} == {np.dtype(np.float32)}
    assert np.array_equal(clip.frames, before)


def test_with_the_mean_colour_hidden_and_alone_share_the_logit_out():
    got = HideConcepts(fill="mean")(colour_model(), noise(), two_levels(), ASSIGNED, 4)
    np.testing.assert_allclose(got.blank[0], BIAS, atol=1e-5)
    for k in masks():
        np.testing.assert_allclose(got.hidden[0, k] + got.alone[0, k], got.base[0] + got.blank[0], atol=1e-4)
    np.testing.assert_allclose(got.drop(1, "logit"), got.gain_alone(1, "logit"), atol=1e-4)


@pytest.mark.parametrize("controls", [1, 3])
def test_controls_hide_exactly_as_many_voxels(controls):
    """In a plain clip the network sees nothing but how much is hidden."""
    got = HideConcepts(fill="black", controls=controls)(
        colour_model(), plain((250, 120, 30)), two_levels(), ASSIGNED, 4
    )
    np.testing.assert_allclose(got.control, got.hidden, atol=1e-5)
    assert np.nanmin(np.abs(got.drop(0, "logit"))) > 0.1
    np.testing.assert_allclose(got.control_drop(0), got.drop(0), atol=1e-5)


def test_controls_are_averaged_over_draws_of_whole_supervoxels():
    clip, parts = noise(), two_levels()
    got = HideConcepts(fill="black", controls=4, seed=6)(colour_model(), clip, parts, ASSIGNED, 4, place=2)
    rng = np.random.default_rng((6, 2))
    for k, mask in masks().items():
        draws = [volume_matched(rng, parts, int(mask.sum())) for _ in range(4)]
        rows = [logits(np.where(draw[..., None], 0, clip.frames)) for draw in draws]
        assert np.ptp(rows, axis=0).max() > 1e-3
        np.testing.assert_allclose(got.control[0, k], np.mean(rows, axis=0), atol=1e-4)


def test_seed_and_place_change_the_controls_only():
    def run(seed, place):
        return HideConcepts(seed=seed)(colour_model(), noise(), two_levels(), ASSIGNED, 4, place=place)

    first = run(0, 0)
    for name in ARRAYS:
        assert getattr(run(0, 0), name).tobytes() == getattr(first, name).tobytes()
    for other in (run(1, 0), run(0, 1)):
        assert not np.allclose(other.control, first.control, equal_nan=True)
        assert other.hidden.tobytes() == first.hidden.tobytes()


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batches_do_not_change_the_result(batch_size):
    a, b = (HideConcepts()(conv_model(batch_size=n), noise(), two_levels(), ASSIGNED, 4) for n in (batch_size, 16))
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-6)


def test_forwards_are_as_many_as_said_and_pictures_are_not_piled_up():
    model, seen, made = conv_model(batch_size=3).settled(), [], []
    model.net.register_forward_pre_hook(lambda _, args: seen.append((len(args[0]), len(made))))
    HideConcepts(controls=2)(model, noise(), two_levels(), ASSIGNED, 4)
    assert sum(n for n, _ in seen) == 2 + 3 * (2 + 2)  # three concepts are there
    seen.clear()
    frames = np.stack([noise(i).frames for i in range(8)])

    def pictures():
        for picture in frames:
            made.append(1)
            yield picture

    got = logits_of(model, pictures())
    assert seen == [(3, 3), (3, 6), (2, 8)]
    np.testing.assert_allclose(got, model.logits(frames).numpy(), atol=1e-6)


@pytest.mark.parametrize("objective", ["logit", "log_probability", "log_odds"])
def test_drops_of_every_objective(objective):
    rng = np.random.default_rng(0)
    base, hidden, control, alone, blank = (
        rng.normal(size=s).astype(np.float32) * 3 for s in [(2, 4), (2, 3, 4), (2, 3, 4), (2, 3, 4), (2, 4)]
    )
    hidden[1, 0] = np.nan
    got = Effects(base, hidden, control, alone, blank, np.zeros((2, 3), np.float32))

    def value(z, y):
        z = z.astype(np.float64)
        others = np.delete(z, y, axis=-1)
        return {
            "logit": z[..., y],
            "log_probability": z[..., y] - logsumexp(z, axis=-1),
            "log_odds": z[..., y] - logsumexp(others, axis=-1),
        }[objective]

    for y in range(4):
        np.testing.assert_allclose(got.drop(y, objective), value(base, y)[:, None] - value(hidden, y), atol=1e-6)
        np.testing.assert_allclose(
            got.control_drop(y, objective), value(base, y)[:, None] - value(control, y), atol=1e-6
        )
        np.testing.assert_allclose(got.gain_alone(y, objective), value(alone, y) - value(blank, y)[:, None], atol=1e-6)
    assert np.isnan(got.drop(1, objective)[1, 0])
    assert np.isfinite(got.drop(1, objective)).sum() == 5


def test_joined_effects_keep_the_order_of_clips():
    parts = [HideConcepts()(colour_model(), noise(i), two_levels(), ASSIGNED, 4, place=i) for i in range(3)]
    whole = join_effects(parts)
    assert whole.hidden.shape == (3, 4, CLASSES)
    for i, part in enumerate(parts):
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(whole, name)[i], getattr(part, name)[0])


def test_a_clip_without_any_concept_has_no_effects():
    got = HideConcepts()(colour_model(), noise(), two_levels(), np.full(5, -1), 2)
    assert np.isnan(got.hidden).all()
    assert not got.volume.any()
    assert torch.isfinite(torch.from_numpy(got.base)).all()


@pytest.mark.parametrize(
    ("options", "named"), [({"fill": "white"}, "'white' and 1"), ({"controls": 0}, "'blur' and 0")]
)
def test_unknown_fills_and_no_controls_are_refused(options, named):
    with pytest.raises(
        DataError, match=f"a fill of mean, grey, black, blur, median and 1 control or more, got {named}; correct"
    ):
        HideConcepts(**options)


@pytest.mark.parametrize("wrong", ["base", "control", "alone", "blank", "volume"])
def test_effects_check_their_shapes(wrong):
    arrays = {
        "base": np.zeros((2, 4)),
        "hidden": np.zeros((2, 3, 4)),
        "control": np.zeros((2, 3, 4)),
        "alone": np.zeros((2, 3, 4)),
        "blank": np.zeros((2, 4)),
        "volume": np.zeros((2, 3)),
    }
    Effects(**arrays)
    with pytest.raises(DataError, match=r"expected base \[M,C\]"):
        Effects(**{**arrays, wrong: arrays[wrong][:1]})
