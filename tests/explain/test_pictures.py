"""A network for pictures, from the doctor to the page, on pictures whose cause is known: a square of one colour."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import voxplain as vx
from voxplain.cli.held_out import HeldOut, split_videos
from voxplain.doctor import examine

GRID = (1, 48, 60)
COLOURS = ("red", "green", "blue")
TRAIN, UNRELATED = 6, 16


class ColourNet(nn.Module):
    """The logit of a colour is the area that has this colour more than both others; five channels see any colour."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 8, 1), nn.ReLU()
        self.down = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8, bias=False)
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 3)
        with torch.no_grad():
            self.conv.weight[:3] = (2 * torch.eye(3) - 1)[:, :, None, None]
            self.conv.weight[3:] = torch.rand(5, 3, 1, 1, generator=torch.Generator().manual_seed(0))
            self.conv.bias[:] = torch.tensor([-0.2] * 3 + [0.0] * 5)
            self.down.weight[:] = 1 / 9
            self.head.weight[:] = 150 * torch.eye(3, 8)
            self.head.bias[:] = 0

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.down(self.act(self.conv(x)))).flatten(1))


def picture(rng: np.random.Generator, colour: int | None) -> np.ndarray:
    """Grey noise, a light square, and a square of the colour, or several of any."""
    frame = rng.integers(60, 120, (48, 60, 1), dtype=np.uint8).repeat(3, 2)
    y, x = rng.integers(0, 30), rng.integers(0, 40)
    frame[y : y + 14, x : x + 14] = 200
    for _ in range(3 if colour is None else 1):
        y, x = rng.integers(0, 32), rng.integers(0, 44)
        own = rng.integers(0, 256, 3) if colour is None else np.where(np.arange(3) == colour, 230, 20)
        frame[y : y + 14, x : x + 14] = own
    return frame


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name, count, colour in (
        *((f"train/{name}", TRAIN, k) for k, name in enumerate(COLOURS)),
        *((f"test/{name}", 2, k) for k, name in enumerate(COLOURS)),
        ("other", UNRELATED, None),
    ):
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(picture(rng, colour)).save(root / name / f"{i}.png")
    return root


def model() -> vx.VideoModel:
    return vx.VideoModel(
        ColourNet(),
        layer="down",
        grid=GRID,
        mean=(0, 0, 0),
        std=(1, 1, 1),
        classes=COLOURS,
        geometry=vx.Geometry.squash(*GRID[1:]),
        layout="BTCHW",
        frames_in_batch=True,
    )


def is_red(frames: np.ndarray) -> np.ndarray:
    return (frames[..., 0] > 200) & (frames[..., 1] < 60)


def test_the_doctor_finds_how_it_is_called() -> None:
    found = examine(ColourNet(), grid=GRID)
    assert (found.layout, found.frames_in_batch, found.cam_layer) == ("BTCHW", True, "down")
    assert "input of the network:  1×48×60, BTCHW, frames in the batch" in found.text()
    bare = vx.VideoModel(ColourNet(), grid=GRID)
    assert (bare.layer, bare.frames_in_batch) == ("pool", True)


def test_pictures_are_clips_of_one_frame(pictures: Path) -> None:
    videos, test = split_videos(pictures, HeldOut(images=True))
    assert test is not None
    assert (videos.classes, len(videos), len(test)) == (tuple(sorted(COLOURS)), 3 * TRAIN, 6)
    path = pictures / "train" / "red" / "0.png"
    assert (vx.read_video(path).frames[0] == np.asarray(Image.open(path))).all()
    assert len(vx.read_clips(pictures / "train", model().reader())) == 3 * TRAIN
    assert len(vx.read_clips(pictures / "train" / "red", model().reader())) == TRAIN
    assert len(vx.read_video(pictures / "train" / "red")) == TRAIN  # for a network of videos it is one
    broken = pictures / "train" / "red" / "broken.png"
    broken.write_bytes(b"no picture")
    try:
        found = vx.read_clips(pictures / "train" / "red", model().reader())
    finally:
        broken.unlink()
    assert (len(found), [s.path.name for s in found.skipped]) == (TRAIN, ["broken.png"])


@pytest.mark.parametrize("name", ["grad_cam", "occlusion", "supervoxel_occlusion", "integrated_gradients"])
def test_maps_lie_in_the_square(name: str, pictures: Path) -> None:
    clip = model().read(pictures / "test" / "red" / "1.png")
    found = vx.ATTRIBUTIONS[name]()(model(), clip, "red")
    values, inside = found.values.clip(0), is_red(clip.frames)
    assert values.shape == GRID
    assert values[inside].mean() > 6 * values[~inside].mean()


def test_the_concept_on_top_is_the_square(pictures: Path, tmp_path: Path) -> None:
    run = vx.explain_concepts(model(), pictures / "train" / "red", random=pictures / "other", target="red")
    assert run.recognition is not None
    top = run.rows()[0].concept
    overlap = []
    for clip, regions, assigned in zip(run.clips, run.supervoxels, run.assigned, strict=True):
        found = regions.masks(np.flatnonzero(assigned == top))
        truth = is_red(clip.frames)
        overlap.append((found & truth).sum() / (found | truth).sum())
    assert np.mean(overlap) > 0.6
    run = vx.evaluate_concepts(run, pictures / "test" / "red")
    page = vx.write_report(run, tmp_path / "page.html").read_text()
    assert "red" in page
