"""voxplain explains video classifiers, 3D ConvNets first.

import voxplain as vx

model = vx.load_model("planted")
clips = vx.read_clips("data/train/cross", model.reader())
found = vx.explain_concepts(model, clips, random=vx.read_clips("data/unrelated", model.reader()), target="cross")
heat = vx.IntegratedGradients(steps=25)(model, clips[0], "cross")
vx.Insertion(steps=64)(model, clips[0], heat)
"""

from voxplain import attribution, metrics
from voxplain.attribution import RISE, STEP, Attribution, GradCAM, Gradient, IntegratedGradients, SmoothGrad
from voxplain.concepts.cav import relative_cavs
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.profile import concept_profile, profile_similarity
from voxplain.concepts.settings import PRESETS, ConceptSettings, override
from voxplain.datasets import ClipSet, VideoSet, read_clips, scan_folder
from voxplain.datasets.planted import PlantedDesign, read_planted, write_planted
from voxplain.doctor import examine
from voxplain.errors import DataError, MissingExtra, ModelError, VideoError, VoxplainError
from voxplain.explain import evaluate_concepts, explain_clip, explain_concepts, score_own_concepts
from voxplain.metrics import Deletion, EnergyInside, Insertion, PointingGame
from voxplain.model import VideoModel
from voxplain.report import table_csv, table_json, table_text, write_attribution_report, write_report
from voxplain.segment import SLIC, Deduplicate, Grid, Supervoxels
from voxplain.store import Store, load_run, save_run
from voxplain.version import __version__
from voxplain.video import Clip, ClipReader, Geometry, Middle, RandomFrames, Uniform, Windows, read_video
from voxplain.zoo.load import load_model, model_from_function

__all__ = [
    "PRESETS",
    "RISE",
    "SLIC",
    "STEP",
    "Attribution",
    "Clip",
    "ClipReader",
    "ClipSet",
    "ConceptRun",
    "ConceptSettings",
    "DataError",
    "Deduplicate",
    "Deletion",
    "EnergyInside",
    "Geometry",
    "GradCAM",
    "Gradient",
    "Grid",
    "Insertion",
    "IntegratedGradients",
    "Middle",
    "MissingExtra",
    "ModelError",
    "PlantedDesign",
    "PointingGame",
    "RandomFrames",
    "SmoothGrad",
    "Store",
    "Supervoxels",
    "Uniform",
    "VideoError",
    "VideoModel",
    "VideoSet",
    "VoxplainError",
    "Windows",
    "__version__",
    "attribution",
    "concept_profile",
    "evaluate_concepts",
    "examine",
    "explain_clip",
    "explain_concepts",
    "load_model",
    "load_run",
    "metrics",
    "model_from_function",
    "override",
    "profile_similarity",
    "read_clips",
    "read_planted",
    "read_video",
    "relative_cavs",
    "save_run",
    "scan_folder",
    "score_own_concepts",
    "table_csv",
    "table_json",
    "table_text",
    "write_attribution_report",
    "write_planted",
    "write_report",
]
