"""Labelled videos of a folder or a set, with the concepts of a run in them, divided into training and test."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain.concepts.concept_run import ConceptRun
from voxplain.corrections.content_effect import with_presence
from voxplain.corrections.examples import Examples
from voxplain.corrections.locate import locate
from voxplain.datasets import VideoSet, read_clips, scan_folder
from voxplain.model import VideoModel
from voxplain.progress import ShowProgress
from voxplain.store import Store
from voxplain.store.keys import content_hash
from voxplain.video import Clip, Damaged

__all__ = ["Labelled", "labelled_examples"]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Examples and the clips that they are the central windows of.

    Parameters
    ----------
    examples : Examples
    clips : list of Clip
        As they were read, in the order of the examples.
    """

    examples: Examples
    clips: list[Clip]

    def hashes(self) -> dict[str, str]:
        """The hash of each video's frames by its path."""
        return {str(c.source): content_hash(np.ascontiguousarray(c.frames)) for c in self.clips}

    def some(self, chosen: NDArray[np.bool_]) -> "Labelled":
        """The clips that are True in [N]."""
        return Labelled(self.examples.some(chosen), [c for c, kept in zip(self.clips, chosen, strict=True) if kept])


def labelled_examples(
    model: VideoModel,
    run: ConceptRun,
    data: Path | str | VideoSet,
    *,
    test: Path | str | VideoSet | None,
    remove: Sequence[int],
    keep: Sequence[int],
    limit: int | None,
    damaged: Damaged,
    store: Store | None,
    progress: ShowProgress,
) -> tuple[Labelled, Labelled]:
    """Training and test videos with the voxels of the concepts; parameters as in `improve`.

    Returns
    -------
    tuple of Labelled
        Test videos are those given, or test/ of the folder, or else every fourth video of each class.
    """
    train_set, test_set = _sets(data, test)
    reader = replace(model.reader(), damaged=damaged)

    def found(videos: VideoSet, most: int | None, what: str) -> Labelled:
        clips: list[Clip] = []
        labels: list[int] = []
        for label in videos.classes:
            own = read_clips(videos.of_class(label), reader, limit=most, seed=0).clips
            clips += list(own)
            labels += [model.class_index(label)] * len(own)
        with progress(f"concepts in {what}", len(clips)) as advance:
            located = locate(model, run, clips, labels, remove=remove, keep=keep, store=store, advance=advance)
        return Labelled(with_presence(model, located) if len(remove) else located, clips)

    train = found(train_set, limit, "training clips")
    if test_set is not None:
        return train, found(test_set, None, "test clips")
    last = _last_quarter(train.examples.labels)
    return train.some(~last), train.some(last)


def _sets(data: Path | str | VideoSet, test: Path | str | VideoSet | None) -> tuple[VideoSet, VideoSet | None]:
    """Training and test videos; None where the training videos have to be divided."""
    train = data if isinstance(data, VideoSet) else scan_folder(data, part="train")
    if test is not None:
        return train, test if isinstance(test, VideoSet) else scan_folder(test, part="test")
    if not isinstance(data, VideoSet) and (Path(data) / "test").is_dir():
        return train, scan_folder(data, part="test")
    return train, None


def _last_quarter(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Every fourth clip of each class, bool [N]."""
    place = np.zeros(len(labels), np.int64)
    for k in np.unique(labels):
        place[labels == k] = np.arange((labels == k).sum())
    last: NDArray[np.bool_] = place % 4 == 3
    return last
