"""Proving a ranking on held-out clips: adding and removing concepts."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from voxplain.concepts.clip_exploration import ExploredClip
from voxplain.concepts.concept_run import ConceptRun, EvaluationRun
from voxplain.concepts.discover import nearest_centre
from voxplain.concepts.evaluate import AddRemoveCurves, join, margins
from voxplain.concepts.order_tests import all_order_tests
from voxplain.concepts.settings import ConceptSettings
from voxplain.explain.central_window import central_window
from voxplain.explain.class_steps import raise_if_missing
from voxplain.explain.session import Executor, Progress, Session, open_session
from voxplain.explain.tasks import PROBED, STEPS, AddRemoveInClip, ExploreClip
from voxplain.lazy import Lazy
from voxplain.model import VideoModel
from voxplain.progress import quiet
from voxplain.runtime import ThreadExecutor
from voxplain.segment import Supervoxels
from voxplain.store import Store, content_hash, key
from voxplain.video import Clip

__all__ = ["evaluate_concepts", "fill_brings_nothing"]

HELD = 64 << 20  # bytes of test clips kept in memory


def evaluate_concepts(
    model: VideoModel,
    run: ConceptRun,
    clips: Sequence[Clip],
    *,
    settings: ConceptSettings,
    store: Store | Path | str | None = None,
    progress: Progress = quiet,
    on: Callable[[VideoModel], Executor] = ThreadExecutor,
) -> ConceptRun:
    """Test a ranking on held-out clips of the class by adding and removing its concepts; returns the run with it.

    Supervoxels of all levels, not thinned, each given to the nearest concept; so all concepts together are the whole
    clip and the end points are the unmodified prediction exactly. Source: STCE §4.2.
    """
    if store is None:
        with TemporaryDirectory(prefix="voxplain-") as folder:
            return evaluate_concepts(model, run, clips, settings=settings, store=folder, progress=progress, on=on)
    store = store if isinstance(store, Store) else Store(Path(store))
    session = open_session(model, settings, store, progress, on, run.clips)
    held = Lazy(
        lambda i: central_window(model, clips[i]), range(len(clips)), size=lambda clip: clip.frames.nbytes, keep=HELD
    )
    leaked = _leaked(model, run, held)
    rows = session.embedded(held, "test videos", deduplicate=settings.test_deduplicate)
    raise_if_missing(rows)
    assigned = [nearest_centre(r, run.bank.centers) for r in rows]
    parts = session.segmented(held, deduplicate=settings.test_deduplicate)
    adding, removing = _sides(session, held, parts, assigned, run)
    order_tests = all_order_tests(adding, removing, seed=settings.seed)
    if leaked:
        said = f"{leaked} of {len(held)} test clips are clips that the concepts were found in: not held out"
        run = replace(run, warnings=(*run.warnings, said))
    if fill_brings_nothing(adding):
        said = (
            f"adding up to {settings.evaluation.steps} concepts to a clip of fill “{settings.evaluation.fill}” is "
            "recognised in no order, though the whole clip is: the fill may be like nothing that the network has seen; "
            "try another with --evaluation.fill and --effect.fill, black for videos on a black background"
        )
        run = replace(run, warnings=(*run.warnings, said))
    explored = _probed(session, held, parts, assigned, run, adding)
    return replace(run, evaluation=EvaluationRun(adding, removing, order_tests, explored))


def _leaked(model: VideoModel, run: ConceptRun, held: Sequence[Clip]) -> int:
    """Test clips that are clips of the run."""
    known = {h for c in run.clips for h in (content_hash(c.frames), content_hash(central_window(model, c).frames))}
    return sum(content_hash(c.frames) in known for c in held)


def _sides(
    session: Session,
    held: Sequence[Clip],
    parts: Sequence[Supervoxels],
    assigned: Sequence[np.ndarray],
    run: ConceptRun,
) -> tuple[AddRemoveCurves, AddRemoveCurves]:
    """Adding and removing concepts in every test clip."""
    evaluation, ranked, y = session.settings.evaluation, run.order, run.target_index
    listed = ("top", "least", *(f"random{d}" for d in range(evaluation.draws)))

    def one(i: int) -> list[AddRemoveCurves]:
        clip, labels = held[i], parts[i].labels
        name = key(
            "steps",
            2,
            frames=clip.frames,
            labels=labels,
            assigned=assigned[i],
            ranked=ranked,
            target=y,
            evaluation=evaluation,
            place=i,
            **session.network,
        )
        make = lambda: session.compute(AddRemoveInClip(clip, labels, assigned[i], ranked, y, evaluation, i))  # noqa: E731
        arrays = session.store.arrays("steps", name, make)
        return [
            AddRemoveCurves(kind, listed, **{n: arrays[f"{kind}.{n}"] for n in STEPS})
            for kind in ("adding", "removing")
        ]

    both = session.each("adding and removing concepts", len(held), one)
    raise_if_missing(both)
    adding, removing = (join(list(side)) for side in zip(*both, strict=True)) if both else (join([]), join([]))
    return adding, removing


def _probed(
    session: Session,
    held: Sequence[Clip],
    parts: Sequence[Supervoxels],
    assigned: Sequence[np.ndarray],
    run: ConceptRun,
    adding: AddRemoveCurves,
) -> tuple[ExploredClip, ...]:
    """A few test clips taken apart, for the report."""
    s, ranked = session.settings, run.order
    fill, colour = s.evaluation.fill, session.model.mean_colour
    chosen = s.exploration.choose(margins(adding.unmodified, adding.truth))

    def one(place: int) -> ExploredClip:
        i = chosen[place]
        clip, labels = held[i], parts[i].labels
        name = key(
            "exploration",
            1,
            frames=clip.frames,
            labels=labels,
            assigned=assigned[i],
            ranked=ranked,
            switches=s.exploration.switches,
            fill=fill,
            **session.network,
        )
        make = lambda: session.compute(ExploreClip(clip, labels, assigned[i], ranked, s.exploration, fill, i))  # noqa: E731
        arrays = session.store.arrays("explorations", name, make)
        return ExploredClip(clip, parts[i], assigned[i], i, fill, colour, **{n: arrays[n] for n in PROBED})

    found = session.each("taking test videos apart", len(chosen), one)
    raise_if_missing(found)
    return tuple(found)


def fill_brings_nothing(adding: AddRemoveCurves) -> bool:
    """Whether the partly shown clips are hardly ever recognised in any order, while the whole ones mostly are."""
    partly = adding.right()[:, :, :-1].mean(1)  # [O,S−1]: the last step shows everything
    return bool(adding.baseline() >= 0.5 and partly.max() <= 0.05)
