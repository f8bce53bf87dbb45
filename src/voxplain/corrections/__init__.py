"""Corrections of a network from its concepts: what it shall not rely on is removed, what it shall is kept.

A correction is a frozen dataclass that is called with a model and `Examples`, clips with the voxels of the concepts,
and gives a corrected copy of the model. `improve` runs one and compares it with what it must beat.
"""

from voxplain.corrections.a_clarc import AddConcept
from voxplain.corrections.attribution_penalty import AttributionPenalty
from voxplain.corrections.camera_swap import CameraSwap
from voxplain.corrections.concept_whitening import WhitenConcept
from voxplain.corrections.correction import Correction
from voxplain.corrections.dfr import RefitHead
from voxplain.corrections.examples import Examples
from voxplain.corrections.further import FurtherTraining
from voxplain.corrections.keep_concepts import KeepConcepts
from voxplain.corrections.p_clarc import ProjectConcept
from voxplain.corrections.rr_clarc import GradientPenalty
from voxplain.corrections.swap_concept import ConceptSwap

__all__ = [
    "CORRECTIONS",
    "AddConcept",
    "AttributionPenalty",
    "CameraSwap",
    "ConceptSwap",
    "Correction",
    "Examples",
    "FurtherTraining",
    "GradientPenalty",
    "Improved",
    "KeepConcepts",
    "ProjectConcept",
    "RefitHead",
    "WhitenConcept",
    "improve",
]

CORRECTIONS: dict[str, Correction] = {
    "p_clarc": ProjectConcept(),
    "dfr": RefitHead(),
    "concept_swap": ConceptSwap(),
    "camera_swap": CameraSwap(),
    "attribution_penalty": AttributionPenalty(),
    "rr_clarc": GradientPenalty(),
    "a_clarc": AddConcept(),
    "concept_whitening": WhitenConcept(),
    "keep_concepts": KeepConcepts(),
}

from voxplain.corrections.improve import improve  # noqa: E402 - reads the registry
from voxplain.corrections.improved import Improved  # noqa: E402
