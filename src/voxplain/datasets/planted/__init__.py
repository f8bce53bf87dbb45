"""Planted videos: rendered clips whose class is decided by a known object, with counterfactuals."""

from voxplain.datasets.planted.defects import has_defect, with_defect, without_defect
from voxplain.datasets.planted.design import DEFECTS, PlantedDesign
from voxplain.datasets.planted.designs import DESIGNS, design_of
from voxplain.datasets.planted.draw import draw_scene
from voxplain.datasets.planted.files import PlantedSet, read_planted, write_planted
from voxplain.datasets.planted.questions import LABELS, QUESTIONS, PlantedAnswer, planted_answers, true_answer
from voxplain.datasets.planted.scene import Occluder, PlantedObject, Scene, freeze, masks, render, without

__all__ = [
    "DEFECTS",
    "DESIGNS",
    "LABELS",
    "QUESTIONS",
    "Occluder",
    "PlantedAnswer",
    "PlantedDesign",
    "PlantedObject",
    "PlantedSet",
    "Scene",
    "design_of",
    "draw_scene",
    "freeze",
    "has_defect",
    "masks",
    "planted_answers",
    "read_planted",
    "render",
    "true_answer",
    "with_defect",
    "without",
    "without_defect",
    "write_planted",
]
