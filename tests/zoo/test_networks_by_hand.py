"""Gradients and logits of networks by name equal autograd by hand on the own network of the library.

Networks of voxplain always, and one or two small ones of every other library that is installed. Random weights.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import voxplain as vx
from voxplain.errors import ModelError
from voxplain.nets import NETS, build_net
from voxplain.zoo import load_model
from voxplain.zoo.libraries import import_library

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

CLASSES = ("bend", "jump", "run")
FULL_SIZE = ("c3d",)  # its linear layers take one size
VIDEO, FRAMES = (0, 4, 1, 2, 3), (0, 1, 4, 2, 3)


def library(name: str, extra: str) -> Any:
    try:
        return import_library(name, extra)
    except ModelError as error:
        pytest.skip(f"{name} is not installed: {error}")


def check(model: vx.VideoModel, own: Callable[[Tensor], Tensor], axes: tuple[int, ...]) -> None:
    """Logits of two clips and the gradient map of one, both to 1e-5 of their size."""
    frames = np.random.default_rng(0).integers(0, 256, (2, *model.grid, 3), np.uint8)
    x = (torch.from_numpy(frames).float() / 255 - torch.tensor(model.mean)) / torch.tensor(model.std)
    x = x.permute(axes).contiguous()
    with torch.no_grad():
        z = own(x)
    assert float((model(frames) - z).abs().max()) <= 1e-5 * max(1.0, float(z.abs().max()))
    y = int(z[0].argmax())
    leaf = x[:1].clone().requires_grad_(True)
    (g,) = torch.autograd.grad(own(leaf)[0, y], leaf)
    truth = g[0].abs().mean(0 if axes == VIDEO else 1).numpy()
    assert truth.max() > 0
    heat = np.asarray(vx.Gradient()(model, frames[0], y))
    np.testing.assert_allclose(heat / truth.max(), truth / truth.max(), rtol=0, atol=1e-5)


def fresh(net: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    net.load_state_dict(weights)
    return net.eval()


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in FULL_SIZE)) for n in NETS])
def test_networks_of_voxplain(name: str) -> None:
    torch.manual_seed(0)
    size: dict[str, Any] = {} if name in (*FULL_SIZE, "vit", "vit_divided") else {"grid": (8, 48, 48)}
    model = load_model(name, classes=CLASSES, **size)
    check(model, fresh(build_net(name, len(CLASSES)), model.net.state_dict()), VIDEO)


@pytest.mark.parametrize("kind", ["VideoMAE", "VJEPA2"])
def test_networks_of_transformers(kind: str, tmp_path: Path) -> None:
    transformers = library("transformers", "huggingface")
    torch.manual_seed(0)
    frames = "num_frames" if kind == "VideoMAE" else "frames_per_clip"
    size = "image_size" if kind == "VideoMAE" else "crop_size"
    config = getattr(transformers, f"{kind}Config")(
        **{frames: 4, size: 32}, patch_size=8, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, num_labels=3
    )
    getattr(transformers, f"{kind}ForVideoClassification")(config).save_pretrained(tmp_path)
    model = load_model(f"hf:{tmp_path}", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    net = transformers.AutoModelForVideoClassification.from_pretrained(tmp_path).eval()
    check(model, lambda x: net(x).logits, FRAMES)


@pytest.mark.parametrize("name", ["r3d_18", "swin3d_t"])
def test_networks_of_torchvision(name: str) -> None:
    models = library("torchvision", "torchvision").models
    torch.manual_seed(0)
    model = load_model(f"torchvision:{name}", weights="random", classes=CLASSES, grid=(4, 32, 32))
    check(model, fresh(models.get_model(name, weights=None, num_classes=3), model.net.state_dict()), VIDEO)


def test_networks_of_pytorchvideo() -> None:
    hub = library("pytorchvideo.models.hub", "pytorchvideo")
    torch.manual_seed(0)
    model = load_model("pytorchvideo:x3d_xs", weights="random", classes=CLASSES)
    assert model.classes == CLASSES
    net = fresh(hub.x3d_xs(pretrained=False, model_num_class=3), model.net.state_dict())
    x = torch.randn(1, 3, *model.grid)
    with torch.no_grad():  # the library's own ends in a softmax, the model in the logits before it
        torch.testing.assert_close(net(x), model.net(x).softmax(1), rtol=0, atol=1e-6)
    net.blocks[-1].activation = None
    check(model, net, VIDEO)


def test_networks_of_timm() -> None:
    timm = library("timm", "timm")
    torch.manual_seed(0)
    model = load_model("timm:resnet18", weights="random", classes=CLASSES, grid=(3, 32, 32))
    weights = model.net.state_dict()
    inner = {k.removeprefix("net."): v for k, v in weights.items() if k.startswith("net.")}
    net = fresh(
        timm.create_model("resnet18", num_classes=3),
        inner | {"fc.weight": weights["head.weight"], "fc.bias": weights["head.bias"]},
    )
    check(model, lambda x: net(x.flatten(0, 1)).view(len(x), 3, 3).mean(1), FRAMES)


def test_a_grid_alone_changes_the_geometry() -> None:
    model = load_model("r3d", classes=CLASSES, grid=(8, 56, 56))
    assert model.geometry == vx.Geometry((64, 86), (56, 56)), "the same part of the frame: 128×171 to 112×112"
    library("torchvision", "torchvision")
    model = load_model("torchvision:r3d_18", weights="random", grid=(4, 56, 56))
    assert model.geometry == vx.Geometry((64, 86), (56, 56))
