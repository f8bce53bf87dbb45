"""The clips of an audit: read, classified, and chosen for the search of concepts.

Letters: N clips of a class, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from voxplain.concepts.settings import ConceptSettings
from voxplain.datasets import VideoSet, read_clips, scan_folder
from voxplain.errors import DataError, ModelError
from voxplain.explain.central_window import central_window
from voxplain.explain.session import Session
from voxplain.explain.tasks import ClipLogits
from voxplain.lazy import pick
from voxplain.model import VideoModel
from voxplain.runtime import Progress
from voxplain.video import Clip, Damaged

__all__ = ["AuditedClass", "audited_videos", "chosen_clips", "classified", "read_labelled"]


@dataclass(frozen=True, eq=False)
class AuditedClass:
    """The clips of one class with their logits float32 [N,C]."""

    label: str
    index: int  # class index of the network
    clips: Sequence[Clip]
    logits: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        """Whether each clip is classified wrongly, bool [N]."""
        return np.asarray(self.logits.argmax(1) != self.index)


def audited_videos(data: Path | str | VideoSet) -> VideoSet:
    """The labelled videos of an audit: test/ of a folder that has it, else all of them."""
    if isinstance(data, VideoSet):
        return data
    root = Path(data)
    part = "test" if (root / "test").is_dir() else "train"
    found = scan_folder(root, part=part)
    if "unrelated" in found.classes and len(found.classes) > 1:  # unrelated videos beside the class folders
        kept = [i for i, label in enumerate(found.labels) if found.classes[label] != "unrelated"]
        names = tuple(name for name in found.classes if name != "unrelated")
        labels = np.array([names.index(found.classes[found.labels[i]]) for i in kept], np.int64)
        found = replace(found.select(kept), classes=names, labels=labels)
    return found


def read_labelled(
    model: VideoModel, videos: VideoSet, limit: int | None, seed: int, progress: Progress, damaged: Damaged = "skip"
) -> tuple[dict[str, Sequence[Clip]], list[tuple[str, str]]]:
    """Clips by class, and what was left out with the reason: unreadable videos, classes that the network lacks.

    Raises DataError where fewer than two classes are left.
    """
    skipped: list[tuple[str, str]] = []
    rows: list[int] = []
    for label, name in enumerate(videos.classes):
        own = np.flatnonzero(videos.labels == label)
        try:
            model.class_index(name)
        except ModelError as error:
            skipped.append((name, str(error)))
            continue
        if limit is not None and len(own) > limit:
            own = np.sort(np.random.default_rng((seed, label)).choice(own, limit, replace=False))
        rows += own.tolist()
    if not rows:
        raise DataError(
            f"expected folders named like classes of the network, {list(model.classes)[:5]} …, got "
            f"{list(videos.classes)[:5]}; rename them"
        )
    with progress("reading labelled videos", len(rows)) as advance:

        def count(done: int, total: int) -> None:
            advance()

        found = read_clips(videos.select(rows), replace(model.reader(), damaged=damaged), seed=seed, progress=count)
    skipped += [(str(x.path), x.reason) for x in found.skipped]
    places: dict[str, list[int]] = {}
    lost = [x.path for x in found.skipped]
    left = [i for i in rows if videos.paths[i] not in lost]
    for place, i in enumerate(left):
        places.setdefault(videos.classes[videos.labels[i]], []).append(place)
    if len(places) < 2:
        raise DataError(f"expected readable videos of 2 classes or more, got {len(places)}; add the other classes")
    return {name: pick(found.clips, own) for name, own in places.items()}, skipped


def classified(session: Session, clips: dict[str, Sequence[Clip]]) -> list[AuditedClass]:
    """Every class with the logits of its clips, one forward pass a clip; the order is that of the network's classes."""
    named = sorted(clips, key=session.model.class_index)
    every = [(name, i) for name in named for i in range(len(clips[name]))]

    def one(n: int) -> np.ndarray:
        name, i = every[n]
        return session.engine.run(ClipLogits(central_window(session.model, clips[name][i])))

    logits = session.engine.map("logits of all clips", len(every), one).values()
    found, start = [], 0
    for name in named:
        stop = start + len(clips[name])
        found.append(AuditedClass(name, session.model.class_index(name), clips[name], np.stack(logits[start:stop])))
        start = stop
    return found


def chosen_clips(found: AuditedClass, settings: ConceptSettings) -> list[int]:
    """The clips of a class in which its concepts are searched: at most ``settings.videos``, at most half of them wrong.

    All where they are no more. More than half are wrong where there are too few right ones.
    """
    count, most = len(found.clips), settings.videos
    if count <= most:
        return list(range(count))
    rng = np.random.default_rng((settings.seed, 23))
    wrong, right = (rng.permutation(np.flatnonzero(part)) for part in (found.wrong, ~found.wrong))
    bad = min(len(wrong), max(most // 2, most - len(right)))
    return sorted(int(i) for i in (*wrong[:bad], *right[: most - bad]))
