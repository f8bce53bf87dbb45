"""Concept profiles: how far each input lies along each concept's direction."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.concepts.cav import CAVs
from voxplain.errors import DataError

__all__ = ["concept_profile", "profile_similarity"]


def concept_profile(features: ArrayLike, cavs: CAVs) -> NDArray[np.float32]:
    """Inner products float32 [N,K,R] of N inputs' features [N,D] with the unit CAVs, in feature units.

    `profile.mean(axis=2)` gives one number an input and concept, as the reference's averaged profile. The
    features must come from the CAVs' layer. Values of different concepts compare only roughly, for a CAV
    has no origin: compare inputs within a concept.

    Reference: the STCE code; concept bottleneck by CAVs, Yuksekgonul et al. 2023.
    """
    values = np.asarray(features, dtype=np.float32)
    if values.ndim != 2 or values.shape[1] != cavs.vectors.shape[2]:
        raise DataError(
            f"a concept profile needs features [N,{cavs.vectors.shape[2]}] of layer {cavs.layer!r}, got {values.shape}"
        )
    return np.einsum("nd,krd->nkr", values, cavs.vectors, optimize=True).astype(np.float32)


def profile_similarity(profile: ArrayLike) -> NDArray[np.float64]:
    """Cosine [N,N] between the profiles of N inputs, [N,K] or [N,K,R], over all their concepts and sets.

    A profile of zeros is similar to nothing: 0.
    """
    values = np.asarray(profile, dtype=np.float64)
    if values.ndim not in (2, 3):
        raise DataError(f"profile similarity needs profiles [N,K] or [N,K,R], got {values.shape}")
    flat = values.reshape(len(values), -1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    unit = np.divide(flat, length, out=np.zeros_like(flat), where=length > 0)
    return unit @ unit.T
