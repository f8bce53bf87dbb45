"""Training a network from scratch by the papers' recipe: SGD, step schedule, random crops and flips; resumable.

The defaults are those of the STCE paper (Kinetics): 150 epochs of batch 64, learning rate 0.01 divided by 10 every
50 epochs, momentum 0.9.
"""

from voxplain.train.clips import TrainingVideos, check_classes_filled, load_videos
from voxplain.train.loop import train
from voxplain.train.measure import accuracy, per_class
from voxplain.train.processes import ALONE, Processes, launched
from voxplain.train.recipe import EpochLog, Recipe

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
