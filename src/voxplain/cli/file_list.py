"""Videos named in a list instead of folders: the options that every command with videos shares."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from voxplain.errors import DataError

if TYPE_CHECKING:
    from voxplain.datasets import VideoSet
    from voxplain.model import VideoModel

__all__ = ["FileList", "data_folder", "folder_or_list", "listed_parts", "listed_videos", "print_list"]

MOST_LINES = 5  # printed of those that are skipped


@Parameter(name="*")
@dataclass(frozen=True)
class FileList:
    """A list of videos with their labels."""

    list_: Annotated[Path | None, Parameter(name="--list")] = None
    """A list in place of class folders: lines "path label", a CSV file with a header, or a list of Kinetics
    (docs/data.md)."""
    test_list: Path | None = None
    "The same for the test videos; default: the lines of --list whose split is val or test."
    root: Path | None = None
    "The folder that the paths of the lists are relative to; default: DATA, or the folder of the list."
    first_label: int = 0
    "The number of the first class in a list whose labels are numbers."


def data_folder(data: Path | None, files: FileList) -> Path:
    """The folder of the data: DATA, or of a list its root.

    Parameters
    ----------
    data : Path or None
        The argument DATA of a command.
    files : FileList
        The options.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        Neither data nor a list, two roots, or options of a list without one.
    """
    if files.list_ is None:
        for option, value in {"--test-list": files.test_list, "--root": files.root}.items():
            if value is not None:
                raise DataError(f"expected --list with {option} {value}, got none; name the list of the videos")
        if files.first_label:
            raise DataError(f"expected --list with --first-label {files.first_label}, got none; name the list")
        if data is None:
            raise DataError("expected DATA, a folder of videos, or --list FILE, got none; name one")
        return data
    if data is not None and files.root is not None:
        raise DataError(
            f"expected DATA or --root as the folder of the list, got {data} and {files.root}; leave one out"
        )
    return data or files.root or files.list_.parent


def listed_parts(data: Path | None, files: FileList) -> "tuple[VideoSet, VideoSet | None]":
    """Training and test videos of the lists; None for no test videos.

    Parameters
    ----------
    data : Path or None
        The argument DATA of a command.
    files : FileList
        With a list.

    Returns
    -------
    tuple of VideoSet and (VideoSet or None)

    Raises
    ------
    DataError
        As `list_parts`.
    """
    from voxplain.datasets import list_parts

    assert files.list_ is not None
    root = data_folder(data, files)
    return list_parts(files.list_, files.test_list, root=root, first_label=files.first_label)


def listed_videos(model: "VideoModel", clips: Sequence[Path], files: FileList) -> list[tuple[Path, str]]:
    """The videos of `voxplain attribute`, each with its true label: the name of its folder, or the label in the list.

    Parameters
    ----------
    model : VideoModel
        Has the names of labels that are numbers.
    clips : sequence of Path
        Videos named on the command line.
    files : FileList
        The options.

    Returns
    -------
    list of (Path, str)

    Raises
    ------
    DataError
        Neither videos nor a list, or a test list.
    """
    from voxplain.datasets import read_list
    from voxplain.datasets.list_file import with_class_names

    found = [(path, path.absolute().parent.name) for path in clips]
    if files.test_list is not None:
        raise DataError(f"expected one list, got --test-list {files.test_list}, too; give it as --list")
    if files.list_ is None and not found:
        raise DataError("expected at least one video, got none; name files or folders of frames, or give --list FILE")
    if files.list_ is None:
        data_folder(Path(), files)  # no root without a list
        return found
    videos = read_list(files.list_, root=data_folder(None, files), first_label=files.first_label)
    print_list(videos)
    videos = with_class_names(videos, model.classes)
    print_list(videos)
    labels = [videos.classes[k] for k in videos.labels]
    return [*found, *zip(videos.paths, labels, strict=True)]


def folder_or_list(path: Path, root: Path, files: FileList, *, part: str = "train", images: bool = False) -> "VideoSet":
    """The videos of a folder, or of a list, of which the lines that are skipped are printed.

    Parameters
    ----------
    path : Path
        A folder, or a text or CSV file.
    root : Path
        The folder that the paths of a list are relative to.
    files : FileList
        The options.
    part : str
        Of a folder with train/ and test/.
    images : bool
        A folder of pictures, each a clip.

    Returns
    -------
    VideoSet

    Raises
    ------
    DataError
        As `scan_folder` and `read_list`.
    """
    from voxplain.datasets import read_list, scan_folder

    if not path.is_file():
        return scan_folder(path, part=part, images=images)
    videos = read_list(path, root=root, first_label=files.first_label)
    print_list(videos)
    return videos


def print_list(*parts: "VideoSet | None") -> None:
    """Print the first lines of lists that are skipped, and how many; nothing where there are none."""
    from voxplain.cli.console import Console

    console, sets = Console(stderr=True), [videos for videos in parts if videos is not None]
    skipped = sets[0].skipped
    if not skipped:
        return
    for line in skipped[:MOST_LINES]:
        console.print(
            f"skipped: {line.path}: {line.reason}", style="yellow", markup=False, highlight=False, soft_wrap=True
        )
    more = f", {len(skipped) - MOST_LINES} more than printed" if len(skipped) > MOST_LINES else ""
    videos = sum(map(len, sets))
    console.print(f"{videos} videos listed, {len(skipped)} lines skipped{more}", highlight=False)
