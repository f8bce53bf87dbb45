"""Geometry against Pillow and plain indexing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from voxplain.errors import DataError
from voxplain.video import Geometry


def _noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("size", [(240, 320), (60, 80), (128, 171), (333, 57)])
def test_the_papers_geometry_is_pillows_resize_and_a_centre_crop(size: tuple[int, int]) -> None:
    frames = _noise(3, *size, 3)
    expected = [
        np.asarray(Image.fromarray(f).resize((171, 128), Image.Resampling.BILINEAR))[8:120, 29:141] for f in frames
    ]
    assert (Geometry()(frames) == np.stack(expected)).all()


def test_shrinking_is_antialiased() -> None:
    """A one-pixel chequerboard has no detail left at half size: 127 or 128 everywhere, not stripes."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    small = Geometry((32, 32), (16, 16))(np.repeat(board[None, ..., None], 3, 3))
    assert np.abs(small.astype(int) - 127.5).max() <= 1


def test_squash_keeps_the_whole_frame() -> None:
    frames = _noise(2, 30, 50, 3)
    geometry = Geometry.squash(112, 112)
    assert geometry == Geometry((112, 112), (112, 112))
    expected = np.asarray(Image.fromarray(frames[1]).resize((112, 112), Image.Resampling.BILINEAR))
    assert (geometry(frames)[1] == expected).all()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_corner_and_flip_are_plain_indexing(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    h, w = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    top, left = data.draw(st.integers(0, height - h)), data.draw(st.integers(0, width - w))
    frames = _noise(2, height, width, 3)
    geometry = Geometry((height, width), (h, w))
    part = frames[:, top : top + h, left : left + w]
    assert (geometry(frames, corner=(top, left)) == part).all()
    flipped = geometry(frames, corner=(top, left), flip=True)
    assert (flipped == part[:, :, ::-1]).all()
    assert flipped.flags.c_contiguous
    assert (geometry(frames) == geometry(frames, corner=((height - h) // 2, (width - w) // 2))).all()


def test_random_corners_fit_and_reach_every_place() -> None:
    geometry = Geometry((6, 5), (4, 4))
    rng = np.random.default_rng(0)
    assert {geometry.random_corner(rng) for _ in range(200)} == {(y, x) for y in range(3) for x in range(2)}
    first, second = (geometry.random_corner(np.random.default_rng(7)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("resize", "crop", "word"),
    [
        ((100, 100), (112, 112), "larger"),
        ((0, 5), (1, 1), "resize"),
        ((5, 5), (-1, 2), "crop"),
        ((5.5, 5), (1, 1), "resize"),
        ((5,), (1, 1), "resize"),
    ],
)
def test_bad_sizes(resize: tuple, crop: tuple, word: str) -> None:
    with pytest.raises(DataError, match=word):
        Geometry(resize, crop)


@pytest.mark.parametrize("corner", [(-1, 0), (0, 60), (17, 0)])
def test_a_corner_outside(corner: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="outside"):
        Geometry()(_noise(1, 128, 171, 3), corner=corner)
