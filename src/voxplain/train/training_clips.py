"""Videos to train on, and the clips cut from them: whole videos at the size before the crop, read once."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from voxplain.errors import DataError, VideoError
from voxplain.train.recipe import Recipe
from voxplain.train.stored import StoredFrames, store_frames
from voxplain.video import Clip, Damaged, Geometry, Middle, RandomFrames, Span, read_video
from voxplain.video.lost_videos import note_skipped

__all__ = ["Cut", "TrainingVideos", "check_classes_filled", "draw", "load_videos", "test_clips", "train_clips"]


@dataclass(frozen=True, eq=False)
class TrainingVideos:
    """Whole videos at the size before the crop.

    Parameters
    ----------
    frames : sequence of ndarray
        Frames of each video, uint8 [T_i,H,W,3].
    labels : ndarray
        Class index of each video, int64 [N].
    skipped : tuple of (str, str)
        Path and reason of each video that could not be read.
    """

    frames: Sequence[np.ndarray]
    labels: np.ndarray
    skipped: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check that there is a label for each video."""
        if len(self.frames) != len(self.labels):
            raise DataError(f"expected a label a video, got {len(self.labels)} for {len(self.frames)} videos")

    def __repr__(self) -> str:
        """Counts, not frames."""
        return f"TrainingVideos(videos={len(self.frames)}, skipped={len(self.skipped)})"


def load_videos(
    paths: Sequence[Path],
    labels: Sequence[int] | np.ndarray,
    geometry: Geometry,
    *,
    spans: Sequence[Span | None] | None = None,
    cache: Path | None = None,
    first: int = 0,
    workers: int = 2,
    damaged: Damaged = "skip",
    advance: Callable[[], object] = lambda: None,
) -> TrainingVideos:
    """Decode and resize videos once, before the crop; files that cannot be read are skipped and listed.

    Parameters
    ----------
    paths : sequence of Path
        The videos.
    labels : sequence of int
        Class index of each.
    geometry : Geometry
        The size.
    spans : sequence of (Span or None), optional
        The frames to keep of each video; default: all.
    cache : Path, optional
        A folder for the resized frames, one file a video: later runs decode nothing, and memory does not grow with the
        data. Several processes may fill it at once. Default: all frames are held in memory.
    first : int
        Index of the video to start at, so that several processes do not decode the same one.
    workers : int
        Threads.
    damaged : {"skip", "use", "fail"}
        What is done with videos of which frames are lost, see `ClipReader`.
    advance : callable, optional
        Called after each video.

    Returns
    -------
    TrainingVideos
        The videos that could be read, in the order of ``paths``.

    Raises
    ------
    DataError
        When no video can be read, or ``damaged`` is "fail" and one is damaged.
    """
    if len(labels) != len(paths):
        raise DataError(f"expected a label a video, got {len(labels)} for {len(paths)} videos")

    def resized(path: Path, span: Span | None) -> Clip:
        clip = read_video(path, geometry=geometry, span=span, damaged=damaged)
        return replace(clip, frames=geometry.resize_frames(clip.frames))

    def load(i: int) -> np.ndarray | Path | VideoError:
        span = None if spans is None else spans[i]
        try:
            if cache is None:
                return resized(paths[i], span).frames
            return store_frames(paths[i], cache, geometry, resized, span=span, damaged=damaged)
        except VideoError as error:
            note_skipped(paths[i], str(error))
            return error
        finally:
            advance()

    order = [(first + i) % len(paths) for i in range(len(paths))]
    with ThreadPoolExecutor(workers) as pool:
        loaded = dict(zip(order, pool.map(load, order), strict=True))
    good = [i for i in range(len(paths)) if not isinstance(loaded[i], VideoError)]
    skipped = tuple((str(paths[i]), str(loaded[i])) for i in range(len(paths)) if isinstance(loaded[i], VideoError))
    if not good:
        raise DataError(f"expected videos to train on, got none that can be read of {len(paths)}: {skipped[:1]}")
    numbers = np.array([labels[i] for i in good], np.int64)
    if cache is None:
        return TrainingVideos(tuple(x for i in good if isinstance(x := loaded[i], np.ndarray)), numbers, skipped)
    files = StoredFrames(tuple(x for i in good if isinstance(x := loaded[i], Path)))
    return TrainingVideos(files, numbers, skipped)


def check_classes_filled(videos: TrainingVideos, labels: np.ndarray, classes: Sequence[str]) -> None:
    """Raise DataError where a class of ``labels``, the labels of all files, has no video that could be read."""
    lost = sorted(set(map(int, labels)) - set(map(int, videos.labels)))
    if lost:
        count = int((labels == lost[0]).sum())
        raise DataError(
            f"expected videos of each class that can be read, got none of {count} of class {classes[lost[0]]!r}"
            f" ({videos.skipped[0][1]}); replace the files or remove the class's folder"
        )


@dataclass(frozen=True)
class Cut:
    """Position of one training clip: video, frames int64 [T], corner (top, left), mirrored or not."""

    video: int
    index: np.ndarray
    corner: tuple[int, int]
    flip: bool


def draw(video: int, length: int, count: int, geometry: Geometry, recipe: Recipe, rng: np.random.Generator) -> Cut:
    """A clip of ``count`` frames at a random time and place of a video of ``length`` frames."""
    index = RandomFrames(count, recipe.stride)(length, rng)[0]
    flip = bool(rng.random() < recipe.flip)
    return Cut(video, index, geometry.random_corner(rng), flip)


def _cut(videos: TrainingVideos, cuts: Sequence[Cut], geometry: Geometry) -> np.ndarray:
    frames = (videos.frames[c.video][c.index] for c in cuts)
    return np.stack([geometry.crop_frames(f, corner=c.corner, flip=c.flip) for f, c in zip(frames, cuts, strict=True)])


def train_clips(
    videos: TrainingVideos, parts: Sequence[Sequence[Cut]], geometry: Geometry
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """Clips uint8 [B,T,H,W,3] and labels int64 [B] of each part; the next is cut while the last is worked on."""
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(_cut, videos, parts[0], geometry) if parts else None
        for i, part in enumerate(parts):
            assert coming is not None
            clips = coming.result()
            coming = ahead.submit(_cut, videos, parts[i + 1], geometry) if i + 1 < len(parts) else None
            yield clips, videos.labels[[c.video for c in part]]


def test_clips(videos: TrainingVideos, numbers: np.ndarray, count: int, geometry: Geometry, stride: int) -> np.ndarray:
    """The middle frames and the centre crop of some videos, uint8 [B,T,H,W,3]."""
    chosen = (videos.frames[int(i)] for i in numbers)
    return np.stack([geometry.crop_frames(f[Middle(count, stride)(len(f))[0]]) for f in chosen])
