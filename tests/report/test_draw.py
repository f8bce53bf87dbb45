from dataclasses import replace

import numpy as np
import pytest

from report_runs import GRID, make_run
from voxplain.errors import DataError
from voxplain.report.draw import GAP, choose_examples, enlarge, highlight, montage, scale_of, stacked

LINES = {(0, 0, 0), (255, 225, 0)}


def dimmed(frame):
    """Independent dimming: a quarter of BT.601 luma in all channels."""
    luma = 0.299 * frame[..., 0] + 0.587 * frame[..., 1] + 0.114 * frame[..., 2]
    return np.repeat(np.rint(luma / 4)[..., None], 3, axis=-1)


def test_highlight_keeps_exactly_the_mask():
    rng = np.random.default_rng(0)
    frames = rng.integers(1, 255, (3, 9, 11, 3), dtype=np.uint8)
    mask = rng.random((3, 9, 11)) < 0.2
    shown = highlight(frames, mask)
    assert np.array_equal(shown[mask], frames[mask])
    grey = dimmed(frames)
    for t, y, x in np.argwhere(~mask):
        pixel = tuple(shown[t, y, x])
        near = mask[t, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].any()
        far = not mask[t, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].any()
        assert pixel == (255, 225, 0) if near else pixel in LINES or far
        assert not far or np.abs(np.array(pixel) - grey[t, y, x]).max() <= 1


def test_an_empty_mask_dims_all_and_a_full_one_nothing():
    frames = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    assert np.array_equal(highlight(frames, np.ones((2, 4, 5), bool)), frames)
    assert np.abs(highlight(frames, np.zeros((2, 4, 5), bool)) - dimmed(frames)).max() <= 1


def test_highlight_refuses_another_grid():
    with pytest.raises(DataError, match="one grid"):
        highlight(np.zeros((2, 4, 5, 3), np.uint8), np.ones((2, 5, 4), bool))


def test_different_videos_come_first_then_nearest():
    run = make_run()
    # Concept 1 has members of clips 0, 0, 0, 1, 2, 1, nearest first.
    chosen = choose_examples(run, 1)
    assert [e.place for e in chosen] == [0, 3, 4, 1, 5, 2]
    assert [e.clip for e in chosen] == [0, 1, 2, 0, 1, 0]
    assert [e.place for e in choose_examples(run, 1, 2)] == [0, 3]
    assert len(choose_examples(run, 2)) == 1


def test_the_frame_shown_has_the_largest_mask():
    run = make_run()
    for example in choose_examples(run, 1):
        area = run.member(1, example.place)[1].sum((1, 2))
        assert area[example.frame] == area.max()
        assert example.seconds == run.clips[example.clip].seconds[example.frame]
    # All frames of a half are equally full: the middle one is shown.
    assert {e.frame for e in choose_examples(run, 0)} == {GRID[0] // 2}


@pytest.mark.parametrize(("concept", "count"), [(3, 8), (-1, 8), (0, 0)])
def test_unknown_concepts_are_refused(concept, count):
    with pytest.raises(DataError, match="expected a concept from 0 to 2"):
        choose_examples(make_run(), concept, count)


def test_montage_shows_mask_above_and_raw_frame_below():
    run = make_run()
    sheet = montage(run, 1)
    factor = scale_of(*GRID[1:])
    height, width = GRID[1] * factor, GRID[2] * factor
    assert sheet.dtype == np.uint8
    assert sheet.shape == (2 * height + GAP, 6 * (width + GAP) - GAP, 3)
    for i, example in enumerate(choose_examples(run, 1)):
        clip, mask = run.member(1, example.place)
        frame = np.kron(clip.frames[example.frame], np.ones((factor, factor, 1), np.uint8))
        inside = np.kron(mask[example.frame], np.ones((factor, factor), bool))
        x = i * (width + GAP)
        upper, lower = sheet[:height, x : x + width], sheet[height + GAP :, x : x + width]
        assert np.array_equal(lower, frame)
        assert np.array_equal(upper[inside], frame[inside])
        coloured = (np.ptp(upper.astype(int), axis=-1) > 0) & (upper != (255, 225, 0)).any(-1)
        assert not (coloured & ~inside).any()
        assert (sheet[:, x + width : x + width + GAP] == 255).all()
    assert (sheet[height : height + GAP] == 255).all()


def test_montage_is_as_wide_as_there_are_members():
    run = make_run()
    factor = scale_of(*GRID[1:])
    assert montage(run, 2).shape[1] == GRID[2] * factor
    assert montage(run, 1, examples=2).shape[1] == 2 * GRID[2] * factor + GAP


@pytest.mark.parametrize(("side", "factor"), [(16, 10), (64, 2), (80, 2), (112, 1), (224, 1), (1000, 1)])
def test_scale(side, factor):
    assert scale_of(side, side // 2) == factor


def test_moving_members_show_the_segment_of_long_clips():
    run = make_run()
    example = choose_examples(run, 1)[0]
    whole, still = stacked(run, 1, example)
    assert len(whole) == GRID[0]
    assert still == example.frame
    example = replace(choose_examples(run, 0)[0], frame=2)
    part, still = stacked(run, 0, example, longest=3)
    assert still == 1
    clip, mask = run.member(0, example.place)
    factor = scale_of(*GRID[1:])
    upper, lower = np.split(part, 2, axis=1)
    assert np.array_equal(upper, highlight(clip.frames[1:4], mask[1:4], factor=factor))
    assert np.array_equal(lower, enlarge(clip.frames[1:4], factor))
