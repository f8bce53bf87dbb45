"""Networks as `VideoModel`: those defined here, and those that a user's own function builds."""

from voxplain.zoo.class_names import read_classes
from voxplain.zoo.load import load_model, model_from_function

__all__ = ["load_model", "model_from_function", "read_classes"]
