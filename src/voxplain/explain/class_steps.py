"""The steps of a concept explanation that look at all clips of a class at once, each kept in the store."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import cast

import numpy as np
import torch

from voxplain.concepts.cav import CAVs, fit_cavs
from voxplain.concepts.cluster import Clusterer
from voxplain.concepts.discover import ConceptBank, discover
from voxplain.concepts.effect import Effects, join_effects
from voxplain.concepts.pooled import PooledFeatures
from voxplain.concepts.rank import ConceptScores, rank_by_tcav
from voxplain.concepts.score import SCORES, directional_derivatives
from voxplain.errors import DataError
from voxplain.explain.central_window import central_window, fit_grid
from voxplain.explain.session import Session
from voxplain.explain.tasks import ClassGradient, EffectsInClip, EmbedWhole, Logits
from voxplain.runtime import MissingShards
from voxplain.segment import Supervoxels
from voxplain.store import key
from voxplain.video import Clip

__all__ = [
    "bank",
    "check_unrelated",
    "concept_rows",
    "drawn_rows",
    "effects",
    "gradients",
    "logits",
    "negatives",
    "null_concepts",
    "raise_if_missing",
    "tcav",
]


def raise_if_missing(*rows: Sequence[object]) -> None:
    """Raise Missing when results of other shares are not there yet (None) in what `Session.each` gave."""
    lost = sum(row is None for part in rows for row in part)
    if lost:
        raise MissingShards(
            f"this share's part of the step is done; {lost} results of other shares are not there yet: run the same "
            "command again when all shares have ended, or `voxplain merge` where each had a folder of its own"
        )


def bank(session: Session, values: np.ndarray, origin: np.ndarray, searched: int) -> ConceptBank:
    """The class's concepts: clusters of its supervoxels' features."""
    s = session.settings
    name = key(
        "concepts",
        1,
        values=values,
        origin=origin,
        clusterer=s.clusterer,
        keep=s.keep,
        cluster_filter=s.cluster_filter,
        seed=s.seed,
        searched=searched,
    )

    def make() -> dict[str, np.ndarray]:
        found = discover(
            values,
            origin[:, 0],
            clusterer=s.clusterer,
            keep=s.keep,
            cluster_filter=s.cluster_filter,
            searched=searched,
            seed=s.seed,
        )
        return _pack(found)

    return _unpack(session.store.arrays("concepts", name, make), s.clusterer)


def _pack(bank: ConceptBank) -> dict[str, np.ndarray]:
    return {
        "centers": bank.centers,
        "sizes": bank.sizes,
        "popularity": bank.popularity,
        "members": np.concatenate(bank.members),
        "distance": np.concatenate(bank.distance),
        "kept": np.array([len(m) for m in bank.members], np.int64),
    }


def _unpack(arrays: dict[str, np.ndarray], clusterer: Clusterer) -> ConceptBank:
    cuts = np.cumsum(arrays["kept"])[:-1]
    return ConceptBank(
        centers=arrays["centers"],
        members=tuple(np.split(arrays["members"], cuts)),
        distance=tuple(np.split(arrays["distance"], cuts)),
        sizes=arrays["sizes"],
        popularity=arrays["popularity"],
        method=repr(clusterer),
    )


def check_unrelated(random: Sequence[Clip]) -> None:
    """Raise DataError when there are too few unrelated videos for negatives and null concepts."""
    if len(random) < 4:
        raise DataError(f"expected at least 4 unrelated videos, got {len(random)}; give a folder with more")


@dataclass(frozen=True, eq=False)
class Rows:
    """Features of drawn supervoxels of some clips: ``values`` [N,D], the clip and the supervoxel of each, [N]."""

    values: np.ndarray
    clips: np.ndarray
    ids: np.ndarray


def drawn_rows(session: Session, clips: Sequence[Clip], what: str, *, full: bool) -> list[Rows]:
    """One `Rows` a clip, of ``unrelated_crops`` of its supervoxels, for finding concepts or, ``full``, for CAVs."""
    s = session.settings
    embedder = (s.cav_embedder if full else None) or s.embedder

    def one(i: int) -> Rows:
        clip = clips[i]
        parts = session.supervoxels(clip, deduplicate=True)
        ids = session.draw(clip, parts, s.unrelated_crops)
        found = session.features(clip, parts, ids, embedder)
        values = found.get("own", found["values"]) if full else found["values"]
        return Rows(values, np.full(len(ids), i), ids)

    return session.each(f"supervoxels and features of {what}", len(clips), one)


def negatives(session: Session, random: Sequence[Clip]) -> list[np.ndarray]:
    """Features of unrelated videos that CAVs are learnt against, one array [n,D] a clip."""
    s = session.settings
    if s.negatives == "matched":
        found = drawn_rows(session, random, "unrelated videos (negatives)", full=True)
        return [cast(np.ndarray, getattr(rows, "values", None)) for rows in found]  # what is missing stays None
    step = getattr(s.embedder, "window_step", 8)

    def whole(i: int) -> np.ndarray:
        clip = random[i]
        name = key("clip-feature", 2, frames=clip.frames, window_step=step, **session.network)
        make = lambda: session.compute(EmbedWhole(clip, step))  # noqa: E731
        return session.store.arrays("clip-features", name, make)["value"][None]

    return session.each("unrelated whole clips", len(random), whole)


def null_concepts(session: Session, random: Sequence[Clip], rows: Sequence[Rows]) -> list[np.ndarray]:
    """Concepts found in unrelated videos the way the class's are: what a concept that means nothing looks like."""
    s = session.settings
    values, clips, ids = (np.concatenate([getattr(r, name) for r in rows]) for name in ("values", "clips", "ids"))
    labels, centers = s.clusterer(values, clips=clips, seed=s.seed)
    members, least = [], min(10, s.keep)
    for k in range(len(centers)):
        own = np.flatnonzero(labels == k)
        if len(own) > least:
            far = np.linalg.norm(values[own] - centers[k], axis=1)
            members.append(own[np.argsort(far, kind="stable")[: s.keep]])
    if len(members) < 2:
        raise DataError(
            f"expected at least 2 clusters of more than {least} unrelated supervoxels for the null, got "
            f"{len(members)}; give more unrelated videos or raise unrelated_crops"
        )
    return concept_rows(session, random, values, np.stack([clips, ids], 1), members, "null concepts")


