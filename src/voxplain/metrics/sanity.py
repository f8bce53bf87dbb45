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
    layers keep their weights and statistics. With ``draws``, each map is the mean over noisy copies of the clip (smooth
    MPRT), since noise of gradients alone makes maps differ. ``details``: layers and similarity of each step.

    Parameters
    ----------
    order : {"cascading", "independent"}
        "cascading": each step keeps the layers already randomised; "independent": one layer at a time.
    similarity : str
        An entry of `SIMILARITIES`.
    maps : int, optional
        How many maps are computed, at layers spread evenly, the last included; by default at every layer.
    draws : int
        Noisy copies of the clip whose maps are averaged; 0: the map of the clip itself.
    noise : float
        Standard deviation of the copies' Gaussian noise, as a share of the clip's range of grey levels.
    seed : int
        Of the new weights and of the noise.

    References
    ----------
    Adebayo et al. 2018, Sanity checks for saliency maps, arXiv 1810.03292
    Hedström et al. 2024, A fresh look at sanity checks for saliency maps, arXiv 2405.02383 (smooth MPRT)

    Examples
    --------
    >>> ParameterRandomisation(maps=1)(model, clip, "cross", vx.Gradient()).chance
    0.0
    """

    order: Literal["cascading", "independent"] = "cascading"
    similarity: Similarity = "spearman"
    maps: int | None = None
    draws: int = 0
    noise: float = 0.1
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[Literal["method"]] = "method"

    def __post_init__(self) -> None:
        """Check the options."""
        if self.order not in ("cascading", "independent") or (self.maps is not None and self.maps < 1):
            raise DataError(f"expected order cascading or independent, and 1 map or more, got {self}; correct it")
        if self.draws < 0 or self.noise <= 0:
            raise DataError(f"expected 0 draws or more and noise above 0, got {self}; correct it")

    @method_call
    def __call__(self, model: VideoModel, clip: Clip, target: Target, method: AttributionMethod) -> MetricValue:
        first = self._map(model, clip, target, method)
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
                found.append(similarity(first, self._map(trial, clip, target, method), self.similarity))
        details = {"layers": [layers[i] for i in sorted(chosen)], "similarity": found}
        return MetricValue(float(np.mean(found)), None if self.similarity == "ssim" else 0.0, details)

    def _map(self, model: VideoModel, clip: Clip, target: Target, method: AttributionMethod) -> np.ndarray:
        """The map of the clip, or the mean of those of its noisy copies, the same for every network."""
        if not self.draws:
            return method(model, clip, target).values
        total = np.zeros(clip.frames.shape[:3], np.float64)
        for start in range(0, self.draws, model.pass_size):
            near = [self._near(clip, i) for i in range(start, min(start + model.pass_size, self.draws))]
            total += np.sum([a.values for a in method(model, near, target)], 0)
        return np.asarray(total / self.draws, np.float32)

    def _near(self, clip: Clip, i: int) -> Clip:
        spread = self.noise * np.ptp(clip.frames)
        moved = clip.frames + spread * clip_rng(clip, self.seed, i).standard_normal(clip.frames.shape, np.float32)
        return replace(clip, frames=np.clip(np.rint(moved), 0, 255).astype(np.uint8))


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
