"""The networks of voxplain, one file each, with the layers to explain and the input they are trained on."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from voxplain.errors import ModelError
from voxplain.nets.c3d import c3d
from voxplain.nets.compact import compact
from voxplain.nets.convlstm import convlstm
from voxplain.nets.i3d import i3d
from voxplain.nets.r2plus1d import r2plus1d, r2plus1d_compact
from voxplain.nets.r3d import r3d
from voxplain.nets.resnet_lstm import resnet_lstm, resnet_lstm_compact
from voxplain.nets.tiny import tiny
from voxplain.nets.tsm import tsm, tsm_compact
from voxplain.nets.vit import vit, vit_divided
from voxplain.nets.weights import WeightsReport, load_weights, reverse_input_channels, save_weights, weights_digest

__all__ = [
    "NETS",
    "NetSpec",
    "WeightsReport",
    "build_net",
    "c3d",
    "compact",
    "convlstm",
    "i3d",
    "load_weights",
    "r2plus1d",
    "r2plus1d_compact",
    "r3d",
    "resnet_lstm",
    "resnet_lstm_compact",
    "reverse_input_channels",
    "save_weights",
    "tiny",
    "tsm",
    "tsm_compact",
    "vit",
    "vit_divided",
    "weights_digest",
]

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class NetSpec:
    """A network: how to build it, which layers to explain, and the input it is trained on.

    Input = (frame / scale - mean) / std, channels RGB, after resizing to ``resize`` and cropping to ``crop``.

    Parameters
    ----------
    build : callable
        From the number of classes to a network with random weights.
    feature_layer : str
        The layer whose output vector is the feature space of concepts.
    cam_layer : str
        The last layer whose output has time and space: maps, or the tokens of a transformer.
    mean, std : tuple of float
        Of the channels, for values 0–1.
    resize, crop : tuple of int
        Height and width.
    frames : int
        Frames of a clip.
    scale : float
        The pixel value that becomes 1.0.
    """

    build: Callable[[int], nn.Module]
    feature_layer: str
    cam_layer: str
    mean: RGB
    std: RGB
    resize: tuple[int, int] = (128, 171)
    crop: tuple[int, int] = (112, 112)
    frames: int = 16
    scale: float = 255.0


def _small(build: Callable[[int], nn.Module], feature_layer: str, cam_layer: str) -> NetSpec:
    half, quarter = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    return NetSpec(build, feature_layer, cam_layer, mean=half, std=quarter, resize=(64, 64), crop=(64, 64))


NETS: dict[str, NetSpec] = {
    "tiny": NetSpec(
        tiny, "pool", "block4", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), resize=(64, 64), crop=(64, 64)
    ),
    # Trains from scratch in minutes, also on small data; its clips are larger than tiny's and randomly cropped.
    "compact": NetSpec(compact, "avgpool", "layer3", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), resize=(128, 160)),
    # The paper gives no statistics; these are the statistics in the STCE reference code, (99.9, 92.1, 82.6) and
    # (65.8, 62.3, 60.3) of 255, RGB. Nets here train from scratch, so unit variance at the input matters more
    # than the convention of old files. Public C3D files expect other statistics: c3d.pickle is fed raw RGB in
    # 0–255 (mean 0, std 1/255); c3d-pretrained.pth BGR in 0–255 minus (90, 98, 102), which for RGB frames is
    # mean (102, 98, 90)/255 and std 1/255 after `reverse_input_channels(net)`.
    "c3d": NetSpec(
        c3d, "relu7", "relu5b", mean=(99.9 / 255, 92.1 / 255, 82.6 / 255), std=(65.8 / 255, 62.3 / 255, 60.3 / 255)
    ),
    # Kinetics statistics, as torchvision's r3d_18 preset: its public weights fit without change.
    "r3d": NetSpec(r3d, "avgpool", "layer4", mean=(0.43216, 0.394666, 0.37645), std=(0.22803, 0.22145, 0.216989)),
    # Frames scaled to [-1, 1], as all public I3D weights expect (those were trained on 224×224 crops).
    "i3d": NetSpec(i3d, "avgpool", "Mixed_5c", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    # Statistics of torchvision's r2plus1d_18 preset: its public weights fit without change.
    "r2plus1d": NetSpec(
        r2plus1d, "avgpool", "layer4", mean=(0.43216, 0.394666, 0.37645), std=(0.22803, 0.22145, 0.216989)
    ),
    # ImageNet's, as for all 2D residual networks.
    "resnet_lstm": NetSpec(
        resnet_lstm, "average", "trunk.layer4", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    ),
    "tsm": NetSpec(tsm, "avgpool", "trunk.layer4", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    # Small ones that train from scratch on small data, at the size of tiny's clips.
    "r2plus1d_compact": _small(r2plus1d_compact, "avgpool", "layer4"),
    "resnet_lstm_compact": _small(resnet_lstm_compact, "average", "trunk.layer4"),
    "tsm_compact": _small(tsm_compact, "avgpool", "trunk.layer4"),
    "convlstm": _small(convlstm, "avgpool", "lstm2"),
    "vit": _small(vit, "pool", "norm"),
    "vit_divided": _small(vit_divided, "pool", "norm"),
}


def build_net(name: str, classes: int) -> nn.Module:
    """Build a network with random weights, which depend on torch's global seed.

    Parameters
    ----------
    name : str
        A key of `NETS`.
    classes : int
        Number of classes, 2 or more.

    Returns
    -------
    Module
        The network, in training mode.

    Raises
    ------
    ModelError
        For an unknown name or fewer than two classes.

    Examples
    --------
    >>> build_net("tiny", 5).head
    Linear(in_features=96, out_features=5, bias=True)
    """
    if name not in NETS:
        near = difflib.get_close_matches(name.lower(), NETS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ModelError(f"no network is called {name!r}; {hint}Known are {', '.join(NETS)}")
    if classes < 2:
        raise ModelError(f"a classifier needs 2 or more classes, got {classes}; check the class folders")
    return NETS[name].build(classes)
