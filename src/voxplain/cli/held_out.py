"""Which videos are for training and which are held out: the options that several commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from voxplain.datasets import VideoSet, load_named, scan_folder
from voxplain.errors import DataError

__all__ = ["HeldOut", "split_videos"]


@Parameter(name="*")
@dataclass(frozen=True)
class HeldOut:
    """How a folder without train/ and test/ is divided."""

    split: Path | None = None
    'A split file: one relative path a line, or "name 1" (train) and "name 2" (test).'
    hold_out: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = ()
    "The test videos are those whose file names contain one of these words, as persons of Weizmann."
    dataset: str | None = None
    "A published data set in the layout and with the split it comes with; `voxplain data` lists them."
    fold: int = 1
    "Which of the data set's official splits."


def split_videos(data: Path, held: HeldOut) -> tuple[VideoSet, VideoSet | None]:
    """Training and test videos: as a named data set, by split file, by held-out names, by folders, or all training."""
    given = {"--dataset": held.dataset, "--split": held.split, "--hold-out": held.hold_out}
    ways = [option for option, value in given.items() if value]
    if len(ways) > 1:
        raise DataError(f"expected {ways[0]} or {ways[1]}, got both; leave one out")
    if held.dataset is not None:
        return load_named(held.dataset, data, fold=held.fold)
    if held.fold != 1:
        raise DataError(f"expected --dataset with --fold {held.fold}, got none; name the data set")
    if held.split is not None:
        return scan_folder(data, split=held.split, part="train"), scan_folder(data, split=held.split, part="test")
    videos = scan_folder(data, part="train")
    if held.hold_out:
        out = np.array([any(word in path.name for word in held.hold_out) for path in videos.paths])
        if out.all() or not out.any():
            raise DataError(
                f"expected --hold-out {' '.join(held.hold_out)} to name some of the {len(out)} videos, "
                f"got {int(out.sum())}; give words that are part of some file names"
            )
        return videos.select(np.flatnonzero(~out)), videos.select(np.flatnonzero(out))
    return videos, scan_folder(data, part="test") if (data / "test").is_dir() else None
