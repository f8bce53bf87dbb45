"""Folders with the layout of a published data set and empty files, and the real ones where they are."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from voxplain.datasets import VideoSet

DATA = Path(os.environ.get("VOXPLAIN_DATA", Path(__file__).parents[2] / "../shared/data"))


def touch(root: Path, names: Iterable[str]) -> Path:
    """Files that are listed as videos; nothing reads them."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def write(file: Path, *lines: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")
    return file


def real(name: str) -> Path:
    if not (DATA / name).is_dir():
        pytest.skip(f"no {name} in the folder that VOXPLAIN_DATA names")
    return DATA / name


def told(videos: VideoSet) -> list[tuple[str, str]]:
    """Class and file name of every video."""
    return [(videos.classes[label], path.name) for label, path in zip(videos.labels, videos.paths, strict=True)]


def apart(train: VideoSet, test: VideoSet) -> None:
    """No video is in both parts, none twice, and both know the same classes."""
    assert train.classes == test.classes
    both = [*train.paths, *test.paths]
    assert len(set(both)) == len(both)
