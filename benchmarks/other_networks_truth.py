"""Are networks other than 3D ConvNets explained as well as these? Known truth, the same planted clips for all.

    python benchmarks/other_networks_truth.py [--work DIR] [--nets NAME ...] [--design held-out|standard] [--quick]

One planted set of five classes, two by shape, two by motion and the empty one; on it the networks of `NETWORKS` are
trained and explained at the layers that `VideoModel` finds. All start from fresh weights but the transformer, whose
stem starts from the blocks of the trained `tiny`; all layers are trained. The truth is that of `truth.py`: the scene is
rendered again without an object, and the mean drop of the class's log-odds is the reliance on it. Figures:

top_recall, top_precision, top_iou   of `truth_figures.strict_figures`, the concept on top with the object relied on;
                                     mean over the four classes that an object decides, 20 held-out clips each
difference                           of a network's figure from the mean of the ConvNets'
energy                               `EnergyInside` of each attribution method with that object, divided by its chance,
                                     mean over clips; of the best method on the last line

What is measured is kept in WORK and found again. The last line is JSON.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from other_networks import ClassTokenTransformer, FramesLSTM, TwoRateNet
from truth import Explainer
from truth_architectures import Architecture, ResidualNet, Stage, fit
from truth_figures import strict_figures
from truth_sets import Known, known_planted, unrelated_planted
from voxplain.attribution import ATTRIBUTIONS
from voxplain.datasets import scan_folder
from voxplain.datasets.planted import PlantedSet, design_of, write_planted
from voxplain.errors import VoxplainError
from voxplain.metrics import EnergyInside
from voxplain.model import VideoModel
from voxplain.nets import load_weights, save_weights, tiny
from voxplain.train import accuracy, load_videos
from voxplain.train.measure import overall_accuracy
from voxplain.video import Geometry
from voxplain.zoo.pytorchvideo import TwoRates

__all__ = ["NETWORKS", "Other", "Size", "energies", "explained", "made", "summary"]

SEEDS = {"held-out": 501, "standard": 1}
GRID = (8, 48, 48)
CONV = ("tiny", "residual")  # what the others are compared with
FIGURES = ("top_recall", "top_precision", "top_iou")
METHODS = (
    "supervoxel_occlusion",
    "lrp_gamma",
    "lrp_z_plus",
    "lrp_epsilon_plus_flat",
    "integrated_gradients",
    "input_x_gradient",
    "smooth_grad_squared",
    "grad_cam",
    "layer_cam",
    "random",
)


@dataclass(frozen=True)
class Other:
    """A network, its training, and what `VideoModel` is told of its input; ``stem``: blocks from the trained `tiny`."""

    build: Callable[[int], nn.Module]
    stages: tuple[Stage, ...]
    options: dict[str, Any]
    stem: tuple[str, ...] = ()


NETWORKS = {
    "tiny": Other(tiny, (Stage(9, 5e-3, enough=0.98),), {}),
    "residual": Other(ResidualNet, (Stage(7, 4e-3, enough=0.98),), {}),
    "vit": Other(ClassTokenTransformer, (Stage(10, 1.5e-3, enough=0.98),), {}, ("block1", "block2")),
    "cnn_lstm": Other(FramesLSTM, (Stage(12, 3e-3, enough=0.98),), {"layout": "BTCHW"}),
    "slowfast": Other(TwoRateNet, (Stage(10, 5e-3, enough=0.98),), {"pathways": TwoRates(2)}),
}


@dataclass(frozen=True)
class Size:
    """Clips a class to train, to test and to explain with concepts, clips a class to attribute, and most epochs."""

    train: int = 160
    test: int = 40
    unrelated: int = 60
    concepts: int = 20
    attributed: int = 4
    epochs: int | None = None


QUICK = Size(train=24, test=6, unrelated=12, concepts=6, attributed=1, epochs=1)


def planted_set(design: str, size: Size, home: Path) -> PlantedSet:
    """The clips that all networks are trained on and explained in."""
    chosen = replace(design_of(5, held_out=design == "held-out"), frames=GRID[0], size=GRID[1])
    return write_planted(
        home / "videos", design=chosen, train=size.train, test=size.test, unrelated=size.unrelated, seed=SEEDS[design]
    )


def made(name: str, planted: PlantedSet, size: Size, home: Path, seed: int) -> tuple[VideoModel, float]:
    """The trained network and its held-out accuracy; found again where it was trained before."""
    own, geometry = NETWORKS[name], Geometry(GRID[1:], GRID[1:])
    torch.manual_seed(seed)
    net = own.build(len(planted.design.classes)).eval()
    model = VideoModel(
        net, grid=GRID, classes=planted.design.classes, geometry=geometry, batch_size=32, name=name, **own.options
    )
    weights, figures = home / name / "weights.safetensors", home / name / "accuracy.json"
    if not figures.exists():  # written last
        if own.stem:
            made("tiny", planted, size, home, seed)
            start = load_file(home / "tiny" / "weights.safetensors")
            net.load_state_dict({k: v for k, v in start.items() if k.split(".")[0] in own.stem}, strict=False)
        stages = tuple(replace(s, epochs=min(s.epochs, size.epochs or s.epochs)) for s in own.stages)
        train, test = (scan_folder(planted.root, part=part) for part in ("train", "test"))
        how = Architecture(own.build, model.layer, stages)
        began = time.monotonic()
        videos = load_videos(train.paths, train.labels, geometry)
        fit(model, videos, how, seed, lambda text: print(f"{name} {text}", flush=True))
        matrix = accuracy(model, load_videos(test.paths, test.labels, geometry), geometry)
        (home / name).mkdir(parents=True, exist_ok=True)
        save_weights(net, weights, {})
        figures.write_text(json.dumps(overall_accuracy(matrix)))
        print(f"{name}: trained in {time.monotonic() - began:.0f} s", flush=True)
    load_weights(net, weights)
    return model, float(json.loads(figures.read_text()))


def energies(model: VideoModel, known: Known, count: int) -> dict[str, list[float]]:
    """Energy inside the object relied on most, divided by its chance, by method and clip."""
    thing = known.names[int(known.mean_drop.argmax())]
    shown = [i for i, masks in enumerate(known.masks) if thing in masks and masks[thing].any()][:count]
    found: dict[str, list[float]] = {}
    for name in METHODS:
        method = ATTRIBUTIONS[name]()
        for i in shown:
            try:
                heat = method(model, known.clips[i], known.label)
            except VoxplainError as error:
                print(f"{model.name} {name}: {error}", flush=True)
                break
            value = EnergyInside()(heat, known.masks[i][thing])
            assert value.chance
            found.setdefault(name, []).append(value.value / value.chance)
    return found


def explained(model: VideoModel, planted: PlantedSet, size: Size, home: Path) -> list[dict[str, Any]]:
    """The figures of the classes that an object decides, as plain numbers; kept class by class."""
    unrelated = unrelated_planted(model, planted.root, size.unrelated)
    explain = Explainer(model, unrelated, "default", home / model.name / "store")
    explain.settings = replace(explain.settings, videos=size.concepts, unrelated_videos=size.unrelated)
    rows = []
    for label in planted.design.decided:
        kept = home / model.name / f"figures-{label}.json"
        if not kept.exists():
            began = time.monotonic()
            known = known_planted(model, planted, label, size.concepts)
            row: dict[str, Any] = {"label": label, "relied": known.relied}
            row["drop"] = dict(zip(known.names, known.mean_drop.tolist(), strict=True))
            if known.relied:
                row["energy"] = energies(model, known, size.attributed)
                row["figures"] = strict_figures(explain(known.clips, label), known)
            kept.write_text(json.dumps(row))
            print(f"{model.name} {label}: {time.monotonic() - began:.0f} s", flush=True)
        rows.append(json.loads(kept.read_text()))
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over classes, and over clips of all classes for the energy; NaN where no class relies on an object."""
    measured = [r for r in rows if "figures" in r]
    if not measured:
        return dict.fromkeys(FIGURES, float("nan")) | {"energy": {}, "classes": 0}
    found: dict[str, Any] = {n: float(np.mean([r["figures"][n] for r in measured])) for n in measured[0]["figures"]}
    names = dict.fromkeys(n for r in measured for n in r["energy"])
    energy = {n: float(np.nanmean([v for r in measured for v in r["energy"].get(n, [])])) for n in names}
    return found | {"energy": energy, "classes": len(measured)}


