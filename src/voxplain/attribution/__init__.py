"""Attribution: where and when did the network look in this clip? One method a class, all listed in `ATTRIBUTIONS`."""

from collections.abc import Callable

from voxplain.attribution.blur_integrated import BlurIntegratedGradients
from voxplain.attribution.cam import CAM
from voxplain.attribution.eigen_cam import EigenCAM
from voxplain.attribution.grad_cam import GradCAM, HiResCAM, LayerCAM, XGradCAM
from voxplain.attribution.grad_cam_plus_plus import GradCAMPlusPlus
from voxplain.attribution.gradient import Gradient, InputXGradient
from voxplain.attribution.guided import DeconvNet, GuidedBackprop
from voxplain.attribution.guided_integrated import GuidedIG
from voxplain.attribution.integrated import IntegratedGradients
from voxplain.attribution.linear_approximation import LinearApproximation
from voxplain.attribution.record import Attribution, AttributionMethod
from voxplain.attribution.score_cam import ScoreCAM
from voxplain.attribution.smooth import SmoothGrad, SmoothGradSquared, VarGrad

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
}

__all__ = [
    "ATTRIBUTIONS",
    "CAM",
    "Attribution",
    "AttributionMethod",
    "BlurIntegratedGradients",
    "DeconvNet",
    "EigenCAM",
    "GradCAM",
    "GradCAMPlusPlus",
    "Gradient",
    "GuidedBackprop",
    "GuidedIG",
    "HiResCAM",
    "InputXGradient",
    "IntegratedGradients",
    "LayerCAM",
    "LinearApproximation",
    "ScoreCAM",
    "SmoothGrad",
    "SmoothGradSquared",
    "VarGrad",
    "XGradCAM",
]
