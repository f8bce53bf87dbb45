"""Labelled videos from a folder with one sub-folder a class, optional split files, and unreadable files skipped."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain.datasets.layout import PARTS, find_classes, is_frame_folder, list_folders, list_pictures, list_videos
from voxplain.datasets.splits import in_part, read_split
from voxplain.errors import DataError, VideoError
from voxplain.lazy import Lazy, bounded
from voxplain.video import Clip, ClipReader, Span
from voxplain.video.lost_videos import note_skipped

KEPT = 128 << 20  # bytes of decoded frames that one reading keeps in memory


@dataclass(frozen=True, repr=False, eq=False)
class VideoSet:
    """Paths of videos with the class of each.

    Parameters
    ----------
    classes : tuple of str
        Different names.
    paths : tuple of Path
        N video files or frame folders.
    labels : ndarray, int64 [N]
        Index into ``classes``.
    spans : tuple of N (int, int) or None, optional
        Parts of the videos: the first frame, and one past the last; None for a whole video. Default: whole videos.
    skipped : tuple of Skipped
        Lines of a list that name no video; see `read_list`.

    Raises
    ------
    DataError
        When the fields do not fit together.

    Examples
    --------
    >>> videos = VideoSet(("bend", "jump"), (Path("a.mp4"), Path("b.mp4")), np.array([0, 1]))
    >>> videos.of_class("jump")
    VideoSet(1 videos, 2 classes)
    """

    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: NDArray[np.int64]
    spans: tuple[Span | None, ...] | None = None
    skipped: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        """Check lengths and label range."""
        labels = self.labels
        shape = (len(self.paths),)
        if not isinstance(labels, np.ndarray) or labels.dtype != np.int64 or labels.shape != shape:
            raise DataError(f"labels must be an int64 array, one for each of {len(self.paths)} paths.")
        if len(set(self.classes)) != len(self.classes):
            raise DataError(f"class names must differ, got {list(self.classes)}.")
        if labels.size and (labels.min() < 0 or labels.max() >= len(self.classes)):
            raise DataError(f"labels must be from 0 to {len(self.classes) - 1}, the index of the class.")
        if self.spans is not None and len(self.spans) != len(self.paths):
            raise DataError(f"spans must be one for each of {len(self.paths)} paths, got {len(self.spans)}.")

    def __repr__(self) -> str:
        """Counts, not data."""
        return f"VideoSet({len(self.paths)} videos, {len(self.classes)} classes)"

    def __len__(self) -> int:
        """Number of videos."""
        return len(self.paths)

    def select(self, index: Sequence[int] | NDArray[np.int64]) -> VideoSet:
        """The videos at `index`; classes and label numbers stay."""
        rows = [int(i) for i in index]
        labels = self.labels[np.array(rows, np.int64)]
        spans = None if self.spans is None else tuple(self.spans[i] for i in rows)
        return VideoSet(self.classes, tuple(self.paths[i] for i in rows), labels, spans)

    def of_class(self, name: str) -> VideoSet:
        """The videos of one class; classes and labels stay. DataError for an unknown or empty class."""
        _check_names([name], self.classes)
        found = self.select(np.flatnonzero(self.labels == self.classes.index(name)))
        if not len(found):
            raise DataError(f"class {name!r} has no video in this part of the data; check folder or split.")
        return found

    def only(self, names: Sequence[str]) -> VideoSet:
        """The videos of some classes, labelled in the order of ``names``. DataError for an unknown or empty class."""
        _check_names(names, self.classes)
        numbers = [self.classes.index(name) for name in names]
        found = self.select([i for i, k in enumerate(self.labels) if k in numbers])
        labels = np.array([numbers.index(k) for k in found.labels], np.int64)
        empty = [name for k, name in enumerate(names) if k not in labels]
        if empty:
            raise DataError(f"class {empty[0]!r} has no video in this part of the data; check folder or split.")
        return VideoSet(tuple(names), found.paths, labels, found.spans)


@dataclass(frozen=True)
class Skipped:
    """A video that could not be read, and why in one sentence."""

    path: Path
    reason: str


@dataclass(frozen=True, repr=False, eq=False)
class ClipSet:
    """Clips in the order of their videos, and the videos that had to be left out.

    Parameters
    ----------
    clips : sequence of Clip
        Clips that could be read.
    skipped : tuple of Skipped
        Videos that could not be read, with the reason.
    damaged : int
        Clips of videos of which frames are lost.

    Examples
    --------
    >>> ClipSet([])
    ClipSet(0 clips, 0 skipped)
    """

    clips: Sequence[Clip]
    skipped: tuple[Skipped, ...] = ()
    damaged: int = 0

    def __repr__(self) -> str:
        """Counts, not data."""
        return f"ClipSet({len(self.clips)} clips, {len(self.skipped)} skipped)"

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        """The clips."""
        return iter(self.clips)

    def __getitem__(self, index: int) -> Clip:
        """One clip."""
        return self.clips[index]

    def summary(self, *, most: int = 5) -> str:
        """Plain text: how many were read, and for at most `most` skipped videos why."""
        text = f"read {len(self.clips)} of {len(self.clips) + len(self.skipped)} videos"
        text += f"; {self.damaged} damaged" if self.damaged else ""
        if not self.skipped:
            return text
        # Only what is wrong, not the advice behind the semicolon: that is in Skipped.reason.
        reasons = [s.reason.removeprefix(f"{s.path}: ").split(";")[0].rstrip(".") for s in self.skipped]
        shown = [f"{s.path.name}: {why}" for s, why in zip(self.skipped, reasons, strict=True)][:most]
        more = f"; and {len(self.skipped) - most} more" if len(self.skipped) > most else ""
        return f"{text}; {len(self.skipped)} skipped: {'; '.join(shown)}{more}"


def scan_folder(
    root: str | os.PathLike[str],
    *,
    split: Path | Sequence[Path] | None = None,
    part: str = "train",
    classes: Sequence[str] | None = None,
    images: bool = False,
) -> VideoSet:
    """List the videos of a folder with their classes, in a fixed order.

    Layouts: ``root/<class>/video``, ``root/{train,test}/<class>/video`` (``part`` chooses; the classes are those of
    both), or videos directly in ``root``: one class named like the folder. A video is a file with a known
    suffix or a folder of pictures. Sub-folders without videos are no classes; hidden files are left out.

    Parameters
    ----------
    root : str or Path
        The folder.
    split : Path or sequence of Path, optional
        Text files that list the videos of ``part``, see `splits.read_split`.
    part : str
        "train" or "test"; used with a split or a train/test layout only.
    classes : sequence of str, optional
        Only these, labelled in this order. Default: all, sorted by name.
    images : bool
        List pictures, each a clip of one frame, in place of videos.

    Returns
    -------
    VideoSet

    Raises
    ------
    DataError
        Missing root, no video, a class that is unknown or empty, a split that names no video of the folder.

    Examples
    --------
    >>> (folder / "bend").mkdir()
    >>> (folder / "bend" / "1.mp4").touch()
    >>> scan_folder(folder).classes
    ('bend',)
    """
    root = Path(root)
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise DataError(
            f"{root}: expected a folder with one sub-folder of videos a class, but it {what}; check the path."
        )
    if part not in PARTS:
        raise DataError(f"part must be 'train' or 'test', got {part!r}.")
    found = find_classes(root, part, list_pictures if images else list_videos)
    if classes is not None:
        _check_names(classes, found)
    names = sorted(found) if classes is None else list(classes)
    pairs = [(path, label) for label, name in enumerate(names) for path in found[name]]
    if split is not None:
        listed = read_split([split] if isinstance(split, str | Path) else split, part=part)
        pairs = [(path, label) for path, label in pairs if in_part(path, root, listed)]
        if not pairs:
            raise DataError(f"{root}: the split names no video of this folder for part {part!r}; check both.")
    filled = {label for _, label in pairs}
    empty = [name for label, name in enumerate(names) if label not in filled]
    if classes is not None and empty:
        raise DataError(f"{root}: class {empty[0]!r} has no video in part {part!r}; add videos or leave it out.")
    return VideoSet(tuple(names), tuple(path for path, _ in pairs), np.array([label for _, label in pairs], np.int64))


def read_clips(
    videos: VideoSet | Sequence[Path] | str | os.PathLike[str],
    reader: ClipReader | None = None,
    *,
    limit: int | None = None,
    seed: int = 0,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> ClipSet:
    """Read one clip a video; a video that cannot be read is left out and named in `ClipSet.skipped`.

    The result does not depend on ``workers``. Every video is read once, which checks it; only the first clips of a
    large set stay in memory, and the others are read again on access.

    Parameters
    ----------
    videos : VideoSet, str, Path or sequence of Path
        A set of videos, a folder for `scan_folder`, one video, or paths (without labels). For a reader of one frame the
        pictures of a folder are clips of their own, not the frames of a video.
    reader : ClipReader, optional
        How to choose frames and resize. Default: the papers' test clip.
    limit : int, optional
        Read only this many videos, drawn with ``seed``, in their original order.
    seed : int
        Of the draw, and of readers that draw frames (each video has its own generator).
    workers : int
        Threads; decoding runs outside Python's lock.
    progress : callable, optional
        Called as ``progress(done, total)`` after each video, from the calling thread.

    Returns
    -------
    ClipSet

    Raises
    ------
    DataError
        No video given, or none could be read.

    Examples
    --------
    >>> planted = vx.write_planted(folder / "planted", train=1, test=0, unrelated=0)
    >>> read_clips(folder / "planted" / "train", limit=2)
    ClipSet(2 clips, 0 skipped)
    """
    reader = ClipReader() if reader is None else reader
    paths, labels, spans = _listed(videos, images=_takes_pictures(reader))
    chosen = _draw(len(paths), limit, seed)

    def read(i: int) -> Clip:
        return reader(paths[i], label=labels[i], rng=np.random.default_rng([seed, i]), span=spans[i])

    def attempt(i: int) -> Clip | Skipped:
        try:
            return read(i)
        except VideoError as error:
            return Skipped(paths[i], str(error))

    clips = Lazy(read, [], size=lambda clip: clip.frames.nbytes, keep=KEPT)
    skipped: list[Skipped] = []
    damaged = 0
    pool = ThreadPoolExecutor(max_workers=max(1, workers))
    try:
        for done, (i, result) in enumerate(zip(chosen, bounded(pool, attempt, chosen, 4 * workers), strict=True)):
            if isinstance(result, Skipped):
                skipped.append(result)
                note_skipped(result.path, result.reason)
            else:
                clips.add(i, result)
                damaged += result.damaged > 0
            if progress is not None:
                progress(done + 1, len(chosen))
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C does not wait for the rest of the data
    read_set = ClipSet(clips, tuple(skipped), damaged)
    if not len(clips):
        raise DataError(
            f"no video could be read: {read_set.summary(most=3)}; download them again or name another folder."
        )
    return read_set


def _listed(
    videos: VideoSet | Sequence[Path] | str | os.PathLike[str], *, images: bool
) -> tuple[list[Path], list[int | None], Sequence[Span | None]]:
    """Paths, labels and spans of the user's input."""
    if isinstance(videos, str | os.PathLike):
        path = Path(videos)
        if path.is_dir() and (images or not is_frame_folder(path)):
            videos = scan_folder(path, images=images and _holds_pictures(path))
        else:
            videos = [path]
    if isinstance(videos, VideoSet):
        whole: list[Span | None] = [None] * len(videos)
        return list(videos.paths), [int(label) for label in videos.labels], videos.spans or whole
    return [Path(path) for path in videos], [None] * len(videos), [None] * len(videos)


