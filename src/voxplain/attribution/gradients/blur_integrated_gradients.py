"""Blur integrated gradients: the path runs from a blurred clip to the sharp one, with no foreign colours on it.

Xu, Venugopalan, Sundararajan 2020 (arXiv 2004.03383).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.gradients.path import completeness_gaps, gradients_along
from voxplain.attribution.passes import scores
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.errors import DataError
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

__all__ = ["BlurIntegratedGradients", "blurred"]

ROWS = 112  # frame height for which the study's sigma is meant
DELTA = 0.01  # pixels, the study's finite difference of sigma

Blur = Literal["frame", "volume"]


def _gaussian(length: int, sigma: float, like: Tensor) -> Tensor:
    """A Gaussian blur of one axis as a matrix [length,length], edges reflected."""
    from scipy.ndimage import gaussian_filter1d

    identity = np.eye(length)
    smooth = gaussian_filter1d(identity, sigma, axis=0, mode="reflect") if sigma > 0 else identity
    return torch.from_numpy(smooth).to(like)


def blurred(x: Tensor, sigma: float, blur: Blur) -> Tensor:
    """Inputs [N,3,T,H,W] blurred by ``sigma`` pixels in each frame; "volume" also blurs time, by sigma·T/H frames."""
    t, h, w = x.shape[2:]
    out = _gaussian(h, sigma, x) @ x @ _gaussian(w, sigma, x).T
    # The same share of the clip's length as of the frame's height.
    return torch.einsum("st,ncthw->ncshw", _gaussian(t, sigma * t / h, x), out) if blur == "volume" else out


@dataclass(frozen=True)
class BlurIntegratedGradients:
    """−∫₀^σmax ∂s/∂x(G_σ x) · ∂(G_σ x)/∂σ dσ: shares in the rise of the score from the blurred clip to the sharp one.

    The signed sum tends to s(x) − s(G_σmax x); ``details["completeness_gap"]`` is how far it is from there,
    relative to that difference. By the rule "middle", the step between two blurs weighs the gradient half way.
    """

    steps: int = 25  # gradients; the study's
    max_sigma: float = 50.0  # standard deviation of the strongest blur, pixels at 112 rows; the study's
    blur: Blur = "frame"  # "volume" blurs along time too, so that motion fades as well as appearance
    spacing: Literal["linear", "quadratic"] = (
        "quadratic"  # of sigma: finer where the clip is sharp; the study's: linear
    )
    rule: Literal["middle", "left"] = "middle"  # "left": the study's, tangents at the sharper end of each step
    objective: Objective = "logit"  # the study's networks end in softmax: "probability"
    channels: Channels = "absolute"  # mean of the absolute values over colours, as in the study; "signed" keeps sums

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "blur_ig", self._maps, model, clip, target)

    def _sigmas(self, rows: int) -> np.ndarray:
        """Sigma in pixels of this grid from 0 to the largest, float64 [steps+1]."""
        if self.steps < 1 or self.max_sigma <= 0:
            raise DataError(f"expected 1 step or more and a sigma above 0, got {self.steps} and {self.max_sigma}")
        powers = {"linear": 1, "quadratic": 2}
        for name, value, known in (
            ("spacing", self.spacing, tuple(powers)),
            ("blur", self.blur, ("frame", "volume")),
            ("rule", self.rule, ("middle", "left")),
        ):
            if value not in known:
                raise DataError(f"expected {name} {known[0]} or {known[1]}, got {value!r}; choose one")
        share = np.linspace(0, 1, self.steps + 1) ** powers[self.spacing]
        return np.asarray(share * self.max_sigma * rows / ROWS)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
        x, model = batch.x.float(), batch.model
        sigmas = self._sigmas(x.shape[3])
        at = (sigmas[:-1] + sigmas[1:]) / 2 if self.rule == "middle" else sigmas[:-1]
        points = (blurred(x, float(sigma), self.blur) for sigma in at)
        values = torch.zeros_like(x)
        for i, g in enumerate(gradients_along(model, points, batch.targets, self.objective)):
            values += g * self._move(x, float(sigmas[i]), float(sigmas[i + 1]))
        last = blurred(x, float(sigmas[-1]), self.blur)
        rise = scores(model, x, batch.targets, self.objective) - scores(model, last, batch.targets, self.objective)
        details = [{"completeness_gap": gap} for gap in completeness_gaps(values, rise)]
        return over_channels(values, self.channels), details

    def _move(self, x: Tensor, sharper: float, softer: float) -> Tensor:
        """What a step from the softer to the sharper blur adds to the input."""
        if self.rule == "middle":
            return blurred(x, sharper, self.blur) - blurred(x, softer, self.blur)
        slope = (blurred(x, sharper + DELTA, self.blur) - blurred(x, sharper, self.blur)) / DELTA
        return -slope * (softer - sharper)