def report(results: dict[str, dict[str, Any]]) -> None:
    """Print both tables and, as the last line, all figures."""
    print(f"\n{'network':10s} {'accuracy':>9s} " + " ".join(f"{n:>13s}" for n in FIGURES) + "   best energy ÷ chance")
    for name, own in results.items():
        best = max(own["energy"], key=lambda n: own["energy"][n], default="none")
        own |= {"best_method": best, "best_energy": own["energy"].get(best, float("nan"))}
        cells = " ".join(f"{own[n]:13.2f}" for n in FIGURES)
        print(f"{name:10s} {own['accuracy']:9.3f} {cells}   {own['best_energy']:.1f} ({best})")
    there = [results[n] for n in CONV if n in results]
    for name, own in results.items():
        if there and name not in CONV:
            own["difference"] = {n: round(own[n] - float(np.mean([c[n] for c in there])), 4) for n in FIGURES}
            print(f"{name} − ConvNets: " + ", ".join(f"{n} {d:+.2f}" for n, d in own["difference"].items()))
    methods = list(dict.fromkeys(m for own in results.values() for m in own["energy"]))
    print(f"\n{'energy ÷ chance':24s} " + " ".join(f"{n:>10s}" for n in results))
    for method in methods:
        cells = [own["energy"].get(method) for own in results.values()]
        print(f"{method:24s} " + " ".join(" " * 9 + "–" if c is None else f"{c:10.1f}" for c in cells))
    print(json.dumps(results))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/other-networks"))
    parser.add_argument("--nets", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--design", choices=list(SEEDS), default="held-out", help="standard: to try settings on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few clips and one epoch: shows that it runs")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    size, seed = QUICK if asked.quick else Size(), SEEDS[asked.design]
    home = asked.work / (asked.design + ("-quick" if asked.quick else ""))
    planted = planted_set(asked.design, size, home)
    results = {}
    for name in asked.nets:
        model, right = made(name, planted, size, home, seed)
        print(f"{name}: held-out accuracy {right:.3f}, layer {model.layer}", flush=True)
        results[name] = {"accuracy": right, "layer": model.layer, **summary(explained(model, planted, size, home))}
    report(results)


if __name__ == "__main__":
    main()
