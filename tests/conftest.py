"""What all tests share: one thread for small problems, one seed, and a small planted set on disk."""
# ruff: noqa: E402 - the environment is set before the imports that read it

import os
from collections.abc import Iterator
from pathlib import Path

# Before anything loads OpenMP or OpenBLAS, for this process and those it starts: on tiny tensors several threads only
# wait for each other, and on a busy machine for long. `make test-machines` sets other numbers.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import pytest
import torch
from hypothesis import settings

from voxplain.datasets.planted import PlantedDesign
from voxplain.datasets.planted.draw import draw_scene, draw_unrelated
from voxplain.datasets.planted.scene import render
from voxplain.video.encode import write_video

TRAIN, TEST, UNRELATED = 4, 2, 8
settings.register_profile("no clock", deadline=None)  # on a busy machine any example may take long
settings.load_profile("no clock")


@pytest.fixture(autouse=True)
def _same_start() -> Iterator[None]:
    """Every test begins with the same seed and number of threads, whatever ran before it."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="session")
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Notes of the runs that tests make are not kept with the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


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
