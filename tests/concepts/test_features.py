"""Features of supervoxels against a network on mean colour, Pillow's resize and windows listed by hand."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from known_nets import GRID, colour_model, conv_model, feature, noise, plain, two_levels
from voxplain.concepts.features import CROPS, MaskedCrops, box_crop, embed_clip
from voxplain.errors import DataError, VideoError
from voxplain.perturb import FILLS, base_clip
from voxplain.segment import Supervoxels
from voxplain.video import Clip


def brightening(count: int) -> Clip:
    """Each frame one grey level of its own, such that windows differ in their mean."""
    levels = np.random.default_rng(1).permutation(256)[:count].astype(np.uint8)
    return Clip.from_array(np.broadcast_to(levels[:, None, None, None], (count, 8, 8, 3)).copy())


@pytest.mark.parametrize(("fill", "colour"), [("mean", (51, 102, 153)), ("grey", 117), ("black", 0)])
def test_in_place_shows_the_segment_alone(fill, colour):
    clip, parts = noise(), two_levels()
    before = clip.frames.copy()
    rows = MaskedCrops(fill=fill, crop="in-place")(colour_model(), clip, parts)
    assert rows.shape == (5, 3)
    assert rows.dtype == np.float32
    for i, row in enumerate(rows):
        shown = np.empty_like(clip.frames)
        shown[:] = colour
        shown[parts.mask(i)] = clip.frames[parts.mask(i)]
        np.testing.assert_allclose(row, feature(shown), atol=1e-5)
    assert np.array_equal(clip.frames, before)


def test_the_mean_fill_adds_nothing_to_the_feature():
    clip, parts = noise(), two_levels()
    rows = MaskedCrops(crop="in-place")(colour_model(), clip, parts)
    np.testing.assert_allclose(rows[0] + rows[1], feature(clip.frames), atol=1e-5)  # two halves make the whole


@pytest.mark.parametrize("fill", FILLS)
def test_a_box_that_the_segment_fills_shows_no_fill(fill):
    clip, parts = plain((200, 30, 90)), two_levels()
    rows = MaskedCrops(fill=fill)(colour_model(), clip, parts, ids=np.array([2, 4]))
    expected = feature(clip.frames)
    if fill not in ("blur", "median"):  # those are the plain clip itself; no pixel of a fill lies in a quarter's box
        far = MaskedCrops(fill=fill, crop="in-place")(colour_model(), clip, parts, ids=np.array([2, 4]))
        assert np.abs(far - expected).max() > 0.5
    np.testing.assert_allclose(rows, np.broadcast_to(expected, (2, 3)), atol=1e-5)


def test_box_crop_agrees_with_pillow_and_keeps_one_box_for_all_frames():
    """The segment wanders, so its box is the union over frames; the last row and column belong to it."""
    clip = noise(3, size=12)
    label = np.full((4, 12, 12), -1)
    for t in range(4):
        label[t, 2 + t : 6 + t, 1 + 2 * t : 4 + 2 * t] = 0
    parts = Supervoxels.from_levels([label])
    shown = np.where(label[..., None] == 0, clip.frames, np.uint8(117))
    rows, columns = (np.flatnonzero((label == 0).any(axis)) for axis in ((0, 2), (0, 1)))
    cut = shown[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert cut.shape[1:3] == (7, 9)
    reference = np.stack([np.asarray(Image.fromarray(f).resize((8, 8), Image.Resampling.BICUBIC)) for f in cut])
    ours = torch.empty((4, 8, 8, 3), dtype=torch.uint8)
    box_crop(shown, parts.boxes[0], ours)
    ours = ours.numpy()
    assert np.abs(ours.astype(int) - reference).max() <= 1
    got = MaskedCrops(fill="grey")(colour_model(grid=(4, 8, 8)), clip, parts)
    np.testing.assert_allclose(got[0], feature(reference), atol=1 / 255 / 0.125)


@pytest.mark.parametrize(
    ("extent", "step", "starts"),
    [
        ((0, 1), 8, [0]),
        ((5, 6), 8, [3]),
        ((10, 11), 8, [7]),  # one window around a short segment, moved inside the clip
        ((8, 10), 8, [7]),
        ((2, 6), 8, [2]),
        ((2, 9), 8, [2, 5]),
        ((2, 9), 2, [2, 4, 5]),  # the last window ends with the segment
        ((2, 9), 1, [2, 3, 4, 5]),
        ((0, 11), 3, [0, 3, 6, 7]),
    ],
)
@pytest.mark.parametrize("crop", CROPS)
def test_windows_over_short_and_long_segments(extent, step, starts, crop):
    clip = brightening(11)
    label = np.full((11, 8, 8), -1)
    label[slice(*extent)] = 0
    parts = Supervoxels.from_levels([label])
    # Blurred plain frames are the frames: the whole window shows, so it matters which frames are in it.
    got = MaskedCrops(fill="blur", crop=crop, window_step=step)(colour_model(), clip, parts)
    expected = np.mean([feature(clip.frames[s : s + 4]) for s in starts], axis=0)
    np.testing.assert_allclose(got[0], expected, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_neither_batches_nor_the_choice_of_ids_change_a_feature(batch_size):
    clip = noise(2, frames=9)
    label = np.zeros((9, 8, 8), int)
    label[:, 4:] = 1
    label[6:] = 2
    label[0, 0, 0] = 3
    parts = Supervoxels.from_levels([label])
    whole = MaskedCrops(window_step=2)(conv_model(batch_size=16), clip, parts)
    assert np.abs(whole[:, None] - whole[None]).max(-1)[np.triu_indices(4, 1)].min() > 1e-3
    got = MaskedCrops(window_step=2)(conv_model(batch_size=batch_size), clip, parts, ids=np.array([3, 0, 2]))
    np.testing.assert_allclose(got, whole[[3, 0, 2]], atol=1e-6)


def test_no_supervoxels_give_no_rows_as_wide_as_others():
    empty = Supervoxels(np.full((1, *GRID), -1, np.int16))
    rows = MaskedCrops()(colour_model(), noise(), empty)
    assert rows.shape == (0, 3)
    assert rows.dtype == np.float32
    assert MaskedCrops()(colour_model(), noise(), two_levels(), ids=np.array([], int)).shape == (0, 3)


@pytest.mark.parametrize(("step", "starts"), [(8, [0, 7]), (3, [0, 3, 6, 7]), (1, list(range(8)))])
def test_whole_clips_are_averaged_over_windows(step, starts):
    clip = brightening(11)
    got = embed_clip(colour_model(), clip, window_step=step)
    assert got.shape == (3,)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.mean([feature(clip.frames[s : s + 4]) for s in starts], axis=0), atol=1e-5)
    short = brightening(4)
    np.testing.assert_allclose(embed_clip(colour_model(), short), feature(short.frames), atol=1e-5)


def test_the_network_is_left_as_it_was():
    model = conv_model()
    model.net.train()
    MaskedCrops()(model, noise(), two_levels())
    assert all(m.training for m in model.net.modules())
    assert not any(m._forward_hooks for m in model.net.modules())
    assert all(p.grad is None for p in model.net.parameters())
    assert torch.is_grad_enabled()


def test_clips_shorter_than_the_networks_are_refused():
    clip = noise(7, frames=3)
    parts = Supervoxels.from_levels([np.zeros((3, 8, 8), int)])
    for work in (lambda: MaskedCrops()(colour_model(), clip, parts), lambda: embed_clip(colour_model(), clip)):
        with pytest.raises(VideoError, match=r"at least 4 frames, got 3 of noise7\.mp4; read it with"):
            work()


@pytest.mark.parametrize(
    ("options", "named"), [({"fill": "gray"}, "'gray'"), ({"crop": "tube"}, "'tube'"), ({"window_step": 0}, "and 0")]
)
def test_unknown_names_are_refused_at_once(options, named):
    with pytest.raises(DataError, match=f"expected a fill of mean, grey, black, blur, .*{named}.*; correct them"):
        MaskedCrops(**options)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("crop", CROPS)
def test_every_crop_is_that_of_the_whole_clip_filled(crop, fill):
    """Also of long segments, and after others of the clip: what one shows must be gone when the next is made."""
    rng = np.random.default_rng(5)
    clip = Clip.from_array(rng.integers(0, 256, (11, 9, 7, 3), dtype=np.uint8))
    blocks = np.broadcast_to(np.arange(11)[:, None, None] // 3, (11, 9, 7))
    parts = Supervoxels.from_levels([rng.integers(-1, 3, (11, 9, 7)), blocks])
    model = colour_model(grid=(4, 8, 8))
    base = base_clip(clip.frames, fill, model.mean_colour)
    batches = MaskedCrops(fill=fill, crop=crop, window_step=3)._batches(model, clip, parts, np.arange(parts.count))
    made = [(i, one.clone()) for owners, crops in batches for i, one in zip(owners, crops, strict=True)]
    at = 0
    for i in range(parts.count):
        shown = np.where(parts.mask(i)[..., None], clip.frames, base)
        windows = torch.empty((8, 4, 8, 8, 3), dtype=torch.uint8)
        for t in range(8):
            CROPS[crop](shown[t : t + 4], parts.boxes[i], windows[t])
        while at < len(made) and made[at][0] == i:
            assert any(torch.equal(made[at][1], window) for window in windows)
            at += 1
    assert at == len(made) > parts.count


def fixed_point(pixels: np.ndarray, size: int) -> np.ndarray:
    """Pixels uint8 [n,C] resized to [size,C]: Pillow's bicubic in whole numbers, one sum written out a place."""
    n = len(pixels)
    scale = n / size
    wide = max(scale, 1.0)
    weights = np.zeros((size, n))
    for i in range(size):
        centre = scale * (i + 0.5)
        for j in range(max(int(centre - 2 * wide + 0.5), 0), min(int(centre + 2 * wide + 0.5), n)):
            x = abs((j - centre + 0.5) / wide)
            near, far = (1.5 * x - 2.5) * x * x + 1, ((x - 5) * x + 8) * x * -0.5 + 2
            weights[i, j] = near if x < 1 else far if x < 2 else 0
        weights[i] /= weights[i].sum()
    bits = next(p for p in range(22) if int(0.5 + weights.max() * 2 ** (p + 1)) >= 2**15)
    whole = np.trunc(weights * 2**bits + np.copysign(0.5, weights)).astype(np.int64)
    return np.clip((whole @ pixels.astype(np.int64) + 2 ** (bits - 1)) >> bits, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 40), (11, 8), (16, 16), (23, 31), (57, 5)])
