"""How well do contributions tell the object from what looks like it, and do they split mixed concepts? Known truth.

    python benchmarks/contribution_truth.py [--work runs/truth] [--store runs/contributions]

Tuning networks of `truth_nets.py`, the one with distractors that resemble the classes' shapes among them; regions and
features of the default settings, 20 clips a class. For every way to a region's contribution (gradients on the way from
the fill; the sum over the region's voxels, or that over the root of their number, which small parts of an object need):

auroc   of the contribution for regions of which more than half is the object, among all regions
iou     of the concept that fits the object best, mean over clips, with its recall and precision; no pass of the
        network chooses it, so this is the most that a ranking can show
strict  whether that IoU is 0.5 or more

with the clusters of the consensus, and with these divided where the contributions of a cluster's rows form two groups,
means further apart than GAP of the clip's largest (`SplitByContribution`).
Features are kept in STORE and found again. The last line is one JSON object.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from tcav_variants import opened
from truth_nets import TUNING, make
from truth_sets import known_planted
from voxplain.concepts.consensus import Consensus
from voxplain.concepts.context import ContextFeatures
from voxplain.concepts.contribution_split import SplitByContribution
from voxplain.concepts.discover import discover
from voxplain.concepts.settings import ConceptSettings
from voxplain.store import Store

CLIPS = 20
NETS = {"look-alike-21": 4, "textured-2": 4, "same-colour-3": 3}  # and their classes, shapes first
STEPS = (2, 3, 4)
Rows = NDArray[np.float32]
Table = dict[str, np.ndarray]


@dataclass(frozen=True)
class Way:
    """Gradients on the way, exponent of a region's voxels by which the sum is divided, weight; gap and least share of
    the variance of the split.
    """

    steps: int = 2
    power: float = 0.0
    weight: float = 1.0
    gap: float = np.inf
    explained: float = 0.7

    @property
    def name(self) -> str:
        parts = [f"{self.steps} gradients", "sum / √voxels" if self.power else "sum", f"weight {self.weight:g}"]
        return ", ".join(parts) + (f", split {self.gap:g}, {self.explained:g}" if np.isfinite(self.gap) else "")


WAYS = (
    Way(),
    Way(gap=0.5),
    Way(4),
    Way(4, weight=2),
    Way(4, gap=0.5),
    Way(4, 0.5),
    Way(4, 0.5, gap=0.5),
    Way(4, 0.5, gap=0.4),
    Way(4, 0.5, weight=2),
    Way(2, 0.5, gap=0.5),
    Way(3, 0.5, gap=0.5),
    Way(4, 0.5, gap=0.5, explained=0.75),
    Way(4, 0.5, gap=0.5, explained=0.8),
    Way(4, 0.5, gap=0.5, explained=0.85),
    Way(4, 0.5, gap=0.4, explained=0.8),
)


def table(name: str, label: str, work: Path, folder: Path) -> Table:
    """Features of a class's regions by the number of gradients, and how many voxels each shares with the objects."""
    kept = folder / f"{name}-{label}.npz"
    if not kept.exists():
        model, planted, _ = make(next(c for c in TUNING if c.name == f"trained-{name}"), work)
        known, settings = known_planted(model, planted, label, CLIPS), ConceptSettings(videos=CLIPS)
        found: Table = {}
        for steps in STEPS:
            own = replace(settings, embedder=ContextFeatures(steps=steps))
            session = opened(model, own, Store(folder / name), known.clips)
            rows = session.embedded(known.clips, "class", deduplicate=True, target=model.class_index(label)).values()
            found[f"rows{steps}"] = np.concatenate(rows)
        found["clips"] = np.repeat(np.arange(CLIPS), [len(r) for r in rows])
        size, both = [], []
        objects = np.array([[truth[n].sum() if n in truth else 0 for n in known.names] for truth in known.masks])
        for clip, truth in zip(known.clips, known.masks, strict=True):
            regions = settings.segmenter(clip)
            for region in range(regions.count):
                mask = regions.mask(region)
                size.append(mask.sum())
                both.append([(mask & truth[n]).sum() if n in truth else 0 for n in known.names])
        relied = np.array([known.names.index(n) for n in known.relied], int)
        found |= {"size": np.array(size), "both": np.array(both), "obj": objects, "relied": relied}
        np.savez(kept, **found)
        print(f"{name} {label}: features", flush=True)
    with np.load(kept) as stored:
        return {key: stored[key] for key in stored.files if stored[key].dtype.kind != "U"}


