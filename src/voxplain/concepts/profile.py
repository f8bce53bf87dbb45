"""Concept profiles: the component of each input's features along each concept's direction."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.concepts.cav import CAVs
from voxplain.errors import DataError

__all__ = ["concept_profile", "profile_similarity"]


def concept_profile(features: ArrayLike, cavs: CAVs) -> NDArray[np.float32]:
    """Inner products of features with unit CAVs.

    Values of different concepts compare only roughly, because a CAV has no origin: compare inputs within a concept.

    Parameters
    ----------
    features
        Features [N,D] of N inputs at the CAVs' layer.
    cavs
        K concepts with R CAVs each.

    Returns
    -------
    ndarray
        float32 [N,K,R], in the units of the features. The mean over the last axis is the averaged profile of the
        STCE code.

    Raises
    ------
    DataError
        For features of another width than the CAVs.

    References
    ----------
    The STCE code; concept bottleneck by CAVs: Yuksekgonul et al. 2023.
    """
    values = np.asarray(features, dtype=np.float32)
    if values.ndim != 2 or values.shape[1] != cavs.vectors.shape[2]:
        raise DataError(
            f"a concept profile needs features [N,{cavs.vectors.shape[2]}] of layer {cavs.layer!r}, got {values.shape}"
        )
    return np.einsum("nd,krd->nkr", values, cavs.vectors, optimize=True).astype(np.float32)


def profile_similarity(profile: ArrayLike) -> NDArray[np.float64]:
    """Cosine similarity between the concept profiles of inputs.

    Parameters
    ----------
    profile
        Profiles [N,K] or [N,K,R] of N inputs, as `concept_profile` returns them.

    Returns
    -------
    ndarray
        float64 [N,N], over all concepts and CAVs; 0 where a profile is zero.

    Raises
    ------
    DataError
        For an array of other dimensions.

    Examples
    --------
    >>> import torch
    >>> import voxplain as vx
    >>> noise = torch.Generator().manual_seed(0)
    >>> concepts = [torch.randn(20, 8, generator=noise) + 4 * torch.eye(8)[k] for k in range(3)]
    >>> cavs = vx.relative_cavs(concepts, repeats=5, layer="layer4")
    >>> clips = torch.stack([concepts[0][0], concepts[0][1], concepts[1][0]])
    >>> similarity = vx.profile_similarity(vx.concept_profile(clips, cavs))
    >>> bool(similarity[0, 1] > 0.5 > similarity[0, 2])
    True
    """
    values = np.asarray(profile, dtype=np.float64)
    if values.ndim not in (2, 3):
        raise DataError(f"profile similarity needs profiles [N,K] or [N,K,R], got {values.shape}")
    flat = values.reshape(len(values), -1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    unit = np.divide(flat, length, out=np.zeros_like(flat), where=length > 0)
    return unit @ unit.T
