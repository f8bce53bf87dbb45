"""Which layers' maps give concepts that are the thing, and which give concepts that are the clip? Known truth.

    python benchmarks/deep_layers.py [--work DIR] [--nets NAME ...] [--classes N]

Networks of `truth_nets.py`: a small one for comparison, R3D-18 and a vision transformer. For every set of layers, with
and without the contribution, concepts are found as `explain_concepts` finds them in a few clips of each class, and the
one whose hiding (by the clip's median colour) costs most log-odds is on top. Figures are means over classes:

top_iou, top_recall, top_precision, strict_rank_first, best_iou, coherence, fragments   of `truth_figures`
seed_iou    IoU of the concepts on top under two seeds
dependence  mutual information of concepts with clips (`clip_dependence`), mean over seeds

Of each layer alone, besides: ``field``, the side of the square around the centre of the picture that holds half of the
gradient of the layer's middle position with respect to the input, as a share of the picture; mean over clips.

One process; what is measured is kept in WORK/<network>/deep-layers.json and found again.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from truth_figures import agreement, strict_figures, top_masks
from truth_nets import DEEP, TUNING, make
from truth_sets import Known, known_planted
from voxplain.concepts.context import ContextFeatures
from voxplain.concepts.dependence import clip_dependence
from voxplain.concepts.discover import ConceptBank, discover
from voxplain.concepts.feature_maps import feature_maps, map_layers
from voxplain.concepts.settings import ConceptSettings
from voxplain.inference import Inference
from voxplain.model import OBJECTIVES, VideoModel, logits_of
from voxplain.perturb import base_clip, hide
from voxplain.segment import Supervoxels

CLIPS, SEEDS = 12, (0, 1)
SETTINGS = ConceptSettings()
assert isinstance(SETTINGS.embedder, ContextFeatures)
FIGURES = ("top_iou", "top_recall", "top_precision", "strict_rank_first", "best_iou", "coherence", "fragments")
LAYERS = {
    "tiny": ("block1", "block2", "block3", "block4"),
    "residual": ("stem", "layer2", "layer3", "layer4"),
    "r3d18": ("layer1", "layer2", "layer3", "layer4"),
    "transformer": ("block2", "block3", "blocks.0", "blocks.2", "norm"),
    "vit112": ("block2", "block3", "blocks.0", "blocks.2", "norm"),
}
NETS = {c.net: c for c in (*TUNING, *DEEP) if c.design == "standard" and c.kind == "trained" and c.net in LAYERS}


@dataclass(frozen=True)
class Choice:
    """Layers whose maps are taken, and the size of the contribution beside them."""

    layers: tuple[str, ...]
    contribution: float

    @property
    def name(self) -> str:
        return "+".join(self.layers) + f", contribution {self.contribution:g}" * (self.contribution > 0)


def choices(layers: Sequence[str], default: Sequence[str]) -> list[Choice]:
    """Each layer alone, those of the default rule, and those without the last; each with and without contribution."""
    sets = dict.fromkeys([*((x,) for x in layers), tuple(default), tuple(default[:-1]) or tuple(default)])
    return [Choice(s, size) for s in sets for size in (0.0, SETTINGS.embedder.contribution)]


@dataclass(eq=False)
class ClassParts:
    """The clips of a class with their regions, and the features of these at each layer, each at unit length."""

    model: VideoModel
    known: Known
    supervoxels: list[Supervoxels]
    layers: Sequence[str]

    @cached_property
    def target(self) -> int:
        return self.model.class_index(self.known.label)

    @cached_property
    def parts(self) -> dict[str, np.ndarray]:
        """Rows [N,C] by layer, and the contribution, of size 1, under "contribution"."""
        embedder = ContextFeatures(layers=tuple(self.layers), contribution=1.0)
        wanted = self.target, SETTINGS.objective
        rows = [
            embedder.embed(self.model, clip, regions, gradient_of=wanted).values
            for clip, regions in zip(self.known.clips, self.supervoxels, strict=True)
        ]
        maps = feature_maps(self.model, self.known.clips[0].frames[None], self.layers).maps
        cuts = np.cumsum([values.shape[1] for values in maps.values()])
        return dict(zip((*maps, "contribution"), np.split(np.concatenate(rows), cuts, axis=1), strict=True))

    def rows(self, choice: Choice) -> np.ndarray:
        own = [self.parts[x] for x in choice.layers]
        if choice.contribution:
            own.append(choice.contribution * self.parts["contribution"])
        return np.ascontiguousarray(np.concatenate(own, axis=1), np.float32)

    @cached_property
    def origin(self) -> np.ndarray:
        return np.array([(i, j) for i, s in enumerate(self.supervoxels) for j in range(s.count)])

    @cached_property
    def _kept(self) -> dict[tuple[int, bytes], float]:
        return {}

    def log_odds(self, clip: int, regions: np.ndarray) -> float:
        """Log-odds of the class with some regions of a clip hidden."""
        name = clip, np.sort(regions).tobytes()
        if name not in self._kept:
            frames = self.known.clips[clip].frames
            mask = self.supervoxels[clip].masks(regions)
            base = base_clip(frames, "median", self.model.mean_colour)
            z = torch.from_numpy(logits_of(self.model, iter([hide(frames, mask, base)])))
            self._kept[name] = float(OBJECTIVES["log_odds"](z.double(), self.target)[0])
        return self._kept[name]


@dataclass(frozen=True, eq=False)
class Scores:
    """What the figures take of a score: no test is made."""

    value: np.ndarray
    q_value: np.ndarray


@dataclass(frozen=True, eq=False)
class Drops:
    """What the figures take of effects: drops [M,K] of the log-odds, whatever measure is asked for."""

    values: np.ndarray

    def drop(self, target: int, objective: str) -> np.ndarray:
        return self.values


@dataclass(frozen=True, eq=False)
class Found:
    """What the figures take of a run; concepts form no wholes."""

    clips: Sequence
    supervoxels: list[Supervoxels]
    origin: np.ndarray
    assigned: list[np.ndarray]
    bank: ConceptBank
    scores: dict[str, Scores]
    effects: Drops
    target_index: int
    ranking: str = "effect"
    wholes: tuple = ()

    @property
    def first(self) -> tuple[int, ...]:
        return (int(self.order[0]),)

    @property
    def order(self) -> np.ndarray:
        return np.argsort(-self.scores["effect"].value, kind="stable")


def explain(own: ClassParts, values: np.ndarray, contribution: float, seed: int) -> Found:
    """Concepts of the rows by the mean drop of the log-odds; the last feature is the contribution, if above 0."""
    clips = own.origin[:, 0]
    bank = discover(
        values,
        clips,
        clusterer=replace(SETTINGS, embedder=ContextFeatures(contribution=contribution)).class_clusterer,
        keep=SETTINGS.keep,
        cluster_filter=SETTINGS.cluster_filter,
        searched=CLIPS,
        reach=SETTINGS.reach,
        seed=seed,
    )
    codes = bank.encode(values)
    assigned = [codes[clips == i] for i in range(CLIPS)]
    drop = np.zeros((CLIPS, len(bank)))
    for i, mine in enumerate(assigned):
        whole = own.log_odds(i, np.zeros(0, np.int64))
        for k in np.unique(mine[mine >= 0]):
            drop[i, k] = whole - own.log_odds(i, np.flatnonzero(mine == k))
    scores = {"effect": Scores(drop.mean(0), np.ones(len(bank)))}
    return Found(own.known.clips, own.supervoxels, own.origin, assigned, bank, scores, Drops(drop), own.target)


def measure(own: ClassParts, choice: Choice) -> dict[str, float]:
    """The figures of one class with one choice of layers."""
    values = own.rows(choice)
    runs = [explain(own, values, choice.contribution, seed) for seed in SEEDS]
    figures = [strict_figures(run, own.known) for run in runs]  # type: ignore[arg-type]  # what is taken is there
    found = {name: float(np.mean([f[name] for f in figures])) for name in FIGURES}
    found["seed_iou"] = agreement(*(top_masks(run) for run in runs))  # type: ignore[arg-type]
    found["dependence"] = float(np.mean([clip_dependence(run.assigned) for run in runs]))
    found["concepts"] = float(np.mean([len(run.bank) for run in runs]))
    return found


def field(model: VideoModel, clips: Sequence, layer: str) -> float:
    """Side of the central square with half of the input gradient of the layer's middle position, share of the side."""
    place = map_layers(model, (layer,))[0]
    at = tuple(n // 2 for n in place.grid)
    total = np.zeros(model.grid[1:])
    for clip in clips:
        x = model.prepare(clip.frames[None]).requires_grad_()
        seen: list[torch.Tensor] = []
        module = dict(model.net.named_modules())[layer]
        handle = module.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out))
        model.net(x)
        handle.remove()
        values = place.map_of(seen[0])[0][(slice(None), *at)]
        (gradient,) = torch.autograd.grad((values * values.detach()).sum(), x)
        total += gradient.float().square().sum((0, 1, 2)).sqrt().numpy()
    # Centre of the position, which has an even number of neighbours: not the centre of the picture.
    centre = [(a + 0.5) * n / m for a, n, m in zip(at[1:], model.grid[1:], place.grid[1:], strict=True)]
    y, x = (np.abs(np.arange(n) + 0.5 - c) for n, c in zip(model.grid[1:], centre, strict=True))
    far = np.maximum(y[:, None], x[None]).ravel()
    order = np.argsort(far, kind="stable")
    share = np.cumsum(total.ravel()[order]) / total.sum()
    return float(2 * far[order][np.searchsorted(share, 0.5)] / model.grid[1])


