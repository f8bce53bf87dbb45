"""voxplain explains video classifiers: concepts, attribution, and how far either can be trusted.

import voxplain as vx

model = vx.load_model("planted")
clip = model.read("data/test/cross/0000.mp4")
heat = vx.IntegratedGradients(steps=25)(model, clip, "cross")
vx.Insertion(steps=64)(model, clip, heat)
clips = vx.read_clips("data/train/cross", model.reader())
run = vx.explain_concepts(model, clips, random=vx.read_clips("data/unrelated", model.reader()), target="cross")
"""

import importlib
from typing import TYPE_CHECKING, Any

from voxplain.version import __version__

if TYPE_CHECKING:  # the names in PUBLIC, as a test checks; a star means all names of a module
    from voxplain import attribution as attribution
    from voxplain import metrics as metrics
    from voxplain.attribution import *  # noqa: F403
    from voxplain.attribution.attribution_run import *  # noqa: F403
    from voxplain.attribution.streams import stream_maps as stream_maps
    from voxplain.audits import AuditRun as AuditRun
    from voxplain.audits import AuditSettings as AuditSettings
    from voxplain.concepts.cav import *  # noqa: F403
    from voxplain.concepts.cluster import *  # noqa: F403
    from voxplain.concepts.cluster_filter import *  # noqa: F403
    from voxplain.concepts.cluster_graph import *  # noqa: F403
    from voxplain.concepts.concept_run import ConceptRun as ConceptRun
    from voxplain.concepts.consensus import *  # noqa: F403
    from voxplain.concepts.context import ContextFeatures as ContextFeatures
    from voxplain.concepts.discover import *  # noqa: F403
    from voxplain.concepts.features import Features as Features
    from voxplain.concepts.features import MaskedCrops as MaskedCrops
    from voxplain.concepts.profile import *  # noqa: F403
    from voxplain.concepts.settings import PRESETS as PRESETS
    from voxplain.concepts.settings import ConceptSettings as ConceptSettings
    from voxplain.concepts.settings import override as override
    from voxplain.corrections import CORRECTIONS as CORRECTIONS
    from voxplain.corrections import AddConcept as AddConcept
    from voxplain.corrections import AttributionPenalty as AttributionPenalty
    from voxplain.corrections import ConceptSwap as ConceptSwap
    from voxplain.corrections import Examples as Examples
    from voxplain.corrections import FurtherTraining as FurtherTraining
    from voxplain.corrections import GradientPenalty as GradientPenalty
    from voxplain.corrections import Improved as Improved
    from voxplain.corrections import KeepConcepts as KeepConcepts
    from voxplain.corrections import ProjectConcept as ProjectConcept
    from voxplain.corrections import RefitHead as RefitHead
    from voxplain.corrections import WhitenConcept as WhitenConcept
    from voxplain.corrections import improve as improve
    from voxplain.corrections.page import write_improved_report as write_improved_report
    from voxplain.datasets import DATASETS as DATASETS
    from voxplain.datasets import ClipSet as ClipSet
    from voxplain.datasets import VideoSet as VideoSet
    from voxplain.datasets import list_parts as list_parts
    from voxplain.datasets import load_named as load_named
    from voxplain.datasets import read_clips as read_clips
    from voxplain.datasets import read_list as read_list
    from voxplain.datasets import scan_folder as scan_folder
    from voxplain.datasets.planted import PlantedDesign as PlantedDesign
    from voxplain.datasets.planted import read_planted as read_planted
    from voxplain.datasets.planted import write_planted as write_planted
    from voxplain.doctor import *  # noqa: F403
    from voxplain.errors import *  # noqa: F403
    from voxplain.explain import OwnConcepts as OwnConcepts
    from voxplain.explain import audit as audit
    from voxplain.explain import evaluate_concepts as evaluate_concepts
    from voxplain.explain import explain_clip as explain_clip
    from voxplain.explain import explain_concepts as explain_concepts
    from voxplain.explain import score_own_concepts as score_own_concepts
    from voxplain.metrics import *  # noqa: F403
    from voxplain.model import OBJECTIVES as OBJECTIVES
    from voxplain.model import Difference as Difference
    from voxplain.model import ModelOutput as ModelOutput
    from voxplain.model import Prediction as Prediction
    from voxplain.model import Tokens as Tokens
    from voxplain.model import VideoModel as VideoModel
    from voxplain.nets import NETS as NETS
    from voxplain.nets import build_net as build_net
    from voxplain.nets import load_weights as load_weights
    from voxplain.report import audit_csv as audit_csv
    from voxplain.report import audit_json as audit_json
    from voxplain.report import audit_text as audit_text
    from voxplain.report import table_csv as table_csv
    from voxplain.report import table_json as table_json
    from voxplain.report import table_text as table_text
    from voxplain.report import write_attribution_report as write_attribution_report
    from voxplain.report import write_audit_report as write_audit_report
    from voxplain.report import write_report as write_report
    from voxplain.segment import SEGMENTERS as SEGMENTERS
    from voxplain.segment import SLIC as SLIC
    from voxplain.segment import Deduplicate as Deduplicate
    from voxplain.segment import Grid as Grid
    from voxplain.segment import RegionTree as RegionTree
    from voxplain.segment import Supervoxels as Supervoxels
    from voxplain.store import Store as Store
    from voxplain.store import load_attribution as load_attribution
    from voxplain.store import load_audit as load_audit
    from voxplain.store import load_run as load_run
    from voxplain.store import save_audit as save_audit
    from voxplain.store import save_run as save_run
    from voxplain.video import Clip as Clip
    from voxplain.video import ClipReader as ClipReader
    from voxplain.video import Dense as Dense
    from voxplain.video import Excerpt as Excerpt
    from voxplain.video import Geometry as Geometry
    from voxplain.video import LongSide as LongSide
    from voxplain.video import Middle as Middle
    from voxplain.video import OwnGeometry as OwnGeometry
    from voxplain.video import RandomFrames as RandomFrames
    from voxplain.video import ShortSide as ShortSide
    from voxplain.video import Uniform as Uniform
    from voxplain.video import Windows as Windows
    from voxplain.video import read_video as read_video
    from voxplain.zoo import *  # noqa: F403

