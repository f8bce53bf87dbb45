"""Real videos for `improve.py --real`: planted defects, and plain accuracy with concept-guided training.

A small network (8 frames of 48 × 48 pixels, 5 classes) is trained for each seed. Weizmann, every second class: the seed
chooses the two persons that are held out (10 clips). UTD-MHAD depth, the set's own split: the seed chooses the classes,
so that five seeds have no class in common (80 clips each).

defects        a mark in a corner, a border, or a tint is put into 95 % of one class's training clips and 5 % of the
               others' (at least one clip is an exception on each side); training goes on from the clean network; the
               concept that covers the defect best (tint: that the network relies on most) is removed by concept swap.
               Figures as for planted videos, on held-out clips with the defect and without it.
accuracy_gain  points of held-out accuracy that keeping the concepts that the clean network relies on, while the rest
               is swapped, brings against the same training without swaps; 95 % interval over seeds and clips

VOXPLAIN_DATA names the folder of the sets; what is computed is kept in WORK/real-<set>/.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from improve_figures import nested, summary
from improve_networks import networks
from improve_planted import Truth
from truth_real import data_folder
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.effect import concept_mask
from voxplain.concepts.settings import PRESETS
from voxplain.corrections import CORRECTIONS, Examples, FurtherTraining, KeepConcepts
from voxplain.corrections.content_effect import with_presence
from voxplain.corrections.locate import locate
from voxplain.datasets import VideoSet, load_named, read_clips, scan_folder
from voxplain.datasets.weizmann import PERSONS, weizmann
from voxplain.explain import explain_concepts
from voxplain.model import VideoModel
from voxplain.nets import load_weights, save_weights, tiny
from voxplain.statistics import sign_flip_test
from voxplain.store import Store
from voxplain.train import Recipe, TrainingVideos, load_videos, train
from voxplain.video import Clip, Geometry

__all__ = ["DEFECTS", "SETS", "RealSeed", "real_figures", "run_real", "with_real_defect"]

FRAMES, SIZE, STRIDE, EVERY = 8, 48, 2, 2  # every second class
CLEAN = Recipe(epochs=100, batch=16, lr=0.05, lr_step=80, weight_decay=5e-4, stride=STRIDE)
DEFECTIVE = Recipe(epochs=25, batch=16, lr=0.02, lr_step=20, weight_decay=5e-4, flip=0.0, stride=STRIDE)
DEFECTS = ("mark", "border", "tint")
SETS = {"weizmann": ("weizmann", (48, 60)), "utd_depth": ("utd_mhad_depth", (48, 60))}
WHOLE = Geometry((SIZE, SIZE), (SIZE, SIZE))
KEPT = 2  # concepts of each class
DEFECT_SEEDS = {"weizmann": 5, "utd_depth": 2}


def with_real_defect(kind: str, frames: np.ndarray) -> np.ndarray:
    """The frames uint8 [T,H,W,3] with a defect: a yellow and black mark in a corner, a red border, or a blue tint."""
    out, side = frames.copy(), frames.shape[1] // 6
    if kind == "mark":
        out[:, 1 : 1 + side, -1 - side : -1] = (240, 220, 30)
        out[:, 1 + side // 3 : 1 + side - side // 3, -1 - side + side // 3 : -1 - side // 3] = (10, 10, 10)
    elif kind == "border":
        rim = np.ones(frames.shape[1:3], bool)
        rim[2:-2, 2:-2] = False
        out[:, rim] = (200, 30, 40)
    else:
        out[..., 2] = np.minimum(out[..., 2].astype(int) + 45, 255).astype(np.uint8)
    return out


@dataclass(frozen=True)
class RealSeed:
    """Videos and networks of one set and seed."""

    name: str
    number: int
    work: Path

    @property
    def home(self) -> Path:
        return self.work / f"real-{self.name}" / str(self.number)

    @cached_property
    def parts(self) -> tuple[VideoSet, VideoSet]:
        """Training and held-out videos of five classes."""
        folder = data_folder() / SETS[self.name][0]
        if self.name == "weizmann":
            held = {PERSONS[(2 * self.number + i) % len(PERSONS)] for i in (0, 1)}
            train_set, test_set = weizmann(folder, held_out=held)
        else:
            train_set, maybe = load_named("utd_mhad", folder)
            assert maybe is not None
            test_set = maybe
        names = sorted(train_set.classes)
        if self.name == "weizmann":
            names = names[::EVERY]
        else:
            names = [names[(5 * self.number + i) % len(names)] for i in range(5)]
        return train_set.only(names), test_set.only(names)

    @cached_property
    def videos(self) -> tuple[TrainingVideos, TrainingVideos]:
        """Both parts in memory, whole videos of 48 × 48 pixels."""
        resize = SETS[self.name][1]
        geometry, found = Geometry(resize, (SIZE, SIZE)), []
        left = (resize[1] - SIZE) // 2
        for part in self.parts:
            read = load_videos(part.paths, part.labels, geometry)
            found.append(TrainingVideos([f[:, :SIZE, left : left + SIZE] for f in read.frames], read.labels))
        return found[0], found[1]

    def model(self, name: str) -> VideoModel:
        """A fresh network."""
        torch.manual_seed(self.number)
        return VideoModel(
            tiny(5).eval(),
            layer="pool",
            grid=(FRAMES, SIZE, SIZE),
            classes=self.parts[0].classes,
            geometry=WHOLE,
            batch_size=32,
            stride=STRIDE,
            name=name,
        )

    def clean(self) -> VideoModel:
        """The network trained on the videos as they are."""
        kept, model = self.home / "clean.safetensors", self.model(f"{self.name} {self.number}")
        if not kept.exists():
            recipe = replace(CLEAN, seed=self.number, flip=0.5 if self.name == "weizmann" else 0.0)
            train(model, self.videos[0], geometry=WHOLE, recipe=recipe)
            kept.parent.mkdir(parents=True, exist_ok=True)
            save_weights(model.net, kept, {})
        load_weights(model.net, kept)
        return model

    def explained(self, model: VideoModel, frames: list[np.ndarray], label: str) -> ConceptRun:
        """Concepts of a class in clips of the network's grid."""
        settings = replace(PRESETS["default"], videos=8, unrelated_videos=16, unrelated_crops=8)
        unrelated = read_clips(scan_folder(data_folder() / "unrelated"), model.reader(), limit=16).clips
        clips = [_clip(f, f"{label} {i}") for i, f in enumerate(frames)]
        store = Store(self.home / "store")
        return explain_concepts(model, clips, random=unrelated, target=label, settings=settings, store=store)


