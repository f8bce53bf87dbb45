"""What a GPU gives: forwards of the three networks beside its peak, a class in both ways, and who waits for whom.

    python benchmarks/gpu.py [--device cuda] [--nets c3d r3d i3d] [--batches 8 16 32 64] [--clips 32]
                             [--ways context crops] [--size 112] [--frames 16]

Clips are planted ones at the networks' size, weights fresh: cost does not depend on them. Prints one line a figure:

    forwards   clips/s of the fast copy (`Inference`) and of the network as it is, by batch; share of the measured peak
    feeding    clips/s that all processor cores segment, beside the clips/s whose supervoxels the device embeds: below
               1 the device waits for the processor, and segmenting there would pay
    ways       seconds of one class from its clips to its scores, r3d: features in context (the default), and crops
               (the paper's preset)

Runs on a processor, too (``--device cpu``), which is how it is tested. The last line is one JSON object.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

from voxplain import explain_concepts
from voxplain.concepts.features import MaskedCrops
from voxplain.concepts.settings import PRESETS
from voxplain.datasets.planted import DESIGNS, draw_scene, render
from voxplain.inference import Inference, flops, peak
from voxplain.lazy import bounded
from voxplain.model import VideoModel
from voxplain.nets import NETS, build_net
from voxplain.progress import quiet, timed
from voxplain.runtime import ThreadExecutor, cores
from voxplain.segment import SLIC, Deduplicate, Supervoxels
from voxplain.video import Clip

WAYS = {"context": PRESETS["default"], "crops": PRESETS["paper"]}


def planted(count: int, grid: tuple[int, int, int], seed: int) -> list[Clip]:
    """Planted clips at a network's size."""
    t, h, w = grid
    design, made = DESIGNS["standard"], []
    for i in range(count):
        frames = render(draw_scene(design, design.classes[i % len(design.classes)], seed + i), codec=False)
        index = np.linspace(0, len(frames) - 1, t).astype(int)
        resized = np.stack([np.asarray(Image.fromarray(frames[j]).resize((w, h))) for j in index])
        made.append(Clip.from_array(resized, source=f"planted {seed + i}"))
    return made


def built(name: str, options: argparse.Namespace, batch: int) -> VideoModel:
    """A network with fresh weights on the device."""
    torch.manual_seed(0)
    spec = NETS[name]
    net = build_net(name, 10).eval().to(options.device)
    grid = (options.frames, options.size, options.size)
    return VideoModel(
        net=net,
        layer=spec.feature_layer,
        mean=spec.mean,
        std=spec.std,
        grid=grid,
        batch_size=batch,
        name=name,
        classes=tuple(f"class {i}" for i in range(10)),
    )


