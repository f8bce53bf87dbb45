"""One class explained by the reference's way and by ours, side by side: seconds a step, memory, disk, and growth.

    python benchmarks/reference.py [FOLDER] [--random FOLDER] [--clips 24] [--many 200] [--ways context crops]
                                   [--precisions auto fp32] [--growth-only | --no-growth] [--no-reference]
                                   [--keep N] [--batch 8] [--size 112] [--work DIR] [--quick]

FOLDER holds videos of one class and ``--random`` unrelated ones; without them planted clips are drawn. All are cut to
16×size×size and written as videos, which all ways read. The network is R3D-18 with random weights: cost does not
depend on them. Every way runs alone in a process of its own:

    reference   `reference_way.py`
    crops       `explain_concepts` with the same parameters (preset `reference-code`); direct effects, which the
                reference has not, are left out and their seconds said
    context     the library's default from end to end, effects included; on ``--clips`` videos, and on ``--many``

Figures ``exact_…`` are those of crops. ``default_speedup`` is the seconds of the reference's way over those of the
default on ``--many`` videos. The reference's way is measured on ``--clips`` videos; its seconds, but those of k-means
and CAVs, are taken to grow with the number of videos (``growth`` measures that they do).

The paper explains 200 videos and keeps 40 members a concept, against sets of 40 videos: features computed a second
time are then a tenth of all. With few clips they would be more than half, to our advantage; so members, set size
and the unrelated supervoxels that only ours takes are cut in proportion to the clips (``--keep`` and others overrule).

Growth is measured with the same network on a small grid. ``--quick`` tries all parts but growth on few small videos in
some minutes; its figures say nothing. The last line is one JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reference_floor import floor
from reference_ours import WAYS, Task, ours, reference
from voxplain.datasets.folder import read_clips
from voxplain.datasets.planted import PlantedDesign, draw_scene, render
from voxplain.video import ClipReader, Geometry, Middle
from voxplain.video.encode import write_video

GROWTH = Task(
    Path(), grid=(8, 32, 32), frames=8, levels=(4, 8), clusters=8, keep=2, sets=10, set_size=2, unrelated_crops=8
)
FIXED = ("k-means", "CAVs")  # steps of the reference's way that are not taken to grow with the number of videos
GROWTH_RANDOM = 30  # unrelated videos


def planted(folder: Path, count: int, kind: str, *, size: int, frames: int) -> None:
    """Planted videos of one class, or unrelated ones of the other classes."""
    folder.mkdir(parents=True, exist_ok=True)
    design = PlantedDesign(size=size, frames=frames)
    own, others = design.classes[0], design.classes[1:]
    for i in range(count):
        scene = draw_scene(design, own if kind == "class" else others[i % len(others)], i)
        write_video(folder / f"{i:05d}.mp4", render(scene, codec=False))


def given(source: Path, folder: Path, count: int, *, size: int, frames: int) -> None:
    """The middle of some videos of a folder, pressed to the network's size."""
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(f for f in source.rglob("*") if f.suffix.lower() in {".avi", ".mp4", ".mkv", ".webm", ".mov"})
    reader = ClipReader(Middle(frames), Geometry.squash(size, size))
    for i, clip in enumerate(read_clips(files[:: max(1, len(files) // count)][:count], reader).clips):
        write_video(folder / f"{i:05d}.mp4", clip.frames)


PARTS: dict[str, Callable[..., dict[str, Any]]] = {"ours": ours, "reference": reference, "floor": floor}


def alone(part: str, task: Task, **inputs: Any) -> dict[str, Any]:
    """One part in a process of its own, with an empty folder for what it keeps and a thread a core."""
    threads = {name: str(os.cpu_count()) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    with TemporaryDirectory(prefix="voxplain-part-") as folder:
        if part != "floor":
            inputs["folder"] = folder
        order = json.dumps({"part": part, "task": {**asdict(task), "videos": str(task.videos)}, "inputs": inputs})
        done = subprocess.run(
            [sys.executable, __file__, "--order", order],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env=os.environ | threads,
        )
    return json.loads(done.stdout.splitlines()[-1])


def obey(order: str) -> None:
    """The other side of `alone`."""
    asked = json.loads(order)
    task = {k: tuple(v) if isinstance(v, list) else v for k, v in asked["task"].items()}
    inputs = {k: Path(v) if k == "folder" else v for k, v in asked["inputs"].items()}
    print(json.dumps(PARTS[asked["part"]](task=Task(**{**task, "videos": Path(task["videos"])}), **inputs)))


def show(name: str, r: dict[str, Any]) -> None:
    steps = ", ".join(f"{step} {s:.1f}" for step, s in sorted(r["steps_s"].items(), key=lambda kv: -kv[1]) if s >= 0.05)
    print(f"{name}: {r['total_s']:.1f} s ({steps}); {sum(r['forwards'].values())} forwards", flush=True)
    print(
        f"  processor {r['process_s']:.1f} s, peak memory {r['peak_bytes'] / 2**20:.0f} MiB "
        f"({r['base_bytes'] / 2**20:.0f} before the first video), disk {r['disk_bytes'] / 2**20:.1f} MiB; "
        f"{r['supervoxels']} supervoxels, {r['concepts']} concepts",
        flush=True,
    )


def compare(task: Task, chosen: list[str], floor_seconds: float, with_reference: bool) -> dict[str, Any]:
    """All ways on the same videos, and the network alone for as many forwards as crops take."""
    found: dict[str, Any] = {}
    for way in sorted(chosen, reverse=True):
        try:
            found[way] = alone("ours", task, way=way)
        except subprocess.CalledProcessError:
            if way == "crops":
                raise
            print(f"ours, {way}: failed, see above; left out", flush=True)  # the others' minutes are not lost
            continue
        show(f"ours, {way}", found[way])
    crops = found["crops"]
    lowest = alone("floor", task, precision=crops["precision"], seconds=floor_seconds)
    count = sum(crops["forwards"].values())
    print(f"network alone: {lowest['clips_per_s']:.2f} clips/s in {crops['precision']} ({lowest['way']})", flush=True)
    total, floor_s = crops["total_s"], count / lowest["clips_per_s"]
    result = {"exact_speedup": None, "floor_ratio": total / floor_s, "overhead_share": crops["overhead_share"]}
    result |= {"floor_s": floor_s, "floor": lowest, "exact_s": total, "rewrites": found}
    if not with_reference:
        return result
    slow = found["reference"] = alone("reference", task)
    show("reference's way", slow)
    return result | {
        "exact_speedup": slow["total_s"] / total,
        "reference_s": slow["total_s"],
        "reference_outside_forwards_s": slow["total_s"] - slow["forward_s"],
        "memory_ratio": slow["peak_bytes"] / crops["peak_bytes"],
        "disk_ratio": slow["disk_bytes"] / crops["disk_bytes"],
    }


def default_way(task: Task, work: Path, options: argparse.Namespace, rewrites: dict[str, Any]) -> dict[str, Any]:
    """The default on as many videos as the paper explains, in each arithmetic, beside the reference's way there."""
    videos, frames = work / "many", {"size": options.size, "frames": 16}
    planted(videos / "class", options.many, "class", **frames)
    planted(videos / "random", options.many // 2, "random", **frames)
    slow, rows = rewrites.get("reference"), {}
    for precision in options.precisions:
        found = rows[precision] = alone("ours", replace(task, videos=videos, precision=precision), way="context")
        show(f"ours, context, {options.many} clips, {precision}", found)
    first = rows[options.precisions[0]]
    result: dict[str, Any] = {"default_clips": options.many, "default_forwards": sum(first["forwards"].values())}
    result |= {"default": rows, "default_steps_s": first["steps_s"], "default_speedup": None}
    if slow is None:
        return result
    fixed = sum(slow["steps_s"].get(step, 0.0) for step in FIXED)
    seconds = fixed + (slow["total_s"] - fixed) * options.many / options.clips
    speedups = {precision: seconds / found["total_s"] for precision, found in rows.items()}
    print(
        f"the reference's way would take {seconds:.0f} s there, scaled from {options.clips} clips: the default is "
        + ", ".join(f"{x:.1f} times as fast in {precision}" for precision, x in speedups.items()),
        flush=True,
    )
    return result | {
        "reference_scaled_s": seconds,
        "default_speedup": speedups[options.precisions[0]],
        "default_speedups": speedups,
    }


def growth(work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Peak memory and seconds of crops by clips, by supervoxels, by frames; of the reference's way by clips."""
    videos, rows = work / "growth", []
    small = {"size": GROWTH.grid[1], "frames": GROWTH.frames}
    planted(videos / "class", max(options.growth_clips), "class", **small)
    planted(videos / "random", GROWTH_RANDOM, "random", **small)
    task = replace(GROWTH, videos=videos, batch=options.batch)
    for count in options.growth_clips:
        rows.append(grown("ours", "clips", count, replace(task, limit=count), way="crops"))
    for count in options.growth_reference:
        rows.append(grown("reference", "clips", count, replace(task, limit=count)))
    for count in options.growth_supervoxels:
        rows.append(
            grown("ours", "supervoxels", count, replace(task, limit=4, levels=(count,), least_frames=1), way="crops")
        )
    for count in options.growth_frames:
        longer = work / f"growth-{count}"
        planted(longer / "class", 4, "class", size=GROWTH.grid[1], frames=count)
        planted(longer / "random", GROWTH_RANDOM, "random", size=GROWTH.grid[1], frames=count)
        task_of = replace(task, videos=longer, frames=count, window_step=GROWTH.grid[0] // 2)
        rows.append(grown("ours", "frames", count, task_of, way="crops"))
    peak = {r["count"]: r["peak_bytes"] for r in rows if r["way"] == "ours" and r["by"] == "clips"}
    return {"memory_growth": peak[1000] / peak[100] if {100, 1000} <= set(peak) else None, "growth": rows}


def grown(part: str, by: str, count: int, task: Task, **inputs: Any) -> dict[str, Any]:
    r = alone(part, task, **inputs)
    print(
        f"{part}, {count} {by}: {r['total_s']:.1f} s, peak memory {r['peak_bytes'] / 2**20:.0f} MiB, "
        f"disk {r['disk_bytes'] / 2**20:.1f} MiB, {r['supervoxels']} supervoxels, "
        f"{sum(r['forwards'].values())} forwards",
        flush=True,
    )
    kept = ("total_s", "process_s", "peak_bytes", "base_bytes", "disk_bytes", "supervoxels")
    return {"way": part, "by": by, "count": count, "forwards": sum(r["forwards"].values())} | {k: r[k] for k in kept}


@contextmanager
def place(work: Path | None) -> Iterator[Path]:
    """The folder for videos: the given one, or one that goes at the end."""
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        yield work
        return
    with TemporaryDirectory(prefix="voxplain-reference-") as folder:
        yield Path(folder)


def sized(options: argparse.Namespace, videos: Path) -> Task:
    """The paper's numbers, those that only many videos can fill in proportion to the clips."""
    share = options.clips / 200
    least = -(-200 // options.random_clips)  # the null needs some clusters of more members than are kept
    return Task(
        videos=videos,
        grid=(16, options.size, options.size),
        keep=options.keep or max(2, round(40 * share)),
        set_size=options.set_size or max(2, round(40 * share)),
        batch=options.batch,
        unrelated_crops=options.unrelated_crops or max(least, round(30 * 100 * share / options.random_clips)),
    )


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--random", type=Path)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--random-clips", type=int, default=20)
    parser.add_argument("--many", type=int, default=200, help="clips of the class for the default once more; 0: none")
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--keep", type=int)
    parser.add_argument("--set-size", type=int)
    parser.add_argument("--unrelated-crops", type=int)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--precisions", nargs="+", default=["auto", "fp32"], choices=["auto", "fp32", "bf16"])
    parser.add_argument("--floor-seconds", type=float, default=4.0)
    parser.add_argument("--reference", action=argparse.BooleanOptionalAction, default=True, help="the slow way, too")
    parser.add_argument("--growth-only", action="store_true")
    parser.add_argument("--growth", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--growth-clips", type=int, nargs="+", default=[10, 50, 100, 200, 1000])
    parser.add_argument("--growth-reference", type=int, nargs="*", default=[10, 50])
    parser.add_argument("--growth-supervoxels", type=int, nargs="*", default=[50, 150, 500])
    parser.add_argument("--growth-frames", type=int, nargs="*", default=[16, 32, 64, 128])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--quick", action="store_true", help="few small videos, to see that all parts work")
    options = parser.parse_args()
    if options.quick:
        quick = {"clips": 4, "random_clips": 8, "many": 8, "size": 32, "floor_seconds": 0.2, "growth": False}
        vars(options).update(quick)
    if (options.folder is None) != (options.random is None):
        parser.error("give both a folder of the class and --random, or neither")
    if "crops" not in options.ways:
        parser.error("every figure is beside crops: name them among --ways")
    return options


def main() -> None:
    if sys.argv[1:2] == ["--order"]:
        obey(sys.argv[2])
        return
    options = read_options()
    result: dict[str, Any] = {"cores": os.cpu_count(), "clips": options.clips, "size": options.size}
    start = time.perf_counter()
    with place(options.work) as work:
        if not options.growth_only:
            task, small = sized(options, work / "videos"), {"size": options.size, "frames": 16}
            for kind, source, count in (
                ("class", options.folder, options.clips),
                ("random", options.random, options.random_clips),
            ):
                if source is None:
                    planted(task.videos / kind, count, kind, **small)
                else:
                    given(source, task.videos / kind, count, **small)
            result |= {"task": {**asdict(task), "videos": None}}
            result |= compare(task, options.ways, options.floor_seconds, options.reference)
            if options.many and "context" in options.ways:
                result |= default_way(task, work, options, result["rewrites"])
        if options.growth or options.growth_only:
            result |= growth(work, options)
    print(json.dumps(result | {"benchmark_s": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