def features(found: Table, way: Way) -> Rows:
    """Rows with the contribution of a way: 1, times its weight, where it is largest in a clip."""
    rows = found[f"rows{way.steps}"].copy()
    part = rows[:, -1] * found["size"] ** (0.5 - way.power)
    for clip in np.unique(found["clips"]):
        own = found["clips"] == clip
        part[own] *= way.weight / max(np.abs(part[own]).max(), 1e-12)
    rows[:, -1] = part
    return rows


def figures(found: Table, way: Way) -> dict[str, float]:
    """The figures of one class by one way."""
    rows, clips, settings = features(found, way), found["clips"], ConceptSettings()
    bank = discover(
        rows,
        clips,
        clusterer=SplitByContribution(
            clusterer=Consensus(), gap=way.gap * way.weight, explained=way.explained, members=6
        ),
        keep=settings.keep,
        cluster_filter=settings.cluster_filter,
        reach=settings.reach,
    )
    concept, best = bank.encode(rows), {"iou": -1.0}
    for o, k in ((o, k) for o in found["relied"] for k in range(len(bank))):
        own, objects = concept == k, found["obj"][:, o]
        both = np.bincount(clips[own], found["both"][own, o], CLIPS)
        size, there = np.bincount(clips[own], found["size"][own], CLIPS), objects > 0
        overlap = (both / np.maximum(size + objects - both, 1))[there].mean()
        if overlap > best["iou"]:
            shown = there & (size > 0)
            best = {
                "iou": float(overlap),
                "recall": float((both / np.maximum(objects, 1))[there].mean()),
                "precision": float((both[shown] / size[shown]).mean()) if shown.any() else 0.0,
            }
    held = found["both"][:, found["relied"]].max(1) > 0.5 * found["size"]
    auroc = float(roc_auc_score(held, rows[:, -1])) if 0 < held.sum() < len(held) else float("nan")
    return best | {"strict": float(best["iou"] >= 0.5), "auroc": auroc, "concepts": len(bank)}


def tables(work: Path, folder: Path) -> Iterator[tuple[str, Table]]:
    for name, count in NETS.items():
        case = next(c for c in TUNING if c.name == f"trained-{name}")
        design = case.planted_design
        for label in (*design.appearance, *design.motions)[:count]:
            found = table(name, label, work, folder)
            if len(found["relied"]):
                yield f"{name} {label}", found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/truth"))
    parser.add_argument("--store", type=Path, default=Path("runs/contributions"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.store.mkdir(parents=True, exist_ok=True)
    classes = dict(tables(asked.work, asked.store))
    keys, summary = ("auroc", "iou", "recall", "precision", "strict", "concepts"), {}
    print(f"{len(classes)} classes: {', '.join(classes)}")
    print(f"{'contribution':52s}" + "".join(f"{k:>10s}" for k in keys) + "   IoU by class")
    for way in WAYS:
        found = [figures(t, way) for t in classes.values()]
        line = {k: float(np.nanmean([f[k] for f in found])) for k in keys}
        by_class = " ".join(f"{f['iou']:.2f}" for f in found)
        print(f"{way.name:52s}" + "".join(f"{line[k]:10.2f}" for k in keys) + f"   {by_class}", flush=True)
        summary[way.name] = {k: round(v, 4) for k, v in line.items()}
    print(json.dumps({"classes": list(classes), "ways": summary}))


if __name__ == "__main__":
    main()
