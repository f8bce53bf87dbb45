"""Evaluation of a ranking on held-out clips: adding and removing concepts."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from voxplain.concepts import warnings
from voxplain.concepts.clip_exploration import ExploredClip
from voxplain.concepts.concept_run import ConceptRun, EvaluationRun
from voxplain.concepts.evaluate import AddRemoveCurves, join, log_odds_of
from voxplain.concepts.held_out_match import held_out_match
from voxplain.concepts.order_tests import all_order_tests
from voxplain.concepts.settings import ConceptSettings
from voxplain.concepts.warnings import RunWarning
from voxplain.datasets.duplicates import distinct_clips, near_duplicates
from voxplain.errors import DataError, ModelError
from voxplain.explain.central_window import central_window
from voxplain.explain.concepts import Clips, clips_of
from voxplain.explain.parameters import settings_from
from voxplain.explain.session import Session, open_session
from voxplain.explain.tasks import AddRemoveInClip, ExploreClip
from voxplain.lazy import Lazy
from voxplain.model import VideoModel, narrow
from voxplain.nets import weights_digest
from voxplain.progress import quiet
from voxplain.runtime import Executor, Progress, Shard, ThreadExecutor
from voxplain.segment import Supervoxels
from voxplain.store import Store
from voxplain.video import Clip

__all__ = ["evaluate_concepts"]

HELD = 64 << 20  # bytes of test clips kept in memory


def evaluate_concepts(
    run: ConceptRun,
    clips: Clips,
    *,
    model: VideoModel | None = None,
    settings: ConceptSettings | None = None,
    store: Store | Path | str | None = None,
    executor: Callable[[VideoModel], Executor] = ThreadExecutor,
    shard: Shard | None = None,
    progress: Progress = quiet,
) -> ConceptRun:
    """Test a ranking on held-out clips of the class by adding and removing its concepts.

    Supervoxels of all levels, with near copies, are each assigned to the nearest concept; so all concepts together are
    the whole clip and the end points are the unmodified prediction exactly.

    Parameters
    ----------
    run : ConceptRun
        What `explain_concepts` returned; it carries its network and settings.
    clips : sequence of Clip, VideoSet or path
        Held-out clips of the class, or a folder of videos. Clips with identical frames count once.
    model : VideoModel, optional
        The network, where the run was read from disk.
    settings : ConceptSettings, optional
        By default those of the run.
    store : Store or path, optional
        By default the run's.
    executor, shard, progress
        As for `explain_concepts`.

    Returns
    -------
    ConceptRun
        The run with its ``evaluation``.

    Raises
    ------
    DataError
        Where a run that was read from disk comes without ``model``, and for too few clips.

    References
    ----------
    STCE, section 4.2.
    """
    model = model or run.model
    if model is None:
        raise DataError("expected the network beside a run that was read from disk, got none; pass model=…")
    model = _with_target(model, run)
    _check_layer(model, run)
    settings = settings or run.settings or settings_from(run.parameters)
    store = store or run.store
    options: dict[str, Any] = {"executor": executor, "shard": shard, "progress": progress}
    if store is None:
        with TemporaryDirectory(prefix="voxplain-") as folder:
            return evaluate_concepts(run, clips, model=model, settings=settings, store=folder, **options)
    store = store if isinstance(store, Store) else Store(Path(store))
    clips, lost = clips_of(model, clips, None, settings.seed)
    given = distinct_clips(clips)
    session = open_session(model, settings, store, run.clips, **options)
    _check_network(session, run)
    held = _windows(model, given.clips)
    said = warnings.collect(
        *_leaks(model, run, held),
        warnings.damaged(given, "test videos"),
        warnings.duplicates(given, "test clips"),
        warnings.near_duplicates(given, "test clips"),
    )
    rows = session.embedded(
        held, "test videos", deduplicate=settings.test_deduplicate, target=run.target_index
    ).values()
    assigned = [run.bank.encode(r) for r in rows]
    supervoxels = session.segmented(held, deduplicate=settings.test_deduplicate)
    adding, removing = _curves(session, held, supervoxels, assigned, run)
    explored = _explored(session, held, supervoxels, assigned, run, adding)
    match = held_out_match(run.bank, rows)
    evaluation = EvaluationRun(adding, removing, all_order_tests(adding, removing, seed=settings.seed), explored, match)
    checked = warnings.collect(
        warnings.fill_not_recognised(adding, settings.evaluation), warnings.far_held_out(match, run.first)
    )
    return replace(
        run,
        evaluation=evaluation,
        warnings=(*run.warnings, *said, *checked),
        skipped=(*run.skipped, *lost),
        model=model,
        settings=settings,
    )


def _with_target(model: VideoModel, run: ConceptRun) -> VideoModel:
    """The model narrowed to the run's target, where that is not one of several classes."""
    plain = model.exclusive and (run.target in model.classes or " vs " not in run.target)
    return model if plain or model.narrowed is not None else narrow(model, run.target)[0]


