"""Slices by effect: the concepts that draw wrong clips of a class to another, hidden in all clips of the class.

Letters: M clips, K concepts.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from voxplain.audits.causes import HiddenInWrong
from voxplain.audits.effect_slices import DrawingConcept, drawing_concepts, effect_slice
from voxplain.audits.slices import Slice
from voxplain.concepts.variants import Variant
from voxplain.explain.audit_steps import ExplainedClass, fill_of
from voxplain.explain.effect_steps import EngineClips
from voxplain.explain.session import Session

__all__ = ["effect_slices"]

_REPAIRED = 0.5  # share that hiding a concept repairs in the wrong clips, from which on it describes a slice
_MOST = 3  # concepts that are hidden in all clips of the class


def effect_slices(
    session: Session,
    found: ExplainedClass,
    explained: Mapping[str, ExplainedClass],
    own: HiddenInWrong,
    taken: Sequence[HiddenInWrong],
    *,
    seed: int,
) -> tuple[Slice, ...]:
    """The clips that the concepts which repair most draw to another class, by falling share that they repair.

    ``own`` and ``taken`` as for `drawing_concepts`; ``explained`` by class name.
    """
    draws = [d for d in drawing_concepts(own, taken, seed=seed) if d.repaired >= _REPAIRED][:_MOST]
    predicted, names = found.logits.argmax(1), session.model.classes
    made = (
        effect_slice(d, _gain(session, found, explained[d.label], d, seed), predicted, found.index, names)
        for d in draws
    )
    return tuple(s for s in made if s is not None)


def _gain(session: Session, found: ExplainedClass, of: ExplainedClass, draw: DrawingConcept, seed: int) -> np.ndarray:
    """Rise of z_y − z_p in every clip when the concept is hidden, float64 [M]; 0 where a clip lacks it."""
    run, k = found.run, draw.concept
    clips = EngineClips(session, run.clips, run.supervoxels, _assigned(session, found, of), len(of.run.bank), of.index)
    has = clips.volume()[:, k] > 0
    asked: dict[int, list[Variant]] = {int(i): [("hidden", (k,))] for i in np.flatnonzero(has)}
    fill = session.settings.effect.fills[fill_of(of.run, k)]
    whose = f"“{run.target}” that may be taken for “{session.model.classes[draw.taken_for]}”"
    title = f"concept {k} of “{draw.label}” hidden in clips of {whose}"
    logits = clips.measure(title, asked, fills=(fill,), seed=seed, shared=True)
    gain, y, p = np.zeros(len(run.clips)), found.index, draw.taken_for
    for i, z in logits.items():
        base = found.logits[i].astype(np.float64)
        gain[i] = (z[0, 0, y] - z[0, 0, p]) - (base[y] - base[p])
    return gain


def _assigned(session: Session, found: ExplainedClass, of: ExplainedClass) -> Sequence[np.ndarray]:
    """The concept of class ``of`` of each supervoxel of the clips."""
    run = found.run
    if of is found:
        return run.assigned

    def one(i: int) -> np.ndarray:
        supervoxels = run.supervoxels[i]
        rows = session.features(run.clips[i], supervoxels, np.arange(supervoxels.count), of.index).values
        return of.run.bank.encode(rows)

    title = f"concepts of “{of.run.target}” in clips of “{run.target}”"
    return session.engine.map(title, len(run.clips), one).values()
