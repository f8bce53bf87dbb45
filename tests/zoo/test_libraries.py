"""Networks of other libraries: their logits are the library's own, their input and classes what the library says.

Tests of a library that is not installed are skipped. Nothing is downloaded: networks are small or have random weights.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from voxplain.attribution import LRP
from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.nets import save_weights
from voxplain.video import Geometry, ShortSide
from voxplain.zoo import load_model
from voxplain.zoo.libraries import import_library

# What the libraries warn of when they are imported.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

CLASSES = ("bend", "jump", "run", "wave", "clap")


def library(name: str, extra: str) -> Any:
    try:
        return import_library(name, extra)
    except ModelError as error:
        pytest.skip(f"{name} is not installed: {error}")


def frames_for(model: VideoModel, n: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *model.grid, 3), dtype=np.uint8)


def by_hand(model: VideoModel, frames: np.ndarray, axes: tuple[int, ...]) -> Tensor:
    """Normalised frames in the order of axes of the library's own processors."""
    x = (torch.from_numpy(frames).double() / 255 - torch.tensor(model.mean)) / torch.tensor(model.std)
    return x.permute(axes).float()


# --- Hugging Face ---

SMALL = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "id2label": dict(enumerate(CLASSES)),
    "label2id": {name: i for i, name in enumerate(CLASSES)},
}
SQUARE = {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}}
HF: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "videomae": (
        "VideoMAE",
        {"patch_size": 8, "num_frames": 4, "image_size": 32, "intermediate_size": 32},
        "VideoMAEImageProcessor",
        {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3], **SQUARE},
    ),
    "timesformer": (
        "Timesformer",
        {"patch_size": 8, "num_frames": 4, "image_size": 32, "intermediate_size": 32},
        "VideoMAEImageProcessor",
        {"image_mean": [0.45] * 3, "image_std": [0.225] * 3, **SQUARE},
    ),
    "vivit": (
        "Vivit",
        {"tubelet_size": [2, 8, 8], "num_frames": 4, "image_size": 32, "intermediate_size": 32},
        "VivitImageProcessor",
        SQUARE,
    ),
    "vjepa2": (
        "VJEPA2",
        {"patch_size": 8, "crop_size": 32, "frames_per_clip": 4, "num_pooler_layers": 1, "mlp_ratio": 2.0},
        "VJEPA2VideoProcessor",
        SQUARE,
    ),
}


def saved(kind: str, folder: Path, *, processor: bool = True, **more: Any) -> Any:
    """A folder with a tiny random network, written by the library; and the network."""
    transformers = library("transformers", "huggingface")
    family, config, name, settings = HF[kind]
    torch.manual_seed(0)
    net = getattr(transformers, f"{family}ForVideoClassification")(
        getattr(transformers, f"{family}Config")(**SMALL, **config, **more)
    )
    net.eval().save_pretrained(folder)
    if processor:
        getattr(transformers, name)(**settings).save_pretrained(folder)
    return net


@pytest.mark.parametrize("kind", HF)
def test_a_folder_of_hugging_face(kind: str, tmp_path: Path) -> None:
    net = saved(kind, tmp_path)
    model = load_model(f"hf:{tmp_path}")
    assert (model.classes, model.grid, model.layout, model.name) == (CLASSES, (4, 32, 32), "BTCHW", tmp_path.name)
    # V-JEPA 2 resizes to 256/224 of the crop, whatever its settings say.
    assert model.geometry == ShortSide(36 if kind == "vjepa2" else 40, (32, 32))
    frames = frames_for(model, 2)
    with torch.no_grad():
        truth = net(by_hand(model, frames, (0, 1, 4, 2, 3))).logits
    torch.testing.assert_close(model.logits(frames), truth, rtol=0, atol=1e-5)
    assert model.embed(frames).shape == (2, 24)


@pytest.mark.parametrize("kind", HF)
def test_the_input_is_that_of_the_processor(kind: str, tmp_path: Path) -> None:
    """A picture of the network's own size goes through the library's processor: no resize and no crop is left."""
    saved(kind, tmp_path)
    transformers = library("transformers", "huggingface")
    model = load_model(f"hf:{tmp_path}")
    own = getattr(transformers, HF[kind][2]).from_pretrained(tmp_path)
    frames = frames_for(model)
    clip = list(frames[0])
    found = own(clip, return_tensors="pt", size={"shortest_edge": 32}, input_data_format="channels_last")
    truth = next(v for k, v in found.items() if k.startswith("pixel_values"))
    torch.testing.assert_close(model.prepare(frames), truth.reshape(1, 4, 3, 32, 32).float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("problem", "task"),
    [
        ("multi_label_classification", "multilabel"),
        ("single_label_classification", "classification"),
        ("regression", "regression"),
        (None, None),
    ],
)
def test_the_task_of_hugging_face_is_what_it_was_trained_for(
    problem: str | None, task: str | None, tmp_path: Path
) -> None:
    saved("videomae", tmp_path, problem_type=problem)
    model = load_model(f"hf:{tmp_path}")
    assert model.settled().task == task
    assert model.assumed == (problem is None)


