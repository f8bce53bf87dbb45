"""The record of a map: an array that can be drawn, saved and loaded."""

import io

import numpy as np
import pytest
from every_net import GRID, clips_for, small_model
from PIL import Image

from voxplain.attribution import ATTRIBUTIONS, Attribution, GradCAM
from voxplain.attribution.overlay import overlay
from voxplain.errors import DataError
from voxplain.video import Clip, read_video


@pytest.fixture(scope="module")
def heat() -> Attribution:
    return GradCAM()(small_model("plain"), clips_for(GRID)[0], "wave")


def test_it_is_an_array(heat):
    assert np.asarray(heat) is heat.values
    assert np.asarray(heat, np.float64).dtype == np.float64
    copied = np.array(heat)
    assert copied is not heat.values
    np.testing.assert_array_equal(copied, heat.values)
    assert heat.shape == GRID
    assert (heat.max(), heat.min()) == (heat.values.max(), heat.values.min())
    assert heat.mean() == pytest.approx(heat.values.mean())
    np.testing.assert_array_equal(np.maximum(heat, 0), np.maximum(heat.values, 0))
    assert repr(heat) == "Attribution(grad_cam, target=2, 8×16×24)"


def test_it_knows_its_clip(heat):
    clip = clips_for(GRID)[0]
    np.testing.assert_array_equal(heat.clip.frames, clip.frames)
    np.testing.assert_array_equal(heat.overlay(), overlay(clip.frames, heat.values))
    with pytest.raises(DataError, match="a clip on the map's grid"):
        Attribution(heat.values, 0, "mine", clip=Clip.from_array(clip.frames[:4]))


def test_video_and_pictures_show_the_overlay(heat, tmp_path):
    drawn = heat.overlay()
    video = read_video(heat.save(tmp_path / "heat.mp4")).frames
    assert video.shape == drawn.shape
    assert np.abs(video.astype(int) - drawn).mean() < 6, "encoded, so only nearly the same"
    with Image.open(heat.save(tmp_path / "heat.gif")) as gif:
        assert (gif.n_frames, gif.size) == (GRID[0], (GRID[2], GRID[1]))
    with Image.open(heat.save(tmp_path / "heat.png")) as png:
        sheet = np.asarray(png)
    h, w = GRID[1:]
    np.testing.assert_array_equal(sheet[:h, :w], heat.clip.frames[0])
    np.testing.assert_array_equal(sheet[-h:, :w], drawn[0])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["heat.gif", "heat.mp4", "heat.png"], "no partial files"


@pytest.mark.parametrize("name", ["grad_cam", "lrp_gamma", "swag_v", "class_feature_pyramid", "random"])
def test_values_come_back_from_a_file(name, tmp_path):
    clip = clips_for(GRID)[0]
    found = ATTRIBUTIONS[name]()(small_model("plain"), clip, 1)
    again = Attribution.load(found.save(tmp_path / "heat.npz"), clip)
    np.testing.assert_array_equal(again.values, found.values)
    assert (again.target, again.method, again.clip) == (found.target, found.method, clip)
    assert again.parameters.keys() == found.parameters.keys()
    assert again.details.keys() == found.details.keys()


def test_files_that_cannot_be(heat, tmp_path):
    with pytest.raises(DataError, match=r"ends in .mp4, .gif, .png, .npz, got 'heat.jpg'"):
        heat.save(tmp_path / "heat.jpg")
    with pytest.raises(DataError, match="a folder that exists"):
        heat.save(tmp_path / "none" / "heat.png")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    for name in ("other.npz", "missing.npz"):
        with pytest.raises(DataError, match=r"written by Attribution\.save"):
            Attribution.load(tmp_path / name)


def test_a_notebook_gets_an_animation(heat):
    html = heat._repr_html_()
    assert html.startswith("<figure")
    assert "data:image/gif;base64," in html
    assert "grad_cam, target 2" in html


def test_show_draws_the_sheet(heat, monkeypatch):
    from matplotlib import pyplot as plt

    plt.switch_backend("agg")
    drawn = []

    def show():
        buffer = io.BytesIO()
        plt.gcf().savefig(buffer)
        drawn.append((plt.gca().get_title(), buffer.getvalue()))

    monkeypatch.setattr(plt, "show", show)
    heat.show()
    assert drawn[0][0] == "grad_cam, target 2"
    assert len(drawn[0][1]) > 1000
    assert not plt.get_fignums(), "the figure is closed"


def test_a_map_without_a_clip_is_drawn_on_black(tmp_path):
    mine = Attribution(np.linspace(-1, 1, 4 * 8 * 8, dtype=np.float32).reshape(4, 8, 8), 0, "mine")
    assert mine.overlay().shape == (4, 8, 8, 3)
    mine.save(tmp_path / "mine.png")
