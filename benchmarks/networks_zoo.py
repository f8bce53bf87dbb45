"""The networks of `networks.py`: the one line that loads each, and its library's own call, written without voxplain.

Random weights, small where the library permits it. Folders of Hugging Face networks are written by the library's own
``save_pretrained``.
"""

import ast
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxplain.model import VideoModel
from voxplain.nets import build_net
from voxplain.zoo import load_model
from voxplain.zoo.libraries import import_library

__all__ = ["CASES", "CLASSES", "Case", "input_by_hand", "load", "own_call", "write_folders"]

CLASSES = ("bend", "jump", "run", "wave", "clap")
VIDEO, FRAMES = (0, 4, 1, 2, 3), (0, 1, 4, 2, 3)  # [N,3,T,H,W] and [N,T,3,H,W] of frames [N,T,H,W,3]


@dataclass(frozen=True)
class Case:
    """A network.

    Parameters
    ----------
    library, name : str
    line : str
        What a user writes.
    width : int
        Channels of the last map or tokens, by the library's description of the network.
    heavy : bool
        Takes a second or more for a clip: left out by ``--quick``.
    """

    library: str
    name: str
    line: str
    width: int
    heavy: bool = False

    @property
    def key(self) -> str:
        return f"{self.library}:{self.name}"

    @property
    def lines(self) -> int:
        """Lines of user code; raises where it is more than one call of `load_model`."""
        (only,) = ast.parse(self.line).body
        if not (isinstance(only, ast.Expr) and isinstance(only.value, ast.Call) and only.value.func.id == "load_model"):  # type: ignore[attr-defined]
            raise ValueError(f"expected one call of load_model, got {self.line}")
        return len(self.line.splitlines())


def _other(library: str, name: str, width: int, more: str = "", *, heavy: bool = False) -> Case:
    line = f'load_model("{library}:{name}", weights="random", classes=CLASSES{more})'
    return Case(library, name, line, width, heavy)


def _own(name: str, width: int, more: str = "", *, heavy: bool = False) -> Case:
    return Case("voxplain", name, f'load_model("{name}", classes=CLASSES{more})', width, heavy)


SMALL = ", grid=(8, 32, 32)"
CASES = (
    *(Case("hf", kind, f'load_model("hf:{kind}")', 24) for kind in ("videomae", "timesformer", "vivit", "vjepa2")),
    _other("torchvision", "r3d_18", 512, SMALL),
    _other("torchvision", "mc3_18", 512, SMALL),
    _other("torchvision", "r2plus1d_18", 512, SMALL),
    _other("torchvision", "s3d", 1024, ", grid=(16, 224, 224)", heavy=True),
    _other("torchvision", "swin3d_t", 768, ", grid=(4, 64, 64)"),
    _other("torchvision", "mvit_v2_s", 768, heavy=True),
    _other("pytorchvideo", "x3d_xs", 432),
    _other("pytorchvideo", "x3d_m", 432, heavy=True),
    _other("pytorchvideo", "slow_r50", 2048, heavy=True),
    _other("pytorchvideo", "c2d_r50", 2048, heavy=True),
    _other("pytorchvideo", "i3d_r50", 2048, heavy=True),
    _other("pytorchvideo", "slowfast_r50", 2304, heavy=True),
    _other("pytorchvideo", "mvit_base_16x4", 768, heavy=True),
    _other("pytorchvideo", "r2plus1d_r50", 2048, heavy=True),
    _other("pytorchvideo", "csn_r101", 2048, heavy=True),
    _other("timm", "resnet18", 512, ", grid=(2, 64, 64)"),
    _other("timm", "resnet50", 2048, ", grid=(2, 64, 64)"),
    _other("timm", "resnet18+lstm", 512, ", grid=(2, 64, 64)"),
    _other("timm", "vit_tiny_patch16_224", 192, ", grid=(2, 224, 224)"),
    _other("timm", "convnext_atto", 320, ", grid=(2, 64, 64)"),
    _other("timm", "efficientnet_b0", 1280, ", grid=(2, 64, 64)"),
    _other("timm", "mobilenetv3_small_100", 576, ", grid=(2, 64, 64)"),
    _own("c3d", 512, heavy=True),
    _own("r3d", 512, SMALL),
    _own("i3d", 1024, ", grid=(8, 64, 64)"),
    _own("r2plus1d", 512, SMALL),
    _own("resnet_lstm", 2048, ", grid=(4, 64, 64)"),
    _own("tsm", 2048, ", grid=(4, 64, 64)"),
    _own("compact", 128, ", grid=(8, 64, 64)"),
    _own("tsm_compact", 512),
    _own("convlstm", 64),
    _own("vit", 96),
    _own("vit_divided", 96),
)

VANISHING = ("s3d",)  # whose own random weights are so small that the logits do not depend on the clip

