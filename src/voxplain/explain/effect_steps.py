"""Direct effects of the concepts of a class, measured by the engine.

Letters: M clips, K concepts, F fills, V variants, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from voxplain.concepts.effect import Effects, HideConcepts, concept_mask
from voxplain.concepts.rank import ConceptScores
from voxplain.concepts.sequential_effects import UNMODIFIED, detailed
from voxplain.concepts.variants import Variant
from voxplain.concepts.wholes import candidates
from voxplain.explain.central_window import fit_grid
from voxplain.explain.session import Session
from voxplain.explain.tasks import EffectsInClip, VariantsInClip
from voxplain.segment import Supervoxels
from voxplain.statistics import SIGNIFICANT
from voxplain.video import Clip

__all__ = ["EngineClips"]

COMPARED = 24  # clips in which concepts are looked at for whether they touch


@dataclass(frozen=True, eq=False)
class EngineClips:
    """The clips of a class whose effects are measured: a `voxplain.concepts.effect.ClassClips` on an engine."""

    session: Session
    clips: Sequence[Clip]
    supervoxels: Sequence[Supervoxels]
    assigned: Sequence[np.ndarray]
    count: int  # K
    target: int  # class index

    def effects(self) -> Effects:
        """Direct effects by the method of the settings."""
        s = self.session.settings
        return s.effect.of_class(self, self.target, s.effect_kind)

    def groups(self, effects: Effects, scores: ConceptScores) -> tuple[tuple[int, ...], ...]:
        """Groups among the first concepts that may be wholes."""
        first = detailed(scores.value)[: self.session.settings.effect.top]
        if len(first) < 2:
            return ()
        clips = [self._fitted(i)[1:] for i in range(min(len(self.clips), COMPARED))]
        volumes = effects.volume.mean(0)
        return candidates([own for own, _ in clips], [concepts for _, concepts in clips], first, scores.value, volumes)

    def details(self, effects: Effects, scores: ConceptScores, groups: Sequence[tuple[int, ...]] = ()) -> Effects:
        """The effects with what the method measures of the first and of the significant concepts and of groups."""
        significant = [int(k) for k in scores.rank if scores.q_value[k] < SIGNIFICANT and scores.value[k] > 0]
        first = detailed(scores.value)
        return self.session.settings.effect.details(self, effects, self.target, first, significant, groups)

    def in_each(self, method: HideConcepts) -> list[Effects]:
        """The effects that a method measures in every clip."""

        def one(i: int) -> Effects:
            clip, own, concepts = self._fitted(i)
            return self.session.engine.run(EffectsInClip(clip, own.labels, concepts, self.count, method, i))

        return self.session.engine.map("direct effects", len(self.clips), one).values()

    def volume(self) -> np.ndarray:
        """Share of each clip's voxels that each concept covers, float32 [M,K]."""
        found = np.zeros((len(self.clips), self.count), np.float32)
        for i in range(len(self.clips)):
            _, own, concepts = self._fitted(i)
            for k in np.unique(concepts[concepts >= 0]):
                found[i, k] = concept_mask(own, concepts, int(k)).mean()
        return found

    def measure(
        self, title: str, asked: Mapping[int, Sequence[Variant]], *, fills: tuple[str, ...], seed: int, shared: bool
    ) -> Mapping[int, np.ndarray]:
        """Logits float32 [F,V,C] of V variants of some clips, by clip; see `ClassClips`."""
        engine, places = self.session.engine, list(asked)

        def one(n: int) -> np.ndarray:
            i = places[n]
            clip, own, concepts = self._fitted(i)
            modified = tuple(v for v in asked[i] if v != UNMODIFIED)
            rows: dict[Variant, np.ndarray] = {}
            if modified:
                task = VariantsInClip(clip, own.labels, concepts, modified, fills, seed, i, shared)
                rows = dict(zip(modified, engine.run(task).swapaxes(0, 1), strict=True))
            if len(modified) < len(asked[i]):  # the same with every fill
                known = self.session.logits(self.clips[i], self.target, shared=shared)
                rows[UNMODIFIED] = np.repeat(known[None], len(fills), 0)
            return np.stack([rows[variant] for variant in asked[i]], 1)

        return dict(zip(places, engine.map(title, len(places), one).values(), strict=True))

    def _fitted(self, i: int) -> tuple[Clip, Supervoxels, np.ndarray]:
        return fit_grid(self.session.model, self.clips[i], self.supervoxels[i], self.assigned[i])
