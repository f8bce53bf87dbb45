"""Labelled videos of a person that walks over noise, with exact masks."""

from pathlib import Path

import numpy as np

from voxplain.datasets import VideoSet
from voxplain.datasets.backgrounds import MaskOf

FRAMES, HEIGHT, WIDTH = 6, 32, 48


def person(number: int) -> np.ndarray:
    """bool [F,H,W]."""
    mask = np.zeros((FRAMES, HEIGHT, WIDTH), bool)
    for i in range(FRAMES):
        mask[i, 8:24, 4 + number + 5 * i : 12 + number + 5 * i] = True
    return mask


def labelled(root: Path, *, classes: tuple[str, ...] = ("run", "walk"), each: int = 3) -> tuple[VideoSet, MaskOf]:
    """Videos as arrays, which are read without loss, and the function that gives their masks."""
    paths, labels = [], []
    for k, label in enumerate(classes):
        (root / label).mkdir(parents=True)
        for i in range(each):
            rng = np.random.default_rng([k, i])
            frames = rng.integers(0, 60, (FRAMES, HEIGHT, WIDTH, 3), np.uint8)
            frames[person(i)] = 120 + 20 * i
            paths.append(root / label / f"{i}.npy")
            labels.append(k)
            np.save(paths[-1], frames)
    return VideoSet(classes, tuple(paths), np.array(labels)), lambda video, label: person(int(video.stem))


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
