"""The steps of a concept explanation that need all clips of a class, or all unrelated clips.

Letters: N supervoxels, D feature dimensions, D' dimensions of the model's layer, C classes, K concepts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from voxplain.concepts.cav import CAVs, fit_cavs
from voxplain.concepts.discover import ConceptBank
from voxplain.concepts.rank import ConceptScores, rank_by_tcav
from voxplain.concepts.score import SCORES, directional_derivatives
from voxplain.errors import DataError
from voxplain.explain.session import Session
from voxplain.explain.tasks import DiscoverConcepts, EmbedWholeClip
from voxplain.runtime import Results
from voxplain.video import Clip

__all__ = [
    "bank",
    "concept_features",
    "drawn_features",
    "gradients",
    "logits",
    "null_concepts",
    "tcav",
    "unrelated_examples",
]

VIDEO_DRAWS = 40  # bootstrap draws of the videos, each with one random set: as many fits as 40 random sets


def bank(session: Session, values: np.ndarray, origin: np.ndarray, searched: int) -> ConceptBank:
    """The concepts of the class: clusters of the features of its supervoxels."""
    s = session.settings
    return session.engine.run(
        DiscoverConcepts(values, origin, s.class_clusterer, s.keep, s.cluster_filter, searched, s.reach, s.seed)
    )


@dataclass(frozen=True, eq=False)
class DrawnFeatures:
    """Features of drawn supervoxels of some clips: ``values`` [N,D], the clip and the supervoxel of each, [N]."""

    values: np.ndarray
    clips: np.ndarray
    ids: np.ndarray


def drawn_features(session: Session, clips: Sequence[Clip], name: str, *, for_cavs: bool) -> Results[DrawnFeatures]:
    """Features of ``unrelated_crops`` supervoxels of every clip, for finding concepts or for learning CAVs."""
    s = session.settings

    def one(i: int) -> DrawnFeatures:
        clip = clips[i]
        supervoxels = session.supervoxels(clip, deduplicate=True)
        ids = session.draw(clip, supervoxels, s.unrelated_crops)
        found = session.features(clip, supervoxels, ids, None)
        return DrawnFeatures(found.in_layer_space if for_cavs else found.values, np.full(len(ids), i), ids)

    return session.engine.map(f"supervoxels and features of {name}", len(clips), one)


def unrelated_examples(session: Session, clips: Sequence[Clip]) -> Results[np.ndarray]:
    """Features of unrelated clips that CAVs are learnt against, one array [n,D'] a clip."""
    s = session.settings
    if s.unrelated_examples == "matched":
        found = drawn_features(session, clips, "unrelated videos (for CAVs)", for_cavs=True)
        return found.apply(lambda rows: rows.values)
    step = s.embedder.window_step

    def whole(i: int) -> np.ndarray:
        return session.engine.run(EmbedWholeClip(clips[i], step))[None]

    return session.engine.map("unrelated whole clips", len(clips), whole)


def null_concepts(session: Session, clips: Sequence[Clip], drawn: Sequence[DrawnFeatures]) -> list[np.ndarray]:
    """Features [n,D'] of concepts found in unrelated clips as those of the class are: the null distribution's.

    Fewer than 2 are none; an error where TCAV ranks.
    """
    s = session.settings
    values, owners, ids = (np.concatenate([getattr(d, name) for d in drawn]) for name in ("values", "clips", "ids"))
    labels, centers = s.clusterer(values, clips=owners, seed=s.seed)[:2]
    # As many as a cluster of the class needs to be a concept.
    members, least = [], min(s.cluster_filter.min_members, s.keep)
    for k in range(len(centers)):
        own = np.flatnonzero(labels == k)
        if len(own) > least:
            far = np.linalg.norm(values[own] - centers[k], axis=1)
            members.append(own[np.argsort(far, kind="stable")[: s.keep]])
    if len(members) < 2:
        if s.ranking == "effect":  # the TCAV score beside the effect is not tested then, as a warning says
            return []
        raise DataError(
            f"expected at least 2 clusters of more than {least} unrelated supervoxels for the null of the ranking by "
            f"TCAV, got {len(members)}; give more unrelated videos, raise unrelated_crops, or rank by effect"
        )
    return concept_features(session, clips, values, np.stack([owners, ids], 1), members, "null concepts", None)


def concept_features(
    session: Session,
    clips: Sequence[Clip],
    values: np.ndarray,
    origin: np.ndarray,
    members: Sequence[np.ndarray],
    name: str,
    target: int | None,
) -> list[np.ndarray]:
    """Features [n,D'] of each concept's members, from which CAVs are learnt.

    ``values`` [N,D] are the features in which the concepts were found, ``origin`` [N,2] their (clip, supervoxel).
    """
    s = session.settings
    if s.embedder.layer_space:
        return [values[rows] for rows in members]
    wanted = np.unique(np.concatenate(list(members)))
    owners = np.unique(origin[wanted, 0])

    def one(i: int) -> np.ndarray:
        place = int(owners[i])
        clip = clips[place]
        supervoxels = session.supervoxels(clip, deduplicate=True)
        ids = origin[wanted[origin[wanted, 0] == place], 1]
        embedded = origin[origin[:, 0] == place, 1]  # what is in the store
        found = session.features(clip, supervoxels, embedded, target)
        return found.in_layer_space[np.searchsorted(embedded, ids)]

    found = session.engine.map(f"features of the members of {name}", len(owners), one).values()
    # One clip after the other, each in the order of `wanted`.
    order = np.concatenate([np.flatnonzero(origin[wanted, 0] == owner) for owner in owners])
    full = np.empty((len(wanted), found[0].shape[1]), np.float32)
    full[order] = np.concatenate(found)
    return [full[np.searchsorted(wanted, rows)] for rows in members]


def gradients(session: Session, clips: Sequence[Clip], target: int) -> Results[np.ndarray]:
    """The objective's gradient at the layer, float32 [D'] a clip."""

    return session.engine.map("gradients of the class", len(clips), lambda i: session.gradient(clips[i], target))


def tcav(
    session: Session,
    concepts: Sequence[np.ndarray],
    null: Sequence[np.ndarray],
    unrelated: np.ndarray,
    g: np.ndarray,
    target: int,
    owners: Sequence[np.ndarray],
) -> tuple[CAVs, ConceptScores]:
    """CAVs of ``concepts`` against random sets drawn from ``unrelated`` [N,D'], and the TCAV score with its null.

    ``owners`` are the clips of the concepts' rows. Where the score ranks it is computed for draws of them, too.
    """
    s = session.settings
    rng = np.random.default_rng((s.seed, 7))
    size = min(s.random_size, len(unrelated))
    sets = np.stack([unrelated[rng.choice(len(unrelated), size, replace=False)] for _ in range(s.random_sets)])
    with session.engine.progress("concept activation vectors", 2) as advance:
        found = []
        for rows, seed in ((concepts, s.seed), (null, s.seed + 1)):
            examples = [torch.from_numpy(r) for r in rows]
            if examples:
                found.append(
                    fit_cavs(
                        examples,
                        torch.from_numpy(sets),
                        classifier=s.classifier,
                        layer=session.model.layer,
                        balance=s.balance,
                        seed=seed,
                    )
                )
            advance()
    cavs, score = found[0], SCORES[s.tcav]
    scored = score(directional_derivatives(torch.from_numpy(g), cavs))
    chance = score(directional_derivatives(torch.from_numpy(g), found[1])) if null else np.zeros((0, s.random_sets))
    drawn = None
    if s.ranking == "tcav":
        with session.engine.progress("TCAV scores of other draws of the videos", VIDEO_DRAWS) as advance:
            columns = []
            for b in range(VIDEO_DRAWS):
                columns.append(_of_drawn_videos(session, concepts, owners, sets[[b % len(sets)]], g, b))
                advance()
            drawn = np.concatenate(columns, 1)
    name, level = f"tcav ({s.tcav}, {s.objective})", 0.5 if s.tcav == "sign_count" else 0.0
    return cavs, rank_by_tcav(name, scored, chance, target=target, chance=level, test=s.tcav_test, video_draws=drawn)


def _of_drawn_videos(
    session: Session,
    concepts: Sequence[np.ndarray],
    owners: Sequence[np.ndarray],
    others: np.ndarray,
    g: np.ndarray,
    draw: int,
) -> np.ndarray:
    """TCAV scores [K,1] of one bootstrap draw of the videos, which changes members and gradients."""
    s = session.settings
    videos = 1 + max(len(g) - 1, *(int(own.max()) for own in owners))
    times = np.bincount(np.random.default_rng((s.seed, 19, draw)).integers(0, videos, videos), minlength=videos)
    rows = []
    for values, own in zip(concepts, owners, strict=True):
        again = np.repeat(values, times[own], axis=0)
        rows.append(torch.from_numpy(again if times[own].astype(bool).sum() > 1 else values))
    cavs = fit_cavs(
        rows,
        torch.from_numpy(others),
        classifier=s.classifier,
        layer=session.model.layer,
        balance=s.balance,
        seed=s.seed,
    )
    chosen = np.repeat(g, times[: len(g)], axis=0)
    return SCORES[s.tcav](directional_derivatives(torch.from_numpy(chosen if len(chosen) else g), cavs))


def logits(session: Session, clips: Sequence[Clip]) -> Results[np.ndarray]:
    """Logits float32 [C] of the central window of every unrelated clip."""
    title = "direct effects: logits of unrelated videos"
    return session.engine.map(title, len(clips), lambda i: session.logits(clips[i], None))
