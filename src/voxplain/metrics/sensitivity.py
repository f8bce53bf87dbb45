"""Infidelity and sensitivity: does the map predict what a change of the clip does, and does it keep still?

Yeh et al. 2019, On the (In)fidelity and Sensitivity of Explanations (arXiv 1901.09392). Letters: f the objective, x
the input, D draws.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch

from voxplain.attribution.attribution import Attribution
from voxplain.attribution.call import AttributionMethod
from voxplain.attribution.passes import scores, to_input
from voxplain.errors import DataError
from voxplain.metrics.call import map_call, method_call
from voxplain.metrics.masked_scores import masked_scores
from voxplain.metrics.record import MetricValue, clip_rng
from voxplain.model import Objective, Target, VideoModel
from voxplain.video import Clip

__all__ = ["Infidelity", "Sensitivity"]


@dataclass(frozen=True)
class Infidelity:
    """Infidelity: mean over D changes I of (I·map − (f(x) − f(x − I)))².

    The difference between what the map predicts of a change and what happens to the score; lower is better. The chance
    level is the value of a uniform map with its best β: hiding more always loses more, so that a map without
    information already predicts a part. ``details``: beta, predicted and actual [D], unexplained (value over chance).

    Parameters
    ----------
    change : {"hide", "noise"}
        "hide": a random cuboid is replaced by the baseline, and I·map is the map's sum inside; "noise": Gaussian noise,
        the same in the three colours, is subtracted from the input, and the map is read as a signed gradient.
    fill : str
        Baseline for what is hidden: an entry of `FILLS`.
    noise : float
        Standard deviation of "noise", in normalised input.
    draws : int
        D.
    objective : str
        Class score f: an entry of `OBJECTIVES`.
    scaled : bool
        Multiply the map by the factor β that fits best, so that its unit does not count.
    seed : int
        Of the changes.

    References
    ----------
    Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations, arXiv 1901.09392

    Examples
    --------
    >>> Infidelity(draws=4)(model, clip, heat).value >= 0
    True
    """

    change: Literal["hide", "noise"] = "hide"
    fill: str = "mean"
    noise: float = 0.1
    draws: int = 64
    objective: Objective = "logit"
    scaled: bool = True
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[Literal["map"]] = "map"

    def __post_init__(self) -> None:
        """Check the options."""
        if self.change not in ("hide", "noise") or self.draws < 1 or self.noise <= 0:
            raise DataError(
                "expected change hide or noise, 1 draw or more and noise above 0, got "
                f"{self.change!r}, {self.draws} and {self.noise}; correct them"
            )

    @map_call
    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        run = self._hide if self.change == "hide" else self._noise
        predicted, uniform, actual = run(model, clip, attribution)
        beta = _best_scale(predicted, actual) if self.scaled else 1.0
        value = float(((beta * predicted - actual) ** 2).mean())
        chance = float(((_best_scale(uniform, actual) * uniform - actual) ** 2).mean())
        details = {
            "beta": beta,
            "predicted": predicted,
            "actual": actual,
            "unexplained": value / chance if chance else float("nan"),
        }
        return MetricValue(value, chance, details)

    def _hide(self, model: VideoModel, clip: Clip, attribution: Attribution) -> tuple[np.ndarray, ...]:
        """What the map and a uniform map predict, and what the score loses, float64 [D] each."""
        boxes = [self._cuboid(clip, i) for i in range(self.draws)]
        inside = np.array([attribution.values[box].sum(dtype=np.float64) for box in boxes])
        volume = np.array([attribution.values[box].size for box in boxes], np.float64)
        whole = np.ones(attribution.values.shape, bool)
        shown = (mask for part in ([whole], (_without(whole, box) for box in boxes)) for mask in part)
        f = masked_scores(model, clip, shown, self.fill, attribution.column, self.objective)
        return inside, volume, f[0] - f[1:]

    def _cuboid(self, clip: Clip, i: int) -> tuple[slice, ...]:
        """Sides of any length and place."""
        rng = clip_rng(clip, self.seed, i)
        ends = [sorted(rng.choice(n + 1, 2, replace=False)) for n in clip.frames.shape[:3]]
        return tuple(slice(int(low), int(high)) for low, high in ends)

    def _noise(self, model: VideoModel, clip: Clip, attribution: Attribution) -> tuple[np.ndarray, ...]:
        """As `_hide`."""
        x = to_input(model, clip.frames[None])
        whole = float(scores(model, x, [attribution.column], self.objective))
        predicted, uniform, actual = [], [], []
        for start in range(0, self.draws, model.pass_size):
            taken = np.stack([self._draw(clip, i) for i in range(start, min(start + model.pass_size, self.draws))])
            predicted.append((taken * attribution.values).sum((1, 2, 3), dtype=np.float64))
            uniform.append(taken.sum((1, 2, 3), dtype=np.float64))
            less = x.float() - torch.from_numpy(taken).to(x.device)[:, None]
            left = scores(model, less.to(x.dtype), [attribution.column] * len(taken), self.objective)
            actual.append(whole - left.double().cpu().numpy())
        return np.concatenate(predicted), np.concatenate(uniform), np.concatenate(actual)

    def _draw(self, clip: Clip, i: int) -> np.ndarray:
        return self.noise * clip_rng(clip, self.seed, i).standard_normal(clip.frames.shape[:3], np.float32)


def _best_scale(predicted: np.ndarray, actual: np.ndarray) -> float:
    """β that brings β·predicted nearest to what happened."""
    power = float((predicted**2).sum())
    return float((predicted * actual).sum()) / power if power else 0.0


def _without(whole: np.ndarray, box: tuple[slice, ...]) -> np.ndarray:
    left = whole.copy()
    left[box] = False
    return left


@dataclass(frozen=True)
class Sensitivity:
    """Sensitivity: ‖map(x′) − map(x)‖ / ‖map(x)‖ over D clips x′ near x, the greatest or the mean.

    Lower is better; a map that never changes gets 0, which is no evidence of faithfulness. x′ is x plus uniform noise,
    kept in 0–255. A map of zeros is compared with norm 1. ``details``: changes [D], mean and greatest. Costs D + 1
    calls of the method.

    Parameters
    ----------
    radius : int
        Largest noise in grey levels a colour; 5 is 0.02 of 255, the radius of the authors' code.
    draws : int
        D.
    reduce : {"max", "mean"}
        "max" or "mean".
    seed : int
        Of the noise.

    References
    ----------
    Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations, arXiv 1901.09392

    Examples
    --------
    >>> Sensitivity(draws=2)(model, clip, "cross", vx.Gradient()).value > 0
    True
    """

    radius: int = 5
    draws: int = 10
    reduce: Literal["max", "mean"] = "max"
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[Literal["method"]] = "method"

    def __post_init__(self) -> None:
        """Check the options."""
        if self.reduce not in ("max", "mean") or self.draws < 1 or not 1 <= self.radius <= 255:
            raise DataError(
                "expected reduce max or mean, 1 draw or more and a radius of 1 to 255 grey levels, got "
                f"{self.reduce!r}, {self.draws} and {self.radius}; correct them"
            )

    @method_call
    def __call__(self, model: VideoModel, clip: Clip, target: Target, method: AttributionMethod) -> MetricValue:
        first = method(model, clip, target).values.astype(np.float64)
        changes: list[float] = []
        for start in range(0, self.draws, model.pass_size):
            near = [self._near(clip, i) for i in range(start, min(start + model.pass_size, self.draws))]
            changes += [float(np.linalg.norm(a.values - first)) for a in method(model, near, target)]
        found = np.array(changes) / (np.linalg.norm(first) or 1.0)
        value = float(found.max() if self.reduce == "max" else found.mean())
        return MetricValue(value, None, {"changes": found, "mean": float(found.mean()), "max": float(found.max())})

    def _near(self, clip: Clip, i: int) -> Clip:
        rng = clip_rng(clip, self.seed, i)
        noise = rng.integers(-self.radius, self.radius + 1, clip.frames.shape, np.int16)
        return replace(clip, frames=np.clip(clip.frames + noise, 0, 255).astype(np.uint8))
