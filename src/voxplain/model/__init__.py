"""A network with its input, its layer and its objectives: `VideoModel`, and what happens in a forward pass."""

from voxplain.model.batches import logits_of
from voxplain.model.inputs import ClipLike, ClipsLike, Frames, as_clips, as_frames, is_one_clip, stack
from voxplain.model.objectives import OBJECTIVES, Objective, log_odds, log_probability, logit, probability
from voxplain.model.prediction import Prediction
from voxplain.model.target import Target, Targets, resolve_targets
from voxplain.model.tokens import Tokens
from voxplain.model.video_model import ModelOutput, VideoModel, as_model

__all__ = [
    "OBJECTIVES",
    "ClipLike",
    "ClipsLike",
    "Frames",
    "ModelOutput",
    "Objective",
    "Prediction",
    "Target",
    "Targets",
    "Tokens",
    "VideoModel",
    "as_clips",
    "as_frames",
    "as_model",
    "is_one_clip",
    "log_odds",
    "log_probability",
    "logit",
    "logits_of",
    "probability",
    "resolve_targets",
    "stack",
]
