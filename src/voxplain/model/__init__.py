"""A network as voxplain sees it: `VideoModel`, its objectives, its layers, and what happens in a forward pass."""

from voxplain.model.batches import logits_of
from voxplain.model.objectives import OBJECTIVES, Objective, log_odds, log_probability, logit, probability
from voxplain.model.video_model import Frames, ModelOutput, VideoModel, stack

__all__ = [
    "OBJECTIVES",
    "Frames",
    "ModelOutput",
    "Objective",
    "VideoModel",
    "log_odds",
    "log_probability",
    "logit",
    "logits_of",
    "probability",
    "stack",
]