def _takes_pictures(reader: Callable[..., Clip]) -> bool:
    """Whether a reader makes clips of one frame; readers of one's own without a sampler do not."""
    return isinstance(reader, ClipReader) and reader.sampler(100).shape[1] == 1


def _holds_pictures(folder: Path) -> bool:
    """Whether a folder holds pictures, alone or in folders of classes, also under train/ and test/."""
    parts = [folder / part for part in PARTS if (folder / part).is_dir()]
    return any(list_pictures(d) for top in (folder, *parts) for d in (top, *list_folders(top)))


def _draw(count: int, limit: int | None, seed: int) -> list[int]:
    if count < 1:
        raise DataError("expected at least one video to read, got none; check the folder, class or split.")
    if limit is not None and limit < 1:
        raise DataError(f"limit must be at least 1 video, got {limit}; leave it out to read all.")
    if limit is None or limit >= count:
        return list(range(count))
    return sorted(np.random.default_rng(seed).choice(count, limit, replace=False).tolist())


def _check_names(names: Sequence[str], known: Sequence[str] | dict[str, list[Path]]) -> None:
    """DataError with the nearest known name for the first one that does not exist."""
    if isinstance(names, str):
        raise DataError(f"classes must be a list of names, got the text {names!r}; write [{names!r}].")
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
            listing = ", ".join(sorted(known)[:12]) + (", …" if len(known) > 12 else "")
            hint = f"did you mean {near[0]!r}?" if near else f"known classes: {listing}."
            raise DataError(f"there is no class {name!r} among {len(known)}; {hint}")
