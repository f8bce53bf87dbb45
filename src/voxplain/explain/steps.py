"""The steps of a concept explanation that look at all clips of a class at once, each kept in the store."""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import torch

from voxplain.concepts.cav import CAVs, fit_cavs
from voxplain.concepts.cluster import Clusterer
from voxplain.concepts.discover import ConceptBank, discover
from voxplain.concepts.effect import Effects, join_effects, logits_of
from voxplain.concepts.features import embed_clip
from voxplain.concepts.rank import ConceptScores, rank_by_tcav
from voxplain.concepts.score import SCORES, directional_derivatives
from voxplain.concepts.settings import ConceptSettings
from voxplain.errors import DataError
from voxplain.explain.session import Session, embed, middle, segment, then
from voxplain.segment import Supervoxels
from voxplain.store import content_hash, key
from voxplain.video import Clip

__all__ = ["bank", "effects", "refuse_few", "tcav"]


def bank(session: Session, values: np.ndarray, origin: np.ndarray, searched: int) -> ConceptBank:
    """The class's concepts: clusters of its supervoxels' features."""
    s = session.settings
    name = key(
        "concepts", 1, values=values, origin=origin, clusterer=s.clusterer, keep=s.keep, acceptance=s.acceptance,
        seed=s.seed, searched=searched,
    )  # fmt: skip

    def make() -> dict[str, np.ndarray]:
        bank = discover(
            values,
            origin[:, 0],
            clusterer=s.clusterer,
            keep=s.keep,
            acceptance=s.acceptance,
            searched=searched,
            seed=s.seed,
        )
        return _pack(bank)

    return _unpack(session.store.arrays("concepts", name, make), s.clusterer)


def _pack(bank: ConceptBank) -> dict[str, np.ndarray]:
    return {
        "centers": bank.centers, "sizes": bank.sizes, "popularity": bank.popularity,
        "members": np.concatenate(bank.members), "distance": np.concatenate(bank.distance),
        "kept": np.array([len(m) for m in bank.members], np.int64),
    }  # fmt: skip


def _unpack(arrays: dict[str, np.ndarray], clusterer: Clusterer) -> ConceptBank:
    cuts = np.cumsum(arrays["kept"])[:-1]
    return ConceptBank(
        centers=arrays["centers"], members=tuple(np.split(arrays["members"], cuts)),
        distance=tuple(np.split(arrays["distance"], cuts)), sizes=arrays["sizes"],
        popularity=arrays["popularity"], method=repr(clusterer),
    )  # fmt: skip


def refuse_few(random: Sequence[Clip]) -> None:
    """Raise DataError when there are too few unrelated videos for negatives and null concepts."""
    if len(random) < 4:
        raise DataError(f"expected at least 4 unrelated videos, got {len(random)}; give a folder with more")


def _random_rows(session: Session, random: Sequence[Clip]) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """(negatives [R,n,D], features of unrelated supervoxels [N,D], the clip of each) from unrelated videos.

    One half of the videos gives the negatives, the other half the null concepts: a null concept must not meet itself.
    """
    s = session.settings
    parts = segment(session, random, "unrelated videos", unite=True)
    rows = embed(session, random, parts, "unrelated videos", most=s.random_crops)
    half = len(random) // 2
    rng = np.random.default_rng((s.seed, 7))
    if s.negatives == "raw":
        network = session.network
        with session.progress("unrelated whole clips", half) as advance:
            pool = np.stack([then(_whole(session, clip, network), advance) for clip in random[:half]])
    else:
        pool = np.concatenate(rows[:half])
    size = min(s.random_size, len(pool))
    negatives = np.stack([pool[rng.choice(len(pool), size, replace=False)] for _ in range(s.random_sets)])
    rest = rows[half:]
    return torch.from_numpy(negatives), np.concatenate(rest), np.repeat(np.arange(len(rest)), [len(r) for r in rest])