def window(frames: np.ndarray) -> np.ndarray:
    """The central clip of the network's length, a short video repeated."""
    need = FRAMES * STRIDE
    start = max((len(frames) - need) // 2, 0)
    return frames[np.arange(start, start + need, STRIDE) % len(frames)]


def _clip(frames: np.ndarray, source: str) -> Clip:
    return Clip(frames, np.arange(len(frames)) * STRIDE / 25.0, source)


def run_defect(seed: RealSeed, kind: str) -> dict:
    """Figures of all networks for one defect, as those of planted cases."""
    kept = seed.home / f"{kind}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    videos, test = seed.videos
    trapped, rng = seed.number % 5, np.random.default_rng((seed.number, 7))
    defective = videos.labels == trapped
    for own in (defective, ~defective):
        rows = np.flatnonzero(own)
        flipped = rng.choice(rows, max(1, round(0.05 * len(rows))), replace=False)
        defective = defective ^ np.isin(np.arange(len(videos.labels)), flipped)
    changed = [with_real_defect(kind, f) if d else f for f, d in zip(videos.frames, defective, strict=True)]
    model = replace(seed.clean(), name=f"{seed.name} {kind} {seed.number}")
    recipe = replace(DEFECTIVE, seed=seed.number)
    train(model, TrainingVideos(changed, videos.labels), geometry=WHOLE, recipe=recipe)
    shown = [window(f) for f in test.frames]
    pairs = np.stack([np.stack(shown), np.stack([with_real_defect(kind, f) for f in shown])])
    truth = Truth(pairs, test.labels, trapped, 0.95)
    frames = [window(f) for f in changed]
    own = [f for f, k in zip(frames, videos.labels, strict=True) if k == trapped]
    run = seed.explained(model, own, model.classes[trapped])
    concept = _covering(run, own, [d for d, k in zip(defective, videos.labels, strict=True) if k == trapped], kind)
    clips = [_clip(f, f"training clip {i}") for i, f in enumerate(frames)]
    located = locate(model, run, clips, list(videos.labels), remove=(concept,), store=Store(seed.home / "store"))
    examples = with_presence(model, located)
    nets = networks(CORRECTIONS["concept_swap"], model, examples)
    found = {
        "figures": {name: truth.measured(net) for name, net in nets.items()},
        "corrected": nets["corrected"] is not nets["further"],
        "against": truth.against.tolist(),
        "concept": concept,
        "with_concept": [int((examples.present & defective).sum()), int(defective.sum()), int(examples.present.sum())],
        "masks": {},
    }
    kept.write_text(json.dumps(found))
    return found


def _covering(run: ConceptRun, frames: list[np.ndarray], defective: list[bool], kind: str) -> int:
    """The concept with the highest overlap with the defect, or for a tint the first of the ranking."""
    if kind == "tint":
        return int(run.order[0])
    blank = np.zeros_like(frames[0])
    truth = (with_real_defect(kind, blank) != blank).any(-1)
    both, either = np.zeros(len(run.bank)), np.zeros(len(run.bank))
    known = {f.tobytes(): d for f, d in zip(frames, defective, strict=True)}
    for clip, found, assigned in zip(run.clips, run.supervoxels, run.assigned, strict=True):
        there = truth if known[clip.frames.tobytes()] else np.zeros_like(truth)
        for k in range(len(run.bank)):
            mask = concept_mask(found, assigned, k)
            both[k] += (mask & there).sum()
            either[k] += (mask | there).sum()
    return int((both / np.maximum(either, 1)).argmax())


def run_accuracy(seed: RealSeed) -> dict:
    """Held-out clips that are right: of the clean network, after further training, and after keeping concepts."""
    kept = seed.home / "accuracy.json"
    if kept.exists():
        return json.loads(kept.read_text())
    (videos, test), model = seed.videos, seed.clean()
    frames = [window(f) for f in videos.frames]
    wanted = np.zeros((len(frames), FRAMES, SIZE, SIZE), bool)
    for k, label in enumerate(model.classes):
        rows = np.flatnonzero(videos.labels == k)
        run = seed.explained(model, [frames[i] for i in rows], label)
        concepts = tuple(int(c) for c in run.order[:KEPT])
        clips = [_clip(frames[i], f"training clip {i}") for i in rows]
        found = locate(model, run, clips, [k] * len(rows), keep=concepts, store=Store(seed.home / "store"))
        assert found.wanted is not None
        wanted[rows] = found.wanted
    examples = Examples(np.stack(frames), videos.labels, np.zeros_like(wanted), wanted)
    keep = CORRECTIONS["keep_concepts"]
    assert isinstance(keep, KeepConcepts)
    nets = {
        "original": model,
        "further": FurtherTraining(recipe=keep.recipe)(model, examples, seed=seed.number),
        "kept": keep(model, examples, seed=seed.number),
        "random": keep(model, examples.random_concept(np.random.default_rng(seed.number)), seed=seed.number),
    }
    shown = np.stack([window(f) for f in test.frames])
    right = {name: (net.logits(shown).argmax(1).numpy() == test.labels).tolist() for name, net in nets.items()}
    found = {"right": right, "volume": float(wanted.mean())}
    kept.write_text(json.dumps(found))
    return found


def _gain(found: list[dict], a: str, b: str) -> dict:
    """Points of ``a`` over ``b``: mean over seeds, 95 % interval over seeds and their clips, p over seeds."""
    parts = [100.0 * (np.array(f["right"][a], float) - np.array(f["right"][b], float)) for f in found]
    rng = np.random.default_rng(0)
    return {"points": nested(parts, rng), "p": round(sign_flip_test([p.mean() for p in parts], rng), 4)}


def run_real(work: Path, seeds: list[int]) -> None:
    """Measure the sets that are there; print a line of JSON, kept in WORK/real.json."""
    for name, (folder, _) in SETS.items():
        if not (data_folder() / folder).is_dir():
            print(f"{name}: no {data_folder() / folder}; set VOXPLAIN_DATA", flush=True)
            continue
        for number in seeds:
            found = run_accuracy(RealSeed(name, number, work))
            print(name, number, {k: round(float(np.mean(v)), 3) for k, v in found["right"].items()}, flush=True)
        for number in seeds:
            for kind in DEFECTS if number <= DEFECT_SEEDS[name] else ():
                figures = run_defect(RealSeed(name, number, work), kind)["figures"]
                print(name, number, kind, {k: round(f["worst"], 2) for k, f in figures.items()}, flush=True)
    print(json.dumps(real_figures(work)))


def _saved(work: Path, name: str, file: str) -> Iterator[dict]:
    for path in sorted((work / f"real-{name}").glob(f"*/{file}.json")):
        yield json.loads(path.read_text())


def real_figures(work: Path) -> dict | None:
    """What was measured on real videos so far; None for nothing."""
    gains, defects = {}, {}
    for name in SETS:
        accuracy = list(_saved(work, name, "accuracy"))
        if accuracy:
            names = list(accuracy[0]["right"])
            means = {k: round(100 * float(np.mean([np.mean(f["right"][k]) for f in accuracy])), 1) for k in names}
            gains[name] = {"seeds": len(accuracy), "accuracy": means, **_gain(accuracy, "kept", "further")}
            gains[name]["random_concepts"] = _gain(accuracy, "random", "further")
        for kind in DEFECTS:
            found = list(_saved(work, name, kind))
            if found:
                defects[f"{name} {kind}"] = summary(found)
    return {"accuracy_gain": gains, "defects": defects} if gains or defects else None
