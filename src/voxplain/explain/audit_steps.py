"""Measurements of an audit on the explained classes: by kind of concept, and in wrongly classified clips.

Letters: M clips, K concepts, F fills, V variants, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from voxplain.audits.causes import HiddenInWrong
from voxplain.audits.kinds import KINDS, ClipChange, KindShare, kind_of, kind_shares
from voxplain.audits.shared import ClassSpace, class_space
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.description import describe_concepts
from voxplain.concepts.joint_effects import ratio_interval
from voxplain.concepts.sequential_effects import BLANK, UNMODIFIED
from voxplain.concepts.variants import Variant
from voxplain.explain.central_window import central_window, fit_grid
from voxplain.explain.effect_steps import EngineClips
from voxplain.explain.session import Session
from voxplain.explain.tasks import ClipLogits, VariantsInClip
from voxplain.lazy import pick
from voxplain.segment import Supervoxels
from voxplain.video import Clip

__all__ = [
    "ExplainedClass",
    "attracted",
    "clip_change",
    "explained",
    "fill_of",
    "hidden_in_wrong",
    "shares_by_kind",
    "space_of",
]


@dataclass(frozen=True, eq=False)
class ExplainedClass:
    """A class with its concepts and what is known of the clips in which they were found.

    Parameters
    ----------
    run : ConceptRun
    logits : ndarray, float32 [M,C]
    volumes : ndarray, float32 [M,K]
        Share of each clip's voxels that each concept covers.
    kinds : tuple of str
        Kind of each concept.
    """

    run: ConceptRun
    logits: np.ndarray
    volumes: np.ndarray
    kinds: tuple[str, ...]

    @property
    def index(self) -> int:
        """Class index."""
        return self.run.target_index

    @property
    def wrong(self) -> np.ndarray:
        """Whether each clip is classified wrongly, bool [M]."""
        return np.asarray(self.logits.argmax(1) != self.index)

    def on(self, session: Session) -> EngineClips:
        """The clips, to be measured by the engine of a session."""
        run = self.run
        return EngineClips(session, run.clips, run.supervoxels, run.assigned, len(run.bank), self.index)


def explained(session: Session, run: ConceptRun) -> ExplainedClass:
    """A run with the logits of its clips and the kinds of its concepts."""
    clips = run.clips

    def one(i: int) -> np.ndarray:
        return session.engine.run(ClipLogits(central_window(session.model, clips[i])))

    logits = np.stack(session.engine.map(f"logits of “{run.target}”", len(clips), one).values())
    on = EngineClips(session, clips, run.supervoxels, run.assigned, len(run.bank), run.target_index)
    with session.engine.progress(f"kinds of the concepts of “{run.target}”", 1) as advance:
        volumes = on.volume()
        kinds = tuple(kind_of(d, float(v)) for d, v in zip(describe_concepts(run), volumes.mean(0), strict=True))
        advance()
    return ExplainedClass(run, logits, volumes, kinds)


def shares_by_kind(session: Session, found: ExplainedClass, most: int, *, seed: int) -> tuple[KindShare, ...]:
    """How much of the class's log-odds each kind of concept holds, with the fill with which hiding costs least.

    Measured in rightly classified clips, where there are two or more: in the others there is little to lose.
    """
    concepts = {kind: tuple(k for k, own in enumerate(found.kinds) if own == kind) for kind in KINDS}
    concepts = {kind: own for kind, own in concepts.items() if own}
    places, fills = _right(found, most, seed), session.settings.effect.fills
    asked: dict[int, list[Variant]] = {}
    for i in places:
        present = [own for own in concepts.values() if (found.volumes[i, list(own)] > 0).any()]
        asked[i] = [UNMODIFIED, BLANK, *((kind, own) for own in present for kind in ("hidden", "control"))]
    title = f"log-odds of “{found.run.target}” by kind of concept"
    logits = found.on(session).measure(title, asked, fills=fills, seed=seed, shared=True)
    objective = found.run.effects.objective
    lost = np.full((len(fills), len(places), len(concepts), 2), np.nan)
    everything = np.zeros((len(fills), len(places)))
    for m, i in enumerate(places):
        values = objective(np.asarray(logits[i], np.float64), found.index)  # [F,V]
        everything[:, m] = values[:, 0] - values[:, 1]
        for n, own in enumerate(concepts.values()):
            if ("hidden", own) in asked[i]:
                at = asked[i].index(("hidden", own))
                lost[:, m, n] = values[:, :1] - values[:, at : at + 2]
    # The fill with which hiding costs least counts, as for single concepts; one for all kinds, so that shares compare.
    fill = int(np.nan_to_num(lost[..., 0]).sum((1, 2)).argmin())
    volumes = {kind: _joint_volume(session, found, own, places) for kind, own in concepts.items()}
    return kind_shares(concepts, volumes, lost[fill, ..., 0], lost[fill, ..., 1], everything[fill], seed=seed)


def _joint_volume(session: Session, found: ExplainedClass, concepts: Sequence[int], places: Sequence[int]) -> float:
    """Mean share of the voxels of some clips that any of the concepts covers."""
    run, shares = found.run, []
    for i in places:
        _, own, assigned = fit_grid(session.model, run.clips[i], run.supervoxels[i], run.assigned[i])
        shares.append(own.masks(np.flatnonzero(np.isin(assigned, concepts))).mean())
    return float(np.mean(shares))


def clip_change(session: Session, found: ExplainedClass, most: int, *, seed: int) -> ClipChange:
    """Log-odds lost when the whole clip is held still, and when its frames are shuffled."""
    places, fill = _right(found, most, seed), session.settings.effect.fills[:1]
    changed: tuple[Variant, ...] = (BLANK, ("frozen", (0,)), ("shuffled", (0,)))
    whole = np.zeros((1, *session.model.grid), np.int16)

    def one(n: int) -> np.ndarray:
        i = places[n]
        clip = central_window(session.model, found.run.clips[i])
        return session.engine.run(VariantsInClip(clip, whole, np.zeros(1, np.int64), changed, fill, seed, i))[0]

    title = f"“{found.run.target}” held still and shuffled"
    logits = np.stack(session.engine.map(title, len(places), one).values())  # [M,3,C]
    base = np.stack([found.logits[i] for i in places])[:, None]
    values = found.run.effects.objective(np.concatenate([base, logits], 1).astype(np.float64), found.index)
    lost = values[:, :1] - values[:, 1:]
    rng = np.random.default_rng(seed)
    frozen, shuffled = (ratio_interval(lost[:, n], lost[:, 0], rng) for n in (1, 2))
    return ClipChange(frozen, shuffled, len(places))


def hidden_in_wrong(session: Session, found: ExplainedClass, most: int, *, seed: int) -> HiddenInWrong:
    """The class's concepts hidden one by one in its wrongly classified clips."""
    wrong = np.flatnonzero(found.wrong)
    places = [int(wrong[i]) for i in _some(len(wrong), most, seed)]
    run = found.run
    return _hidden(
        session,
        run,
        True,
        pick(run.clips, places),
        pick(run.supervoxels, places),
        [run.assigned[i] for i in places],
        found.logits[places],
        np.full(len(places), found.index),
        np.array(places, np.int64),
        seed,
    )


