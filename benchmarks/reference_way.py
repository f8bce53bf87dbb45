"""The reference's algorithm for one class, written plainly: our own rendering, for cost and for nothing else.

What the authors' code does, step by step and file by file, without its bugs: scikit-image `slic` for every level, a
boolean mask for every label, every mask against every accepted mask of earlier levels by centre-cropped Jaccard,
frames filled, cut and resized one by one by Pillow, segments and patches kept on disk as float64 and read again,
windows of stride 1, float32 eager forwards, features of a concept's members and of every random set computed anew,
scikit-learn's KMeans, one SGD classifier after the other, the loss's gradient a video, sign counts and a paired
t-test. Files are `.npy` of the same size as its pickles, which is faster than pickling. Forwards are batched over
segments, and torch has all cores, which is more than it does for itself.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import stats
from skimage.segmentation import slic
from sklearn.cluster import KMeans
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from torch import nn

from voxplain.concepts.cluster_filter import ClusterFilter
from voxplain.video import read_video

FILL = 117  # grey level, all channels


@dataclass
class Clock:
    """Wall-clock and processor seconds of every step, less those of steps inside it; clips shown to the network."""

    wall: dict[str, float] = field(default_factory=dict)
    process: dict[str, float] = field(default_factory=dict)
    forwards: dict[str, int] = field(default_factory=dict)
    inside: list[np.ndarray] = field(default_factory=lambda: [np.zeros(2)])  # seconds of the steps within each open one

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = np.array([time.perf_counter(), time.process_time()])
        self.inside.append(np.zeros(2))
        try:
            yield
        finally:
            took = np.array([time.perf_counter(), time.process_time()]) - start
            wall, process = took - self.inside.pop()
            self.inside[-1] += took
            self.wall[name] = self.wall.get(name, 0.0) + float(wall)
            self.process[name] = self.process.get(name, 0.0) + float(process)


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """The reference's parameters; its one flag with four meanings is `keep`, `set_size` and the number of videos."""

    levels: tuple[int, ...] = (15, 50, 80)
    max_jaccard: float = 0.5
    min_size: float = 0.001
    clusters: int = 25
    keep: int = 40
    sets: int = 50
    set_size: int = 40
    cluster_filter: ClusterFilter = field(default_factory=ClusterFilter)
    batch: int = 8
    seed: int = 0


@dataclass(frozen=True)
class Network:
    """A network at one layer: its body gives the feature, its head the logits; float32, as it is."""

    body: Callable[[torch.Tensor], torch.Tensor]
    head: nn.Module
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    grid: tuple[int, int, int]

    @torch.no_grad()
    def features(self, windows: Sequence[np.ndarray], batch: int) -> np.ndarray:
        """Features [N,D] of windows [T,H,W,3] of values in 0–1."""
        mean, std = np.float32(self.mean), np.float32(self.std)
        found = []
        for i in range(0, len(windows), batch):
            x = np.stack([(w.astype(np.float32) - mean) / std for w in windows[i : i + batch]])
            found.append(self.body(torch.from_numpy(x).permute(0, 4, 1, 2, 3).contiguous()).flatten(1).numpy())
        return np.concatenate(found)

    def gradient(self, feature: np.ndarray, target: int) -> np.ndarray:
        """Gradient [D] of the cross-entropy loss at the layer."""
        x = torch.from_numpy(feature)[None].requires_grad_()
        loss = nn.functional.cross_entropy(self.head(x), torch.tensor([target]))
        return torch.autograd.grad(loss, x)[0][0].numpy()


