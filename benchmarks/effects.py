"""Do the default's few forward passes rank concepts as the full measurement does? Planted tuning networks.

    python benchmarks/effects.py [--work DIR] [--clips 80] [--classes 2] [--orders 10] [--cases NAME ...]

All concepts of every decided class are hidden in every clip with every fill, with controls and shown alone
(``--thorough``). The default method is then replayed on these logits with other orders of the clips, without further
passes. Its passes do not depend on the number of clips, as long as it does not run out of them.

spearman_to_full   rank correlation of the concepts' effects with those of the full measurement, mean over classes
spearman_of_clear  the same where effects within 2 % of the largest count as 0
spearman_of_halves what the full measurement itself reaches: that of one half of the clips with that of the other half
same_top           share of classes and orders with the same concept on top
forwards_200       forward passes of a class of 200 clips with 100 unrelated ones, features and details included
spearman_truth     rank correlation of the full effects with the true reliance on what concepts cover (log-odds)

The weights and planted sets are those of `truth_nets.py`. The last line is one JSON object.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from truth_nets import TUNING, Case, make
from truth_sets import unrelated_planted
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.context import ContextFeatures
from voxplain.concepts.effect import Effects, HideConcepts
from voxplain.concepts.rank import rank_by_effect
from voxplain.concepts.sequential_effects import SequentialEffects, detailed
from voxplain.concepts.settings import ConceptSettings
from voxplain.concepts.variants import Variant
from voxplain.datasets.planted import PlantedDesign, draw_scene, masks, render, without
from voxplain.explain import explain_concepts
from voxplain.model import OBJECTIVES, VideoModel
from voxplain.statistics import SIGNIFICANT, spearman
from voxplain.video import Clip

CASES = ("trained-standard-1", "trained-standard-transformer-1", "trained-textured-2", "trained-same-colour-3")
CLEAR = 0.02  # share of the largest effect up to which an effect counts as 0
SEED = 700_000  # of the first scene; beyond those of training and test sets
UNRELATED = 100
# Forward passes of the features of 200 clips, with contributions in steps, and of the unrelated ones.
EMBEDDED = 200 * (1 + ContextFeatures().steps) + UNRELATED


@dataclass(frozen=True, eq=False)
class Recorded:
    """The clips of a class in which everything was measured: a `voxplain.concepts.effect.ClassClips` without passes."""

    effects: Effects

    def in_each(self, method: HideConcepts) -> list[Effects]:
        raise NotImplementedError("only methods that ask for variants are replayed")

    def volume(self) -> np.ndarray:
        return self.effects.volume

    def measure(
        self, title: str, asked: Mapping[int, Sequence[Variant]], *, fills: tuple[str, ...], seed: int, shared: bool
    ) -> Mapping[int, np.ndarray]:
        """What was recorded; NaN for details, of which only the number counts here."""
        rows = [self.effects.fills.index(fill) for fill in fills]
        return {i: np.stack([self.effects.variant(*v)[rows, i] for v in own], 1) for i, own in asked.items()}


def scenes_of(design: PlantedDesign, label: str, seed: int, count: int) -> list:
    return [draw_scene(design, label, seed * 1_000_000 + SEED + i) for i in range(count)]


def thorough(case: Case, work: Path, label: str, count: int) -> tuple[ConceptRun, np.ndarray]:
    """A class with everything measured, and the true reliance [K] on what its concepts cover."""
    model, planted, _ = make(case, work)
    scenes = scenes_of(planted.design, label, case.seed, count)
    clips = [Clip.from_array(render(scene), fps=8) for scene in scenes]
    settings = replace(ConceptSettings(), effect=SequentialEffects(thorough=True))
    run = explain_concepts(
        model,
        clips,
        random=unrelated_planted(model, planted.root, UNRELATED),
        target=label,
        settings=settings,
        store=work / case.name / "store-effects",
    )
    return run, true_reliance(model, run, scenes)


def true_reliance(model: VideoModel, run: ConceptRun, scenes: Sequence) -> np.ndarray:
    """Sum over objects of (mean drop without the object × mean share of it that the concept covers), [K]."""
    names = sorted({o.name for scene in scenes for o in scene.objects})
    drop, covered = np.zeros((len(scenes), len(names))), np.zeros((len(scenes), len(run.bank), len(names)))
    for m, scene in enumerate(scenes):
        seen, supervoxels = masks(scene), run.supervoxels[m]
        pictures = np.stack([render(scene), *(render(without(scene, name)) for name in seen)])
        value = OBJECTIVES["log_odds"](model.logits(pictures).double(), run.target_index).numpy()
        drop[m, [names.index(name) for name in seen]] = value[0] - value[1:]
        for k in range(len(run.bank)):
            own = supervoxels.masks(np.flatnonzero(run.assigned[m] == k))
            for name, visible in seen.items():
                covered[m, k, names.index(name)] = (own & visible).sum() / max(int(visible.sum()), 1)
    return covered.mean(0) @ drop.mean(0)


def replayed(full: Effects, target: int, method: SequentialEffects) -> tuple[np.ndarray, int]:
    """The method's effects [K] from recorded logits, and its forward passes."""
    clips = Recorded(full)
    effects = method.of_class(clips, target)
    scores = rank_by_effect(effects, target)
    significant = [k for k, q in enumerate(scores.q_value) if q < SIGNIFICANT and scores.value[k] > 0]
    return scores.value, method.details(clips, effects, target, detailed(scores.value), significant).forwards


def cleared(values: np.ndarray) -> np.ndarray:
    """The values with those near 0 as ties."""
    return np.where(np.abs(values) <= CLEAR * values.max(), 0.0, values)


def figures(run: ConceptRun, truth: np.ndarray, orders: int) -> dict[str, float]:
    """The figures of one class, means over the orders of the clips."""
    full = rank_by_effect(run.effects, run.target_index).value
    drop = np.where(run.effects.volume > 0, run.effects.drop(run.target_index), 0.0)
    found = [replayed(run.effects, run.target_index, SequentialEffects(seed=seed)) for seed in range(orders)]
    values, forwards = [v for v, _ in found], [f for _, f in found]
    return {
        "concepts": len(full),
        "spearman_to_full": float(np.mean([spearman(v, full) for v in values])),
        "spearman_of_clear": float(np.mean([spearman(cleared(v), cleared(full)) for v in values])),
        "spearman_of_halves": spearman(drop[::2].mean(0), drop[1::2].mean(0)),
        "same_top": float(np.mean([v.argmax() == full.argmax() for v in values])),
        "effect_forwards": float(np.mean(forwards)),
        "forwards_200": float(np.mean(forwards)) + EMBEDDED,
        "spearman_truth": spearman(full, truth),
        "spearman_truth_default": float(np.mean([spearman(v, truth) for v in values])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/truth"))
    parser.add_argument("--clips", type=int, default=80, help="of a class")
    parser.add_argument("--orders", type=int, default=10)
    parser.add_argument("--classes", type=int, default=2, help="of each network")
    parser.add_argument("--cases", nargs="+", default=CASES, help="names of networks of truth_nets.TUNING")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows, start = [], time.monotonic()
    for case in (c for c in TUNING if c.name in asked.cases):
        for label in make(case, asked.work)[1].design.decided[: asked.classes]:
            row = figures(*thorough(case, asked.work, label, asked.clips), asked.orders)
            rows.append(row)
            print(f"{case.name:32s} {label:10s}", *(f"{name} {value:.2f}" for name, value in row.items()), flush=True)
    summary = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}
    print(json.dumps(summary | {"classes": len(rows), "seconds": round(time.monotonic() - start)}))


if __name__ == "__main__":
    main()
