"""The estimate of `voxplain audit`: all classes as `voxplain concepts` explains them, and what is measured besides.

Also its memory: what computing one clip takes, and what of all classes is kept.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from voxplain.audits.relations import AXES
from voxplain.audits.settings import AuditSettings
from voxplain.cli.estimate import READERS, Calibration, calibrate, expected_concepts, forwards_of
from voxplain.cli.execution import Execution
from voxplain.cli.memory import Forecast, present, read_bytes, readable_bytes
from voxplain.cli.work_estimate import Estimate, Work
from voxplain.concepts.settings import ConceptSettings
from voxplain.datasets import VideoSet, read_clips, scan_folder
from voxplain.datasets.folder import KEPT
from voxplain.errors import DataError
from voxplain.explain.session import LABELS
from voxplain.model import VideoModel
from voxplain.runtime import cores
from voxplain.video import Clip, Damaged

__all__ = ["audit_estimate", "audited_work", "within_memory"]

WRONG = 0.1  # share of clips that are expected to be classified wrongly; it is not known before
KINDS = 1.5  # of concepts that are expected in a class
POSSIBLE = 0.5  # share of relations and additions for which there are clips with, or without, both concepts


def audited_work(
    settings: ConceptSettings,
    model: VideoModel,
    videos: VideoSet,
    random: Path | None,
    limit: int | None,
    workers: int | None,
    damaged: Damaged = "skip",
) -> Estimate:
    """The estimate of an audit, from one clip of the data.

    Parameters
    ----------
    settings : ConceptSettings
    model : VideoModel
    videos : VideoSet
    random : Path or None
        Folder of unrelated videos; None: the videos of the other classes.
    limit : int or None
        Clips a class.
    workers : int or None
        Of the audit; None: one a core.
    damaged : {"skip", "use", "fail"}
        What is done with videos of which frames are lost.

    Returns
    -------
    Estimate
    """
    counts, unrelated = _counts(settings, model, videos, random, limit)
    clip, read = _readable_clip(model, videos, settings.seed, damaged)
    measured = calibrate(settings, model, clip, workers=workers or cores(), read=read)
    return audit_estimate(settings, AuditSettings(), measured, counts, unrelated, shared=random is not None)


def within_memory(
    execution: Execution,
    settings: ConceptSettings,
    model: VideoModel,
    videos: VideoSet,
    random: Path | None,
    limit: int | None,
    damaged: Damaged = "skip",
) -> tuple[Execution, VideoModel]:
    """The execution with as many workers, and the model with as large passes, as ``--max-memory`` allows.

    Parameters
    ----------
    execution : Execution
        With ``max_memory``.
    settings : ConceptSettings
    model : VideoModel
    videos : VideoSet
    random : Path or None
    limit : int or None
    damaged : {"skip", "use", "fail"}
        As for `audited_work`.

    Returns
    -------
    (Execution, VideoModel)

    Raises
    ------
    DataError
        Where one worker with one clip in a pass takes more, and where ``max_memory`` is no amount of memory.
    """
    assert execution.max_memory is not None
    most, given = read_bytes(execution.max_memory), model.batch_size
    counts, unrelated = _counts(settings, model, videos, random, limit)
    clip, _ = _readable_clip(model, videos, settings.seed, damaged)
    for size in (given, *(n for n in (2, 1) if n < given)):
        lowered = replace(model, batch_size=size)
        found = _forecast(settings, calibrate(settings, lowered, clip), counts, unrelated)
        workers = found.workers(most, execution.workers or cores())
        if workers or not found.worker:
            return replace(execution, workers=max(1, workers), max_memory=None), lowered
    raise DataError(
        f"expected --max-memory of {readable_bytes(found.total(1))} or more for this network and these videos, got "
        f"{execution.max_memory}; give more, or take fewer videos (--limit)"
    )


def _forecast(settings: ConceptSettings, measured: Calibration, counts: Sequence[int], unrelated: int) -> Forecast:
    """The memory of an audit; clips, and the features of each class, are kept to its end."""
    clips = [min(settings.videos, count) for count in counts]
    videos = sum(min(KEPT, count * measured.frame_bytes) for count in (sum(counts), unrelated))
    drawn = unrelated * min(settings.unrelated_crops, measured.supervoxels)
    rows = sum(count * measured.supervoxels + drawn for count in clips) * measured.features * 4
    largest = (max(clips) * measured.supervoxels + drawn) * measured.features * 4  # a clip's own, and all together
    return Forecast(present() or 0, measured.memory, videos + LABELS + rows + largest)


def _counts(
    settings: ConceptSettings, model: VideoModel, videos: VideoSet, random: Path | None, limit: int | None
) -> tuple[list[int], int]:
    """Clips of each class that the network knows, and unrelated videos of a class."""
    known = [name for name in videos.classes if name in model.classes]
    counts = [min(len(videos.of_class(name)), limit or len(videos)) for name in known]
    others = sum(counts) - max(counts, default=0) if random is None else len(scan_folder(random))
    return counts, min(settings.unrelated_videos, others)


def _readable_clip(model: VideoModel, videos: VideoSet, seed: int, damaged: Damaged) -> tuple[Clip, float]:
    """A clip of the data, and the seconds of reading it."""
    reader = replace(model.reader(), damaged="skip" if damaged == "fail" else damaged)
    for i in np.random.default_rng(seed).permutation(len(videos)):
        start = time.perf_counter()
        try:
            clip = read_clips(videos.select([int(i)]), reader).clips[0]
        except DataError:
            continue
        return clip, (time.perf_counter() - start) / READERS
    raise DataError("expected a video that can be read, got none; check the data")


def audit_estimate(
    settings: ConceptSettings,
    measures: AuditSettings,
    measured: Calibration,
    counts: Sequence[int],
    unrelated: int,
    *,
    shared: bool,
) -> Estimate:
    """The estimate of an audit of classes of ``counts`` clips.

    Parameters
    ----------
    settings : ConceptSettings
    measures : AuditSettings
    measured : Calibration
    counts : sequence of int
        Clips of each class.
    unrelated : int
        Unrelated videos of a class.
    shared : bool
        Whether all classes have the same unrelated videos, which are then embedded once.

    Returns
    -------
    Estimate
    """
    concepts, fills = expected_concepts(settings.clusterer), len(getattr(settings.effect, "fills", ("",)))
    steps: list[Work] = []
    for place, count in enumerate(counts):
        clips = min(settings.videos, count)
        own = forwards_of(settings, measured, clips, unrelated if place == 0 or not shared else 0, concepts)
        steps += [Work(step, passes, seconds) for step, (passes, seconds) in own.items()]
        some = min(measures.kind_clips, clips)
        kinds = some * (fills * (1 + 2 * KINDS) + 3)
        wrong = 2 * min(measures.wrong_clips, round(WRONG * count)) * 2 * concepts
        main, moved = min(measures.main_concepts, -(-concepts // 3)), min(measures.relation_clips, clips)
        related = moved * len(list(combinations(range(main), 2))) * len(AXES) * 2
        added = main * min(measures.relation_clips, sum(counts) - count) * 2
        further = kinds + wrong + POSSIBLE * (related + added)
        steps += [
            Work("logits of all clips", count + clips, (count + clips) * measured.forward),
            Work("kinds, wrong clips and relations", further, further * measured.forward),
        ]
    return Estimate(tuple(steps))
