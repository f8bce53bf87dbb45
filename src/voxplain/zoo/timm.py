"""Image classifiers of timm for each frame of a clip, averaged or with an LSTM over the frames."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.video import ShortSide
from voxplain.zoo.libraries import build_with_weights, import_library, task_of, with_options

__all__ = ["FrameAverage", "FrameLSTM", "load_timm"]

FRAMES = 16
LSTM = "+lstm"


class _Mean(nn.Module):
    """The mean over frames."""

    def forward(self, rows: Tensor) -> Tensor:
        """[B,T,D] → [B,D]."""
        return rows.mean(1)


class FrameAverage(nn.Module):
    """A network of timm for frames, whose logits are averaged over the frames of a clip.

    The mean of the frames' features goes through the classifier, a linear layer, which gives the mean of the frames'
    logits. Layers: ``net`` for the frames, ``average`` (D) for the clip, ``head``.

    Parameters
    ----------
    net : nn.Module
        Of timm, with a linear classifier.
    """

    def __init__(self, net: Any) -> None:
        super().__init__()
        head = net.get_classifier()
        if not isinstance(head, nn.Linear):
            raise ModelError(
                f"expected a network whose classifier is one linear layer, got {type(head).__name__}; choose another, "
                "or average its logits in a network of your own"
            )
        net.reset_classifier(0)  # it then ends in its features
        self.net, self.average, self.head = net, _Mean(), head

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B,K] of clips [B,T,3,H,W]."""
        rows = self.net(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
        logits: Tensor = self.head(self.average(rows))
        return logits


class FrameLSTM(nn.Module):
    """A network of timm for frames and an LSTM over their features, whose states are averaged.

    Parameters
    ----------
    net : nn.Module
        Of timm.
    classes : int
        Number of classes K.
    units : int
        Of the LSTM.
    """

    def __init__(self, net: Any, classes: int, *, units: int = 256) -> None:
        super().__init__()
        net.reset_classifier(0)
        self.net = net
        self.lstm, self.average = nn.LSTM(int(net.num_features), units, batch_first=True), _Mean()
        self.head = nn.Linear(units, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B,K] of clips [B,T,3,H,W]."""
        rows = self.net(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
        logits: Tensor = self.head(self.average(self.lstm(rows)[0]))
        return logits


def load_timm(name: str, *, weights: str | Path | None = None, **options: Any) -> VideoModel:
    """A network of timm for the frames of a clip.

    Parameters
    ----------
    name : str
        Such as "resnet50"; the logits are averaged over frames. With "+lstm" behind it an LSTM reads the frames'
        features; it needs ``classes``, and has random weights without a file.
    weights : str or path, optional
        A file of weights of `FrameAverage` or `FrameLSTM`, or "random"; by default the frames' network has its
        published weights, which timm downloads once.
    **options
        Fields of `VideoModel` that replace what is found; with ``classes`` the network is built for that many.

    Returns
    -------
    VideoModel

    Raises
    ------
    ModelError
        Without timm, for an unknown name, classes that are not given, and for weights that do not fit or cannot be
        downloaded.
    """
    timm = import_library("timm", "timm")
    plain, recurrent = name.removesuffix(LSTM), name.endswith(LSTM)
    classes = len(options.get("classes", ()))
    if recurrent and not classes:
        raise ModelError(f"expected the classes of {name!r}, whose LSTM is to be trained, got none; pass classes=[…]")
    if not timm.is_model(plain):
        near = ", ".join(timm.list_models(f"{plain[:6]}*")[:5]) or "those of timm.list_models()"
        raise ModelError(f"expected a network of timm, got {plain!r}; some are {near}")

    def build(pretrained: bool) -> nn.Module:
        net = timm.create_model(plain, pretrained=pretrained, **({"num_classes": classes} if classes else {}))
        return FrameLSTM(net, classes) if recurrent else FrameAverage(net)

    net: Any = build_with_weights(build, weights, lambda net: net)
    data = timm.data.resolve_model_data_config(net.net)
    crop = (int(data["input_size"][1]), int(data["input_size"][2]))
    found: dict[str, Any] = {
        "layout": "BTCHW",
        "grid": (FRAMES, *crop),
        "layer": "average",
        "mean": tuple(data["mean"]),
        "std": tuple(data["std"]),
        "geometry": ShortSide(round(crop[0] / data["crop_pct"]), crop),
        "name": name,
        **task_of(weights),
    }
    return with_options(net, found, options)
