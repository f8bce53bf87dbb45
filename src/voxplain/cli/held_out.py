"""Which videos are for training and which are held out: the options that several commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from voxplain.cli.file_list import FileList, data_folder, listed_parts, print_list
from voxplain.cli.options import Words
from voxplain.errors import DataError

if TYPE_CHECKING:
    from voxplain.datasets import VideoSet
    from voxplain.model import VideoModel

__all__ = ["HeldOut", "named_videos", "split_videos"]


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
    images: Annotated[bool, Parameter(negative="")] = False
    "The data are pictures in folders of classes, each a clip of one frame: for networks of pictures."
    files: FileList = FileList()  # noqa: RUF009 - frozen
    "A list in place of folders."


def split_videos(data: Path | None, held: HeldOut) -> "tuple[VideoSet, VideoSet | None]":
    """List the training and the test videos of a folder or of a list.

    Parameters
    ----------
    data : Path or None
        Folder of class folders, or one with train/ and test/, or a published data set as downloaded; with a list the
        folder that its paths are relative to.
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

    files = held.files
    given = {
        "--dataset": held.dataset,
        "--split": held.split,
        "--list": files.list_ if held.dataset or held.split else None,
        "--test-list": files.test_list,
        "--hold-out": held.hold_out,
    }
    used = [option for option, value in given.items() if value]
    if len(used) > 1:
        raise DataError(f"expected {used[0]} or {used[1]}, got both; leave one out")
    folder = data_folder(data, files)
    if held.dataset is not None:
        return load_named(held.dataset, folder, fold=held.fold)
    if held.fold != 1:
        raise DataError(f"expected --dataset with --fold {held.fold}, got none; name the data set")
    if held.split is not None:
        parts = [scan_folder(folder, split=held.split, part=part, images=held.images) for part in ("train", "test")]
        return parts[0], parts[1]
    if files.list_ is not None:
        videos, test = listed_parts(data, files)
        if not held.hold_out:
            return videos, test
    else:
        videos = scan_folder(folder, part="train", images=held.images)
    if held.hold_out:
        is_test = [any(word in path.name for word in held.hold_out) for path in videos.paths]
        if all(is_test) or not any(is_test):
            raise DataError(
                f"expected --hold-out {' '.join(held.hold_out)} to name some of the {len(is_test)} videos, "
                f"got {sum(is_test)}; give words that are part of some file names"
            )
        rows = range(len(is_test))
        return videos.select([i for i in rows if not is_test[i]]), videos.select([i for i in rows if is_test[i]])
    return videos, scan_folder(folder, part="test", images=held.images) if (folder / "test").is_dir() else None


def named_videos(model: "VideoModel", videos: "VideoSet", held: HeldOut) -> "VideoSet":
    """The videos of a list with the names of the model's classes; prints labels it lacks. Others as they are.

    Parameters
    ----------
    model : VideoModel
        The network.
    videos : VideoSet
        What `split_videos` gives.
    held : HeldOut
        The options.

    Returns
    -------
    VideoSet

    Raises
    ------
    DataError
        A label that the network does not have.
    """
    from voxplain.datasets.list_file import with_class_names

    if held.files.list_ is None:
        return videos
    named = with_class_names(videos, model.classes)
    print_list(named)
    return named
