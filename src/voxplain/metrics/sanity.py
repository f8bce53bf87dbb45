"""Sanity checks: changes of a map with the network, its labels or the clip's frames, and agreement with control maps.

A map that stays the same when all weights are randomised explains the clip, not the network. Maps are compared by an
entry of SIMILARITIES, 1 for equal maps and about 0 for unrelated ones.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from voxplain.attribution.call import AttributionMethod
from voxplain.attribution.controls.centre_prior import CentrePrior
from voxplain.attribution.controls.motion_energy import MotionEnergy
from voxplain.attribution.passes import scores, to_input
from voxplain.errors import DataError
from voxplain.metrics.call import method_call
from voxplain.metrics.randomise import copied, redraw, weight_layers
from voxplain.metrics.record import MetricValue, clip_rng
from voxplain.metrics.similarity import Similarity, similarity
from voxplain.model import Objective, Target, VideoModel, narrow, stack
from voxplain.video import Clip

__all__ = ["ControlAgreement", "FrameChange", "LabelRandomisation", "ParameterRandomisation"]


@dataclass(frozen=True)
class ParameterRandomisation:
    """Parameter randomisation: mean similarity of the map to those of networks with randomised layers.

    From the output down to the input; lower is better, chance level 0 (unrelated maps; none for ssim). Normalisation
    layers keep their weights and statistics. ``details``: layers and similarity of each step.

    Parameters
    ----------
    order : {"cascading", "independent"}
        "cascading": each step keeps the layers already randomised; "independent": one layer at a time.
    similarity : str
        An entry of `SIMILARITIES`.
    maps : int, optional
        How many maps are computed, at layers spread evenly, the last included; by default at every layer.
    seed : int
        Of the new weights.

    References
    ----------
    Adebayo et al. 2018, Sanity checks for saliency maps, arXiv 1810.03292

    Examples
    --------
    >>> ParameterRandomisation(maps=1)(model, clip, "cross", vx.Gradient()).chance
    0.0
    """

    order: Literal["cascading", "independent"] = "cascading"
    similarity: Similarity = "spearman"
    maps: int | None = None
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[Literal["method"]] = "method"

    @method_call
    def __call__(self, model: VideoModel, clip: Clip, target: Target, method: AttributionMethod) -> MetricValue:
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
    """Label randomisation: similarity of the maps of a network and of one trained on shuffled labels.

    Called as (model, other, clip, target, method). Lower is better, chance level 0 (none for ssim).

    Parameters
    ----------
    similarity : str
        An entry of `SIMILARITIES`.

    References
    ----------
    Adebayo et al. 2018, Sanity checks for saliency maps, arXiv 1810.03292

    Examples
    --------
    >>> LabelRandomisation()(model, model, clip, "cross", vx.Gradient()).value
    1.0
    """

    similarity: Similarity = "spearman"

    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[Literal["networks"]] = "networks"

    def __call__(
        self, model: VideoModel, other: VideoModel, clip: Clip, target: Target, method: AttributionMethod
    ) -> MetricValue:
        """Compare the maps of one clip; ``other`` is the model on the network trained on shuffled labels."""
        a, b = (method(m, clip, target).values for m in (model, other))
        return MetricValue(similarity(a, b, self.similarity), None if self.similarity == "ssim" else 0.0)


@dataclass(frozen=True)
class FrameChange:
    """Frame change: similarity of the map to that of the clip with frames shuffled, reversed or frozen.

    The frames of the second map are put back in order before. A description, neither higher nor lower is better: where
    the network does not depend on the order of frames (``drop`` near 0) the map should move with them and give 1; where
    it does, the map should change. ``details``: score and changed_score of the objective, drop, their difference.

    Parameters
    ----------
    change : {"shuffle", "reverse", "freeze"}
        "freeze" repeats the middle frame.
    similarity : str
        An entry of `SIMILARITIES`.
    objective : str
        Class score f: an entry of `OBJECTIVES`.
    seed : int
        Of the shuffle.

    Examples
    --------
    >>> FrameChange()(model, clip, "cross", vx.Gradient()).chance is None
    True
    """

    change: Literal["shuffle", "reverse", "freeze"] = "shuffle"
    similarity: Similarity = "spearman"
    objective: Objective = "probability"
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = None
    needs: ClassVar[Literal["method"]] = "method"

    @method_call
    def __call__(self, model: VideoModel, clip: Clip, target: Target, method: AttributionMethod) -> MetricValue:
        order = self._order(clip)
        changed = replace(clip, frames=np.ascontiguousarray(clip.frames[order]))
        before, after = (method(model, c, target) for c in (clip, changed))
        moved = after.values if self.change == "freeze" else after.values[np.argsort(order)]
        x = to_input(model, stack([clip, changed]))
        own, other = scores(model, x, [narrow(model, target)[1]] * 2, self.objective).tolist()
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
    """Control agreement: greatest absolute similarity of the map to maps that do not depend on the network.

    Lower is better, chance level 0 (none for ssim): a map that is little more than the clip's motion, or its centre,
    needs no network. Where the truth moves in the centre a good map agrees with both, so compare methods on the same
    clips. ``details``: the similarity to each control, by its name.

    Parameters
    ----------
    controls : tuple of AttributionMethod
        The methods to compare with.
    similarity : str
        An entry of `SIMILARITIES`.

    Examples
    --------
    >>> sorted(ControlAgreement()(model, clip, "cross", vx.Gradient()).details)
    ['centre_prior', 'motion_energy']
    """

    controls: tuple[AttributionMethod, ...] = (CentrePrior(), MotionEnergy())
    similarity: Similarity = "spearman"

    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[Literal["method"]] = "method"

    @method_call
    def __call__(self, model: VideoModel, clip: Clip, target: Target, method: AttributionMethod) -> MetricValue:
        own = method(model, clip, target).values
        made = [control(model, clip, target) for control in self.controls]
        found = {a.method: similarity(own, a.values, self.similarity) for a in made}
        value = max((abs(v) for v in found.values()), default=float("nan"))
        return MetricValue(value, None if self.similarity == "ssim" else 0.0, found)
