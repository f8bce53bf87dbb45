"""The same attribution methods here and in other libraries: are the numbers the same, and what do they cost?

    python benchmarks/attribution.py [--nets planted r3d] [--methods gradient …] [--repeats 3] [--device cpu]

Side by side with captum and, where it can be imported, pytorch-grad-cam: one clip, one target, the same parameters.
Each method runs in a process of its own on each side, which tells the least time of several calls (processor time on a
CPU, which other work does not change much) and the memory that the first call adds. "difference" is the greatest
difference of the maps, relative to the greatest value; methods that draw at random get correlation instead of a
tolerance. The last line is one JSON object.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

STEPS, SAMPLES, SURROGATE = 25, 25, 64  # of paths, of noise, of regions shown and hidden
TOLERANCE = 1e-3
NETS = {"planted": "block4", "r3d": "layer4"}  # network: its last map
SMALL = (8, 32, 32)  # the grid of networks that are not trained on one
DRAWN = ("lime", "kernel_shap")  # both sides draw at random


@dataclass
class Task:
    """One clip on one network, as each side needs it."""

    model: Any
    clip: Any
    target: int
    layer: str

    def __post_init__(self) -> None:
        from voxplain.attribution.passes import base_input, to_input

        frames = self.clip.frames[None]
        self.x, self.black = to_input(self.model, frames), base_input(self.model, frames, "black")
        t, h, w = self.model.grid
        self.window, self.stride = (t // 2, h // 4, w // 4), (t // 4, h // 8, w // 8)

    def labels(self) -> np.ndarray:
        from voxplain.segment import SLIC

        return SLIC(segments=(12,))(self.clip).labels[0]


def task(net: str, device: str) -> Task:
    """A planted clip of the class cross, and a network on its grid."""
    import torch

    from voxplain.datasets.planted import PlantedDesign, draw_scene, render
    from voxplain.model import VideoModel
    from voxplain.nets import NETS as KNOWN
    from voxplain.nets import build_net
    from voxplain.video import Clip, Geometry
    from voxplain.zoo.load import load_model

    frames = render(draw_scene(PlantedDesign(), "cross", 7), codec=False)
    if net == "planted":
        model = load_model("planted", device=device)
        return Task(model, Clip.from_array(frames), model.class_index("cross"), NETS[net])
    torch.manual_seed(0)
    spec, (t, h, w) = KNOWN[net], SMALL
    whole = Geometry.squash(h, w)
    model = VideoModel(
        net=build_net(net, 7).eval().to(device),
        layer=spec.feature_layer,
        mean=spec.mean,
        std=spec.std,
        grid=SMALL,
        geometry=whole,
        name=net,
    )
    clip = Clip.from_array(whole(frames[:t]))
    return Task(model, clip, int(model.logits(clip.frames[None]).argmax()), NETS[net])


def ours(name: str, at: Task) -> Callable[[], np.ndarray]:
    """The method of the registry, signed where it can be, on the logit."""
    from dataclasses import fields, replace

    from voxplain.attribution import ATTRIBUTIONS
    from voxplain.segment import SLIC

    wanted = {
        "channels": "signed",
        "objective": "logit",
        "steps": STEPS,
        "window": at.window,
        "stride": at.stride,
        "fill": "black",
        "baseline": "black",
        "layer": at.layer,
        "segmenter": SLIC(segments=(12,)),
        "samples": SAMPLES if name == "smooth_grad" else SURROGATE,
    }
    method = ATTRIBUTIONS[name]()
    method = replace(method, **{f.name: wanted[f.name] for f in fields(method) if f.name in wanted})
    return lambda: method(at.model, at.clip, at.target).values


def captum(name: str, at: Task) -> Callable[[], np.ndarray]:
    """The same by captum, in as many clips at once as ours takes."""
    import torch
    from captum import attr
    from captum._utils.models.linear_model import SkLearnRidge

    from voxplain.attribution.gradients.smooth_grad import noise
    from voxplain.model.layers import find_layer

    net, x, b, y, many = at.model.net, at.x, at.black, at.target, at.model.batch_size

    def smooth() -> Any:
        std, drawn = 0.15 * float(x.max() - x.min()), iter(range(SAMPLES))

        def ours(mean: float, std: Any) -> Any:  # our noise, so that the numbers can be compared
            return std * torch.stack([noise(tuple(x.shape[1:]), 0, next(drawn)) for _ in std]).to(x.device)

        with patch("torch.normal", ours):
            return attr.NoiseTunnel(attr.Saliency(net)).attribute(
                x, nt_type="smoothgrad", nt_samples=SAMPLES, nt_samples_batch_size=many, stdevs=std, target=y, abs=False
            )

    def cam() -> Any:
        found = attr.LayerGradCam(net, find_layer(net, at.layer)).attribute(x, y, relu_attributions=True)
        return attr.LayerAttribution.interpolate(found, at.model.grid, "trilinear")

    def surrogate(kind: Callable[..., Any], **settings: Any) -> Any:
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002 - captum draws from it
        mask = torch.from_numpy(at.labels().astype(np.int64))[None, None].to(x.device)
        more = {"baselines": b, "target": y, "feature_mask": mask.expand(1, 3, -1, -1, -1), "n_samples": SURROGATE}
        return kind(net, **settings).attribute(x, perturbations_per_eval=many, **more)[:, :1]

    def window() -> Any:
        shapes = {"sliding_window_shapes": (3, *at.window), "strides": (3, *at.stride)}
        return attr.Occlusion(net).attribute(x, baselines=b, target=y, perturbations_per_eval=many, **shapes)[:, :1]

    calls: dict[str, Callable[[], Any]] = {
        "gradient": lambda: attr.Saliency(net).attribute(x, y, abs=False),
        "input_x_gradient": lambda: attr.InputXGradient(net).attribute(x, y),
        "integrated_gradients": lambda: attr.IntegratedGradients(net).attribute(
            x, b, y, n_steps=STEPS, method="riemann_middle", internal_batch_size=many
        ),
        "smooth_grad": smooth,
        "guided_backprop": lambda: attr.GuidedBackprop(net).attribute(x, y),
        "deconvnet": lambda: attr.Deconvolution(net).attribute(x, y),
        "deep_lift": lambda: attr.DeepLift(net).attribute(x, b, y),
        "grad_cam": cam,
        "occlusion": window,
        "lime": lambda: surrogate(
            attr.Lime, interpretable_model=SkLearnRidge(alpha=1.0)
        ),  # ours; its Lasso gives zeros
        "kernel_shap": lambda: surrogate(attr.KernelShap),
    }
    call = calls[name]

    def run() -> np.ndarray:
        leaf = x.requires_grad_(True)  # captum warns of, and sets, what is not
        found = call().detach().sum(1)[0].cpu().numpy()
        leaf.requires_grad_(False)
        return found

    return run


def grad_cam_library(name: str, at: Task) -> Callable[[], np.ndarray]:
    """pytorch-grad-cam's map, at its own scale of 0–1 for each clip."""
    import pytorch_grad_cam as library
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    from voxplain.model.layers import find_layer

    kinds = {
        "grad_cam": "GradCAM",
        "grad_cam_plus_plus": "GradCAMPlusPlus",
        "xgrad_cam": "XGradCAM",
        "layer_cam": "LayerCAM",
        "hires_cam": "HiResCAM",
    }

    def run() -> np.ndarray:
        with getattr(library, kinds[name])(at.model.net, [find_layer(at.model.net, at.layer)]) as cam:
            return np.asarray(cam(at.x, [ClassifierOutputTarget(at.target)]))[0]

    return run