HF = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "id2label": dict(enumerate(CLASSES)),
    "label2id": {name: i for i, name in enumerate(CLASSES)},
}
SQUARE = {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}}
PATCHES = {"patch_size": 8, "num_frames": 4, "image_size": 32, "intermediate_size": 32}
FAMILIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "videomae": ("VideoMAE", PATCHES, "VideoMAEImageProcessor"),
    "timesformer": ("Timesformer", PATCHES, "VideoMAEImageProcessor"),
    "vivit": (
        "Vivit",
        {"tubelet_size": [2, 8, 8], "num_frames": 4, "image_size": 32, "intermediate_size": 32},
        "VivitImageProcessor",
    ),
    "vjepa2": (
        "VJEPA2",
        {"patch_size": 8, "crop_size": 32, "frames_per_clip": 4, "num_pooler_layers": 1, "mlp_ratio": 2.0},
        "VJEPA2VideoProcessor",
    ),
}


def write_folders(work: Path) -> None:
    """Folders with tiny random networks of transformers and their processors, as the library saves them."""
    transformers = import_library("transformers", "huggingface")  # with a torchvision that does not load by itself
    for kind, (family, config, processor) in FAMILIES.items():
        if not (work / kind / "config.json").exists():
            torch.manual_seed(0)
            made = getattr(transformers, f"{family}Config")(**HF, **config)
            getattr(transformers, f"{family}ForVideoClassification")(made).save_pretrained(work / kind)
            getattr(transformers, processor)(**SQUARE).save_pretrained(work / kind)


def load(case: Case) -> VideoModel:
    """The model of the user's line, in the folder that holds the saved networks."""
    torch.manual_seed(1)
    model: VideoModel = eval(case.line, {"load_model": load_model, "CLASSES": CLASSES})
    if case.name in VANISHING:
        for module in model.net.modules():
            if isinstance(module, torch.nn.Conv3d):
                torch.nn.init.kaiming_normal_(module.weight)
    return model


def input_by_hand(case: Case, model: VideoModel, frames: np.ndarray) -> Tensor:
    """Normalised frames in the order of axes of the library."""
    mean, std = torch.tensor(model.mean), torch.tensor(model.std)
    x = (torch.from_numpy(frames).float() / 255 - mean) / std
    return x.permute(FRAMES if case.library in ("hf", "timm") else VIDEO).contiguous()


def own_call(case: Case, model: VideoModel) -> Callable[[Tensor], Tensor]:
    """Logits of normalised input by another instance of the library's network with the same weights."""
    weights = model.net.state_dict()
    if case.library == "hf":
        hub = importlib.import_module("transformers")
        net = hub.AutoModelForVideoClassification.from_pretrained(case.name).eval()
        return lambda x: net(x).logits
    if case.library == "timm":
        return _timm_call(case, weights)
    if case.library == "torchvision":
        models = importlib.import_module("torchvision").models
        net = models.get_model(case.name, weights=None, num_classes=len(CLASSES))
    elif case.library == "pytorchvideo":
        hub = importlib.import_module("pytorchvideo.models.hub")
        head = "head_num_classes" if case.name.startswith("mvit") else "model_num_class"
        net = getattr(hub, case.name)(pretrained=False, **{head: len(CLASSES)})
        if case.name.startswith(("x3d", "r2plus1d")):
            net.blocks[-1].activation = None  # a softmax
    else:
        net = build_net(case.name, len(CLASSES))
    net.load_state_dict(weights)
    net.eval()
    if case.name.startswith("slowfast"):  # as in the library's own example: PackPathway
        return lambda x: net([x.index_select(2, torch.linspace(0, x.shape[2] - 1, x.shape[2] // 4).long()), x])
    return net


def _timm_call(case: Case, weights: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """The mean over frames of a network's logits, or of an LSTM's states over its features."""
    timm = importlib.import_module("timm")
    name, recurrent = case.name.removesuffix("+lstm"), case.name.endswith("+lstm")
    inner = {k.removeprefix("net."): v for k, v in weights.items() if k.startswith("net.")}
    if not recurrent:
        net = timm.create_model(name, num_classes=len(CLASSES))
        head = next(n for n, m in net.named_modules() if m is net.get_classifier())
        net.load_state_dict(inner | {f"{head}.{p}": weights[f"head.{p}"] for p in ("weight", "bias")})
        net.eval()
        return lambda x: net(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(1)
    net = timm.create_model(name, num_classes=0)
    net.load_state_dict(inner)
    net.eval()
    lstm = torch.nn.LSTM(net.num_features, weights["lstm.weight_hh_l0"].shape[1], batch_first=True)
    lstm.load_state_dict({k.removeprefix("lstm."): v for k, v in weights.items() if k.startswith("lstm.")})
    linear = torch.nn.functional.linear

    def call(x: Tensor) -> Tensor:
        states = lstm(net(x.flatten(0, 1)).unflatten(0, x.shape[:2]))[0]
        return linear(states.mean(1), weights["head.weight"], weights["head.bias"])

    return call
