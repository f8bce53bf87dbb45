"""The estimate of `voxplain audit`: all classes as `voxplain concepts` explains them, and what is measured besides."""

import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from voxplain.audits.relations import AXES
from voxplain.audits.settings import AuditSettings
from voxplain.cli.estimate import READERS, Calibration, calibrate, expected_concepts, forwards_of
from voxplain.cli.work_estimate import Estimate, Work
from voxplain.concepts.settings import ConceptSettings
from voxplain.datasets import VideoSet, read_clips, scan_folder
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.runtime import cores

__all__ = ["audit_estimate", "audited_work"]

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

    Returns
    -------
    Estimate
    """
    known = [name for name in videos.classes if name in model.classes]
    counts = [min(len(videos.of_class(name)), limit or len(videos)) for name in known]
    unrelated = settings.unrelated_videos
    if random is not None:
        unrelated = min(unrelated, len(scan_folder(random)))
    else:
        unrelated = min(unrelated, sum(counts) - max(counts))
    for i in np.random.default_rng(settings.seed).permutation(len(videos)):
        start = time.perf_counter()
        try:
            clip = read_clips(videos.select([int(i)]), model.reader()).clips[0]
        except DataError:
            continue
        read = (time.perf_counter() - start) / READERS
        measured = calibrate(settings, model, clip, workers=workers or cores(), read=read)
        return audit_estimate(settings, AuditSettings(), measured, counts, unrelated, shared=random is not None)
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
