"""The networks that a correction is compared in, for `improve.py`."""

from dataclasses import replace

import numpy as np

from voxplain.corrections import CameraSwap, Correction, Examples
from voxplain.corrections.content_effect import reliance_on
from voxplain.model import VideoModel

__all__ = ["networks"]


def networks(method: Correction, model: VideoModel, examples: Examples) -> dict[str, VideoModel]:
    """The networks that a method is compared in.

    As in `voxplain.improve`, what the network is not shown to rely on is not corrected; "forced" is the correction of
    the random concept without that test. Camera swap takes no masks: its control exchanges rows and columns, and no
    test of masks stops it.
    """
    plain = model if method.uncorrected is None else method.uncorrected(model, examples, seed=1)
    other = examples.random_concept(np.random.default_rng(1))
    masked = not isinstance(method, CameraSwap)
    control = method if masked else replace(method, transposed=True)
    forced = control(model, other, seed=1)
    random = plain if masked and not reliance_on(model, other, seed=1).significant else forced
    relied = reliance_on(model, examples, seed=1).significant
    corrected = method(model, examples, seed=1) if relied else plain
    return {"original": model, "further": plain, "random": random, "forced": forced, "corrected": corrected}
