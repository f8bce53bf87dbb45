"""Cheaper features of supervoxels beside full crops: do the same things come together, and what do they follow?

    python benchmarks/features.py [--net tiny --weights FILE --videos FOLDER --classes a b] [--clips 9] [--seeds 2]

Without a network, the planted one that comes with the package looks at planted clips, whose objects are known. With
one, FOLDER holds class folders of videos. Each class's supervoxels are clustered by themselves, as a concept run does.
Prints a row a mode, means over classes; the last line is one JSON object.

    ratio    processor time of full crops over that of the mode, the same clips, one thread
    ari      adjusted Rand of k-means with that on full crops, other seeds; in the row `full`: full crops' own seeds
    nearest  share of the ten nearest supervoxels that are also so by full crops
    clip     adjusted mutual information of clusters and clips: 0 when clusters do not follow the clip
    own      share of the ten nearest that are of the same clip
    truth    adjusted mutual information of clusters and objects, planted clips only
    pure     share of the ten nearest of an object's supervoxel that are of that object, too
    best     F1 of the cluster that fits the class's object best
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score
from voxplain.concepts.pooled import PooledFeatures

from voxplain.concepts.cluster import KMeans
from voxplain.concepts.features import Embedder, MaskedCrops
from voxplain.datasets import scan_folder
from voxplain.datasets.planted import DESIGNS, draw_scene, masks, render
from voxplain.model import VideoModel
from voxplain.segment import SLIC, Deduplicate, Supervoxels
from voxplain.video import Clip
from voxplain.zoo.load import load_model

NEAR = 10
FIRST = 91_000  # seed of the first scene; those from 77,000 on served to choose the defaults of `PooledFeatures`
OTHER = "background"
OBJECT = "target"  # what planted scenes call the thing that makes the class


@dataclass
class Subject:
    """A class's clips, their supervoxels, and what each of them shows, where it is known."""

    clips: list[Clip]
    parts: list[Supervoxels]
    shows: np.ndarray  # names, [N] over all clips

    @property
    def owner(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.parts)), [p.count for p in self.parts])


def shown(parts: Supervoxels, objects: dict[str, np.ndarray]) -> list[str]:
    """The object that fills half of each supervoxel or more."""
    names = []
    for i in range(parts.count):
        mask = parts.mask(i)
        most = [name for name, seen in objects.items() if 2 * (mask & seen).sum() >= mask.sum()]
        names.append(most[0] if most else OTHER)
    return names


def planted(count: int) -> dict[str, Subject]:
    design, found = DESIGNS["standard"], {}
    for label in design.classes:
        scenes = [draw_scene(design, label, FIRST + i) for i in range(count)]
        clips = [Clip.from_array(render(scene)) for scene in scenes]
        parts = [Deduplicate()(SLIC()(clip)) for clip in clips]
        names = [name for p, scene in zip(parts, scenes, strict=True) for name in shown(p, masks(scene))]
        if OBJECT in names:  # one class shows nothing
            found[label] = Subject(clips, parts, np.array(names))
    return found