def test_hugging_face_errors(tmp_path: Path) -> None:
    saved("videomae", tmp_path, processor=False)
    with pytest.raises(
        ModelError, match=r"expected preprocessor_config.json .* save the processor there, or give mean"
    ):
        load_model(f"hf:{tmp_path}")
    model = load_model(f"hf:{tmp_path}", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), stride=3)
    assert (model.mean, model.stride) == ((0.5, 0.5, 0.5), 3)
    with pytest.raises(ModelError, match="expected a folder or hub ID of a transformers video classifier"):
        load_model(f"hf:{tmp_path / 'none'}")
    save_weights(model.net, tmp_path / "w.safetensors", {})
    with pytest.raises(ModelError, match="whose checkpoint has them"):
        load_model(f"hf:{tmp_path}", weights=tmp_path / "w.safetensors")


def test_half_precision_checkpoints_stay_so(tmp_path: Path) -> None:
    saved("videomae", tmp_path).to(torch.bfloat16).save_pretrained(tmp_path)
    model = load_model(f"hf:{tmp_path}")
    assert model.dtype == torch.bfloat16
    assert model.logits(frames_for(model)).dtype == torch.float32


@pytest.mark.parametrize("attention", ["shared", "constant"])
@pytest.mark.parametrize("kind", HF)
def test_all_relevance_is_of_voxels_or_constants(kind: str, attention: Any, tmp_path: Path) -> None:
    """LRP with ε → 0; biases, positions and class tokens, which are 0 in a new network, are drawn."""
    net = saved(kind, tmp_path)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    net.save_pretrained(tmp_path)
    model = load_model(f"hf:{tmp_path}")
    found = LRP("epsilon", epsilon=0.0, attention=attention)(model, frames_for(model)[0], 1)
    taken = found.details["constants"] + found.details.get("softmax_constants", 0.0)
    left = found.details["start"] - found.values.sum(dtype=np.float64) - taken
    assert abs(left) < 0.01 * abs(found.details["start"])
    assert abs(taken) > 0.01 * abs(found.details["start"])


# --- torchvision ---

TORCHVISION = {  # frames, step in time of videos with 30 frames a second, pixels, by the library's description
    "r3d_18": (16, 2, 112),
    "mc3_18": (16, 2, 112),
    "r2plus1d_18": (16, 2, 112),
    "mvit_v2_s": (16, 4, 224),
    "swin3d_t": (32, 2, 224),
}
SHORT = {"r3d_18": (4, 32, 32), "mc3_18": (4, 32, 32), "r2plus1d_18": (4, 32, 32), "swin3d_t": (4, 64, 64)}


@pytest.mark.parametrize("name", SHORT)
def test_networks_of_torchvision(name: str) -> None:
    torchvision = library("torchvision", "torchvision")
    grid = SHORT[name]
    model = load_model(f"torchvision:{name}", weights="random", grid=grid, geometry=Geometry.squash(*grid[1:]))
    published = torchvision.models.get_model_weights(name).DEFAULT
    assert model.classes == tuple(published.meta["categories"])
    assert (model.mean, model.std) == (tuple(published.transforms().mean), tuple(published.transforms().std))
    assert model.stride == TORCHVISION[name][1]
    frames = frames_for(model, 2)
    theirs = torchvision.models.get_model(name, weights=None).eval()
    theirs.load_state_dict(model.net.state_dict())
    with torch.no_grad():
        truth = theirs(by_hand(model, frames, (0, 4, 1, 2, 3)))
    torch.testing.assert_close(model.logits(frames), truth, rtol=0, atol=1e-5)


def test_networks_of_torchvision_for_pictures() -> None:
    torchvision = library("torchvision", "torchvision")
    model = load_model("torchvision:resnet18", weights="random", grid=(1, 64, 64))
    assert (model.frames_in_batch, model.geometry, len(model.classes)) == (True, ShortSide(73, (64, 64)), 1000)
    net = torchvision.models.resnet18()
    net.load_state_dict(model.net.state_dict())
    frames = frames_for(model, 2)
    with torch.no_grad():
        truth = net.eval()(by_hand(model, frames, (0, 1, 4, 2, 3))[:, 0])
    torch.testing.assert_close(model.logits(frames), truth, rtol=0, atol=1e-5)


def test_the_input_of_torchvision_is_that_of_its_weights() -> None:
    library("torchvision", "torchvision")
    model = load_model("torchvision:r3d_18", weights="random", layer="avgpool")
    assert (model.grid, model.geometry) == ((16, 112, 112), Geometry((128, 171), (112, 112)))


