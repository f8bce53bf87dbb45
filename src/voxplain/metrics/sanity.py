"""Sanity checks: does a map change when the network, its labels or the clip's frames do, and what does it copy?

A map that stays the same when the network forgets everything explains the clip, not the network. Adebayo et al. 2018
(arXiv 1810.03292). Maps are compared by an entry of SIMILARITIES, 1 for equal maps and about 0 for unrelated ones.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from voxplain.attribution.call import AttributionMethod
from voxplain.attribution.controls.centre_prior import CentrePrior
from voxplain.attribution.controls.motion_energy import MotionEnergy
from voxplain.attribution.passes import scores, to_input
from voxplain.errors import DataError
from voxplain.metrics.randomise import copied, redraw, weight_layers
from voxplain.metrics.record import MetricValue, Needs, clip_rng
from voxplain.metrics.similarity import Similarity, similarity
from voxplain.model import Objective, Target, VideoModel, stack
from voxplain.video import Clip

__all__ = ["ControlAgreement", "FrameChange", "LabelRandomisation", "ParameterRandomisation"]


@dataclass(frozen=True)
class ParameterRandomisation:
    """Mean similarity of the map to those of networks with layers drawn anew, from the output down to the input.

    Lower is better, chance 0 (unrelated maps; for ssim none). Order "cascading": each step also keeps the layers
    already drawn; "independent": one layer at a time. Normalisation layers keep their weights and statistics.
    ``details``: layers and similarity of each step. Adebayo et al. 2018 (arXiv 1810.03292).
    """

    order: Literal["cascading", "independent"] = "cascading"
    similarity: Similarity = "spearman"
    maps: int | None = None  # how many maps are made, at layers spread evenly, the last included; None: at every layer
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[Needs] = "method"

    def __call__(self, model: VideoModel, clip: Clip, target: Target, method: AttributionMethod) -> MetricValue:
        """Measure one clip; the model's own network is not touched."""
        if self.order not in ("cascading", "independent") or (self.maps is not None and self.maps < 1):
            raise DataError(f"expected order cascading or independent, and 1 map or more, got {self}; correct it")
        first = method(model, clip, target).values
        trial = copied(model)
        layers = weight_layers(trial, to_input(trial, stack([clip])))
        count = min(self.maps or len(layers), len(layers))
        chosen = {(i + 1) * len(layers) // count - 1 for i in range(count)}
        found: list[float] = []
        for i, name in enumerate(layers):
            if self.order == "independent" and i in chosen:
                trial = copied(model)
            if self.order == "cascading" or i in chosen:
                redraw(trial.net, name, self.seed * 100_003 + i)
            if i in chosen:
                found.append(similarity(first, method(trial, clip, target).values, self.similarity))
        details = {"layers": [layers[i] for i in sorted(chosen)], "similarity": found}
        return MetricValue(float(np.mean(found)), None if self.similarity == "ssim" else 0.0, details)


@dataclass(frozen=True)
class LabelRandomisation:
    """Similarity of the maps of a network and of a twin trained on shuffled labels.

    Called (model, twin, clip, target, method). Lower is better, chance 0 (for ssim none). Adebayo et al. 2018
    (arXiv 1810.03292).
    """

    similarity: Similarity = "spearman"

    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[Needs] = "networks"

    def __call__(
        self, model: VideoModel, twin: VideoModel, clip: Clip, target: Target, method: AttributionMethod
    ) -> MetricValue:
        """Compare the two networks' maps of one clip and target."""
        own, other = (method(m, clip, target).values for m in (model, twin))
        return MetricValue(similarity(own, other, self.similarity), None if self.similarity == "ssim" else 0.0)


@dataclass(frozen=True)
class FrameChange:
    """Similarity of the map to that of the clip with its frames shuffled, reversed or frozen, each frame put back.

    It describes and does not judge: where the network does not care for the order of frames (``drop`` near 0) the map
    should move with them and give 1; where it does, the map should change. "freeze" repeats the middle frame.
    ``details``: score and changed_score of the objective, drop, their difference.
    """

    change: Literal["shuffle", "reverse", "freeze"] = "shuffle"
    similarity: Similarity = "spearman"
    objective: Objective = "probability"
    seed: int = 0  # of the shuffle

    higher_is_better: ClassVar[bool | None] = None
    needs: ClassVar[Needs] = "method"

    def __call__(self, model: VideoModel, clip: Clip, target: Target, method: AttributionMethod) -> MetricValue:
        """Measure one clip."""
        order = self._order(clip)
        changed = replace(clip, frames=np.ascontiguousarray(clip.frames[order]))
        before, after = (method(model, c, target) for c in (clip, changed))
        moved = after.values if self.change == "freeze" else after.values[np.argsort(order)]
        x = to_input(model, stack([clip, changed]))
        own, other = scores(model, x, [before.target] * 2, self.objective).tolist()
        details = {"score": own, "changed_score": other, "drop": own - other}
        return MetricValue(similarity(before.values, moved, self.similarity), None, details)

    def _order(self, clip: Clip) -> np.ndarray:
        t = len(clip)
        if self.change == "freeze":
            return np.full(t, t // 2)
        if self.change == "reverse":
            return np.arange(t)[::-1]
        if self.change == "shuffle":
            return clip_rng(clip, self.seed).permutation(t)
        raise DataError(f"expected change shuffle, reverse or freeze, got {self.change!r}; choose one")


@dataclass(frozen=True)
class ControlAgreement:
    """Greatest similarity, in size, of the map to maps that know nothing of the network.

    Lower is better, chance 0 (for ssim none): a map that is little more than the clip's motion, or its centre, needs no
    network. Where the truth moves in the centre a good map agrees with both, so compare methods on the same clips.
    ``details``: the similarity to each control, by its name.
    """

    controls: tuple[AttributionMethod, ...] = (CentrePrior(), MotionEnergy())
    similarity: Similarity = "spearman"

    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[Needs] = "method"

    def __call__(self, model: VideoModel, clip: Clip, target: Target, method: AttributionMethod) -> MetricValue:
        """Measure one clip."""
        own = method(model, clip, target).values
        made = [control(model, clip, target) for control in self.controls]
        found = {a.method: similarity(own, a.values, self.similarity) for a in made}
        value = max((abs(v) for v in found.values()), default=float("nan"))
        return MetricValue(value, None if self.similarity == "ssim" else 0.0, found)