def _whole(session: Session, clip: Clip, network: dict) -> np.ndarray:
    step = session.settings.crops.window_step
    name = key("clip-feature", 1, frames=clip.frames, window_step=step, **network)
    make = lambda: {"value": embed_clip(session.model, clip, window_step=step)}  # noqa: E731
    return session.store.arrays("clip-features", name, make)["value"]


def _null_concepts(settings: ConceptSettings, values: np.ndarray, clips: np.ndarray) -> list[torch.Tensor]:
    """Concepts found in unrelated videos the way the class's are: what a concept that means nothing looks like."""
    labels, centers = settings.clusterer(values, clips=clips, seed=settings.seed)
    found, least = [], min(10, settings.keep)
    for k in range(len(centers)):
        rows = np.flatnonzero(labels == k)
        if len(rows) > least:
            far = np.linalg.norm(values[rows] - centers[k], axis=1)
            found.append(torch.from_numpy(values[rows[np.argsort(far, kind="stable")[: settings.keep]]]))
    if len(found) < 2:
        raise DataError(
            f"expected at least 2 clusters of more than {least} unrelated supervoxels for the null, got {len(found)}; "
            "give more unrelated videos or raise random_crops"
        )
    return found


def tcav(
    session: Session, values: np.ndarray, bank: ConceptBank, random: Sequence[Clip], frames: np.ndarray, target: int
) -> tuple[CAVs, ConceptScores]:
    """CAVs against random sets, and the TCAV score with its null from concepts of unrelated videos."""
    s, model = session.settings, session.model
    negatives, spare, owner = _random_rows(session, random)
    concepts = [torch.from_numpy(values[rows]) for rows in bank.members]
    null = _null_concepts(s, spare, owner)
    fit = lambda sets, seed: fit_cavs(sets, negatives, classifier=s.classifier, layer=model.layer, seed=seed)  # noqa: E731
    with session.progress("concept activation vectors", 2) as advance:
        cavs = then(fit(concepts, s.seed), advance)
        null_cavs = then(fit(null, s.seed + 1), advance)
    gradients = model.gradient(frames, target, objective=s.objective)
    score = SCORES[s.tcav]
    scored, chance = (score(directional_derivatives(gradients, c)) for c in (cavs, null_cavs))
    name, level = f"tcav ({s.tcav}, {s.objective})", 0.5 if s.tcav == "sign_count" else 0.0
    return cavs, rank_by_tcav(name, scored, chance, target=target, chance=level, test=s.tcav_test)


def effects(
    session: Session, clips: Sequence[Clip], parts: Sequence[Supervoxels], assigned: Sequence[np.ndarray], k: int
) -> Effects:
    """What the network loses, clip by clip, when each of ``k`` concepts is hidden."""
    s, network = session.settings, session.network
    names = [f.name for f in fields(Effects)]

    def one(i: int) -> Effects:
        name = key(
            "effects", 1, frames=clips[i].frames, labels=parts[i].labels, assigned=assigned[i], concepts=k,
            effect=s.effect, place=i, **network,
        )  # fmt: skip

        def make() -> dict[str, np.ndarray]:
            found = s.effect(session.model, clips[i], parts[i], assigned[i], k, place=i)
            return {n: getattr(found, n) for n in names}

        return Effects(**session.store.arrays("effects", name, make))

    with session.progress("direct effects", len(clips)) as advance:
        return join_effects([then(one(i), advance) for i in range(len(clips))])


def logits(session: Session, clips: Sequence[Clip]) -> np.ndarray:
    """Logits float32 [N,C] of the middle of every clip."""
    frames = [clip.frames for clip in middle(session.model, clips)]
    name = key("logits", 1, frames=[content_hash(f) for f in frames], **session.network)

    def make() -> dict[str, np.ndarray]:
        return {"logits": logits_of(session.model, iter(frames))}

    return session.store.arrays("logits", name, make)["logits"]