def attracted(
    session: Session, found: ExplainedClass, others: Sequence[ExplainedClass], most: int, *, seed: int
) -> HiddenInWrong:
    """The class's concepts hidden one by one in clips of other classes that are predicted as it."""
    every = [(o, int(i)) for o in others for i in np.flatnonzero(o.logits.argmax(1) == found.index)]
    every = [every[i] for i in _some(len(every), most, seed)]
    clips = [o.run.clips[i] for o, i in every]
    session_supervoxels = session.segmented(clips, deduplicate=True)
    run = found.run
    if not every:
        none = np.zeros(0, np.int64)
        return _hidden(session, run, False, (), (), (), found.logits[:0], none, none, seed)

    def assigned(n: int) -> np.ndarray:
        supervoxels = session_supervoxels[n]
        rows = session.features(clips[n], supervoxels, np.arange(supervoxels.count), found.index).values
        return run.bank.encode(rows)

    own = session.engine.map(f"concepts of “{run.target}” in clips taken for it", len(clips), assigned).values()
    logits = np.stack([o.logits[i] for o, i in every])
    truth = np.array([o.index for o, _ in every], np.int64)
    own_places = np.array([i for _, i in every], np.int64)
    return _hidden(session, run, False, clips, session_supervoxels, own, logits, truth, own_places, seed)