def concept_rows(
    session: Session,
    clips: Sequence[Clip],
    values: np.ndarray,
    origin: np.ndarray,
    members: Sequence[np.ndarray],
    what: str,
    target: int | None = None,
) -> list[np.ndarray]:
    """Features [n,D] of each concept's members as CAVs are learnt from them.

    ``values`` [N,D] are the features in which the concepts were found, ``origin`` [N,2] their (clip, supervoxel).
    """
    s = session.settings
    if s.cav_embedder is None and not isinstance(s.embedder, PooledFeatures):
        return [values[rows] for rows in members]
    wanted = np.unique(np.concatenate(list(members)))
    owners = np.unique(origin[wanted, 0])

    def one(i: int) -> np.ndarray:
        place = int(owners[i])
        clip = clips[place]
        parts, ids = session.supervoxels(clip, deduplicate=True), origin[wanted[origin[wanted, 0] == place], 1]
        if s.cav_embedder is not None:
            return session.features(clip, parts, ids, s.cav_embedder)["values"]
        embedded = origin[origin[:, 0] == place, 1]  # what is in the store
        found = session.features(clip, parts, embedded, s.embedder, session.derive(clip, target))
        return found["own"][np.searchsorted(embedded, ids)]

    found = session.each(f"features of the members of {what}", len(owners), one)
    raise_if_missing(found)
    # One clip after the other, each in the order of `wanted`.
    order = np.concatenate([np.flatnonzero(origin[wanted, 0] == owner) for owner in owners])
    full = np.empty((len(wanted), found[0].shape[1]), np.float32)
    full[order] = np.concatenate(found)
    return [full[np.searchsorted(wanted, rows)] for rows in members]


def gradients(session: Session, clips: Sequence[Clip], target: int) -> list[np.ndarray]:
    """The objective's gradient at the layer, float32 [D] a clip."""

    def one(i: int) -> np.ndarray:
        clip = central_window(session.model, clips[i])
        return session.gradient(
            clip, target, lambda: session.compute(ClassGradient(clip, target, session.settings.objective))
        )

    return session.each("gradients of the class", len(clips), one)


def tcav(
    session: Session,
    concepts: Sequence[np.ndarray],
    null: Sequence[np.ndarray],
    pool: np.ndarray,
    g: np.ndarray,
    target: int,
) -> tuple[CAVs, ConceptScores]:
    """CAVs of ``concepts`` against random sets drawn from ``pool`` [N,D], and the TCAV score with its null."""
    s = session.settings
    rng = np.random.default_rng((s.seed, 7))
    size = min(s.random_size, len(pool))
    sets = np.stack([pool[rng.choice(len(pool), size, replace=False)] for _ in range(s.random_sets)])
    with session.progress("concept activation vectors", 2) as advance:
        found = []
        for rows, seed in ((concepts, s.seed), (null, s.seed + 1)):
            parts = [torch.from_numpy(r) for r in rows]
            found.append(
                fit_cavs(parts, torch.from_numpy(sets), classifier=s.classifier, layer=session.model.layer, seed=seed)
            )
            advance()
    cavs, null_cavs = found
    score = SCORES[s.tcav]
    scored, chance = (score(directional_derivatives(torch.from_numpy(g), c)) for c in (cavs, null_cavs))
    name, level = f"tcav ({s.tcav}, {s.objective})", 0.5 if s.tcav == "sign_count" else 0.0
    return cavs, rank_by_tcav(name, scored, chance, target=target, chance=level, test=s.tcav_test)


def effects(
    session: Session, clips: Sequence[Clip], parts: Sequence[Supervoxels], assigned: Sequence[np.ndarray], k: int
) -> Effects:
    """What the network loses, clip by clip, when each of ``k`` concepts is hidden."""
    s = session.settings

    def one(i: int) -> Effects:
        clip, shown, given = fit_grid(session.model, clips[i], parts[i], assigned[i])
        name = key(
            "effects",
            1,
            frames=clip.frames,
            labels=shown.labels,
            assigned=given,
            concepts=k,
            effect=s.effect,
            place=i,
            **session.network,
        )
        make = lambda: session.compute(EffectsInClip(clip, shown.labels, given, k, s.effect, i))  # noqa: E731
        arrays = session.store.arrays("effects", name, make)
        return Effects(**{f.name: arrays[f.name] for f in fields(Effects)})

    found = session.each("direct effects", len(clips), one)
    raise_if_missing(found)
    return join_effects(found)


def logits(session: Session, clips: Sequence[Clip]) -> list[np.ndarray]:
    """Logits float32 [C] of the middle of every clip."""

    def one(i: int) -> np.ndarray:
        clip = central_window(session.model, clips[i])
        name = key("logits", 2, frames=clip.frames, **session.network)
        return session.store.arrays("logits", name, lambda: session.compute(Logits(clip)))["logits"]

    return session.each("direct effects: logits of unrelated videos", len(clips), one)