# Module → its public names, imported when first used: `import voxplain` alone imports neither torch nor NumPy.
PUBLIC = {
    "attribution": """
        ATTRIBUTIONS AttentionRollout Attribution AttributionMethod BlurIntegratedGradients CAM CentrePrior
        ClassFeaturePyramid DeconvNet DeepLIFT EigenCAM ExcitationBackprop ExcitationBackpropRNN ExtremalPerturbation2D
        ExtremalPerturbation3D FGVis FrameConstant GradCAM GradCAMPlusPlus Gradient GradientWeightedAttention
        GuidedBackprop GuidedIG HiResCAM IGOS IGOSPlusPlus
        InputXGradient IntegratedGradients KernelSHAP LIME LRP LayerCAM LinearApproximation MeaningfulPerturbation
        MotionEnergy Occlusion PredictionDifference RISE RandomMap RateDistortion RealTimeSaliency STEP SWAG ScoreCAM
        SmoothGrad SmoothGradSquared
        SupervoxelOcclusion TemporalFreeze TemporalReverse VarGrad XGradCAM XRAI
        train_mask_network""",
    "attribution.attribution_run": "AttributionRun",
    "attribution.streams": "stream_maps",
    "audits": "AuditRun AuditSettings",
    "concepts.cav": "CAVs CLASSIFIERS cav_alignment cav_similarity fit_cavs relative_cavs",
    "concepts.cluster": "Clusterer Clustering KMeans MiniBatchKMeans NMF",
    "concepts.cluster_filter": "CLUSTER_FILTERS ClusterFilter",
    "concepts.cluster_graph": "AffinityPropagation Agglomerative DBSCAN MeanShift Spectral",
    "concepts.concept_run": "ConceptRun",
    "concepts.consensus": "Consensus",
    "concepts.context": "ContextFeatures",
    "concepts.discover": "CLUSTERERS ConceptBank discover fit_concepts nearest_centre",
    "concepts.features": "Features MaskedCrops",
    "concepts.profile": "concept_profile profile_similarity",
    "concepts.settings": "ConceptSettings PRESETS override",
    "corrections": """
        AddConcept AttributionPenalty CORRECTIONS ConceptSwap Examples FurtherTraining GradientPenalty Improved
        KeepConcepts ProjectConcept RefitHead WhitenConcept improve""",
    "corrections.page": "write_improved_report",
    "datasets": "ClipSet DATASETS VideoSet list_parts load_named read_clips read_list scan_folder",
    "datasets.planted": "PlantedDesign read_planted write_planted",
    "doctor": "Diagnosis LayerRow examine",
    "errors": "DataError MissingExtra ModelError VideoError VoxplainError",
    "explain": "OwnConcepts audit evaluate_concepts explain_clip explain_concepts score_own_concepts",
    "metrics": """
        AreaBetween AverageDrop Complexity Comprehensiveness ControlAgreement Deletion EfficientRandomisation
        EnergyInside FFidelity FaithfulnessCorrelation FrameChange IncreaseInConfidence Infidelity InfilledInsertion
        Insertion LabelRandomisation METRICS MapMetric MaskMetric MethodMetric Metric MetricValue NetworksMetric Overlap
        ParameterRandomisation PointingGame RankAccuracy Retrain Retrained SIMILARITIES Sensitivity Sparseness
        Sufficiency TemporalEnergy TemporalPointing TimeMetric join_in_time mean_of similarity""",
    "model": "Difference ModelOutput OBJECTIVES Prediction Tokens VideoModel",
    "nets": "NETS build_net load_weights",
    "report": """
        audit_csv audit_json audit_text table_csv table_json table_text write_attribution_report write_audit_report
        write_report""",
    "segment": "Deduplicate Grid RegionTree SEGMENTERS SLIC Supervoxels",
    "store": "Store load_attribution load_audit load_run save_audit save_run",
    "video": """
        Clip ClipReader Dense Excerpt Geometry LongSide Middle OwnGeometry RandomFrames ShortSide Uniform Windows
        read_video""",
    "zoo": "load_model model_from_function read_classes",
}
_MODULE_OF = {name: module for module, names in PUBLIC.items() for name in names.split()}

__all__ = ["__version__", "attribution", "metrics", *_MODULE_OF]


if not TYPE_CHECKING:  # or type checkers would accept every name

    def __getattr__(name: str) -> Any:
        """A public name or sub-package, imported when it is first asked for (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module 'voxplain' has no attribute {name!r}")
        if name not in _MODULE_OF:
            return importlib.import_module(f"voxplain.{name}")
        value = globals()[name] = getattr(importlib.import_module(f"voxplain.{_MODULE_OF[name]}"), name)
        return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *__all__})