SIDES: dict[str, Callable[[str, Task], Callable[[], np.ndarray]]] = {
    "ours": ours,
    "captum": captum,
    "pytorch_grad_cam": grad_cam_library,
}
METHODS = {
    "captum": (
        "gradient",
        "input_x_gradient",
        "integrated_gradients",
        "smooth_grad",
        "guided_backprop",
        "deconvnet",
        "deep_lift",
        "grad_cam",
        "occlusion",
        "lime",
        "kernel_shap",
    ),
    "pytorch_grad_cam": ("grad_cam", "grad_cam_plus_plus", "xgrad_cam", "layer_cam", "hires_cam"),
}


def memory(what: str) -> float:
    """VmRSS or VmHWM, the most it was, of this process in MB. Unlike ru_maxrss it knows nothing of the parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def one(net: str, name: str, side: str, repeats: int, device: str, file: Path) -> None:
    """What a child process does: the map into a file, time and memory on its last line."""
    warnings.simplefilter("ignore")
    at = task(net, device)
    call = SIDES[side](name, at)
    at.model.logits(at.clip.frames[None])
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the most it was starts again
    clock = time.process_time if device == "cpu" else time.perf_counter
    seconds = []
    for i in range(repeats + 1):
        start = clock()
        values = call()
        seconds.append(clock() - start)
        if not i:
            added = memory("VmHWM") - before
    np.save(file, values)
    print(json.dumps({"seconds": min(seconds[1:]), "added_mb": added, "peak_mb": before + added}))


def asked_of_child(net: str, name: str, side: str, asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    file = folder / f"{net}-{name}-{side}.npy"
    words = ["--child", net, name, side, str(file), "--repeats", str(asked.repeats), "--device", asked.device]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no word"])[-1][:200]}
    return {**json.loads(done.stdout.splitlines()[-1]), "map": np.load(file)}


def compared(name: str, side: str, own: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    a, b = (m["map"].astype(np.float64) for m in (own, other))
    if side == "pytorch_grad_cam":
        a, b = ((v - v.min()) / max(float(np.ptp(v)), 1e-12) for v in (a, b))
    difference = float(np.abs(a - b).max() / np.abs(b).max())
    return {
        "difference": difference,
        "correlation": float(np.corrcoef(a.ravel(), b.ravel())[0, 1]),
        "same": difference < TOLERANCE if name not in DRAWN else None,
        "seconds": own["seconds"],
        "time_ratio": own["seconds"] / other["seconds"],
        "added_mb": own["added_mb"],
        "their_added_mb": other["added_mb"],
        "peak_ratio": own["peak_mb"] / other["peak_mb"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(NETS))
    parser.add_argument("--methods", nargs="+", help="default: all that both sides have")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        net, name, side, file = asked.child
        one(net, name, side, asked.repeats, asked.device, Path(file))
        return
    result: dict[str, Any] = {}
    for side in METHODS:
        if find_spec(side) is None:
            print(f"{side}: not installed, left out")
            result[side] = None
    with tempfile.TemporaryDirectory() as folder:
        for net in asked.nets:
            for side in (s for s in METHODS if s not in result or result[s] is not None):
                print(f"{net}, ours against {side}")
                print(
                    f"{'method':22s}{'difference':>11s}{'corr.':>8s}{'same':>6s}{'s':>8s}{'time':>7s}{'MB':>7s}{'theirs':>8s}"
                )
                for name in (n for n in METHODS[side] if not asked.methods or n in asked.methods):
                    both = [asked_of_child(net, name, s, asked, Path(folder)) for s in ("ours", side)]
                    failed = [b["error"] for b in both if "error" in b]
                    row = {"error": "; ".join(failed)} if failed else compared(name, side, *both)
                    result.setdefault(side, {}).setdefault(net, {})[name] = row
                    print(f"{name:22s}" + (row["error"] if failed else line(row)), flush=True)
    print(json.dumps(result))


def line(row: dict[str, Any]) -> str:
    same = {True: "yes", False: "NO", None: "drawn"}[row["same"]]
    return (
        f"{row['difference']:11.1e}{row['correlation']:8.4f}{same:>6s}{row['seconds']:8.3f}{row['time_ratio']:7.2f}"
        f"{row['added_mb']:7.0f}{row['their_added_mb']:8.0f}"
    )


if __name__ == "__main__":
    main()