def run_net(name: str, work: Path, classes: int, tell: Callable[[str], object]) -> dict:
    """All choices of one network; {"accuracy", "default", "fields", "classes": {label: {choice: figures}}}."""
    case, start = NETS[name], time.monotonic()
    model, planted, accuracy = make(case, work)
    kept = work / case.name / "deep-layers.json"
    default = [p.layer for p in map_layers(model)]
    state = json.loads(kept.read_text()) if kept.exists() else {"fields": {}, "classes": {}}
    state |= {"accuracy": accuracy, "default": default}
    fast: VideoModel | None = None
    labels = planted.design.decided
    for label in [labels[i] for i in np.unique(np.linspace(0, len(labels) - 1, classes).round().astype(int))]:
        mine = state["classes"].setdefault(label, {})
        missing = [c for c in choices(LAYERS[name], default) if c.name not in mine]
        if not missing:
            continue
        known = known_planted(model, planted, label, CLIPS)
        fast = fast or Inference()(model, np.stack([c.frames for c in known.clips])).model
        for layer in LAYERS[name]:
            if layer not in state["fields"]:
                state["fields"][layer] = field(model, known.clips[:4], layer)
        regions = [SETTINGS.deduplicate(SETTINGS.segmenter(clip)) for clip in known.clips]
        own = ClassParts(fast, known, regions, LAYERS[name])
        for choice in missing:
            mine[choice.name] = measure(own, choice)
            kept.write_text(json.dumps(state))
            tell(f"{case.name} {label} {choice.name}: {mine[choice.name]} {time.monotonic() - start:.0f} s")
    return state


