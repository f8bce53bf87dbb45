"""Geometries that keep the aspect ratio, against Pillow's resize and a square whose place is known."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from voxplain.datasets.ground_truth import grid_mask
from voxplain.errors import DataError
from voxplain.video import ClipReader, Dense, Geometry, LongSide, Middle, OwnGeometry, ShortSide, Uniform, read_video

TALL, WIDE = (60, 36), (36, 60)


def square(height: int, width: int) -> np.ndarray:
    """Two frames with a bright square around row 20, column 26."""
    frames = np.zeros((2, height, width, 3), np.uint8)
    frames[:, 16:24, 22:30] = 255
    return frames


def saved(folder: Path, frames: np.ndarray) -> Path:
    np.save(folder / "v.npy", frames)
    return folder / "v.npy"


def centre(values: np.ndarray) -> tuple[float, float]:
    mass = values / values.sum()
    return float((mass.sum(1) * np.arange(len(mass))).sum()), float((mass.sum(0) * np.arange(mass.shape[1])).sum())


@pytest.mark.parametrize(("height", "width"), [TALL, WIDE])
def test_the_short_side_then_the_centre(height: int, width: int, tmp_path: Path) -> None:
    geometry = ShortSide(24, (20, 22))
    video = saved(tmp_path, square(height, width))
    found = ClipReader(Middle(2), geometry)(video).frames[0]
    size = (24, 40) if height < width else (40, 24)
    plain = Image.fromarray(square(height, width)[0]).resize(size[::-1], Image.Resampling.BILINEAR)
    top, left = (size[0] - 20) // 2, (size[1] - 22) // 2
    assert (found == np.asarray(plain)[top : top + 20, left : left + 22]).all()


@pytest.mark.parametrize(("height", "width"), [TALL, WIDE])
def test_the_long_side_is_padded(height: int, width: int, tmp_path: Path) -> None:
    geometry = LongSide((30, 30), fill=7)
    video = saved(tmp_path, square(height, width))
    found = ClipReader(Middle(2), geometry)(video).frames[0]
    size = (18, 30) if height < width else (30, 18)
    plain = np.asarray(Image.fromarray(square(height, width)[0]).resize(size[::-1], Image.Resampling.BILINEAR))
    inside = (slice(6, 24), slice(None)) if height < width else (slice(None), slice(6, 24))
    assert (found[inside] == plain).all()
    found[inside] = 7
    assert (found == 7).all()


GEOMETRIES = [Geometry((30, 40), (24, 28)), ShortSide(30, (28, 26)), LongSide((30, 28), fill=200)]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(("height", "width"), [TALL, WIDE])
def test_maps_and_masks_follow_the_frames(
    geometry: Geometry | ShortSide | LongSide, height: int, width: int, tmp_path: Path
) -> None:
    video = saved(tmp_path, square(height, width))
    reader = ClipReader(Middle(2), geometry)
    seen = reader(video).frames
    mask = grid_mask(square(height, width)[..., 0] > 0, reader)
    assert (mask == (seen[..., 0] > 127))[mask].all()
    assert mask.sum() == ((seen[..., 0] > 127) & (seen[..., 0] != 200)).sum()
    back = geometry.to_original(mask.astype(np.float32), height, width)
    assert back.shape == (2, height, width)
    assert np.abs(np.subtract(centre(back[0]), (19.5, 25.5))).max() < 1
    whole = geometry.to_original(np.ones((1, *geometry.crop), np.float32), height, width)
    assert whole[0, height // 2, width // 2] == pytest.approx(1, abs=1e-5)
    if isinstance(geometry, LongSide):
        assert whole.min() == pytest.approx(1, abs=1e-5), "the whole frame is seen"


def test_a_crop_larger_than_the_side_is_filled() -> None:
    assert ShortSide(10, (20, 20)).resized(30, 60) == (20, 40)
    assert ShortSide(256, (224, 224)).resized(480, 640) == (256, 341)  # 341.3, rounded down as in torchvision


def test_a_function_of_ones_own() -> None:
    geometry = OwnGeometry(lambda frames: frames[:, ::2, ::3], (18, 20))
    frames = square(*WIDE)
    assert (geometry.crop_frames(frames) == frames[:, ::2, ::3]).all()
    assert (geometry.crop_frames(frames, flip=True) == frames[:, ::2, ::3][:, :, ::-1]).all()
    with pytest.raises(DataError, match=r"expected uint8 \(2, 18, 20, 3\) from the geometry's function"):
        geometry.crop_frames(square(*TALL))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ShortSide(0),
        lambda: ShortSide(8, (0, 4)),
        lambda: LongSide((4, 4), fill=256),
        lambda: ClipReader(geometry=LongSide(), random_crop=True),
        lambda: Dense(clips=0),
    ],
)
def test_wrong_values(make: object) -> None:
    with pytest.raises(DataError):
        make()  # type: ignore[operator]


def test_dense_clips_spread_over_the_video(tmp_path: Path) -> None:
    assert Dense(2, 3, clips=3)(12).tolist() == [[0, 3], [4, 7], [8, 11]]
    assert Dense(4, clips=1)(10).tolist() == Middle(4)(10).tolist()
    assert Dense(4, clips=10)(5).tolist() == [[0, 1, 2, 3], [1, 2, 3, 4]]
    frames = np.arange(12, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2).repeat(3, 3)
    np.save(tmp_path / "v.npy", frames)
    reader = ClipReader(Dense(2, 3, clips=3), Geometry.squash(8, 8))
    assert reader(tmp_path / "v.npy").frames[:, 0, 0, 0].tolist() == [4, 7]
    assert [c.frames[:, 0, 0, 0].tolist() for c in reader.windows(tmp_path / "v.npy")] == [[0, 3], [4, 7], [8, 11]]
    assert len(read_video(tmp_path / "v.npy")) == 12
    assert Uniform(3)(12).tolist() == [[2, 6, 10]]
