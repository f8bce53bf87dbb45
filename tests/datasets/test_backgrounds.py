"""Backgrounds against pictures that are known pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from voxplain.datasets import VideoSet
from voxplain.datasets.backgrounds import OtherVideos, Pictures, behind, clean_background, filling
from voxplain.datasets.stripes import ClassStripes, Stripes, sinusoid
from voxplain.errors import DataError

RNG = np.random.default_rng


def scene(frames: int = 9, height: int = 20, width: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A person of 8×3 pixels that walks over a still picture of noise: frames, masks, and the picture."""
    picture = RNG(0).integers(0, 256, (height, width, 3), np.uint8)
    mask = np.zeros((frames, height, width), bool)
    for i in range(frames):
        mask[i, 6:14, 2 + 4 * i : 5 + 4 * i] = True
    return np.where(mask[..., None], np.uint8(7), picture), mask, picture


@pytest.mark.parametrize("rim", [0.0, 0.03])
def test_the_background_of_a_still_camera_is_found(rim):
    frames, mask, picture = scene()
    assert (frames[4] != picture).any(), "the middle frame shows the person"
    np.testing.assert_array_equal(clean_background(frames, mask, rim=rim), picture)


def test_the_rim_of_a_tight_mask_is_no_background():
    frames, mask, picture = scene()
    tight = mask & np.roll(mask, 1, 1)  # the topmost row of the person is missing in the mask
    assert (clean_background(frames, tight, rim=0.0) != picture).any()
    np.testing.assert_array_equal(clean_background(frames, tight, rim=0.03), picture)


def test_the_middle_frame_is_taken_where_the_person_is_not():
    frames, mask, _ = scene()
    frames = (frames // 2 + np.arange(9, dtype=np.uint8)[:, None, None, None]).astype(np.uint8)  # it gets lighter
    found = clean_background(frames, mask, rim=0.0)
    np.testing.assert_array_equal(found[~mask[4]], frames[4][~mask[4]])
    np.testing.assert_array_equal(found[mask[4]], frames[3][mask[4]])


def test_a_person_that_stands_still_is_filled_from_around():
    frames, mask = np.full((3, 10, 10, 3), 50, np.uint8), np.zeros((3, 10, 10), bool)
    mask[:, 2:8, 2:8] = True
    frames[mask] = 250
    assert (clean_background(frames, mask) == 50).all()
    with pytest.raises(DataError, match="not the person's"):
        clean_background(frames, np.ones_like(mask))
    with pytest.raises(DataError, match="expected a mask"):
        clean_background(frames, mask[:2])


def test_the_person_and_the_background_keep_every_bit():
    frames, mask, _ = scene()
    other = RNG(1).integers(0, 256, frames.shape[1:], np.uint8)
    composed = behind(frames, mask, other)
    assert composed.dtype == np.uint8
    np.testing.assert_array_equal(composed[mask], frames[mask])
    for i in range(len(frames)):
        np.testing.assert_array_equal(composed[i][~mask[i]], other[~mask[i]])


def test_stripes_change_along_one_direction_only():
    colors = ((0, 100, 200), (255, 100, 0))
    across = sinusoid(30, 60, angle=0.0, cycles=3.0, phase=0.0, colors=colors)
    assert (across == across[:1]).all(), "constant along the columns"
    np.testing.assert_allclose(
        across[0, :20].astype(int), across[0, 20:40], atol=1, err_msg="three over the longer side"
    )
    assert np.abs(across[0, :10].astype(int) - across[0, 10:20]).max() > 100
    assert across[..., 1].min() == across[..., 1].max() == 100
    assert across[..., 0].min() < 5
    assert across[..., 0].max() > 250
    down = sinusoid(60, 30, angle=np.pi / 2, cycles=3.0, phase=0.0, colors=colors)
    np.testing.assert_allclose(down.astype(int), across.swapaxes(0, 1), atol=1)


def test_stripes_are_drawn_by_the_generator_alone():
    first, again, other = (Stripes()("any", RNG(seed)).picture(12, 16) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_stripes_of_a_class_differ_in_phase_only_and_those_of_classes_in_colour():
    classes = tuple(f"class {k}" for k in range(6))
    stripes = ClassStripes(classes)
    one, two = (stripes("class 2", RNG(seed)).picture(40, 60) for seed in (0, 1))
    assert (one != two).any()
    extremes = []
    for label in classes:
        shown = stripes(label, RNG(0)).picture(60, 80).reshape(-1, 3).astype(int)
        extremes.append(np.r_[shown.min(0), shown.max(0)])
    np.testing.assert_allclose(np.r_[one.min((0, 1)), one.max((0, 1))], extremes[2], atol=6)
    gaps = [np.abs(a - b).max() for i, a in enumerate(extremes) for b in extremes[:i]]
    assert min(gaps) > 20, "no two classes have the same colours"


def test_pictures_of_a_folder_fill_the_frame(tmp_path: Path):
    (tmp_path / "inner").mkdir()
    picture = RNG(0).integers(0, 256, (20, 60, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "inner/a.png")
    (tmp_path / ".hidden.png").touch()
    (tmp_path / "notes.txt").touch()
    drawn = Pictures.below(tmp_path)("any", RNG(0))
    assert drawn.name == "a.png"
    np.testing.assert_array_equal(drawn.picture(20, 40), picture[:, 10:50])
    assert drawn.picture(40, 40).shape == (40, 40, 3)
    with pytest.raises(DataError, match="got none"):
        Pictures.below(tmp_path / "nothing")


@pytest.mark.parametrize("size", [(13, 50), (50, 13), (7, 7), (20, 30)])
def test_filling_has_the_size_that_is_asked(size):
    assert filling(np.zeros((20, 30, 3), np.uint8), *size).shape == (*size, 3)


def test_other_videos_are_of_other_classes(tmp_path: Path):
    frames, mask, picture = scene()
    paths = []
    for label in ("walk", "run", "wave"):
        (tmp_path / label).mkdir()
        paths.append(tmp_path / label / "1.npy")
        np.save(paths[-1], frames)
    videos = VideoSet(("run", "walk", "wave"), tuple(paths), np.array([1, 0, 2]))
    others = OtherVideos(videos, lambda video, label: mask)
    names = {others("run", RNG(seed)).name for seed in range(20)}
    assert names == {"walk/1.npy", "wave/1.npy"}
    np.testing.assert_array_equal(others("run", RNG(0)).picture(20, 40), picture)
    with pytest.raises(DataError, match="of other classes than “run”"):
        OtherVideos(videos.of_class("run"), lambda video, label: mask)("run", RNG(0))
