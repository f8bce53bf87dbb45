"""Concept scores from the derivatives of the class score along CAVs.

Letters: M clips of the class, K concepts, R random sets, D dimensions; g [M,D] gradients, v [K,R,D] unit CAVs.
Source: Kim et al. 2018 (TCAV), Eq. 2 of STCE.

Trap: where everything above the layer is ONE linear map, the gradient of the plain logit is the same for every
clip, and Eq. 2 is 0 or 1 for each CAV whatever the videos show (`is_linear_above` detects this).
"""

from collections.abc import Callable

import numpy as np
import torch

from voxplain.concepts.cav import CAVs
from voxplain.model import VideoModel

__all__ = ["SCORES", "directional_derivatives", "is_linear_above", "magnitude", "sign_count"]


def directional_derivatives(gradients: torch.Tensor, cavs: CAVs) -> np.ndarray:
    """Directional derivative g·v for every clip, concept and random set.

    Parameters
    ----------
    gradients : Tensor [M,D]
        Gradient of the objective at the layer, for each clip.
    cavs : CAVs
        Vectors [K,R,D].

    Returns
    -------
    ndarray, float32 [M,K,R]
        NaN for a pair without a direction.
    """
    vectors = torch.as_tensor(cavs.vectors)
    return torch.einsum("md,krd->mkr", gradients.cpu(), vectors).numpy()


def sign_count(derivatives: np.ndarray) -> np.ndarray:
    """Share of clips with a positive derivative: the TCAV score of the paper (Eq. 2), chance 0.5; NaN stays NaN.

    Examples
    --------
    >>> sign_count(np.array([[[2.0]], [[-1.0]], [[3.0]], [[1.0]]])).tolist()  # [M,K,R] to [K,R]
    [[0.75]]
    """
    share = (derivatives > 0).mean(0).astype(np.float32)
    return np.where(np.isnan(derivatives).any(0), np.float32("nan"), share)


def magnitude(derivatives: np.ndarray) -> np.ndarray:
    """Mean derivative over clips, in units of the objective for a step of length 1, chance 0.

    Examples
    --------
    >>> magnitude(np.array([[[2.0]], [[-1.0]], [[3.0]], [[1.0]]])).tolist()  # [M,K,R] to [K,R]
    [[1.25]]
    """
    return derivatives.mean(0).astype(np.float32)


SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"sign_count": sign_count, "magnitude": magnitude}


def is_linear_above(model: VideoModel, frames: np.ndarray, target: int) -> bool:
    """Whether the logit's gradient at the layer is the same for different clips uint8 [N ≥ 2,T,H,W,3].

    Where it is, `sign_count` with the objective ``logit`` does not depend on the videos.
    """
    g = model.gradient(frames, target, objective="logit")
    return bool(torch.allclose(g, g[:1].expand_as(g), rtol=1e-4, atol=1e-6 * float(g.abs().max() + 1e-30)))