def test_a_crop_has_the_bytes_of_whole_number_arithmetic(height, width):
    """So they are the same on every processor, and a stored feature stays valid."""
    frames = np.random.default_rng(height).integers(0, 256, (2, 60, 60, 3), dtype=np.uint8)
    frames[1] = (frames[1] > 127) * 255  # overshoots at both ends
    out = torch.empty((2, 16, 12, 3), dtype=torch.uint8)
    box_crop(frames, np.array([0, 2, 2, 2 + height, 1, 1 + width]), out)
    for frame, got in zip(frames[:, 2 : 2 + height, 1 : 1 + width], out.numpy(), strict=True):
        along = np.stack([fixed_point(row, 12) for row in frame])
        assert np.array_equal(got, np.stack([fixed_point(column, 16) for column in along.swapaxes(0, 1)], axis=1))


def test_frames_of_any_memory_order_give_the_same_crops():
    clip, parts, model = noise(4, frames=9, size=12), two_levels_of(9, 12), conv_model()
    expected = MaskedCrops()(model, clip, parts)
    mirrored = np.ascontiguousarray(clip.frames[:, :, ::-1])[:, :, ::-1]
    fixed = clip.frames.copy()
    fixed.setflags(write=False)
    for frames in (mirrored, np.asfortranarray(clip.frames), fixed):
        assert np.array_equal(MaskedCrops()(model, Clip.from_array(frames), parts), expected)


def two_levels_of(frames: int, size: int) -> Supervoxels:
    t, y, x = np.indices((frames, size, size))
    return Supervoxels.from_levels([t // 5, (y // 5) * 2 + x // 7])


def test_clips_embedded_side_by_side_have_the_features_of_clips_one_by_one():
    clips, parts = [noise(s, frames=6, size=24) for s in range(6)], two_levels_of(6, 24)
    models = [conv_model(batch_size=3) for _ in clips]  # hooks go onto the network, so each thread has its own
    expected = [MaskedCrops()(models[0], clip, parts) for clip in clips]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            got = list(pool.map(lambda model, clip: MaskedCrops()(model, clip, parts), models, clips))
            assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))
