"""The estimate of `voxplain evaluate`."""

import numpy as np

from voxplain.cli.concept_job import test_videos
from voxplain.cli.estimate import Calibration, calibrate, class_passes, page_seconds, readable_clip
from voxplain.cli.held_out import named_videos, split_videos
from voxplain.cli.job import Job
from voxplain.cli.network import open_model
from voxplain.cli.work_estimate import Estimate, Work
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.settings import ConceptSettings
from voxplain.plain_text import safe_name
from voxplain.runtime import cores
from voxplain.store import load_run

__all__ = ["evaluated_work", "evaluation_estimate"]


def evaluated_work(job: Job, workers: int | None) -> Estimate | None:
    """The estimate of evaluating all runs of a job; None where they are not there yet.

    Parameters
    ----------
    job : Job
    workers : int or None
        Of the evaluation; None: one a core.

    Returns
    -------
    Estimate or None
    """
    named = {safe_name(name): name for name in job.classes}
    videos, held_out = split_videos(job.data, job.held)
    test, every = test_videos(job, held_out), Estimate()
    for layer in job.network.layer or (None,):
        model = open_model(job.network, videos.classes, layer=layer)
        test = named_videos(model, test, job.held)
        folder = "" if len(job.network.layer) < 2 else model.layer
        for name in named:
            place = job.output / name / folder
            if not (place / "run.json").is_file():
                return None
            own = test.of_class(named[name])
            clip, read = readable_clip(job, model, own)
            measured = calibrate(job.settings, model, clip, workers=workers or cores(), read=read)
            every += evaluation_estimate(job.settings, measured, load_run(place), len(own))
    return every


def evaluation_estimate(s: ConceptSettings, measured: Calibration, run: ConceptRun, clips: int) -> Estimate:
    """The estimate of evaluating a run on ``clips`` test clips in which its concepts are as often as in its own.

    Parameters
    ----------
    s : ConceptSettings
    measured : Calibration
        On one of the clips.
    run : ConceptRun
    clips : int

    Returns
    -------
    Estimate
    """
    present = [frozenset(int(k) for k in np.unique(own) if k >= 0) for own in run.assigned]
    steps = float(np.mean([s.evaluation.forwards(run.order, own) for own in present]))
    concepts = float(np.mean([len(own) for own in present]))
    explored = min(s.exploration.clips, clips) * (1 + concepts + 2 ** min(s.exploration.switches, round(concepts)))
    features = class_passes(s.embedder) if s.embedder.one_pass else measured.supervoxels
    embedded = clips if s.embedder.one_pass else clips * measured.supervoxels
    return Estimate(
        (
            Work("reading", 0, clips * measured.read),
            Work("supervoxels", 0, clips * measured.segment),
            Work("features", clips * features, embedded * measured.embed),
            Work("adding and removing", clips * steps, clips * steps * measured.forward),
            Work("exploring", explored, explored * measured.forward),
            Work("pages", 0, page_seconds(measured, len(run.bank), evaluated=True)),
        )
    )
