"""Attribution: where and when did the network look in this clip? One method a class, all listed in `ATTRIBUTIONS`."""

from collections.abc import Callable
from functools import partial

from voxplain.attribution.blur_integrated import BlurIntegratedGradients
from voxplain.attribution.cam import CAM
from voxplain.attribution.class_feature_pyramid import ClassFeaturePyramid
from voxplain.attribution.concept_map import ConceptMap
from voxplain.attribution.controls import CentrePrior, FrameConstant, MotionEnergy, Random
from voxplain.attribution.deeplift import DeepLift
from voxplain.attribution.eigen_cam import EigenCAM
from voxplain.attribution.excitation import ExcitationBackprop
from voxplain.attribution.excitation_recurrent import ExcitationBackpropRNN
from voxplain.attribution.extremal import STEP, ExtremalPerturbation2D, ExtremalPerturbation3D
from voxplain.attribution.grad_cam import GradCAM, HiResCAM, LayerCAM, XGradCAM
from voxplain.attribution.grad_cam_plus_plus import GradCAMPlusPlus
from voxplain.attribution.gradient import Gradient, InputXGradient
from voxplain.attribution.guided import DeconvNet, GuidedBackprop
from voxplain.attribution.guided_integrated import GuidedIG
from voxplain.attribution.integrated import IntegratedGradients
from voxplain.attribution.linear_approximation import LinearApproximation
from voxplain.attribution.lrp import LRP
from voxplain.attribution.meaningful import MeaningfulPerturbation
from voxplain.attribution.occlusion import Occlusion, SupervoxelOcclusion
from voxplain.attribution.prediction_difference import PredictionDifference
from voxplain.attribution.record import Attribution, AttributionMethod
from voxplain.attribution.rise import Rise
from voxplain.attribution.score_cam import ScoreCAM
from voxplain.attribution.smooth import SmoothGrad, SmoothGradSquared, VarGrad
from voxplain.attribution.surrogate import KernelShap, Lime
from voxplain.attribution.swag import SwagV
from voxplain.attribution.temporal_mask import TemporalFreeze, TemporalReverse
from voxplain.attribution.xrai import Xrai

# Name → a call without arguments that builds the method with its defaults.
ATTRIBUTIONS: dict[str, Callable[[], AttributionMethod]] = {
    "gradient": Gradient,
    "input_x_gradient": InputXGradient,
    "integrated_gradients": IntegratedGradients,
    "smooth_grad": SmoothGrad,
    "smooth_grad_squared": SmoothGradSquared,
    "var_grad": VarGrad,
    "blur_ig": BlurIntegratedGradients,
    "guided_backprop": GuidedBackprop,
    "deconvnet": DeconvNet,
    "linear_approximation": LinearApproximation,
    "guided_ig": GuidedIG,
    "cam": CAM,
    "grad_cam": GradCAM,
    "grad_cam_plus_plus": GradCAMPlusPlus,
    "xgrad_cam": XGradCAM,
    "layer_cam": LayerCAM,
    "hires_cam": HiResCAM,
    "score_cam": ScoreCAM,
    "eigen_cam": EigenCAM,
    "occlusion": Occlusion,
    "supervoxel_occlusion": SupervoxelOcclusion,
    "rise": Rise,
    "lime": Lime,
    "kernel_shap": KernelShap,
    "prediction_difference": PredictionDifference,
    "xrai": Xrai,
    "swag_v": SwagV,
    "class_feature_pyramid": ClassFeaturePyramid,
    "lrp_epsilon": partial(LRP, rule="epsilon"),
    "lrp_gamma": partial(LRP, rule="gamma"),
    "lrp_alpha_beta": partial(LRP, rule="alpha_beta"),
    "lrp_z_plus": partial(LRP, rule="z_plus"),
    "lrp_composite": partial(LRP, rule="composite"),
    "excitation_backprop": ExcitationBackprop,
    "contrastive_excitation_backprop": partial(ExcitationBackprop, contrastive=True),
    "excitation_backprop_rnn": ExcitationBackpropRNN,
    "deep_lift": DeepLift,
    "meaningful_perturbation": MeaningfulPerturbation,
    "ep_2d": ExtremalPerturbation2D,
    "ep_3d": ExtremalPerturbation3D,
    "step": STEP,
    "temporal_freeze": TemporalFreeze,
    "temporal_reverse": TemporalReverse,
    "random": Random,
    "centre_prior": CentrePrior,
    "motion_energy": MotionEnergy,
    "frame_constant": FrameConstant,
}

__all__ = [
    "ATTRIBUTIONS",
    "CAM",
    "LRP",
    "STEP",
    "Attribution",
    "AttributionMethod",
    "BlurIntegratedGradients",
    "CentrePrior",
    "ClassFeaturePyramid",
    "ConceptMap",
    "DeconvNet",
    "DeepLift",
    "EigenCAM",
    "ExcitationBackprop",
    "ExcitationBackpropRNN",
    "ExtremalPerturbation2D",
    "ExtremalPerturbation3D",
    "FrameConstant",
    "GradCAM",
    "GradCAMPlusPlus",
    "Gradient",
    "GuidedBackprop",
    "GuidedIG",
    "HiResCAM",
    "InputXGradient",
    "IntegratedGradients",
    "KernelShap",
    "LayerCAM",
    "Lime",
    "LinearApproximation",
    "MeaningfulPerturbation",
    "MotionEnergy",
    "Occlusion",
    "PredictionDifference",
    "Random",
    "Rise",
    "ScoreCAM",
    "SmoothGrad",
    "SmoothGradSquared",
    "SupervoxelOcclusion",
    "SwagV",
    "TemporalFreeze",
    "TemporalReverse",
    "VarGrad",
    "XGradCAM",
    "Xrai",
]
