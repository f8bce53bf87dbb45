"""Proving a ranking on held-out clips: adding and removing concepts."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from voxplain.concepts.contrast import all_contrasts
from voxplain.concepts.evaluate import Steps, join, margins
from voxplain.concepts.probe import Probed
from voxplain.concepts.run import ConceptRun, EvaluationRun
from voxplain.concepts.settings import ConceptSettings
from voxplain.explain.session import Progress, Session, embed, middle, nearest_centre, segment, then
from voxplain.model import VideoModel
from voxplain.progress import quiet
from voxplain.segment import Supervoxels
from voxplain.store import Store, content_hash, key
from voxplain.video import Clip

__all__ = ["evaluate_concepts", "fill_brings_nothing"]


def evaluate_concepts(
    model: VideoModel,
    run: ConceptRun,
    clips: Sequence[Clip],
    *,
    settings: ConceptSettings,
    store: Store | Path | str | None = None,
    progress: Progress = quiet,
) -> ConceptRun:
    """Prove a ranking on held-out clips of the class by adding and removing its concepts; returns the run with it.

    Supervoxels of all levels, not thinned, each given to the nearest concept; so all concepts together are the whole
    clip and the end points are the unmodified prediction exactly. Source: STCE §4.2.
    """
    if store is None:
        with TemporaryDirectory(prefix="voxplain-") as folder:
            return evaluate_concepts(model, run, clips, settings=settings, store=folder, progress=progress)
    session = Session(model, settings, store if isinstance(store, Store) else Store(Path(store)), progress)
    network, ranked, y = session.network, run.order, run.target_index
    held = middle(model, clips)
    known = {content_hash(c.frames) for c in (*run.clips, *middle(model, run.clips))}
    leaked = sum(content_hash(c.frames) in known for c in held)
    parts = segment(session, held, "test videos", unite=settings.test_unite)
    rows = embed(session, held, parts, "test videos")
    assigned = [nearest_centre(r, run.bank.centers) for r in rows]
    names = [f.name for f in fields(Steps) if f.name not in ("kind", "names")]

    def one(i: int) -> list[Steps]:
        name = key(
            "steps", 2, frames=held[i].frames, labels=parts[i].labels, assigned=assigned[i], ranked=ranked, target=y,
            evaluation=settings.evaluation, place=i, **network,
        )  # fmt: skip

        def make() -> dict[str, np.ndarray]:
            both = settings.evaluation(model, held[i], parts[i], assigned[i], ranked, y, place=i)
            return {f"{s.kind}.{n}": getattr(s, n) for s in both for n in names}

        arrays = session.store.arrays("steps", name, make)
        listed = ["top", "least", *(f"random{d}" for d in range(settings.evaluation.draws))]
        return [
            Steps(kind, tuple(listed), **{n: arrays[f"{kind}.{n}"] for n in names}) for kind in ("adding", "removing")
        ]

    with progress("adding and removing concepts", len(held)) as advance:
        both = [then(one(i), advance) for i in range(len(held))]
    adding, removing = (join(list(side)) for side in zip(*both, strict=True)) if both else (join([]), join([]))
    contrasts = all_contrasts(adding, removing, seed=settings.seed)
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
    probed = _probed(session, held, parts, assigned, run, adding)
    return replace(run, evaluation=EvaluationRun(adding, removing, contrasts, probed))


def _probed(
    session: Session, held: Sequence[Clip], parts: Sequence[Supervoxels], assigned: Sequence[np.ndarray],
    run: ConceptRun, adding: Steps,
) -> tuple[Probed, ...]:  # fmt: skip
    """A few test clips taken apart, for the report."""
    s, network = session.settings, session.network
    fill, names = s.evaluation.fill, ("unmodified", "blank", "hidden", "switches", "switched")
    chosen = s.probe.choose(margins(adding.unmodified, adding.truth))

    def one(i: int) -> Probed:
        name = key(
            "probe", 1, frames=held[i].frames, labels=parts[i].labels, assigned=assigned[i], ranked=run.order,
            switches=s.probe.switches, fill=fill, **network,
        )  # fmt: skip

        def make() -> dict[str, np.ndarray]:
            found = s.probe(session.model, held[i], parts[i], assigned[i], run.order, fill=fill, place=i)
            return {n: getattr(found, n) for n in names}

        arrays = session.store.arrays("probes", name, make)
        colour = session.model.mean_colour
        return Probed(held[i], parts[i], assigned[i], i, fill, colour, **{n: arrays[n] for n in names})

    with session.progress("taking test videos apart", len(chosen)) as advance:
        return tuple(then(one(i), advance) for i in chosen)


def fill_brings_nothing(adding: Steps) -> bool:
    """Whether the partly shown clips are hardly ever recognised in any order, while the whole ones mostly are."""
    partly = adding.right()[:, :, :-1].mean(1)  # [O,S−1]: the last step shows everything
    return bool(adding.baseline() >= 0.5 and partly.max() <= 0.05)
