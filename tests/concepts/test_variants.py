"""Clips modified inside a mask, against a square whose path, colour and place are known."""

import numpy as np
import pytest

from known_nets import conv_model, noise, two_levels
from voxplain.concepts.effect import HideConcepts, concept_mask
from voxplain.concepts.variants import KINDS, freeze, move, shuffle, variant_logits, with_rim
from voxplain.errors import DataError
from voxplain.segment import volume_matched

T, SIZE, SIDE = 6, 40, 4
BASE = np.full((T, SIZE, SIZE, 3), 9, np.uint8)


def walking() -> tuple[np.ndarray, np.ndarray]:
    """A square that walks to the right, of another colour in each frame: frames and its mask."""
    frames = np.random.default_rng(0).integers(100, 200, (T, SIZE, SIZE, 3)).astype(np.uint8)
    mask = np.zeros((T, SIZE, SIZE), bool)
    for t in range(T):
        mask[t, 10 : 10 + SIDE, 5 * t : 5 * t + SIDE] = True
        frames[t][mask[t]] = 10 * t
    return frames, mask


def test_a_frozen_square_is_that_of_the_middle_frame_in_its_place():
    frames, mask = walking()
    got = freeze(frames, mask, BASE)
    still = mask[T // 2]
    for t in range(T):
        assert (got[t][still] == 10 * (T // 2)).all()
        left = mask[t] & ~still
        assert (got[t][left] == 9).all()
        elsewhere = ~mask[t] & ~still
        np.testing.assert_array_equal(got[t][elsewhere], frames[t][elsewhere])


def test_freezing_takes_a_frame_in_which_the_thing_is_whole():
    frames, mask = walking()
    mask[2:5] = False  # hidden in the middle of the clip
    assert (freeze(frames, mask, BASE)[0][mask[1]] == 10).all()  # of frames 1 and 5 the nearer one
    nothing = np.zeros_like(mask)
    np.testing.assert_array_equal(freeze(frames, nothing, BASE), frames)


def test_shuffled_frames_are_the_same_pieces_in_another_order():
    frames, mask = walking()
    got = shuffle(frames, mask, BASE, np.random.default_rng(4))
    order = np.random.default_rng(4).permutation(T)
    assert sorted(order) == list(range(T))
    assert (order != np.arange(T)).any()
    for t, source in enumerate(order):
        assert (got[t][mask[source]] == 10 * source).all()
        assert (got[t][mask[t] & ~mask[source]] == 9).all()


def test_a_moved_square_is_whole_and_far_away():
    frames, mask = walking()
    mask[:, :, 20:] = False  # stays on the left
    got = move(frames, mask, BASE)
    was, now = np.argwhere(mask[1]), np.argwhere((got[1] == 10).all(-1))
    offset = now[0] - was[0]
    np.testing.assert_array_equal(now - was, np.broadcast_to(offset, was.shape))
    assert np.abs(offset).max() >= 0.3 * SIZE
    assert (got[1][mask[1] & ~(got[1] == 10).all(-1)] == 9).all()
    for t in range(T):
        assert (got[t] == 10 * t).all(-1).sum() >= mask[t].sum()


def test_hidden_alone_and_control_are_those_of_one_fill_at_a_time():
    model, clip, parts, assigned = conv_model(), noise(), two_levels(), np.array([0, 3, 0, 1, -1])
    variants = [("hidden", ()), ("alone", ()), ("hidden", (1,)), ("alone", (1,)), ("hidden", (1, 3)), ("control", (1,))]
    got = variant_logits(model, clip, parts, assigned, variants, fills=("blur", "black"), seed=2, place=5)
    assert got.shape == (2, len(variants), 4)
    assert got.dtype == np.float32
    for rows, fill in zip(got, ("blur", "black"), strict=True):
        one = HideConcepts(fill=fill)(model, clip, parts, assigned, 4)
        for row, truth in ((0, one.base), (1, one.blank), (3, one.alone[:, 1])):
            np.testing.assert_allclose(rows[row], truth[0], atol=1e-6)
    kind = list(KINDS).index("control")
    region = volume_matched(np.random.default_rng((2, 5, kind, 1)), parts, int(concept_mask(parts, assigned, 1).sum()))
    joint = concept_mask(parts, assigned, 1) | concept_mask(parts, assigned, 3)
    for row, mask in ((2, concept_mask(parts, assigned, 1)), (4, joint), (5, region)):
        black = model.logits(np.where(one_more(mask)[..., None], 0, clip.frames)[None]).numpy()[0]
        np.testing.assert_allclose(got[1, row], black, atol=1e-6)


def one_more(mask: np.ndarray) -> np.ndarray:
    """The voxels with one of the mask's among them or their eight neighbours in the frame."""
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    height, width = mask.shape[1:]
    return np.any([padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)


def test_a_rim_is_one_voxel_wide_and_lies_in_the_frames_of_the_mask():
    mask = np.random.default_rng(1).random((5, 9, 7)) < 0.05
    mask[2] = False
    np.testing.assert_array_equal(with_rim(mask), one_more(mask))
    assert not with_rim(mask)[2].any()


def test_a_variant_does_not_depend_on_what_is_measured_beside_it():
    def rows(variants):
        return variant_logits(
            conv_model(), noise(), two_levels(), np.array([0, 3, 0, 1, -1]), variants, fills=("mean",), seed=0, place=1
        )[0]

    both = rows([("control", (0,)), ("shuffled", (1,))])
    for i, variant in enumerate([("control", (0,)), ("shuffled", (1,))]):
        np.testing.assert_allclose(rows([variant])[0], both[i], atol=1e-6)


def test_unknown_kinds_are_refused():
    with pytest.raises(DataError, match=r"expected kinds of hidden, .*, got painted; correct them"):
        variant_logits(
            conv_model(), noise(), two_levels(), np.zeros(5, int), [("painted", (0,))], fills=("mean",), seed=0, place=0
        )
