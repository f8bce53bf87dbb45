"""A small planted set on disk, drawn once for all tests that run the whole story."""

from pathlib import Path

import pytest

from voxplain.datasets.planted import PlantedDesign
from voxplain.datasets.planted.design import draw_scene, draw_unrelated
from voxplain.datasets.planted.scene import render
from voxplain.video.encode import write_video

TRAIN, TEST, UNRELATED = 4, 2, 8


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ and test/ with the classes cross and orbit, and unrelated/; the shipped network knows both classes."""
    root, design = tmp_path_factory.mktemp("planted") / "data", PlantedDesign()
    scenes = {
        f"{part}/{label}/{i}.mp4": draw_scene(design, label, 100 * start + i)
        for part, count, start in (("train", TRAIN, 1), ("test", TEST, 2))
        for label in ("cross", "orbit")
        for i in range(count)
    }
    scenes |= {f"unrelated/{i}.mp4": draw_unrelated(design, 300 + i) for i in range(UNRELATED)}
    for name, scene in scenes.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(root / name, render(scene, codec=False))
    return root
