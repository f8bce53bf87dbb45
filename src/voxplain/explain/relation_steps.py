"""Relations between the main concepts of a class, and the effects of changing them and of adding a concept.

Letters: M clips, K concepts, P pairs, A axes.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from voxplain.audits.presence import FEWEST, presence_tests
from voxplain.audits.relations import AXES, RELATIONS, AddedConcept, Relation, RelationEffect, relations_of
from voxplain.audits.shared import ClassSpace
from voxplain.concepts.effect import concept_mask
from voxplain.concepts.sequential_effects import detailed
from voxplain.explain.audit_steps import ExplainedClass
from voxplain.explain.audit_tasks import AddedToClip, RelationsInClip
from voxplain.explain.central_window import central_window, fit_grid
from voxplain.explain.session import Session
from voxplain.segment import volume_matched
from voxplain.statistics import SIGNIFICANT, bootstrap_interval, sign_flips

__all__ = ["added_concepts", "main_concepts", "relation_effects", "relations"]

_FREQUENT = 0.5  # share of the clips with both concepts from which on a relation is listed


def main_concepts(found: ExplainedClass, most: int) -> list[int]:
    """The things of largest effect, in order: concepts of at least a tenth of the largest effect, scene left out.

    The place of what surrounds everything is no relation.
    """
    ranked = detailed(found.run.scores["effect"].value)
    return [k for k in ranked if found.kinds[k] not in ("scene", "border")][:most]


def relations(
    session: Session, found: ExplainedClass, concepts: Sequence[int], *, permutations: int, seed: int
) -> tuple[Relation, ...]:
    """How the concepts of each pair stand to each other, where a relation holds in half of the clips or is tested."""
    run, rows = found.run, []
    tested: list[tuple[np.ndarray, np.ndarray]] = []
    pairs = list(combinations(concepts, 2))
    with session.engine.progress(f"relations of concepts of “{run.target}”", len(pairs)) as advance:
        for a, b in pairs:
            both = np.flatnonzero((found.volumes[:, [a, b]] > 0).all(1))
            held = np.zeros((len(both), len(RELATIONS)))
            for row, i in enumerate(both.tolist()):
                _, regions, assigned = fit_grid(session.model, run.clips[i], run.supervoxels[i], run.assigned[i])
                names = relations_of(*(concept_mask(regions, assigned, k) for k in (a, b)))
                held[row] = [name in names for name in RELATIONS]
            if len(both):
                rows.append((a, b, held))
                tested.append((held, found.wrong[both]))
            advance()
    tests = presence_tests([h for h, _ in tested], [w for _, w in tested], permutations=permutations, seed=seed)
    listed = []
    for (a, b, held), (_, wrong), own in zip(rows, tested, tests, strict=True):
        by_name = {RELATIONS[test.concept]: test for test in own}
        for n, name in enumerate(RELATIONS):
            share, test = float(held[:, n].mean()), by_name.get(name)
            right, bad = (float(held[w, n].mean()) if w.any() else float("nan") for w in (~wrong, wrong))
            p, q = (test.p_value, test.q_value) if test is not None else (float("nan"), float("nan"))
            if share >= _FREQUENT or q < SIGNIFICANT:
                listed.append(Relation(a, b, name, share, right, bad, p, q, len(held)))
    return tuple(listed)


def relation_effects(
    session: Session, found: ExplainedClass, concepts: Sequence[int], most: int, *, seed: int
) -> tuple[RelationEffect, ...]:
    """What it costs to move the first concept of a pair against the second, beyond moving both together."""
    run, y = found.run, found.index
    pairs = tuple((int(a), int(b)) for a, b in combinations(concepts, 2))
    if not pairs:
        return ()
    right = np.flatnonzero(~found.wrong)
    there = [int(i) for i in right if any((found.volumes[i, list(pair)] > 0).all() for pair in pairs)]
    places = sorted(int(there[i]) for i in np.random.default_rng((seed, 31)).permutation(len(there))[:most])
    # What a moved thing leaves is filled as where hiding costs least.
    fill = session.settings.effect.fills[run.effects.fill_of(list(concepts), y)]

    def one(n: int) -> np.ndarray:
        i = places[n]
        clip, own, assigned = fit_grid(session.model, run.clips[i], run.supervoxels[i], run.assigned[i])
        return session.engine.run(RelationsInClip(clip, own.labels, assigned, pairs, fill))

    title = f"relations of concepts of “{run.target}” changed"
    logits = session.engine.map(title, len(places), one).values()
    if not logits:
        return ()
    z = np.stack(logits).astype(np.float64)  # [M,P,A,2,C]
    base = run.effects.objective(found.logits[places].astype(np.float64), y)
    lost = base[:, None, None, None] - run.effects.objective(z, y)
    differences = (lost[..., 0] - lost[..., 1]).reshape(len(places), -1)  # [M,P·A]
    columns = [c for c in range(differences.shape[1]) if (~np.isnan(differences[:, c])).sum() >= FEWEST]
    if not columns:
        return ()
    rng = np.random.default_rng(seed)
    kept = differences[:, columns]
    kept_rows = ~np.isnan(kept).all(1)
    flips = sign_flips(kept[kept_rows], rng)
    p, q = flips.p_value(), flips.adjusted()
    listed = []
    for n, c in enumerate(columns):
        known = ~np.isnan(differences[:, c])
        (a, b), axis = pairs[c // len(AXES)], AXES[c % len(AXES)]
        both = lost.reshape(len(places), -1, 2)[known, c].mean(0)
        ends = bootstrap_interval(differences[known, c], rng, resamples=1999)
        values = (float(differences[known, c].mean()), *ends, float(both[0]), float(both[1]), float(p[n]), float(q[n]))
        listed.append(RelationEffect(a, b, axis, *values, int(known.sum())))
    return tuple(sorted(listed, key=lambda effect: (effect.p_value, -effect.lost)))


def added_concepts(
    session: Session,
    found: ExplainedClass,
    others: Sequence[ExplainedClass],
    spaces: dict[str, ClassSpace],
    concepts: Sequence[int],
    most: int,
    *,
    seed: int,
) -> tuple[AddedConcept, ...]:
    """Each concept pasted into clips of other classes without it, from clips of the class that have it."""
    run = found.run
    rng = np.random.default_rng((seed, 37))
    candidates = [(o, i) for o in others for i in range(len(o.run.clips))]
    order = [candidates[i] for i in rng.permutation(len(candidates))]
    values: dict[int, np.ndarray] = {}
    for k in concepts:
        donors = np.flatnonzero((found.volumes[:, k] > 0) & ~found.wrong)
        receivers = [(o, i) for o, i in order if not _has(o, i, spaces, run.target, k)][:most]
        if len(donors) and receivers:
            values[k] = _pasted(session, found, k, rng.permutation(donors), receivers, seed)
    columns = [k for k in values if len(values[k]) >= FEWEST]
    if not columns:
        return ()
    longest = max(len(values[k]) for k in columns)
    excess = np.full((longest, len(columns)), np.nan)
    for n, k in enumerate(columns):
        excess[: len(values[k]), n] = values[k][:, 0] - values[k][:, 1]
    flips = sign_flips(excess, rng)
    p, q = flips.p_value(), flips.adjusted()
    hidden = run.scores["effect"].value
    return tuple(
        AddedConcept(
            int(k),
            float(values[k][:, 0].mean()),
            *bootstrap_interval(values[k][:, 0], rng, resamples=1999),
            float(np.nanmean(excess[:, n])),
            float(hidden[k]),
            float(p[n]),
            float(q[n]),
            len(values[k]),
        )
        for n, k in enumerate(columns)
    )


def _has(other: ExplainedClass, clip: int, spaces: dict[str, ClassSpace], label: str, concept: int) -> bool:
    """Whether a clip of another class has a concept that is nearer to ``concept`` than that one is wide."""
    own, theirs = spaces[label], spaces[other.run.target]
    there = np.flatnonzero(other.volumes[clip] > 0)
    apart = np.linalg.norm(theirs.centers[there] - own.centers[concept], axis=1)
    return bool((apart <= own.radii[concept]).any())


def _pasted(
    session: Session,
    found: ExplainedClass,
    concept: int,
    donors: np.ndarray,
    receivers: Sequence[tuple[ExplainedClass, int]],
    seed: int,
) -> np.ndarray:
    """Rise of the class's log-odds by the concept and by random regions of its volume, [n,2]."""
    run, model = found.run, session.model

    def one(n: int) -> np.ndarray:
        other, i = receivers[n]
        place = int(donors[n % len(donors)])
        donor, own, assigned = fit_grid(model, run.clips[place], run.supervoxels[place], run.assigned[place])
        mask = concept_mask(own, assigned, concept)
        region = volume_matched(np.random.default_rng((seed, concept, n)), own, int(mask.sum()))
        return session.engine.run(AddedToClip(central_window(model, other.run.clips[i]), donor, mask, region))

    title = f"concept {concept} of “{run.target}” added to clips without it"
    logits = np.stack(session.engine.map(title, len(receivers), one).values()).astype(np.float64)
    base = np.stack([other.logits[i] for other, i in receivers]).astype(np.float64)
    objective = run.effects.objective
    return np.asarray(objective(logits, found.index) - objective(base, found.index)[:, None])
