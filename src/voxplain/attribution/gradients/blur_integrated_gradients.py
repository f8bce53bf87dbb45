"""Blur integrated gradients: the path runs from a blurred clip to the sharp one, with no foreign colours on it.

Xu, Venugopalan, Sundararajan 2020 (arXiv 2004.03383).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.gradients.path import completeness_gaps, gradients_along
from voxplain.attribution.passes import scores
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.errors import DataError
from voxplain.model import Objective

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
    """Blur integrated gradients, −∫₀^σmax ∂s/∂x(G_σ x) · ∂(G_σ x)/∂σ dσ, from the blurred clip to the sharp one.

    The signed sum tends to s(x) − s(G_σmax x); ``details["completeness_gap"]`` is how far it is from there, relative to
    that difference.

    Parameters
    ----------
    steps : int
        Gradients; 25 in the video attribution study.
    max_sigma : float
        Standard deviation of the strongest blur, pixels at 112 rows; 50 in the study.
    blur : {"frame", "volume"}
        "frame" blurs each frame by itself; "volume" blurs along time too, so that motion fades as well as appearance.
    spacing : {"linear", "quadratic"}
        Of sigma; "quadratic" is finer where the clip is sharp, "linear" is the study's.
    rule : {"middle", "left"}
        "middle": the step between two blurs weighs the gradient half way; "left", the study's: tangents at the sharper
        end of each step.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`. The networks of the video attribution study end in softmax,
        which is "probability".
    channels : str
        Reduction over the three colours: an entry of `CHANNELS`; "absolute" is the mean of absolute values, "signed"
        the sum.

    References
    ----------
    Xu, Venugopalan and Sundararajan 2020, Attribution in scale and space, arXiv 2004.03383

    Examples
    --------
    >>> BlurIntegratedGradients(steps=5)(model, clip).shape
    (8, 32, 32)
    """

    steps: int = 25
    max_sigma: float = 50.0
    blur: Blur = "frame"
    spacing: Literal["linear", "quadratic"] = "quadratic"
    rule: Literal["middle", "left"] = "middle"
    objective: Objective = "logit"
    channels: Channels = "absolute"

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

    @attribution_call("blur_ig")
    def __call__(self, batch: Batch) -> Maps:
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