def print_net(name: str, state: dict) -> dict[str, dict[str, float]]:
    columns = (*FIGURES, "seed_iou", "dependence", "concepts")
    print(f"\n{name}: held-out accuracy {state['accuracy']:.3f}, layers by the rule {state['default']}")
    print("field: " + ", ".join(f"{layer} {side:.2f}" for layer, side in state["fields"].items()))
    print(f"{'layers':44s}" + " ".join(f"{c.removeprefix('top_')[:9]:>9s}" for c in columns))
    found = {}
    for choice in next(iter(state["classes"].values())):
        rows = [c[choice] for c in state["classes"].values() if choice in c]
        found[choice] = {c: round(float(np.mean([r[c] for r in rows])), 4) for c in columns}
        print(f"{choice:44s}" + " ".join(f"{v:9.2f}" for v in found[choice].values()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/truth"))
    parser.add_argument("--nets", nargs="+", choices=tuple(NETS), default=list(NETS))
    parser.add_argument(
        "--classes", type=int, default=3, help="of each network, evenly among those that objects decide"
    )
    asked = parser.parse_args()
    torch.set_num_threads(1)
    states = {
        name: run_net(name, asked.work, asked.classes, lambda text: print(text, flush=True)) for name in asked.nets
    }
    print(json.dumps({name: print_net(name, state) for name, state in states.items()}))


if __name__ == "__main__":
    main()
