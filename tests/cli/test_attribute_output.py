"""Overlays have the tempo of the video; what is written of large videos and of geometries without an inverse."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import voxplain as vx
from voxplain.cli import attribute_output
from voxplain.cli.attribute_output import write_attribution
from voxplain.explain import explain_clip
from voxplain.video import OwnGeometry

FRAMES, SECONDS = 6, 5  # one frame in five seconds


def write_slow(path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (FRAMES, 6, 8, 3), dtype=np.uint8).repeat(16, 1).repeat(16, 2)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(1, SECONDS))
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def test_a_slow_video_has_slow_overlays(tmp_path: Path) -> None:
    write_slow(tmp_path / "slow.mp4")
    model = vx.load_model("planted")
    run = explain_clip(model, tmp_path / "slow.mp4", ["gradient"])
    said = write_attribution(tmp_path / "out", run, model, tmp_path / "slow.mp4", (96, 128), ("mp4",))
    assert said == []
    overlay = vx.read_video(tmp_path / "out" / "gradient.mp4")
    assert overlay.frames.shape == (FRAMES, 96, 128, 3)
    np.testing.assert_allclose(overlay.seconds - overlay.seconds[0], SECONDS * np.arange(FRAMES), atol=0.1)


def test_maps_of_a_large_video_keep_the_size_of_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_slow(tmp_path / "slow.mp4")
    model = vx.load_model("planted")
    run = explain_clip(model, tmp_path / "slow.mp4", ["gradient"])
    place, given = tmp_path / "out", (run, model, tmp_path / "slow.mp4", (96, 128), ("mp4", "png", "gif"))
    monkeypatch.setattr(attribute_output, "MAX_MAP_PIXELS", FRAMES * 96 * 128 - 1)
    monkeypatch.setattr(attribute_output, "MAX_GIF_PIXELS", FRAMES * 96 * 128 - 1)
    said = write_attribution(place, *given)
    assert [sentence.split(" of slow.mp4")[0] for sentence in said] == ["maps.npz", "no gif"]
    with np.load(place / "maps.npz") as maps:
        np.testing.assert_array_equal(maps["gradient"], run.maps["gradient"])
        np.testing.assert_array_equal(maps["seconds"], run.clip.seconds)
    assert not (place / "gradient.gif").exists()
    assert vx.read_video(place / "gradient.mp4").frames.shape == (FRAMES, 96, 128, 3), "drawn at the video's own size"


def test_maps_of_an_own_geometry_lie_on_the_frames_of_the_network(tmp_path: Path) -> None:
    write_slow(tmp_path / "slow.mp4")
    model = replace(vx.load_model("planted"), geometry=OwnGeometry(lambda frames: frames[:, 8:72, 40:104], (64, 64)))
    run = explain_clip(model, tmp_path / "slow.mp4", ["gradient"])
    whole = vx.read_video(tmp_path / "slow.mp4").frames
    np.testing.assert_array_equal(run.clip.frames, whole[:, 8:72, 40:104])
    write_attribution(tmp_path / "out", run, model, tmp_path / "slow.mp4", (96, 128), ("mp4", "png"))
    with np.load(tmp_path / "out" / "maps.npz") as maps:
        np.testing.assert_array_equal(maps["gradient"], run.maps["gradient"])
    assert vx.read_video(tmp_path / "out" / "gradient.mp4").frames.shape == (FRAMES, 64, 64, 3)
    with Image.open(tmp_path / "out" / "strip.png") as strip:
        assert strip.height == 2 * 64 + 3, "the frames of the network and one map"
