"""Attribution: maps of how much each voxel of a clip contributes to the score of a class.

A method is a frozen dataclass whose fields are its parameters; all are listed in `ATTRIBUTIONS`. Calling it with a
model, a clip and a class gives an `Attribution`. The examples of the classes use ``model``, a `VideoModel`, and
``clip``, a `Clip` of its grid.
"""

from collections.abc import Callable
from functools import partial

from voxplain.attribution.attribution import Attribution
from voxplain.attribution.call import AttributionMethod
from voxplain.attribution.cams.cam import CAM
from voxplain.attribution.cams.class_feature_pyramid import ClassFeaturePyramid
from voxplain.attribution.cams.eigen_cam import EigenCAM
from voxplain.attribution.cams.grad_cam import GradCAM, HiResCAM, LayerCAM, XGradCAM
from voxplain.attribution.cams.grad_cam_plus_plus import GradCAMPlusPlus
from voxplain.attribution.cams.score_cam import ScoreCAM
from voxplain.attribution.controls.centre_prior import CentrePrior
from voxplain.attribution.controls.frame_constant import FrameConstant
from voxplain.attribution.controls.motion_energy import MotionEnergy
from voxplain.attribution.controls.random_map import RandomMap
from voxplain.attribution.gradients.blur_integrated_gradients import BlurIntegratedGradients
from voxplain.attribution.gradients.gradient import Gradient, InputXGradient
from voxplain.attribution.gradients.guided_backprop import DeconvNet, GuidedBackprop
from voxplain.attribution.gradients.guided_integrated_gradients import GuidedIG
from voxplain.attribution.gradients.integrated_gradients import IntegratedGradients
from voxplain.attribution.gradients.linear_approximation import LinearApproximation
from voxplain.attribution.gradients.smooth_grad import SmoothGrad, SmoothGradSquared, VarGrad
from voxplain.attribution.gradients.swag import SWAG
from voxplain.attribution.gradients.xrai import XRAI
from voxplain.attribution.masks.extremal_perturbation import STEP, ExtremalPerturbation2D, ExtremalPerturbation3D
from voxplain.attribution.masks.fine_grained import FGVis
from voxplain.attribution.masks.igos import IGOS, IGOSPlusPlus
from voxplain.attribution.masks.mask_network import RealTimeSaliency, train_mask_network
from voxplain.attribution.masks.meaningful_perturbation import MeaningfulPerturbation
from voxplain.attribution.masks.rate_distortion import RateDistortion
from voxplain.attribution.masks.temporal_mask import TemporalFreeze, TemporalReverse
from voxplain.attribution.perturbation.occlusion import Occlusion, SupervoxelOcclusion
from voxplain.attribution.perturbation.prediction_difference import PredictionDifference
from voxplain.attribution.perturbation.rise import RISE
from voxplain.attribution.perturbation.surrogate import LIME, KernelSHAP
from voxplain.attribution.relevance.attention_rollout import AttentionRollout, GradientWeightedAttention
from voxplain.attribution.relevance.deep_lift import DeepLIFT
from voxplain.attribution.relevance.excitation_backprop import ExcitationBackprop
from voxplain.attribution.relevance.excitation_backprop_rnn import ExcitationBackpropRNN
from voxplain.attribution.relevance.lrp import LRP

# Name → a function without arguments that builds the method with its defaults.
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
    "rise": RISE,
    "lime": LIME,
    "kernel_shap": KernelSHAP,
    "prediction_difference": PredictionDifference,
    "xrai": XRAI,
    "swag_v": SWAG,
    "class_feature_pyramid": ClassFeaturePyramid,
    "lrp_epsilon": partial(LRP, rule="epsilon"),
    "lrp_gamma": partial(LRP, rule="gamma"),
    "lrp_alpha_beta": partial(LRP, rule="alpha_beta"),
    "lrp_z_plus": partial(LRP, rule="z_plus"),
    "lrp_epsilon_plus": partial(LRP, rule="epsilon_plus"),
    "lrp_epsilon_plus_flat": partial(LRP, rule="epsilon_plus_flat"),
    "lrp_epsilon_gamma_box": partial(LRP, rule="epsilon_gamma_box"),
    "lrp_epsilon_alpha2_beta1": partial(LRP, rule="epsilon_alpha2_beta1"),
    "lrp_epsilon_alpha2_beta1_flat": partial(LRP, rule="epsilon_alpha2_beta1_flat"),
    "excitation_backprop": ExcitationBackprop,
    "contrastive_excitation_backprop": partial(ExcitationBackprop, contrastive=True),
    "excitation_backprop_rnn": ExcitationBackpropRNN,
    "deep_lift": DeepLIFT,
    "attention_rollout": AttentionRollout,
    "gradient_weighted_attention": GradientWeightedAttention,
    "meaningful_perturbation": MeaningfulPerturbation,
    "igos": IGOS,
    "igos_plus_plus": IGOSPlusPlus,
    "fgvis": FGVis,
    "rate_distortion": RateDistortion,
    "real_time_saliency": RealTimeSaliency,
    "ep_2d": ExtremalPerturbation2D,
    "ep_3d": ExtremalPerturbation3D,
    "step": STEP,
    "temporal_freeze": TemporalFreeze,
    "temporal_reverse": TemporalReverse,
    "random": RandomMap,
    "centre_prior": CentrePrior,
    "motion_energy": MotionEnergy,
    "frame_constant": FrameConstant,
}

# Earlier names of entries, accepted for one version.
ALIASES = {"lrp_composite": "lrp_epsilon_plus_flat"}

__all__ = [
    "ATTRIBUTIONS",
    "CAM",
    "IGOS",
    "LIME",
    "LRP",
    "RISE",
    "STEP",
    "SWAG",
    "XRAI",
    "AttentionRollout",
    "Attribution",
    "AttributionMethod",
    "BlurIntegratedGradients",
    "CentrePrior",
    "ClassFeaturePyramid",
    "DeconvNet",
    "DeepLIFT",
    "EigenCAM",
    "ExcitationBackprop",
    "ExcitationBackpropRNN",
    "ExtremalPerturbation2D",
    "ExtremalPerturbation3D",
    "FGVis",
    "FrameConstant",
    "GradCAM",
    "GradCAMPlusPlus",
    "Gradient",
    "GradientWeightedAttention",
    "GuidedBackprop",
    "GuidedIG",
    "HiResCAM",
    "IGOSPlusPlus",
    "InputXGradient",
    "IntegratedGradients",
    "KernelSHAP",
    "LayerCAM",
    "LinearApproximation",
    "MeaningfulPerturbation",
    "MotionEnergy",
    "Occlusion",
    "PredictionDifference",
    "RandomMap",
    "RateDistortion",
    "RealTimeSaliency",
    "ScoreCAM",
    "SmoothGrad",
    "SmoothGradSquared",
    "SupervoxelOcclusion",
    "TemporalFreeze",
    "TemporalReverse",
    "VarGrad",
    "XGradCAM",
    "train_mask_network",
]
