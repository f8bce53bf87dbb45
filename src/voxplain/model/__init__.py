"""A network with its input, its layer and its objectives: `VideoModel`, and what happens in a forward pass."""

from voxplain.model.batches import logits_of
from voxplain.model.inputs import ClipLike, ClipsLike, Frames, as_clips, as_frames, is_one_clip, stack
from voxplain.model.objectives import OBJECTIVES, Objective, log_odds, log_probability, logit, probability
from voxplain.model.prediction import Prediction
from voxplain.model.target import Difference, Target, Targets, narrow, recorded_target, resolve_targets
from voxplain.model.tasks import TASKS, Task
from voxplain.model.tokens import Tokens
from voxplain.model.video_model import ModelOutput, VideoModel, as_model

__all__ = [
    "OBJECTIVES",
    "TASKS",
    "ClipLike",
    "ClipsLike",
    "Difference",
    "Frames",
    "ModelOutput",
    "Objective",
    "Prediction",
    "Target",
    "Targets",
    "Task",
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
    "narrow",
    "probability",
    "recorded_target",
    "resolve_targets",
    "stack",
]
