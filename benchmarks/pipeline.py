"""Seconds of every step of the concept pipeline that is not the network: ours beside plain scikit-image and Pillow.

    python benchmarks/pipeline.py [FOLDER] [--clips 6] [--repeats 3] [--size 112]

FOLDER holds videos; without it, planted clips are drawn. Clips are 16×size×size. Both ways do the same work side by
side in one process on one thread, and the ratio is of the least time each took: a shared machine only adds time. The
plain way is that of the reference: `slic` for every level, masks compared two by two, every frame of a segment filled,
cut and resized by Pillow. Prints one line a step; the last line is one JSON object.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from skimage.segmentation import slic
from sklearn.metrics import adjusted_rand_score

from voxplain.concepts.features import MaskedCrops
from voxplain.datasets.planted import DESIGNS, draw_scene, render
from voxplain.model import VideoModel
from voxplain.segment import SLIC, STANDARD, Deduplicate, Supervoxels
from voxplain.segment import slic_backend as engine
from voxplain.video import Clip, read_video

FRAMES = 16
MEAN = np.array([110, 100, 90], np.uint8)


def resized(frames: np.ndarray, size: int) -> np.ndarray:
    still = [Image.fromarray(f).resize((size, size), Image.Resampling.BILINEAR) for f in frames]
    return np.stack([np.asarray(f) for f in still])


def clips(folder: Path | None, count: int, size: int) -> list[np.ndarray]:
    if folder is None:
        design = DESIGNS["standard"]
        scenes = [draw_scene(design, design.classes[i % len(design.classes)], i) for i in range(count)]
        return [resized(render(s, codec=False)[:FRAMES], size) for s in scenes]
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in {".avi", ".mp4", ".mkv", ".webm"})
    read = [read_video(f).frames for f in files[:: max(len(files) // count, 1)][:count]]
    return [resized(f[np.linspace(0, len(f) - 1, FRAMES).astype(int)], size) for f in read]


def plain_slic(frames: np.ndarray) -> list[np.ndarray]:
    return [slic(frames, n_segments=n, compactness=20.0, sigma=1.0, start_label=0) for n in STANDARD]


def plain_unite(levels: list[np.ndarray]) -> list[np.ndarray]:
    """Masks of the supervoxels that are no near copies of one of an earlier level, compared over the whole clip."""
    kept: list[np.ndarray] = []
    for level in levels:
        masks = [level == i for i in range(level.max() + 1)]
        fresh = []
        for mask in masks:
            alive = mask.any(axis=(1, 2)).sum()
            if mask.sum() <= 0.001 * alive * mask[0].size:
                continue
            if all((mask & other).sum() <= 0.5 * (mask | other).sum() for other in kept):
                fresh.append(mask)
        kept += fresh
    return kept


def plain_crops(frames: np.ndarray, masks: list[np.ndarray]) -> list[np.ndarray]:
    """Every mask's frames filled, cut to one box and resized by Pillow."""
    size, made = frames.shape[1], []
    for mask in masks:
        shown = np.where(mask[..., None], frames, MEAN)
        rows, columns = np.flatnonzero(mask.any(axis=(0, 2))), np.flatnonzero(mask.any(axis=(0, 1)))
        cut = shown[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        made.append(
            np.stack([np.asarray(Image.fromarray(f).resize((size, size), Image.Resampling.BICUBIC)) for f in cut])
        )
    return made


def our_crops(frames: np.ndarray, parts: Supervoxels, take: Callable[[torch.Tensor], object]) -> None:
    """Every batch of crops handed to ``take``, as to a network that costs nothing; the next is written over it."""

    def embed(batch: torch.Tensor) -> torch.Tensor:
        take(batch)
        return torch.zeros(len(batch), 1)

    model = SimpleNamespace(grid=frames.shape[:3], mean_colour=MEAN, batch_size=8, embed=embed)
    MaskedCrops()(model, Clip.from_array(frames), parts)  # type: ignore[arg-type]


def prepared(batch: np.ndarray) -> torch.Tensor:
    """The network's input: clips normalised, in bf16, channels last."""
    net = torch.nn.Sequential(torch.nn.Linear(1, 1).to(torch.bfloat16))
    return VideoModel(net=net, layer="0", grid=batch.shape[1:4], channels_last=True).prepare(batch)


def timed(work: Callable[..., Any], *inputs: object) -> tuple[float, Any]:
    start = time.process_time()
    done = work(*inputs)
    return time.process_time() - start, done


def compare(frames: np.ndarray, repeats: int) -> dict[str, Any]:
    """Least processor seconds of (ours, plain) by step of one clip, and how far the results agree."""
    found: dict[str, list[tuple[float, float]]] = {"slic": [], "deduplicate": [], "crops": []}
    prepare: list[float] = []
    batch = np.stack([frames] * 8)
    for _ in range(repeats):
        ours_s, ours = timed(SLIC(), frames)
        plain_s, levels = timed(plain_slic, frames)
        found["slic"].append((ours_s, plain_s))
        ours_s, parts = timed(Deduplicate(), Supervoxels(ours.labels))  # anew: a record keeps its boxes
        plain_s, masks = timed(plain_unite, levels)
        found["deduplicate"].append((ours_s, plain_s))
        ours_s, _ = timed(our_crops, frames, parts, len)
        plain_s, reference = timed(plain_crops, frames, masks)
        found["crops"].append((ours_s, plain_s))
        prepare.append(timed(prepared, batch)[0] / len(batch))
    crops: list[np.ndarray] = []
    our_crops(frames, parts, lambda batch: crops.extend(batch.numpy().copy()))
    first = [int(plane.min()) for plane in ours.labels]
    pairs = [(a - n, b) for a, n, b in zip(ours.labels, first, levels, strict=True)]
    same = len(crops) == len(masks) and all(np.array_equal(parts.mask(i), m) for i, m in enumerate(masks))
    apart = [np.abs(a.astype(int) - b) for a, b in zip(crops, reference, strict=True)] if same else [np.array([255])]
    least = {step: tuple(float(v) for v in np.min(times, axis=0)) for step, times in found.items()}
    return least | {
        "equal": min(float((a == b).mean()) for a, b in pairs),
        "ari": min(adjusted_rand_score(b.ravel(), a.ravel()) for a, b in pairs),
        "same_supervoxels": same,
        "supervoxels": parts.count,
        "prepare": min(prepare),
        "grey_levels_max": max(int(a.max()) for a in apart),
        "grey_levels_mean": float(np.mean([a.mean() for a in apart])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--size", type=int, default=112)
    options = parser.parse_args()
    torch.set_num_threads(1)
    subjects = clips(options.folder, options.clips, options.size)
    engine.PATIENCE = -1.0  # compiled from the first clip on, where it can be
    first, _ = timed(SLIC(), subjects[0])
    rows = [compare(frames, options.repeats) for frames in subjects]
    result: dict[str, object] = {
        "source": options.folder.name if options.folder else "planted",
        "clips": len(rows),
        "size": options.size,
        "compiled": engine.compilable(),
        "first_call_s": round(first, 2),
        "supervoxels": float(np.mean([r["supervoxels"] for r in rows])),
    }
    for step in ("slic", "deduplicate", "crops"):
        ours, plain = np.mean([r[step] for r in rows], axis=0)
        result |= {f"{step}_ms": round(1000 * ours, 1), f"{step}_plain_ms": round(1000 * plain, 1)}
        result[f"{step}_ratio"] = round(plain / ours, 2)
        print(f"{step}: {1000 * ours:.1f} ms a clip, plain {1000 * plain:.1f} ms, {plain / ours:.1f} times as fast")
    one = {
        "crop": np.mean([r["crops"][0] / r["supervoxels"] for r in rows]),
        "prepare": np.mean([r["prepare"] for r in rows]),
    }
    result |= {"crop_ms": round(1000 * float(one["crop"]), 3), "prepare_ms": round(1000 * float(one["prepare"]), 3)}
    print(f"one crop: {result['crop_ms']} ms to make, {result['prepare_ms']} ms to normalise (bf16, channels last)")
    result["worst_equal"], result["worst_ari"] = min(r["equal"] for r in rows), min(r["ari"] for r in rows)
    result["same_supervoxels"] = all(r["same_supervoxels"] for r in rows)
    result["grey_levels_max"] = max(r["grey_levels_max"] for r in rows)
    result["grey_levels_mean"] = round(float(np.mean([r["grey_levels_mean"] for r in rows])), 4)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
