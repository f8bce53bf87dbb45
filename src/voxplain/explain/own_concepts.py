"""TCAV of a user's own concepts, given as example clips (Kim et al. 2018)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from voxplain.concepts.cav import CAVs, cav_similarity, fit_cavs
from voxplain.concepts.features import embed_clip
from voxplain.concepts.profile import concept_profile
from voxplain.concepts.rank import ConceptScores, rank_by_tcav
from voxplain.concepts.score import SCORES, directional_derivatives
from voxplain.concepts.settings import ConceptSettings
from voxplain.errors import DataError
from voxplain.explain.central_window import central_window
from voxplain.model import VideoModel, stack
from voxplain.progress import quiet
from voxplain.runtime import Progress
from voxplain.video import Clip

__all__ = ["OwnConcepts", "score_own_concepts"]


@dataclass(frozen=True, eq=False)
class OwnConcepts:
    """TCAV of named concepts.

    Parameters
    ----------
    names : tuple of str
        The K concepts.
    target : str
        The class.
    cavs : CAVs
        One CAV a concept and random set.
    scores : ConceptScores
        In the order of ``names``.
    similarity : ndarray [K,K]
        Mean cosine between the concepts' CAVs.
    profile : ndarray [M,K]
        Inner product of each class clip's feature with each concept's mean CAV.
    """

    names: tuple[str, ...]
    target: str
    cavs: CAVs
    scores: ConceptScores
    similarity: np.ndarray
    profile: np.ndarray

    def table(self) -> str:
        """The concepts as plain text, best first."""
        s = self.scores
        head = "concept                      score [     95 %      ]      q  CAV acc"
        lines = [
            f"{self.names[k]:26s} {s.value[k]:7.3f} [{s.interval[k, 0]:7.3f}, {s.interval[k, 1]:7.3f}] "
            f"{s.q_value[k]:6.3f} {self.cavs.accuracy[k].mean():8.2f}"
            for k in s.rank
        ]
        return "\n".join([head, *lines])


def score_own_concepts(
    model: VideoModel,
    concepts: Mapping[str, Sequence[Clip]],
    clips: Sequence[Clip],
    *,
    random: Sequence[Clip],
    target: str | int,
    settings: ConceptSettings | None = None,
    nulls: int = 30,
    progress: Progress = quiet,
) -> OwnConcepts:
    """Score the user's own concepts for a class by TCAV.

    CAVs separate whole clips of a concept from random sets of one half of the unrelated clips. The null distribution
    comes from ``nulls`` random draws of the other half, which vary as concepts of new unrelated clips would.

    Parameters
    ----------
    model : VideoModel
    concepts : mapping of str to sequence of Clip
        Example clips by the concept's name, 3 or more each.
    clips : sequence of Clip
        Clips of the class, whose gradients are taken.
    random : sequence of Clip
        Unrelated clips, 8 or more.
    target : str or int
        The class.
    settings : ConceptSettings, optional
        Classifier, objective, score, test and random sets.
    nulls : int
        Null concepts.
    progress : callable
        Progress display.

    Returns
    -------
    OwnConcepts

    Raises
    ------
    DataError
        For too few clips.

    References
    ----------
    Kim et al. 2018, arXiv 1711.11279.
    """
    s = settings or ConceptSettings()
    few = [repr(name) for name, own in concepts.items() if len(own) < 3] + ["the concepts"] * (not concepts)
    few += ["the random sets"] * (len(random) < 8) + ["the class"] * (not len(clips))
    if few:
        raise DataError(
            "expected 1 concept or more, at least 3 clips a concept, 8 unrelated ones and 1 of the class, got too few "
            f"for {', '.join(few)}; give more example videos"
        )
    y = model.class_index(target)
    with progress("features of own concepts", len(concepts) + 2) as advance:
        rows = {name: _rows(model, own, s, advance) for name, own in concepts.items()}
        spare, own = _rows(model, random, s, advance), _rows(model, clips, s, advance)
    rng = np.random.default_rng((s.seed, 11))
    half = len(spare) // 2
    size = min(s.random_size, half)
    negatives = torch.stack([spare[rng.choice(half, size, replace=False)] for _ in range(s.random_sets)])
    # Draws of a small half share most of their clips: as large as a concept and without replacement they would vary
    # far less than a concept of fresh clips does. 1/n + 1/rest is the variance of its mean around this half's mean.
    rest, n = len(spare) - half, min(len(r) for r in rows.values())
    null = [spare[half + rng.choice(rest, max(2, n * rest // (n + rest)))] for _ in range(nulls)]
    cavs = fit_cavs(list(rows.values()), negatives, classifier=s.classifier, layer=model.layer, seed=s.seed)
    null_cavs = fit_cavs(null, negatives, classifier=s.classifier, layer=model.layer, seed=s.seed + 1)
    gradients = model.gradient(stack([central_window(model, clip) for clip in clips]), y, objective=s.objective)
    scored, chance = (SCORES[s.tcav](directional_derivatives(gradients, c)) for c in (cavs, null_cavs))
    level = 0.5 if s.tcav == "sign_count" else 0.0
    scores = rank_by_tcav(f"tcav ({s.tcav}, {s.objective})", scored, chance, target=y, chance=level, test=s.tcav_test)
    return OwnConcepts(
        tuple(rows),
        model.classes[y] if model.classes else str(y),
        cavs,
        scores,
        cav_similarity(cavs),
        concept_profile(own.numpy(), cavs).mean(-1),
    )


def _rows(
    model: VideoModel, clips: Sequence[Clip], settings: ConceptSettings, advance: Callable[..., object]
) -> torch.Tensor:
    """Features [N,D] of whole clips."""
    rows = np.stack([embed_clip(model, clip, window_step=settings.embedder.window_step) for clip in clips])
    advance()
    return torch.from_numpy(rows)