def _check_layer(model: VideoModel, run: ConceptRun) -> None:
    """Raise ModelError for another layer than that of the run."""
    if model.layer != run.layer:
        raise _another(run, f"layer {model.layer!r} of {model.name}")


def _check_network(session: Session, run: ConceptRun) -> None:
    """Raise ModelError for another network than that of the run: its weights, structure, code or answer changed."""
    record = run.provenance.get("network")
    if record is not None and not session.fingerprint.agrees(record):
        other = weights_digest(session.given.net) != run.provenance.get("weights")
        raise _another(run, f"{'weights' if other else 'structure or code'} of {session.given.name}")


def _another(run: ConceptRun, what: str) -> ModelError:
    return ModelError(
        f"expected the network that the concepts were found with, {run.network!r} at layer {run.layer!r}, got other "
        f"{what}; evaluate with the same network, or explain the class again"
    )


def _windows(model: VideoModel, clips: Sequence[Clip]) -> Lazy[Clip]:
    """The central windows of clips, read when they are asked for."""
    return Lazy(
        lambda i: central_window(model, clips[i]), range(len(clips)), size=lambda clip: clip.frames.nbytes, keep=HELD
    )


def _leaks(model: VideoModel, run: ConceptRun, held: Sequence[Clip]) -> tuple[RunWarning | None, RunWarning | None]:
    """Warnings of test clips that are clips of the run, or look almost like one."""
    known = distinct_clips(_windows(model, run.clips))
    whole = set(run.provenance.get("videos", {}).values())  # hashes of clips that may be longer than the window
    test = distinct_clips(held)
    same = {i for i, content in enumerate(test.hashes) if content in whole or content in known.hashes}
    near = sorted({i for i, _ in near_duplicates(test, known)} - same)
    return (warnings.leaked(len(same), len(held)), warnings.near_leaked([test.sources[i] for i in near], len(held)))


def _curves(
    session: Session,
    held: Sequence[Clip],
    supervoxels: Sequence[Supervoxels],
    assigned: Sequence[np.ndarray],
    run: ConceptRun,
) -> tuple[AddRemoveCurves, AddRemoveCurves]:
    """Adding and removing concepts in every test clip."""
    evaluation = session.settings.evaluation

    def one(i: int) -> tuple[AddRemoveCurves, AddRemoveCurves]:
        labels = supervoxels[i].labels
        return session.engine.run(
            AddRemoveInClip(held[i], labels, assigned[i], run.order, run.target_index, evaluation, i)
        )

    both = session.engine.map("adding and removing concepts", len(held), one).values()
    return join([adding for adding, _ in both]), join([removing for _, removing in both])


def _explored(
    session: Session,
    held: Sequence[Clip],
    supervoxels: Sequence[Supervoxels],
    assigned: Sequence[np.ndarray],
    run: ConceptRun,
    adding: AddRemoveCurves,
) -> tuple[ExploredClip, ...]:
    """A few test clips with their concepts hidden alone and together, for the report."""
    s, colour = session.settings, session.model.mean_colour
    chosen = s.exploration.choose(log_odds_of(adding.unmodified, adding.truth))

    def one(place: int) -> ExploredClip:
        i = chosen[place]
        labels = supervoxels[i].labels
        return session.engine.run(
            ExploreClip(held[i], labels, assigned[i], run.order, s.exploration, s.evaluation.fill, i, colour)
        )

    return tuple(session.engine.map("exploring test videos", len(chosen), one).values())
