"""Concept profiles: the component of each input's features along each concept's direction."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.concepts.cav import CAVs
from voxplain.errors import DataError

__all__ = ["concept_profile", "profile_similarity"]


def concept_profile(features: ArrayLike, cavs: CAVs) -> NDArray[np.float32]:
    """Inner products of inputs' features with the unit CAVs.

    A CAV has no origin, so values compare inputs within one concept, and concepts only roughly.

    Parameters
    ----------
    features : [N,D]
        Of the CAVs' layer.
    cavs : CAVs
        Vectors [K,R,D].

    Returns
    -------
    float32 [N,K,R]
        In feature units; the mean over axis 2 is the reference code's averaged profile.

    Raises
    ------
    DataError
        Another number of features.

    References
    ----------
    Code of STCE (Ji, Wang and Kato, CVPR 2023); Yuksekgonul et al., Post-hoc concept bottleneck models, ICLR 2023.

    Examples
    --------
    >>> cavs = CAVs(np.eye(2, 3, dtype=np.float32)[:, None], np.ones((2, 1), np.float32), "pool")
    >>> concept_profile([[3, 4, 5]], cavs)[0, :, 0].tolist()
    [3.0, 4.0]
    """
    values = np.asarray(features, dtype=np.float32)
    if values.ndim != 2 or values.shape[1] != cavs.vectors.shape[2]:
        raise DataError(
            f"a concept profile needs features [N,{cavs.vectors.shape[2]}] of layer {cavs.layer!r}, got {values.shape}"
        )
    return np.einsum("nd,krd->nkr", values, cavs.vectors, optimize=True).astype(np.float32)


def profile_similarity(profile: ArrayLike) -> NDArray[np.float64]:
    """Cosine between the profiles of inputs, over all concepts and random sets.

    Parameters
    ----------
    profile : [N,K] or [N,K,R]

    Returns
    -------
    float64 [N,N]
        0 for a profile of zeros.

    Raises
    ------
    DataError
        Another number of axes.

    Examples
    --------
    >>> profile_similarity([[1, 0], [2, 0], [0, 0]]).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    values = np.asarray(profile, dtype=np.float64)
    if values.ndim not in (2, 3):
        raise DataError(f"profile similarity needs profiles [N,K] or [N,K,R], got {values.shape}")
    flat = values.reshape(len(values), -1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    unit = np.divide(flat, length, out=np.zeros_like(flat), where=length > 0)
    return unit @ unit.T