def accepted(frames: np.ndarray, way: Rewrite, least: int, clock: Clock) -> list[tuple[np.ndarray, int]]:
    """(mask over its own extent, first frame) of a clip's segments that last and are no near copies."""
    kept: list[tuple[np.ndarray, int]] = []
    for count in way.levels:
        with clock.step("slic"):
            labels = slic(frames, n_segments=count, compactness=20.0, sigma=1.0, start_label=0)
        fresh = []
        with clock.step("masks and Jaccard"):
            for label in range(labels.max() + 1):
                mask = labels == label
                alive = np.flatnonzero(mask.any(axis=(1, 2)))
                if len(alive) == 0:
                    continue
                start, stop = alive[0], alive[-1] + 1
                mask = mask[start:stop]
                if stop - start < least or mask.mean() <= way.min_size:
                    continue
                if all(jaccard(mask, other) <= way.max_jaccard for other, _ in kept):
                    fresh.append((mask, int(start)))
        kept += fresh
    return kept


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union; the longer mask is cut in time around its middle."""
    length = min(len(one), len(other))
    one, other = (m[(len(m) - length) // 2 :][:length] for m in (one, other))
    union = (one | other).sum()
    return float((one & other).sum() / union) if union else 0.0


def segment(frames: np.ndarray, mask: np.ndarray, start: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A segment float64 [n,h,w,3] in 0–1, cut to its box and resized, and the patch where it was."""
    rows, columns = np.flatnonzero(mask.any(axis=(0, 2))), np.flatnonzero(mask.any(axis=(0, 1)))
    made, patches = [], []
    for frame, inside in zip(frames[start : start + len(mask)], mask, strict=True):
        patch = np.where(inside[..., None], frame, np.uint8(FILL))
        cut = Image.fromarray(patch[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        made.append(np.asarray(cut.resize(size[::-1], Image.Resampling.BICUBIC)) / 255.0)
        patches.append(patch / 255.0)
    return np.stack(made), np.stack(patches)


def explain(
    net: Network, videos: Sequence[Path], random: Sequence[Path], target: int, folder: Path, way: Rewrite, clock: Clock
) -> dict[str, object]:
    """Scores and p-values of the class's concepts, best first."""
    rng = np.random.default_rng(way.seed)
    files, owner = discover(net, videos, folder, way, clock)
    with clock.step("forwards"):
        values = embed(net, files, way, clock, "segments")
    with clock.step("k-means"):
        found = KMeans(min(way.clusters, len(values)), n_init=10, random_state=way.seed).fit(values)
        members = []
        for k, center in enumerate(found.cluster_centers_):
            rows = np.flatnonzero(found.labels_ == k)
            if len(rows) >= 2 and way.cluster_filter(len(rows), len(np.unique(owner[rows])), len(videos)):
                far = np.linalg.norm(values[rows] - center, axis=1)
                members.append(rows[far.argsort()[: way.keep]])
    with clock.step("forwards"):  # once more, of the members
        concepts = [embed(net, [files[i] for i in rows], way, clock, "members") for rows in members]
        own = whole(net, videos, way, clock, "class videos")
        sets = [draw(random, way.set_size, rng) for _ in range(way.sets)]
        negatives = [whole(net, chosen, way, clock, "random sets") for chosen in sets]
        chance = whole(net, draw(random, way.set_size, rng), way, clock, "random concept")
    with clock.step("CAVs"):
        vectors = np.array([[cav(rows, other, way.seed) for other in negatives] for rows in [*concepts, own, chance]])
    with clock.step("forwards"):
        scored = whole(net, videos, way, clock, "score videos")
    with clock.step("gradients and scores"):
        gradients = np.stack([net.gradient(feature, target) for feature in scored])
        scores = (np.einsum("md,krd->mkr", gradients, vectors) < 0).mean(axis=0)
        p = [stats.ttest_rel(row, scores[-1]).pvalue if np.ptp(row - scores[-1]) else np.nan for row in scores[:-2]]
    order = np.argsort(-scores[:-2].mean(axis=1))
    return {
        "segments": len(files),
        "concepts": len(concepts),
        "score": [float(scores[k].mean()) for k in order],
        "p": [float(p[k]) for k in order],
    }


def discover(
    net: Network, videos: Sequence[Path], folder: Path, way: Rewrite, clock: Clock
) -> tuple[list[Path], np.ndarray]:
    """Files of all segments of the class and the video of each; patches lie beside them."""
    files, owner = [], []
    for i, video in enumerate(videos):
        frames = decode(video, net.grid[1:], clock)
        for n, (mask, start) in enumerate(accepted(frames, way, net.grid[0], clock)):
            with clock.step("fill, crop, resize"):
                shown, patch = segment(frames, mask, start, net.grid[1:])
            with clock.step("files"):
                files.append(folder / f"segment-{i}-{n}.npy")
                owner.append(i)
                np.save(files[-1], shown)
                np.save(folder / f"patch-{i}-{n}.npy", patch)
    return files, np.array(owner)


def decode(video: Path, size: tuple[int, int], clock: Clock) -> np.ndarray:
    """All frames of a video, each resized straight to the network's size."""
    with clock.step("decode"):
        stills = [Image.fromarray(frame) for frame in read_video(video).frames]
        return np.stack([np.asarray(s if s.size == size[::-1] else s.resize(size[::-1])) for s in stills])


def windows(clip: np.ndarray, length: int) -> list[np.ndarray]:
    """Every window of the network's length, stride 1."""
    return [clip[i : i + length] for i in range(len(clip) - length + 1)]


def means(net: Network, clips: Iterator[np.ndarray], way: Rewrite, clock: Clock, what: str) -> np.ndarray:
    """The mean feature of each clip's windows, batches filled over clips."""
    waiting: list[np.ndarray] = []
    counts: list[int] = []
    found: list[np.ndarray] = []
    for clip in clips:
        parts = windows(clip, net.grid[0])
        counts.append(len(parts))
        waiting += parts
        while len(waiting) >= way.batch:
            found.append(net.features(waiting[: way.batch], way.batch))
            waiting = waiting[way.batch :]
    if waiting:
        found.append(net.features(waiting, way.batch))
    clock.forwards[what] = clock.forwards.get(what, 0) + sum(counts)
    return np.stack([part.mean(axis=0) for part in np.split(np.concatenate(found), np.cumsum(counts)[:-1])])


def embed(net: Network, files: Sequence[Path], way: Rewrite, clock: Clock, what: str) -> np.ndarray:
    """Features of segments from their files."""

    def read() -> Iterator[np.ndarray]:
        for file in files:
            with clock.step("files"):
                shown = np.load(file)
            yield shown

    return means(net, read(), way, clock, what)


def whole(net: Network, videos: Sequence[Path], way: Rewrite, clock: Clock, what: str) -> np.ndarray:
    """Features of whole videos."""
    return means(net, (decode(v, net.grid[1:], clock) / 255.0 for v in videos), way, clock, what)


def draw(videos: Sequence[Path], size: int, rng: np.random.Generator) -> list[Path]:
    """A random set; as many as there are at most."""
    return [videos[i] for i in rng.permutation(len(videos))[:size]]


def cav(concept: np.ndarray, other: np.ndarray, seed: int) -> np.ndarray:
    """The unit normal of a linear classifier of concept against random, both cut to the smaller count."""
    size = min(len(concept), len(other))
    rows, sides = np.concatenate([concept[:size], other[:size]]), np.repeat([0, 1], size)
    train, test, train_sides, test_sides = train_test_split(
        rows, sides, test_size=0.33, stratify=sides, random_state=seed
    )
    model = SGDClassifier(alpha=0.01, max_iter=1000, tol=1e-3, random_state=seed).fit(train, train_sides)
    model.score(test, test_sides)
    normal = -model.coef_.ravel()
    return normal / max(float(np.linalg.norm(normal)), 1e-30)
