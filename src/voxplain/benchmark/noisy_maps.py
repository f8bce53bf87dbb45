"""Copies of a map with a little and with much noise: a metric must not mind the one, and must fall by the other.

A test of metrics as in Hedström et al. 2023, The meta-evaluation problem in explainable AI (MetaQuantus, arXiv
2302.07265), on maps in place of networks and clips.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from voxplain.metrics.record import clip_rng
from voxplain.video import Clip

__all__ = ["NOISES", "noisy"]

LITTLE, MUCH = 0.05, 3.0  # standard deviation of the noise, in those of the map's values


def noisy(values: np.ndarray, clip: Clip, *, share: float) -> np.ndarray:
    """The map plus Gaussian noise of ``share`` standard deviations of its values."""
    drawn = clip_rng(clip, 23).standard_normal(values.shape, np.float32)
    return np.asarray(values + share * values.std() * drawn, np.float32)


NOISES: dict[str, Callable[[np.ndarray, Clip], np.ndarray]] = {
    "little_noise": partial(noisy, share=LITTLE),
    "much_noise": partial(noisy, share=MUCH),
}
