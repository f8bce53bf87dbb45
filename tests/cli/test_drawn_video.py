"""Overlays have the tempo of the video, and of videos that are too large to be drawn a smaller size."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

import voxplain as vx
from voxplain.cli.attribute_output import drawn_video, write_attribution
from voxplain.explain import explain_clip

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
    video = drawn_video(tmp_path / "slow.mp4")
    assert video.frames.shape == (FRAMES, 96, 128, 3)
    write_attribution(tmp_path / "out", run, model, video, ("mp4",))
    overlay = vx.read_video(tmp_path / "out" / "gradient.mp4")
    np.testing.assert_allclose(overlay.seconds - overlay.seconds[0], SECONDS * np.arange(FRAMES), atol=0.1)


def test_a_large_video_is_drawn_smaller(tmp_path: Path) -> None:
    write_slow(tmp_path / "slow.mp4")
    video = drawn_video(tmp_path / "slow.mp4", most=FRAMES * 48 * 64)
    assert video.frames.shape == (FRAMES, 48, 64, 3)
    model = vx.load_model("planted")
    run = explain_clip(model, tmp_path / "slow.mp4", ["gradient"])
    write_attribution(tmp_path / "out", run, model, video, ("png",))
    assert np.load(tmp_path / "out" / "maps.npz")["gradient"].shape == (FRAMES, 48, 64)
