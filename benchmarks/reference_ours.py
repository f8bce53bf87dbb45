"""What `reference.py` runs in processes of their own: our way and the reference's way, on the same videos."""

import os
import resource
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

import voxplain as vx
from reference_way import Clock, Network, Rewrite, explain
from voxplain.concepts.cluster import KMeans
from voxplain.concepts.cluster_filter import ClusterFilter
from voxplain.datasets.folder import read_clips
from voxplain.inference import Inference
from voxplain.model import VideoModel
from voxplain.nets import NETS, build_net
from voxplain.progress import quiet, timed
from voxplain.video import ClipReader, Geometry, Middle, read_video

LACKING = ("direct effects", "TCAV scores of other draws")  # how the steps begin that the reference lacks
CLASSES = 27
COMMON = ClusterFilter(clauses=((0.0, 0.0),), min_members=1)  # both ways keep every cluster that a CAV can be learnt of


@dataclass(frozen=True)
class Task:
    """What one process is to do: the videos in ``videos``/{class,random}, and everything that sizes the work."""

    videos: Path
    net: str = "r3d"
    grid: tuple[int, int, int] = (16, 112, 112)
    frames: int = 16  # of a clip
    levels: tuple[int, ...] = (15, 50, 80)
    clusters: int = 25
    keep: int = 40
    sets: int = 50
    set_size: int = 40
    unrelated_crops: int = 30
    batch: int = 8
    window_step: int = 1
    least_frames: int | None = None  # that a supervoxel lasts; None: the network's, as in the reference
    limit: int | None = None  # videos of the class; None: all
    precision: str = "auto"  # of our way: auto, fp32 or bf16

    def files(self, kind: str) -> list[Path]:
        """The videos of the class or the unrelated ones."""
        found = sorted((self.videos / kind).glob("*.mp4"))
        return found[: self.limit] if kind == "class" else found


