"""Which videos are for training and which are held out: the options that several commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from voxplain.cli.options import Words
from voxplain.errors import DataError

if TYPE_CHECKING:
    from voxplain.datasets import VideoSet

__all__ = ["HeldOut", "split_videos"]


@Parameter(name="*")
@dataclass(frozen=True)
class HeldOut:
    """How a folder without train/ and test/ is divided into training and test videos."""

    split: Path | None = None
    'A split file: one relative path a line, or "name 1" (train) and "name 2" (test).'
    hold_out: Words = ()
    "The test videos are those whose file names contain one of these words, for example persons of Weizmann."
    dataset: str | None = None
    "A published data set, read in its own layout and with its official split; `voxplain data` lists them."
    fold: int = 1
    "Which of the data set's official splits."


def split_videos(data: Path, held: HeldOut) -> "tuple[VideoSet, VideoSet | None]":
    """List the training and the test videos of a folder.

    Parameters
    ----------
    data : Path
        Folder of class folders, or one with train/ and test/, or a published data set as downloaded.
    held : HeldOut
        How the folder is divided; by default by its folders train/ and test/.

    Returns
    -------
    tuple of VideoSet and (VideoSet or None)
        Training videos and test videos; None where there is no test part.

    Raises
    ------
    DataError
        For options that exclude each other, words of ``hold_out`` that match no file or all files, and folders that
        cannot be read.
    """
    from voxplain.datasets import load_named, scan_folder

    given = {"--dataset": held.dataset, "--split": held.split, "--hold-out": held.hold_out}
    used = [option for option, value in given.items() if value]
    if len(used) > 1:
        raise DataError(f"expected {used[0]} or {used[1]}, got both; leave one out")
    if held.dataset is not None:
        return load_named(held.dataset, data, fold=held.fold)
    if held.fold != 1:
        raise DataError(f"expected --dataset with --fold {held.fold}, got none; name the data set")
    if held.split is not None:
        return scan_folder(data, split=held.split, part="train"), scan_folder(data, split=held.split, part="test")
    videos = scan_folder(data, part="train")
    if held.hold_out:
        is_test = [any(word in path.name for word in held.hold_out) for path in videos.paths]
        if all(is_test) or not any(is_test):
            raise DataError(
                f"expected --hold-out {' '.join(held.hold_out)} to name some of the {len(is_test)} videos, "
                f"got {sum(is_test)}; give words that are part of some file names"
            )
        rows = range(len(is_test))
        return videos.select([i for i in rows if not is_test[i]]), videos.select([i for i in rows if is_test[i]])
    return videos, scan_folder(data, part="test") if (data / "test").is_dir() else None