def test_weights_of_torchvision_from_a_file(tmp_path: Path) -> None:
    library("torchvision", "torchvision")
    small: dict[str, Any] = {"grid": (4, 32, 32), "geometry": Geometry.squash(32, 32)}
    first = load_model("torchvision:mc3_18", weights="random", classes=CLASSES, **small)
    save_weights(first.net, tmp_path / "w.safetensors", {"classes": '["bend", "jump", "run", "wave", "clap"]'})
    again = load_model("torchvision:mc3_18", weights=tmp_path / "w.safetensors", **small)
    assert again.classes == CLASSES
    frames = frames_for(again)
    assert torch.equal(first.logits(frames), again.logits(frames))
    with pytest.raises(ModelError, match="expected the 400 categories of the published weights, got 5 classes"):
        load_model("torchvision:mc3_18", classes=CLASSES)
    with pytest.raises(
        ModelError, match="expected a network of torchvision for videos or pictures, got 'resnet_3d'; known are"
    ):
        load_model("torchvision:resnet_3d")


# --- PyTorchVideo ---


@pytest.mark.parametrize("name", ["x3d_xs", "slow_r50", "slowfast_r50"])
def test_networks_of_pytorchvideo(name: str) -> None:
    hub = library("pytorchvideo.models.hub", "pytorchvideo")
    grid = {"x3d_xs": (4, 160, 160), "slow_r50": (8, 224, 224), "slowfast_r50": (32, 224, 224)}[name]
    model = load_model(f"pytorchvideo:{name}", weights="random", classes=CLASSES)
    assert (model.grid, model.mean, model.std) == (grid, (0.45,) * 3, (0.225,) * 3)
    frames = frames_for(model)
    theirs = getattr(hub, name)(pretrained=False, model_num_class=5).eval()
    theirs.load_state_dict(model.net.state_dict())
    x = by_hand(model, frames, (0, 4, 1, 2, 3))
    slow = x[:, :, torch.linspace(0, 31, 8).long()] if name == "slowfast_r50" else x
    with torch.no_grad():
        truth = theirs([slow, x] if name == "slowfast_r50" else x)
    if name == "x3d_xs":  # ends in a softmax, before which the model's logits are
        torch.testing.assert_close(model.logits(frames).softmax(1), truth, rtol=0, atol=1e-5)
        return
    torch.testing.assert_close(model.logits(frames), truth, rtol=0, atol=1e-5)
    with pytest.raises(ModelError, match="expected a network of pytorchvideo, got 'x3d_q'; known are x3d_xs"):
        load_model("pytorchvideo:x3d_q")


# --- timm ---


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_networks_of_timm_are_averaged_over_frames(name: str) -> None:
    timm = library("timm", "timm")
    model = load_model(f"timm:{name}", weights="random", classes=CLASSES, grid=(3, 224, 224))
    assert (model.layer, model.geometry.crop) == ("average", (224, 224))
    frames = frames_for(model, 2)
    theirs = timm.create_model(name, num_classes=5).eval()
    theirs.load_state_dict({**model.net.net.state_dict(), **_head(theirs, model.net.head)})
    with torch.no_grad():
        truth = theirs(by_hand(model, frames, (0, 1, 4, 2, 3)).flatten(0, 1)).view(2, 3, 5).mean(1)
    torch.testing.assert_close(model.logits(frames), truth, rtol=0, atol=1e-5)


def _head(net: Any, head: Any) -> dict[str, Tensor]:
    own = next(n for n, m in net.named_modules() if m is net.get_classifier())
    return {f"{own}.{k}": v for k, v in head.state_dict().items()}


def test_timm_with_an_lstm_over_frames() -> None:
    library("timm", "timm")
    small: dict[str, Any] = {"classes": CLASSES, "grid": (3, 64, 64), "geometry": Geometry.squash(64, 64)}
    model = load_model("timm:resnet18+lstm", weights="random", **small)
    frames = frames_for(model)
    net = model.net
    with torch.no_grad():
        rows = net.net(by_hand(model, frames, (0, 1, 4, 2, 3))[0])
        truth = net.head(net.lstm(rows[None])[0].mean(1))
    torch.testing.assert_close(model.logits(frames), truth, rtol=0, atol=1e-5)
    with pytest.raises(ModelError, match=r"expected the classes of 'resnet18\+lstm', whose LSTM is to be trained"):
        load_model("timm:resnet18+lstm")
    with pytest.raises(ModelError, match="expected a network of timm, got 'resnet18x'; some are"):
        load_model("timm:resnet18x")


# --- any ---


def test_an_unknown_library() -> None:
    with pytest.raises(ModelError, match="expected a library before the colon, one of hf, torchvision"):
        load_model("mypkg:build")


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("hf:there", "transformers", "huggingface"),
        ("torchvision:r3d_18", "torchvision", "torchvision"),
        ("pytorchvideo:x3d_m", "pytorchvideo.models.hub", "pytorchvideo"),
        ("timm:resnet18", "timm", "timm"),
    ],
)
def test_a_missing_library_names_its_extra(name: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]  # as if it were not installed
    if module != "torchvision":
        library("torchvision", "torchvision")
    with pytest.raises(ModelError, match=rf"expected the package .* run `pip install 'voxplain\[{extra}\]'`"):
        load_model(name)