def network(task: Task) -> nn.Module:
    """A network with random weights, which cost what trained ones do, and batch norms that have seen the videos.

    Without that all features lie on one line, and k-means finds one large cluster and single rows.
    """
    torch.manual_seed(0)
    net, spec = build_net(task.net, CLASSES).train(), NETS[task.net]
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.momentum = None  # the mean over all batches
    mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
    _, height, width = task.grid
    with torch.no_grad():
        for file in task.files("random")[:6]:
            frames = torch.from_numpy(read_video(file).frames[: task.grid[0]]) / 255
            seen = [
                frames,
                torch.full_like(frames, 117 / 255),
                torch.full_like(frames, 117 / 255),
            ]  # filled as crops are
            seen[1][:, height // 4 :, : width // 2] = frames[:, height // 4 :, : width // 2]
            seen[2][:, : height // 2, width // 8 :] = frames[:, : height // 2, width // 8 :]
            net(((torch.stack(seen) - mean) / std).permute(0, 4, 1, 2, 3).contiguous())
    return net.eval()


def model_of(task: Task) -> VideoModel:
    spec = NETS[task.net]
    return VideoModel(
        net=network(task),
        layer=spec.feature_layer,
        mean=spec.mean,
        std=spec.std,
        grid=task.grid,
        geometry=Geometry.squash(*task.grid[1:]),
        batch_size=task.batch,
        name=task.net,
    )


def peak_memory() -> int:
    """Most bytes this process has held."""
    try:  # of this program alone; a child's ru_maxrss starts from what its parent held
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if os.uname().sysname == "Darwin" else most * 1024


def disk(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


class Forwards:
    """Clips, seconds and number types of every pass through any `VideoModel`, by the step that asked for it."""

    def __init__(self) -> None:
        self.step, self.lock = "", threading.Lock()
        self.clips: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self.kinds: dict[str, int] = {}

    @contextmanager
    def named(self, description: str, total: int | None) -> Iterator[Callable[..., object]]:
        """A progress display that shows nothing and notes which step is on."""
        before, self.step = self.step, description
        try:
            with quiet(description, total) as advance:
                yield advance
        finally:
            self.step = before

    @contextmanager
    def counted(self, net: nn.Module) -> Iterator[None]:
        """Note every pass of a network, and of all copies of it that are made inside the block."""
        begun = threading.local()

        # Plain functions: a copy of the network takes them over as they are.
        def before(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            begun.at = time.perf_counter()

        def after(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: object) -> None:
            took, x = time.perf_counter() - begun.at, inputs[0]
            with self.lock:
                self.clips[self.step] = self.clips.get(self.step, 0) + len(x)
                self.seconds[self.step] = self.seconds.get(self.step, 0.0) + took
                kind = str(x.dtype).removeprefix("torch.")
                self.kinds[kind] = self.kinds.get(kind, 0) + len(x)

        handles = [net.register_forward_pre_hook(before), net.register_forward_hook(after)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def settings_of(task: Task, way: str) -> vx.ConceptSettings:
    """The library's default ("context"), or the reference's settings as the library names them ("crops")."""
    inference = Inference(precision=task.precision)
    if way == "context":
        return replace(vx.ConceptSettings(), inference=inference)
    paper = vx.PRESETS["reference-code"]
    return replace(
        paper,
        clusterer=KMeans(clusters=task.clusters),  # our k-means, as it comes
        cluster_filter=COMMON,
        keep=task.keep,
        segmenter=replace(paper.segmenter, segments=task.levels),
        deduplicate=replace(paper.deduplicate, min_duration=task.least_frames or task.grid[0]),
        embedder=replace(paper.embedder, window_step=task.window_step),
        videos=10**6,
        score_videos=10**6,
        effect_videos=1,
        unrelated_videos=10**6,
        random_sets=task.sets,
        random_size=task.set_size,
        unrelated_crops=task.unrelated_crops,
        inference=inference,
    )


WAYS = ("context", "crops")


def crops_forwards(supervoxels: int, clips: int, random: int, crops: int) -> int:
    """Forwards of crops: one each, those drawn of half the unrelated videos, the other half and clips whole."""
    return supervoxels + crops * (random - random // 2) + random // 2 + clips


def ours(way: str, task: Task, folder: Path) -> dict[str, Any]:
    """Our way from videos to tested scores; of crops the effects, which the reference lacks, are left out."""
    model, seconds, count = model_of(task), {}, Forwards()
    # Whole videos where they are longer than the network's clip, as the reference takes them.
    reader = ClipReader(Middle(task.frames), Geometry.squash(*task.grid[1:]))
    base = peak_memory()
    start, process = time.perf_counter(), time.process_time()
    with count.counted(model.net):
        clips = read_clips(task.files("class"), reader).clips
        random = read_clips(task.files("random"), reader).clips
        seconds["decode"] = time.perf_counter() - start
        run = vx.explain_concepts(
            model,
            clips,
            random=random,
            target=0,
            settings=settings_of(task, way),
            store=folder,
            progress=timed(count.named, seconds),
        )
    total, process = time.perf_counter() - start, time.process_time() - process
    seconds["everything else"] = time.perf_counter() - start - sum(seconds.values())
    left_out = {step for step in seconds if way == "crops" and step.startswith(LACKING)}
    left_out_s = sum(seconds[step] for step in left_out)
    total -= left_out_s
    # Forwards outside any step are ours alone, such as the check of a fast copy of the network: no part of the floor.
    inside = {step for step in count.clips if step and step not in left_out}
    workers = max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    busy = sum(count.seconds[step] for step in inside)
    return {
        "total_s": total,
        "left_out_s": left_out_s,
        "process_s": process,
        "steps_s": seconds,
        "forwards": {k: count.clips[k] for k in sorted(inside)},
        "forward_s": busy,
        "overhead_share": 1 - busy / (workers * total),
        "precision": max(count.kinds, key=lambda kind: count.kinds[kind]),
        "peak_bytes": peak_memory(),
        "base_bytes": base,
        "disk_bytes": disk(folder),
        "concepts": len(run.bank),
        "supervoxels": len(run.origin),
        "kinds": count.kinds,
    }


def reference(task: Task, folder: Path) -> dict[str, Any]:
    """The reference's way on the same videos."""
    net, spec, clock = network(task), NETS[task.net], Clock()
    *body, head = net.children()
    way = Rewrite(
        levels=task.levels,
        clusters=task.clusters,
        keep=task.keep,
        sets=task.sets,
        set_size=task.set_size,
        cluster_filter=COMMON,
        batch=task.batch,
    )
    shown = Network(nn.Sequential(*body), head, spec.mean, spec.std, task.grid)
    warnings.filterwarnings("ignore", category=ConvergenceWarning)  # SGD on a few rows
    base = peak_memory()
    start, process = time.perf_counter(), time.process_time()
    found = explain(shown, task.files("class"), task.files("random"), 0, folder, way, clock)
    return {
        "total_s": time.perf_counter() - start,
        "process_s": time.process_time() - process,
        "steps_s": clock.wall,
        "steps_process_s": clock.process,
        "forwards": clock.forwards,
        "forward_s": clock.wall["forwards"],
        "peak_bytes": peak_memory(),
        "base_bytes": base,
        "disk_bytes": disk(folder),
        "concepts": found["concepts"],
        "supervoxels": found["segments"],
    }