def rate(work: Callable[[], object], clips: int, device: str, seconds: float) -> float:
    """Clips a second of a piece of work that takes so many clips, the best of several repeats."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    work()
    best, end = 0.0, time.perf_counter() + seconds
    while True:
        wait()
        start = time.perf_counter()
        work()
        wait()
        best = max(best, clips / (time.perf_counter() - start))
        if time.perf_counter() >= end:
            return best


def forwards(options: argparse.Namespace, peaks: dict[torch.dtype, float]) -> dict[str, Any]:
    """Clips/s of every network by batch, as it is and as its fast copy."""
    found: dict[str, Any] = {}
    for name in options.nets:
        model = built(name, options, max(options.batches))
        frames = np.stack([c.frames for c in planted(8, model.grid, 0)])
        fast = Inference()(model, frames)
        gflop = flops(model) / 1e9
        rows: dict[str, dict[int, float]] = {"as it is": {}, fast.precision: {}}
        for batch in options.batches:
            x = np.concatenate([frames] * (batch // len(frames) + 1))[:batch]
            for way, subject in (("as it is", model), (fast.precision, fast.model)):
                subject = replace(subject, batch_size=batch)
                prepared = subject.prepare(x)  # on the device: this row is the network alone
                with torch.inference_mode():
                    rows[way][batch] = rate(partial(subject.net, prepared), batch, options.device, options.seconds)
        best = max(rows[fast.precision].values())
        share = best * gflop / peaks[fast.model.dtype]
        gain = best / max(rows["as it is"].values())
        print(
            f"{name}: {best:.1f} clips/s in {fast.precision} ({gain:.2f} × as it is), {best * gflop:.0f} GFLOP/s, "
            f"{100 * share:.0f} % of the peak; lowest centred cosine {fast.fidelity.centred_cosine:.4f}",
            flush=True,
        )
        found[name] = {
            "clips_per_s": rows,
            "precision": fast.precision,
            "gflop": gflop,
            "share_of_peak": share,
            "gain": gain,
            "centred_cosine": fast.fidelity.centred_cosine,
            "reason": fast.reason,
        }
    return found


def feeding(options: argparse.Namespace) -> dict[str, float]:
    """Whether the processor segments as many clips as the device embeds."""
    from concurrent.futures import ThreadPoolExecutor

    model = built("r3d", options, max(options.batches))
    clips = planted(min(options.clips, 4 * cores()), model.grid, 0)
    segment: Callable[[Clip], Supervoxels] = lambda clip: Deduplicate()(SLIC()(clip))  # noqa: E731
    parts = [segment(clip) for clip in clips[:2]]  # compiled now
    start = time.perf_counter()
    with ThreadPoolExecutor(cores()) as pool:
        list(bounded(pool, segment, clips, 2 * cores()))
    segmented = len(clips) / (time.perf_counter() - start)
    fast = Inference()(model, np.stack([c.frames for c in clips[:8]])).model
    embedded = rate(lambda: MaskedCrops()(fast, clips[0], parts[0]), 1, options.device, options.seconds)
    ratio = segmented / embedded
    print(
        f"feeding: {segmented:.2f} clips/s segmented on {cores()} cores, {embedded:.2f} clips/s embedded "
        f"({parts[0].count} supervoxels each): {ratio:.2f}"
        + (", the device waits for the processor" if ratio < 1 else ", the processor keeps up"),
        flush=True,
    )
    return {"segmented_per_s": segmented, "embedded_per_s": embedded, "feeding_ratio": ratio, "cores": cores()}


def ways(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of one class in every way."""
    model = built("r3d", options, max(options.batches))
    clips, random = planted(options.clips, model.grid, 0), planted(max(20, options.clips // 2), model.grid, 10_000)
    found: dict[str, Any] = {}
    for name in options.ways:
        settings = replace(WAYS[name], random_sets=options.sets)
        seconds: dict[str, float] = {}
        with TemporaryDirectory() as folder:
            start = time.perf_counter()
            run = explain_concepts(
                model,
                clips,
                random=random,
                target=0,
                settings=settings,
                store=Path(folder),
                progress=timed(quiet, seconds),
                executor=partial(ThreadExecutor, workers=options.workers),
            )
            total = time.perf_counter() - start
        without = total - sum(took for step, took in seconds.items() if step.startswith("direct effects"))
        print(
            f"{name}: {total:.1f} s, {without:.1f} s without direct effects, {len(run.bank)} concepts of "
            f"{len(clips)} clips; " + ", ".join(f"{step} {took:.1f}" for step, took in seconds.items()),
            flush=True,
        )
        found[name] = {"total_s": total, "without_effects_s": without, "steps_s": seconds}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--nets", nargs="+", default=["c3d", "r3d", "i3d"])
    parser.add_argument("--batches", nargs="+", type=int, default=[8, 16, 32, 64])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--sets", type=int, default=50)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each timing")
    parser.add_argument("--workers", type=int, default=None)
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("no CUDA device here: run it where there is one, or with --device cpu")
    name = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else "CPU"
    peaks = {kind: peak(options.device, kind, seconds=options.seconds) for kind in (torch.float32, torch.bfloat16)}
    print(
        f"{name}: peak {peaks[torch.bfloat16]:.0f} GFLOP/s bf16, {peaks[torch.float32]:.0f} fp32, torch "
        f"{torch.__version__}, {cores()} cores",
        flush=True,
    )
    result = {
        "device": name,
        "torch": torch.__version__,
        "peak_bf16": peaks[torch.bfloat16],
        "peak_fp32": peaks[torch.float32],
        "forwards": forwards(options, peaks),
        "feeding": feeding(options),
        "ways": ways(options),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
