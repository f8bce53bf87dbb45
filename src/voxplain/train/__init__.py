"""Training a network from scratch by the papers' recipe: SGD, step schedule, random crops and flips; resumable.

The defaults are those of the STCE paper (Kinetics): 150 epochs of batch 64, learning rate 0.01 divided by 10 every
50 epochs, momentum 0.9.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxplain.train.loop import train
    from voxplain.train.measure import accuracy, per_class
    from voxplain.train.processes import ALONE, Processes, launched
    from voxplain.train.recipe import EpochLog, Recipe
    from voxplain.train.training_clips import TrainingVideos, check_classes_filled, load_videos

__all__ = [
    "ALONE",
    "EpochLog",
    "Processes",
    "Recipe",
    "TrainingVideos",
    "accuracy",
    "check_classes_filled",
    "launched",
    "load_videos",
    "per_class",
    "train",
]

# Loaded when they are asked for: the command line reads the options of Recipe and must not import torch for it.
_MODULES = {
    "training_clips": ("TrainingVideos", "check_classes_filled", "load_videos"),
    "loop": ("train",),
    "measure": ("accuracy", "per_class"),
    "processes": ("ALONE", "Processes", "launched"),
    "recipe": ("EpochLog", "Recipe"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
