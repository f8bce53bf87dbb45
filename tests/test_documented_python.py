"""The Python of README.md and of pages of docs runs as it is written, on planted clips."""

import re
import shutil
import sys
from pathlib import Path
from types import FunctionType, ModuleType

import numpy as np
import pytest
import torch
from torch import nn

import voxplain as vx

ROOT = Path(__file__).parents[1]


def python_of(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, small_set: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with the planted videos as data/, named as `voxplain planted` does, and clip.mp4."""
    for path in small_set.rglob("*.mp4"):
        named = tmp_path / "data" / path.relative_to(small_set).with_name(f"{int(path.stem):04d}.mp4")
        named.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, named)
    shutil.copy(small_set / "test" / "cross" / "0.mp4", tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme(folder: Path) -> None:
    (code,) = python_of("README.md")
    assert len([line for line in code.splitlines() if line]) == 5
    Path("unrelated").symlink_to("data/unrelated")
    planted = vx.load_model("planted")
    names: dict[str, object] = {"net": planted.net, "names": planted.classes}
    exec(code, names)
    assert Path("heat.mp4").stat().st_size > 0
    assert isinstance(run := names["run"], vx.ConceptRun)
    assert run.target == "cross"
    assert "<html" in Path("cross.html").read_text()


def test_the_readme_counts_methods_and_metrics() -> None:
    text = (ROOT / "README.md").read_text()
    controls = {"random", "centre_prior", "motion_energy", "frame_constant"}
    assert f"{len(set(vx.ATTRIBUTIONS) - controls)} attribution methods" in text
    assert f"{len(vx.METRICS)} metrics" in text


def test_concepts(folder: Path) -> None:
    whole, discovery = python_of("docs/concepts.md")
    names: dict[str, object] = {}
    exec(whole, names)
    assert isinstance(run := names["run"], vx.ConceptRun)
    assert run.evaluation is not None
    assert "<html" in Path("cross.html").read_text()

    rng = np.random.default_rng(0)
    names |= {"features": torch.from_numpy(rng.normal(size=(300, 6)).astype(np.float32))}
    names |= {"unrelated": torch.from_numpy(rng.normal(size=(4, 20, 6)).astype(np.float32))}
    exec(discovery, names)
    assert isinstance(cavs := names["cavs"], vx.CAVs)
    assert cavs.vectors.shape == (10, 4, 6)


def test_one_clip(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = python_of("docs/one_clip.md")
    exec(code, {})
    assert capsys.readouterr().out.startswith("cross")
    assert {p.name for p in folder.iterdir()} == {"data", "clip.mp4", "heat.mp4", "clip.html"}


def test_getting_started(folder: Path) -> None:
    own_net, whole, called = python_of("docs/get_started.md")
    names: dict[str, object] = {}
    exec(whole, names)
    assert Path("heat.mp4").stat().st_size > 0
    names["net"], names["names"] = names["model"].net, names["model"].classes  # type: ignore[attr-defined]
    names["clip"] = vx.Clip.from_array(np.zeros((16, 112, 112, 3), np.uint8))
    exec(called.replace("cuda", "cpu"), names)
    assert isinstance(logits := names["logits"], torch.Tensor)
    assert logits.shape == (1, 7)
    exec(own_net, names)
    build = names["build"]
    assert isinstance(build, FunctionType)
    model = vx.VideoModel(build(), grid=(8, 32, 32))
    frames = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    assert vx.GradCAM()(model, frames).shape == (8, 32, 32)


def test_coming_from_other_libraries(folder: Path) -> None:
    (code,) = python_of("docs/coming_from.md")
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 5))
    names: dict[str, object] = {"my_net": net}
    exec(code, names)
    assert isinstance(heat := names["heat"], vx.Attribution)
    assert heat.values.shape == (16, 112, 112)


class TwoTensors(nn.Module):
    """Features and five scores, of one tensor or of two frame rates."""

    def __init__(self, outputs: int = 5) -> None:
        super().__init__()
        self.conv, self.act, self.pool, self.head = (
            nn.Conv3d(3, 4, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Linear(4, outputs),
        )
        self.outputs = outputs

    def forward(self, x: torch.Tensor | list[torch.Tensor]) -> object:
        maps = self.act(self.conv(x if isinstance(x, torch.Tensor) else x[0]))
        z = self.head(self.pool(maps).flatten(1))
        return {"maps": maps, "scores": z} if isinstance(x, torch.Tensor) and self.outputs > 1 else z


def test_targets() -> None:
    named, difference, quantity, pathways = python_of("docs/targets.md")
    frames = np.random.default_rng(0).integers(0, 256, (16, 112, 112, 3), np.uint8)
    names: dict[str, object] = {"vx": vx, "torch": torch, "net": TwoTensors(), "clip": frames}
    exec(named, names)
    names["wanted"] = torch.ones(1, 5)
    names["model"] = vx.VideoModel(TwoTensors(), output="scores", classes=("run", "walk", "c", "d", "e"))
    exec(difference.replace("(scores)", "(raw)").replace("(scores, ", '(raw["scores"], '), names)
    assert isinstance(why := names["why"], vx.Attribution)
    assert why.target == "run vs walk"
    assert isinstance(near := names["near"], vx.Attribution)
    assert near.target == "likeness"
    names["speed_net"] = TwoTensors(1)
    exec(quantity.replace("RISE()", "RISE(samples=8)").replace("Insertion()", "Insertion(steps=2)"), names)
    assert isinstance(heat := names["heat"], vx.Attribution)
    assert heat.target == "fall of output"
    names["two_rates"] = TwoTensors()
    exec(pathways, names)


class Recogniser(nn.Module):
    """Built and called as `Recognizer3D` and `Recognizer2D` of mmaction2 1.x, of which only the structure is taken."""

    def __init__(self, video: bool) -> None:
        super().__init__()
        self.data_preprocessor = nn.Module()
        self.data_preprocessor.format_shape = "NCTHW" if video else "NCHW"  # type: ignore[assignment]
        for name, values in (("mean", (123.675, 116.28, 103.53)), ("std", (58.395, 57.12, 57.375))):
            shape = (-1, 1, 1, 1) if video else (-1, 1, 1)
            self.data_preprocessor.register_buffer(name, torch.tensor(values).view(shape))
        self.backbone = nn.Conv3d(3, 6, 3, 4, 1) if video else nn.Conv2d(3, 6, 3, 4, 1)
        self.act, self.cls_head = nn.ReLU(), nn.Linear(6, 5)

    def extract_feat(self, inputs: torch.Tensor, stage: str = "neck") -> tuple[torch.Tensor, dict[str, object]]:
        assert inputs.ndim == (6 if self.data_preprocessor.format_shape == "NCTHW" else 5)
        rows = self.act(self.backbone(inputs.view((-1, *inputs.shape[2:]))))
        if stage != "head":
            return rows, {}
        segments = 1 if rows.ndim == 5 else inputs.shape[1]  # consensus of frames, as in the heads for pictures
        return self.cls_head(rows.flatten(2).mean(2).unflatten(0, (-1, segments)).mean(1)), {}

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, dict[str, object]]:
        return self.extract_feat(inputs)  # features, not scores


@pytest.mark.parametrize("video", [True, False])
def test_the_recipe_for_mmaction2_with_a_stand_in(video: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    recogniser, apis = Recogniser(video).eval(), ModuleType("mmaction.apis")
    apis.init_recognizer = lambda config, weights, device: recogniser  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mmaction", ModuleType("mmaction"))
    monkeypatch.setitem(sys.modules, "mmaction.apis", apis)
    names: dict[str, object] = {}
    exec(python_of("docs/networks.md")[1].replace("224, 224", "32, 32"), names)
    model = names["model"]
    assert isinstance(model, vx.VideoModel)
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 32, 32, 3), np.uint8)
    colours = recogniser.data_preprocessor
    x = torch.from_numpy(frames).float().permute((0, 4, 1, 2, 3) if video else (0, 1, 4, 2, 3))
    x = (x - colours.mean) / colours.std  # as ActionDataPreprocessor does, in 0–255
    with torch.no_grad():
        truth = recogniser.extract_feat(x[:, None] if video else x, stage="head")[0]
    torch.testing.assert_close(model(frames), truth, rtol=0, atol=1e-5)
    assert vx.GradCAM()(model, frames[0], 0).details["positions"] == ((2, 8, 8) if video else (8, 8, 8))


def test_what_the_tables_name_exists_and_can_be_made() -> None:
    page = (ROOT / "docs" / "coming_from.md").read_text()
    calls = re.findall(r"`(vx\.[^`]*?)(?=`)", page)
    assert len(calls) > 40
    for call in calls:
        if "(" in call and not re.search(r"\.\.\.|…|\(my_net|\(net|model, clip|weights=", call):
            eval(call, {"vx": vx})
        else:
            eval(call.split("(")[0], {"vx": vx})
    known = {type(make()).__name__ for make in vx.ATTRIBUTIONS.values()}
    named = {call.split("(")[0].removeprefix("vx.") for call in calls}
    assert {"GradCAM", "KernelSHAP", "LRP", "IntegratedGradients"} <= named & known
