"""Planted videos: rendered clips whose class is decided by a known object, with counterfactuals."""

from voxplain.datasets.planted.design import DESIGNS, PlantedDesign, draw_scene
from voxplain.datasets.planted.files import PlantedSet, read_planted, write_planted
from voxplain.datasets.planted.scene import PlantedObject, Scene, freeze, masks, render, without

__all__ = [
    "DESIGNS",
    "PlantedDesign",
    "PlantedObject",
    "PlantedSet",
    "Scene",
    "draw_scene",
    "freeze",
    "masks",
    "read_planted",
    "render",
    "without",
    "write_planted",
]
