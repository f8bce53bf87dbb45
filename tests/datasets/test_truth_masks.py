"""Masks of the truth on the network's grid: those of the scenes, and the same frames and crop as the clip's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layouts import real
from PIL import Image

from voxplain.datasets.ground_truth import TRUTHS, file_mask, grid_mask, truth_mask
from voxplain.datasets.planted import PlantedDesign, masks, read_planted, write_planted
from voxplain.errors import DataError
from voxplain.video import ClipReader, Geometry, Middle
from voxplain.video.encode import write_video

WHOLE = ClipReader(Middle(16), Geometry.squash(64, 64))
# Odd frames of the middle, another size, a crop that is not in the centre of the resized picture's pixels.
ODD = ClipReader(Middle(6, stride=3), Geometry((50, 90), (40, 56)))


def square(frames: int = 30, height: int = 72, width: int = 96) -> np.ndarray:
    """A bright square that crosses a dark picture, uint8 [F,H,W,3]."""
    picture = np.full((frames, height, width, 3), 16, np.uint8)
    for i in range(frames):
        picture[i, 10 + i : 40 + i, 2 * i + 4 : 2 * i + 34] = 235
    return picture


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("truth") / "planted"
    write_planted(root, design=PlantedDesign(), train=1, test=1, unrelated=0, seed=5)
    return root


@pytest.mark.parametrize("reader", [WHOLE, ODD, ClipReader(Middle(40), Geometry.squash(48, 64))])
def test_a_mask_sees_what_the_reader_sees(tmp_path, reader):
    frames = square()
    write_video(tmp_path / "v.mp4", frames, fps=25)
    clip = reader(tmp_path / "v.mp4")
    found = grid_mask(frames[..., 0] > 127, reader)
    seen = clip.frames.mean(-1) > 126  # halfway from dark to bright
    assert found.dtype == bool
    assert found.shape == clip.frames.shape[:3] == seen.shape
    assert 0.02 < found.mean() < 0.5
    # Only pixels on the square's edge may differ, where the codec decides.
    assert (found & seen).sum() / (found | seen).sum() > 0.95
    for wrong in (np.roll(found, 1, axis=0), np.roll(found, 3, axis=1), np.roll(found, 3, axis=2)):
        assert (wrong & seen).sum() / (wrong | seen).sum() < 0.95, "a shift would be seen"


def test_on_the_videos_own_grid_nothing_changes():
    mask = np.random.default_rng(0).random((16, 64, 64)) > 0.5
    np.testing.assert_array_equal(grid_mask(mask, WHOLE), mask)
    np.testing.assert_array_equal(grid_mask(mask[:4], replace(WHOLE, sampler=Middle(8)))[4:], mask[:4])


def test_half_a_pixel_counts():
    mask = np.zeros((1, 4, 4), bool)
    mask[0, :2, :2] = True
    mask[0, 0, 2:] = True
    reader = ClipReader(Middle(1), Geometry.squash(2, 2))
    levels = Geometry.squash(2, 2)(np.repeat((255 * mask.astype(np.uint8))[..., None], 3, -1))[..., 0]
    found = grid_mask(mask, reader)
    assert found[0, 0, 0]
    assert not found[0, 1, 1]
    np.testing.assert_array_equal(found, levels > 127)


def test_planted_masks_are_those_of_the_scene(planted):
    known = read_planted(planted)
    for name, scene in known.scenes.items():
        part, label, _ = name.split("/")
        if label == "nothing":
            with pytest.raises(DataError, match="leave the class out"):
                truth_mask("planted", planted, planted / name, label, WHOLE)
            continue
        found = truth_mask("planted", planted, planted / name, label, WHOLE)
        np.testing.assert_array_equal(found, masks(scene)["target"])
        assert found.any()
        stored = np.load((planted / "masks" / part / label / Path(name).name).with_suffix(".npz"))["target"]
        np.testing.assert_array_equal(found, stored)


def test_a_planted_object_is_where_the_clip_is_bright_and_coloured(planted):
    """The mask against the pixels: the object is a plain bright colour, the background grey."""
    video = planted / "test/cross/0000.mp4"
    clip = WHOLE(video)
    found = truth_mask("planted", planted, video, "cross", WHOLE)
    coloured = np.ptp(clip.frames.astype(int), axis=-1)
    assert coloured[found].mean() > 3 * coloured[~found].mean()


def test_videos_of_another_set_are_refused(planted, tmp_path):
    with pytest.raises(DataError, match="a video of the planted set"):
        truth_mask("planted", planted, tmp_path / "other.mp4", "cross", WHOLE)
    with pytest.raises(DataError, match=r"manifest\.json"):
        truth_mask("planted", tmp_path, tmp_path / "cross/0.mp4", "cross", WHOLE)
    with pytest.raises(DataError, match="a truth of planted, jhmdb, silhouette, got 'boxes'"):
        truth_mask("boxes", planted, planted / "test/cross/0000.mp4", "cross", WHOLE)


def test_jhmdb_masks_by_the_clips_name(tmp_path):
    frames = square()
    video = tmp_path / "videos/catch/one.mp4"
    write_video_at(video, frames)
    with pytest.raises(DataError, match="expected a mask of"):
        truth_mask("jhmdb", tmp_path, video, "catch", ODD)
    (tmp_path / "masks/catch").mkdir(parents=True)
    np.savez_compressed(tmp_path / "masks/catch/one.npz", mask=frames[..., 0] > 127)
    found = truth_mask("jhmdb", tmp_path, video, "catch", ODD)
    np.testing.assert_array_equal(found, grid_mask(frames[..., 0] > 127, ODD))


def test_the_silhouette_is_all_that_is_not_black(tmp_path):
    frames = np.where(square() > 127, 200, 0).astype(np.uint8)
    write_video_at(tmp_path / "depth.mp4", frames)
    found = truth_mask("silhouette", tmp_path, tmp_path / "depth.mp4", "any", ODD)
    wanted = grid_mask(frames[..., 0] > 0, ODD)
    assert (found & wanted).sum() / (found | wanted).sum() > 0.95


def test_every_truth_is_named_in_the_refusal():
    assert set(TRUTHS) == {"planted", "jhmdb", "silhouette"}


@pytest.mark.parametrize("name", ["catch", "golf", "wave"])
def test_real_jhmdb_masks_lie_on_persons(name):
    root = real("jhmdb")
    video = sorted((root / "videos" / name).iterdir())[0]
    reader = ClipReader(Middle(16), Geometry.squash(112, 112))
    found = truth_mask("jhmdb", root, video, name, reader)
    assert found.shape == (16, 112, 112)
    assert 0.005 < found.mean() < 0.6
    whole = np.load(root / "masks" / name / f"{video.stem}.npz")["mask"] > 0
    assert found.mean() == pytest.approx(whole[reader.sampler(len(whole), None)[0]].mean(), abs=0.01)


def test_real_depth_silhouettes_are_one_person():
    root = real("utd_mhad_depth")
    video = sorted(next(d for d in sorted(root.iterdir()) if d.is_dir()).iterdir())[0]
    reader = ClipReader(Middle(16), Geometry.squash(112, 112))
    found = truth_mask("silhouette", root, video, "any", reader)
    dark = reader(video).frames.max(-1)
    assert 0.02 < found.mean() < 0.5
    assert dark[~found].mean() < 10 < 40 < dark[found].mean()


def write_video_at(path: Path, frames: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames, fps=25)


@pytest.mark.parametrize("kind", ["npy", "npz", "pictures"])
def test_a_mask_is_read_from_a_file_of_the_videos_name(kind: str, tmp_path: Path) -> None:
    video = tmp_path / "a.b.npy"
    np.save(video, np.zeros((3, 8, 6, 3), np.uint8))
    mask = np.random.default_rng(0).random((3, 8, 6)) < 0.3
    folder = tmp_path / "masks"
    folder.mkdir()
    if kind == "npy":
        np.save(folder / "a.b.npy", mask)
    elif kind == "npz":
        np.savez(folder / "a.b.npz", mask.astype(np.uint8) * 3)
    else:
        (folder / "a.b").mkdir()
        for i, frame in enumerate(mask):
            Image.fromarray(frame.astype(np.uint8) * 255).save(folder / "a.b" / f"{i}.png")
    got = file_mask(folder, video)
    assert got.dtype == bool
    np.testing.assert_array_equal(got, mask)


def test_a_mask_that_is_not_the_videos_is_refused(tmp_path: Path) -> None:
    video, folder = tmp_path / "a.npy", tmp_path / "masks"
    np.save(video, np.zeros((3, 8, 6, 3), np.uint8))
    folder.mkdir()
    with pytest.raises(DataError, match=r"expected one mask a\.npy, a\.npz or folder a of pictures .*, got 0"):
        file_mask(folder, video)
    np.save(folder / "a.npy", np.ones((3, 6, 8), bool))
    with pytest.raises(DataError, match=r"expected a mask \(3, 8, 6\) as .*, got \(3, 6, 8\)"):
        file_mask(folder, video)
    np.savez(folder / "a.npz", one=np.ones((3, 8, 6)))
    with pytest.raises(DataError, match=r"got 2; give one a video"):
        file_mask(folder, video)
    (folder / "a.npy").unlink()
    np.savez(folder / "a.npz", one=np.ones((3, 8, 6)), two=np.ones(2))
    with pytest.raises(DataError, match=r"expected an array \[F,H,W\] in .*, got: 2 arrays"):
        file_mask(folder, video)