def _hidden(
    session: Session,
    run: ConceptRun,
    own: bool,
    clips: Sequence[Clip],
    supervoxels: Sequence[Supervoxels],
    assigned: Sequence[np.ndarray],
    logits: np.ndarray,
    truth: np.ndarray,
    places: np.ndarray,
    seed: int,
) -> HiddenInWrong:
    """Margins of wrong clips with each concept hidden with the fill with which it costs least."""
    count, y = len(run.bank), run.target_index
    hidden, control = (np.full((len(clips), count), np.nan) for _ in range(2))
    corrected = np.zeros((len(clips), count), bool)
    rows = np.arange(len(clips))
    predicted = logits.argmax(1)
    if not len(clips):
        return HiddenInWrong(run.target, own, np.zeros(0), hidden, control, corrected, truth, predicted, places)
    base = (logits[rows, truth] - logits[rows, predicted]).astype(np.float64)
    engine = EngineClips(session, clips, supervoxels, assigned, count, y)
    volumes = engine.volume()
    fills = np.array([fill_of(run, k) for k in range(count)])
    whose = "its wrong clips" if own else "clips taken for it"
    for fill in np.unique(fills):
        asked: dict[int, list[Variant]] = {}
        for i in rows:
            present = [k for k in np.flatnonzero((volumes[i] > 0) & (fills == fill)) if k >= 0]
            if present:
                asked[int(i)] = [(kind, (int(k),)) for k in present for kind in ("hidden", "control")]
        name = (session.settings.effect.fills[int(fill)],)
        found = engine.measure(
            f"concepts of “{run.target}” hidden in {whose}", asked, fills=name, seed=seed, shared=True
        )
        _fill_in(asked, found, truth, predicted, hidden, control, corrected)
    return HiddenInWrong(run.target, own, base, hidden, control, corrected, truth, predicted, places)


def _fill_in(
    asked: Mapping[int, Sequence[Variant]],
    found: Mapping[int, np.ndarray],
    truth: np.ndarray,
    predicted: np.ndarray,
    hidden: np.ndarray,
    control: np.ndarray,
    corrected: np.ndarray,
) -> None:
    for i, variants in asked.items():
        z = found[i][0]  # [V,C]
        margins = z[:, truth[i]] - z[:, predicted[i]]
        for v, (kind, (k,)) in enumerate(variants):
            (hidden if kind == "hidden" else control)[i, k] = margins[v]
            if kind == "hidden":
                corrected[i, k] = z[v].argmax() == truth[i]


def fill_of(run: ConceptRun, concept: int) -> int:
    """The fill with which a concept costs least; the first where it was not measured."""
    means = run.effects.mean_drops(run.target_index)[:, concept]
    return 0 if np.isnan(means).all() else int(np.nanargmin(means))


def space_of(session: Session, found: ExplainedClass) -> ClassSpace:
    """Centres and radii of the class's concepts in the features that depend on no class."""
    run = found.run
    rows = session.embedded(run.clips, f"“{run.target}”", deduplicate=True, target=found.index).values()
    values = np.concatenate(rows)
    kept = values.shape[1] - session.settings.embedder.class_dimensions
    return class_space(run.target, values[:, :kept], np.concatenate(run.assigned), len(run.bank))


def _right(found: ExplainedClass, most: int, seed: int) -> list[int]:
    """Some rightly classified clips; some of all clips where fewer than two are."""
    right = np.flatnonzero(~found.wrong)
    places = right if len(right) > 1 else np.arange(len(found.wrong))
    return [int(places[i]) for i in _some(len(places), most, seed)]


def _some(count: int, most: int, seed: int) -> list[int]:
    """At most ``most`` of ``count`` places, drawn by the seed, in order."""
    return sorted(int(i) for i in np.random.default_rng((seed, 29)).permutation(count)[:most])