def real(model: VideoModel, folder: Path, classes: list[str], count: int) -> dict[str, Subject]:
    listed, found = scan_folder(folder), {}
    for label in classes or listed.classes[:4]:
        index = listed.classes.index(label)
        paths = [p for p, y in zip(listed.paths, listed.labels, strict=True) if y == index]
        clips = [model.reader()(path) for path in paths[:: max(len(paths) // count, 1)][:count]]
        parts = [Deduplicate()(SLIC()(clip)) for clip in clips]
        found[label] = Subject(clips, parts, np.full(sum(p.count for p in parts), OTHER))
    return found


def plain_at_layer(model: VideoModel, clip: Clip, parts: Supervoxels, *, ids: np.ndarray | None = None) -> np.ndarray:
    return PooledFeatures().embed(model, clip, parts, ids=ids).in_layer_space


def modes(model: VideoModel) -> dict[str, Embedder]:
    height = model.grid[1]
    return {
        "full": MaskedCrops(),
        "crops at 0.71": MaskedCrops(size=round(0.71 * height)),
        "crops at 0.5": MaskedCrops(size=height // 2),
        "in place": MaskedCrops(crop="in-place"),
        "pooled": PooledFeatures(),
        "pooled, not centred": PooledFeatures(centre=False),
        "pooled, not normalised": PooledFeatures(normalise=False),
        "pooled, own layer": plain_at_layer,
    }


def nearest(values: np.ndarray) -> np.ndarray:
    """The nearest other rows of each row, [N,NEAR]."""
    squares = (values**2).sum(1)
    far = squares[:, None] + squares - 2 * values @ values.T
    np.fill_diagonal(far, np.inf)
    return np.argpartition(far, NEAR, axis=1)[:, :NEAR]


def best_f1(labels: np.ndarray, wanted: np.ndarray) -> float:
    return max(2 * ((labels == k) & wanted).sum() / ((labels == k).sum() + wanted.sum()) for k in np.unique(labels))


def judge(subject: Subject, values: np.ndarray, full: np.ndarray, cluster: Callable, seeds: int) -> dict[str, float]:
    """The figures of one mode on one class; what rests on clusters is the mean over seeds."""
    owner, shows = subject.owner, subject.shows
    near, near_full = nearest(values), nearest(full)
    both = [np.intersect1d(a, b).size / NEAR for a, b in zip(near, near_full, strict=True)]
    labels = [cluster(values, clips=owner, seed=s + 1)[0] for s in range(seeds)]
    exact = [cluster(full, clips=owner, seed=s)[0] for s in range(seeds)]
    figures = {
        "ari": np.mean([adjusted_rand_score(a, b) for a, b in zip(exact, labels, strict=True)]),
        "nearest": np.mean(both),
        "clip": np.mean([adjusted_mutual_info_score(owner, a) for a in labels]),
        "own": np.mean(owner[near] == owner[:, None]),
    }
    if (shows != OTHER).any():
        objects = shows != OTHER
        figures |= {
            "truth": np.mean([adjusted_mutual_info_score(shows, a) for a in labels]),
            "pure": np.mean(shows[near][objects] == shows[objects][:, None]),
            "best": np.mean([best_f1(a, shows == OBJECT) for a in labels]),
        }
    return {name: float(value) for name, value in figures.items()}


def embedded(mode: Embedder, model: VideoModel, subject: Subject) -> tuple[np.ndarray, float]:
    start = time.process_time()
    rows = [mode(model, clip, parts) for clip, parts in zip(subject.clips, subject.parts, strict=True)]
    return np.concatenate(rows), time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", default="planted")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--videos", type=Path)
    parser.add_argument("--classes", nargs="*", default=[])
    parser.add_argument("--clips", type=int, default=9)
    parser.add_argument("--clusters", type=int, default=25)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(options.net, weights=options.weights)
    subjects = real(model, options.videos, options.classes, options.clips) if options.videos else planted(options.clips)
    cluster = KMeans(clusters=options.clusters, inits=3)
    full: dict[str, tuple[np.ndarray, float]] = {}
    table: dict[str, dict[str, float]] = {}
    for name, mode in modes(model).items():
        made = {label: embedded(mode, model, subject) for label, subject in subjects.items()}
        full = full or made
        rows = [judge(s, made[c][0], full[c][0], cluster, options.seeds) for c, s in subjects.items()]
        ratio = sum(seconds for _, seconds in full.values()) / sum(seconds for _, seconds in made.values())
        table[name] = {"ratio": ratio} | {key: float(np.mean([r[key] for r in rows])) for key in rows[0]}
        print(f"{name:24s}" + "  ".join(f"{key} {value:.2f}" for key, value in table[name].items()), flush=True)
    count = sum(len(s.shows) for s in subjects.values())
    head = {
        "net": model.name,
        "source": options.videos.name if options.videos else "planted",
        "supervoxels": count,
        "classes": list(subjects),
        "clips": options.clips,
        "seeds": options.seeds,
    }
    rounded = {name: {key: round(value, 3) for key, value in row.items()} for name, row in table.items()}
    print(json.dumps(head | {"modes": rounded}))


if __name__ == "__main__":
    main()
