"""What areas, weights and smoothing let STEP's map show, on planted clips of the tuning design.

    python benchmarks/step_areas.py [--masks] [--clips 12] [--iterations 200]

First the ceiling: masks that are right, the object's voxels first and then those nearest to it, go through the same
sum and the same smoothing as STEP's, with an area inside the frame as large as the margin of masks lets it be. Energy
inside ÷ chance and rank accuracy of that map are the most that a setting allows. With --masks also STEP's own masks,
one a clip and area, by the shipped network, and what the settings make of them. The last line is JSON.
"""

import argparse
import json
from collections.abc import Iterator

import numpy as np
import torch
from scipy import ndimage

from voxplain.attribution.masks.extremal_perturbation import STEP
from voxplain.attribution.masks.extremal_search import AREA_WEIGHTS, MaskSearch
from voxplain.datasets.planted import PlantedDesign, draw_scene
from voxplain.datasets.planted.scene import draw
from voxplain.video import Clip
from voxplain.zoo.load import load_model

SETS = {"study": (0.05, 0.1, 0.15, 0.5), "four small": (0.025, 0.05, 0.1, 0.2), "two": (0.05, 0.1), "one": (0.05,)}
SMOOTH = (10.0, 5.0, 2.5)  # pixels at 112 rows
MARGIN = 11.0  # of masks, pixels at 112 rows
FIRST = 70_001  # seed of the first clip


def clips(count: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Class, frames and the mask of the object that decides it; classes in turn."""
    design = PlantedDesign()
    for i in range(count):
        label = design.decided[i % len(design.decided)]
        scene = draw_scene(design, label, FIRST + i)
        frames, masks = draw(scene)
        yield label, frames, masks[next(o.name for o in scene.objects if o.role == "target")]


def right_masks(mask: np.ndarray) -> dict[float, np.ndarray]:
    """By area, the mask that holds the object's voxels first, then the nearest."""
    inner, outer = (ndimage.distance_transform_edt(m, (4, 1, 1)) for m in (mask, ~mask))
    order = np.argsort(np.where(mask, -inner, outer).ravel(), kind="stable")
    rows = mask.shape[1]
    wider = ((rows + 2 * round(MARGIN * rows / 112)) / rows) ** 2
    found = {}
    for area in sorted({a for areas in SETS.values() for a in areas}):
        flat = np.zeros(mask.size)
        flat[order[: min(mask.size, round(area * wider * mask.size))]] = 1
        found[area] = flat.reshape(mask.shape)
    return found


def figures(masks: dict[float, np.ndarray], truth: np.ndarray) -> dict[str, tuple[float, float]]:
    """Energy ÷ chance and rank accuracy of the map of every setting whose masks are there."""
    found = {}
    for name, areas in SETS.items():
        for weights, weight in AREA_WEIGHTS.items():
            for smooth in SMOOTH if set(areas) <= set(masks) else ():
                total = np.sum([weight(a) * masks[a] for a in areas], axis=0)
                sigma = smooth * truth.shape[1] / 112
                heat = ndimage.gaussian_filter(total, (0, sigma, sigma), mode="constant", truncate=4)
                top = np.argpartition(-heat.ravel(), int(truth.sum()))[: int(truth.sum())]
                energy = heat[truth].sum() / heat.sum() / truth.mean()
                found[f"{name}, {weights}, {smooth:g}"] = float(energy), float(truth.ravel()[top].mean())
    return found


def step_masks(model: object, frames: np.ndarray, label: str, iterations: int) -> dict[float, np.ndarray]:
    """STEP's mask of each area, unsmoothed."""
    found = {}
    for area in sorted({a for areas in SETS.values() for a in areas}):
        method = STEP(areas=(area,), iterations=iterations, search=MaskSearch(smooth=0))
        heat = method(model, Clip.from_array(frames), label)
        found[area] = heat.values
        print(f"{label} {area}: {dict(heat.details)}", flush=True)
    return found


def table(rows: list[dict[str, tuple[float, float]]], title: str) -> dict[str, list[float]]:
    """Print the means over clips, and give them."""
    print(f"\n{title}: {len(rows)} clips; areas, weights, smoothing | energy ÷ chance | rank accuracy")
    means = {n: [round(float(v), 3) for v in np.mean([r[n] for r in rows], axis=0)] for n in rows[0]}
    for name, (energy, rank) in means.items():
        print(f"{name:28s} {energy:6.2f} {rank:6.2f}", flush=True)
    return means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masks", action="store_true")
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--iterations", type=int, default=200)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    known = list(clips(asked.clips))
    share = float(np.mean([mask.mean() for _, _, mask in known]))
    print(f"the object covers {share:.3f} of a clip")
    found = {"object": share, "ceiling": table([figures(right_masks(m), m) for _, _, m in known], "right masks")}
    if asked.masks:
        model = load_model("planted", device="cpu")
        rows = [figures(step_masks(model, f, label, asked.iterations), m) for label, f, m in known]
        found["step"] = table(rows, f"STEP, {asked.iterations} iterations")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
