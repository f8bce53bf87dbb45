"""TCAV of a user's own concepts, given as example clips (Kim et al. 2018), and their direct effect where masks are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain.concepts.cav import CAVs, cav_similarity, fit_cavs
from voxplain.concepts.features import embed_clip
from voxplain.concepts.profile import concept_profile
from voxplain.concepts.rank import ConceptScores, q_values
from voxplain.concepts.score import SCORES, directional_derivatives
from voxplain.concepts.settings import ConceptSettings
from voxplain.concepts.significance import independent_t, interval
from voxplain.errors import DataError
from voxplain.explain.central_window import central_window
from voxplain.explain.masked_effects import score_masked_concepts
from voxplain.model import Target, VideoModel, narrow, stack
from voxplain.progress import quiet
from voxplain.runtime import Progress
from voxplain.statistics import adjusted_tail
from voxplain.video import Clip

__all__ = ["OwnConcepts", "score_own_concepts"]


@dataclass(frozen=True, eq=False)
class OwnConcepts:
    """TCAV, and where masks are given the direct effect, of named concepts.

    Parameters
    ----------
    names : tuple of str
        The K concepts.
    target : str
        The class.
    cavs : CAVs
        One CAV a concept and random set; NaN where the two do not differ at the layer, and with it the score.
    scores : ConceptScores
        In the order of ``names``.
    similarity : ndarray [K,K]
        Mean cosine between the concepts' CAVs.
    profile : ndarray [M,K]
        Inner product of each class clip's feature with each concept's mean CAV.
    effect : ConceptScores, optional
        Direct effects, where masks were given.
    """

    names: tuple[str, ...]
    target: str
    cavs: CAVs
    scores: ConceptScores
    similarity: np.ndarray
    profile: np.ndarray
    effect: ConceptScores | None = None

    def table(self) -> str:
        """The concepts as plain text, best first: score, what is tested with its interval, and CAV accuracy."""
        head = "concept                      score above unrelated [    adjusted    ]      q  CAV acc"
        lines = [
            head,
            *(self._line(self.scores, k) + f" {self.cavs.accuracy[k].mean():8.2f}" for k in self.scores.rank),
        ]
        if self.effect is not None:
            head = "concept                     effect   above random [    adjusted    ]      q"
            lines += ["", head, *(self._line(self.effect, k) for k in self.effect.rank)]
        lines += [f"\n{note}" for note in self.notes]
        return "\n".join(lines)

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be computed: a sentence that names the concepts without a direction."""
        said = self.cavs.without_direction([repr(name) for name in self.names])
        return (said,) if said else ()

    def _line(self, s: ConceptScores, k: int) -> str:
        return (
            f"{self.names[k]:26s} {s.value[k]:7.3f} {s.tested[k]:15.3f} [{s.tested_interval[k, 0]:7.3f}, "
            f"{s.tested_interval[k, 1]:7.3f}] {s.q_value[k]:6.3f}"
        )


def score_own_concepts(
    model: VideoModel,
    concepts: Mapping[str, Sequence[Clip]],
    clips: Sequence[Clip],
    *,
    random: Sequence[Clip],
    target: Target,
    masks: Mapping[str, Sequence[NDArray[np.bool_]]] | None = None,
    settings: ConceptSettings | None = None,
    progress: Progress = quiet,
) -> OwnConcepts:
    """Score the user's own concepts for a class by TCAV, and by their direct effect where masks are given.

    CAVs separate whole clips of a concept from random sets of the unrelated clips. The test does not depend on the
    random sets: the features of the concept's clips and of all unrelated ones are projected on the class's mean
    gradient, and the mean difference is tested by Student's t-test. It is the derivative of the class along the
    concept's mean-difference CAV times the length of that CAV, to first order the change of the objective from an
    unrelated clip to one of the concept.

    Parameters
    ----------
    model : VideoModel
    concepts : mapping of str to sequence of Clip
        Example clips by the concept's name, 3 or more each.
    clips : sequence of Clip
        Clips of the class, whose gradients are taken.
    random : sequence of Clip
        Unrelated clips, 8 or more.
    target : str, int, Difference or callable
        The class, or another target, see `voxplain.model.narrow`.
    masks : mapping of str to sequence of bool [T,H,W], optional
        Where each concept is in each of its clips: adds the direct effect of hiding it there.
    settings : ConceptSettings, optional
        Classifier, objective, score and random sets.
    progress : callable
        Progress display.

    Returns
    -------
    OwnConcepts

    Raises
    ------
    DataError
        For too few clips, and masks that do not belong to the clips.

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
    model, y = narrow(model, target)
    effect = masks and score_masked_concepts(model, concepts, masks, y, settings=s, progress=progress)
    with progress("features of own concepts", len(concepts) + 2) as advance:
        rows = {name: _rows(model, own, s, advance) for name, own in concepts.items()}
        unrelated, own = _rows(model, random, s, advance), _rows(model, clips, s, advance)
    rng = np.random.default_rng((s.seed, 11))
    size = min(s.random_size, len(unrelated))
    negatives = torch.stack([unrelated[rng.choice(len(unrelated), size, replace=False)] for _ in range(s.random_sets)])
    cavs = fit_cavs(
        list(rows.values()), negatives, classifier=s.classifier, layer=model.layer, balance=s.balance, seed=s.seed
    )
    gradients = model.gradient(stack([central_window(model, clip) for clip in clips]), y, objective=s.objective).cpu()
    along = [(x.double() @ gradients.double().mean(0)).numpy() for x in (*rows.values(), unrelated)]
    return OwnConcepts(
        tuple(rows),
        model.classes[y] if model.classes else str(y),
        cavs,
        _scores(s, SCORES[s.tcav](directional_derivatives(gradients, cavs)), along, y),
        cav_similarity(cavs),
        concept_profile(own.numpy(), cavs).mean(-1),
        effect or None,
    )


def _scores(s: ConceptSettings, values: np.ndarray, along: Sequence[np.ndarray], target: int) -> ConceptScores:
    """TCAV scores [K,R]; ``along`` are the projections on the gradient by concept, and last of the unrelated clips."""
    tests = [independent_t([own], along[-1]) for own in along[:-1]]
    difference = np.concatenate([test.difference for test in tests])
    p = np.concatenate([test.p_value() for test in tests])
    q = q_values(p)
    tail, spread = adjusted_tail(q) / 2, along[-1].std(ddof=1)
    return ConceptScores(
        f"tcav ({s.tcav}, {s.objective})",
        target,
        values.astype(np.float32),
        values.mean(1),
        np.zeros(0, np.float32),
        np.stack(interval(values), 1),
        p,
        q,
        np.divide(difference, spread, out=np.full_like(difference, np.nan), where=spread > 0),
        0.5 if s.tcav == "sign_count" else 0.0,
        difference,
        np.concatenate([test.interval(tail) for test in tests]),
    )


def _rows(
    model: VideoModel, clips: Sequence[Clip], settings: ConceptSettings, advance: Callable[..., object]
) -> torch.Tensor:
    """Features [N,D] of whole clips."""
    rows = np.stack([embed_clip(model, clip, window_step=settings.embedder.window_step) for clip in clips])
    advance()
    return torch.from_numpy(rows)
