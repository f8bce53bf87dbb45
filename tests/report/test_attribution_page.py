"""Attribution runs on a page: pictures that hold the maps, overlays, metrics with their direction."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from test_page import Page

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.attribution.overlay import scaled
from voxplain.errors import DataError
from voxplain.report import attribution_page, frame_grid, overlay, write_attribution_report
from voxplain.video import Clip

NAME = '"><script>alert(1)</script>.mp4'


def made(frames: int = 6) -> AttributionRun:
    rng = np.random.default_rng(0)
    clip = Clip(rng.integers(0, 256, (frames, 8, 12, 3), dtype=np.uint8), np.arange(frames) / 25, f"/d/{NAME}")
    maps = {
        "plain": rng.random((frames, 8, 12)).astype(np.float32),
        "signed": rng.normal(size=(frames, 8, 12)).astype(np.float32),
    }
    measured = {
        "plain": {"insertion": (0.5, 0.25, True), "deletion": (0.2, None, False)},
        "signed": {"insertion": (0.75, 0.25, True), "deletion": (0.1, None, False)},
    }
    return AttributionRun(
        clip,
        "net",
        "<i>a</i>",
        1,
        ("b", "<i>a</i>"),
        np.array([0.0, 2.0]),
        3,
        maps,
        {"plain": {"steps": 25}},
        {"plain": {"gap": 0.01}},
        measured,
        {"plain": 0.1, "signed": 0.2},
        (("odd", "expected <x>"),),
        {"device": "cpu"},
    )


def read(data: bytes) -> Page:
    return Page(data.decode())


def test_page_is_well_formed_and_escaped():
    found = read(attribution_page([made(), made(3)]))
    text = found.said()
    assert NAME in text
    assert "expected <x>" in text
    assert "gives it a probability of 88 %" in text
    assert not any("alert(1)" in s and "querySelector" in s for s in found.scripts)
    assert [a["href"] for a in found.all("a")] == ["#a0", "#a1"]


def test_viewer_holds_the_maps():
    run = made()
    data = next(json.loads(s) for s in read(attribution_page(run)).scripts if s.startswith("{"))
    assert [m["signed"] for m in data["maps"]] == [False, True]
    for own in data["maps"]:
        picture = Image.open(io.BytesIO(base64.b64decode(own["levels"].split(",")[1])))
        levels = np.asarray(picture.convert("L"), np.float32).reshape(run.clip.frames.shape[:3])
        wanted = scaled(run.maps[own["name"]])
        wanted = 128 + 127 * wanted if own["signed"] else 255 * wanted
        assert np.abs(levels - wanted).mean() < 8  # JPEG of noise


def test_long_videos_travel_with_64_frames():
    data = next(json.loads(s) for s in read(attribution_page(made(200))).scripts if s.startswith("{"))
    assert data["size"] == [64, 8, 12]
    assert data["seconds"][-1] == pytest.approx(199 / 25)


def test_the_best_of_each_metric_follows_its_direction():
    html = attribution_page(made()).decode()
    assert '<span class="best">0.750</span>' in html
    assert '<span class="best">0.100</span>' in html
    assert html.count('class="best"') == 2
    assert "↑" in html
    assert "↓" in html


def test_overlay_shows_the_frame_where_the_map_is_nothing_and_colour_where_it_is_high():
    frames = np.full((1, 4, 4, 3), 100, np.uint8)
    values = np.zeros((1, 4, 4), np.float32)
    values[0, 0, 0] = 1
    drawn = overlay(frames, values)
    assert (drawn[0, 2, 2] == 100).all()
    assert drawn[0, 0, 0].astype(int).sum() > 450  # the brightest colour of the map
    against = overlay(frames, values - 2 * (np.arange(16).reshape(1, 4, 4) == 15))
    assert against[0, 3, 3, 2] > against[0, 3, 3, 1]  # purple: more blue than green
    assert against[0, 0, 0, 0] > against[0, 0, 0, 2]  # orange: more red than blue
    assert (overlay(frames, np.zeros_like(values)) == 100).all()


def test_strip_is_a_table_of_frames():
    rows = [np.full((10, 4, 5, 3), v, np.uint8) for v in (10, 200)]
    sheet = frame_grid(rows, 3)
    assert sheet.shape == (2 * 4 + 3, 3 * 5 + 6, 3)
    assert (sheet[:4, :5] == 10).all()
    assert (sheet[-4:, -5:] == 200).all()


def test_no_run_is_refused_and_a_file_is_written(tmp_path):
    with pytest.raises(DataError, match="at least one run"):
        attribution_page([])
    assert write_attribution_report(made(), tmp_path / "a" / "p.html").read_bytes() == attribution_page(made())


def test_a_page_too_large_says_how_many_it_leaves_out(monkeypatch):
    monkeypatch.setattr("voxplain.report.attribution.LARGEST", 1)
    page = read(attribution_page([made(), made(3), made(3)]))
    assert "The first 1 of 3 maps are shown" in page.said()
    assert "are shown; a page of all" not in read(attribution_page([made()])).said()
