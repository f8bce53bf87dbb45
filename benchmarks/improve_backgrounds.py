"""Backgrounds for `improve.py --backgrounds`: does keeping the person's concepts lessen the reliance on them?

tied   UTD-MHAD depth, whose own background is empty, with stripes that go with the class in 95 % of the training
       videos; five classes a seed; test videos with the stripes of their class, and conflicting ones with another's
scuba  JHMDB, every third class: test videos as they are, SCUBA (the person in front of stripes, or of the background
       of another class), and SCUFO (one frame of that repeated)

A small network (8 frames of 48 × 48) is trained for each set and seed. Every class is explained in its training clips;
the concepts that lie on the person are kept in short training in which all else is swapped for other clips' voxels
(`KeepConcepts`). Which ones lie on the person is read from the true masks, as a user would see it. Compared: the
network as it was, the same training without swaps (further), random concepts of the same volume (random), and the true
masks of the person in place of concepts (masks), which bounds what better concepts could bring.

VOXPLAIN_DATA names the folder of the sets; what is computed is kept in WORK/backgrounds-<set>/. With --cases tuning:
other classes of JHMDB, and a training subject of UTD-MHAD as the test.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from improve_figures import nested, over_cases
from truth_real import data_folder
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.effect import concept_mask
from voxplain.concepts.settings import PRESETS
from voxplain.concepts.variants import with_rim
from voxplain.corrections import Correction, Examples, KeepConcepts
from voxplain.corrections.fine_tune import RECIPE
from voxplain.corrections.locate import locate
from voxplain.datasets import VideoSet, load_named, read_clips, scan_folder
from voxplain.datasets.backgrounds import Background, MaskOf, OtherVideos
from voxplain.datasets.ground_truth import grid_mask, person_mask
from voxplain.datasets.scuba import write_scuba
from voxplain.datasets.stripes import Stripes
from voxplain.datasets.tied_backgrounds import write_tied
from voxplain.explain import explain_concepts
from voxplain.model import OBJECTIVES, VideoModel
from voxplain.nets import load_weights, save_weights, tiny
from voxplain.statistics import sign_flip_test
from voxplain.store import Store
from voxplain.train import Recipe, load_videos, train
from voxplain.video import Clip, Geometry

__all__ = ["SETS", "BackgroundCase", "background_figures", "on_person", "run_backgrounds"]

FRAMES, STRIDE, GEOMETRY = 8, 2, Geometry((48, 60), (48, 48))
SETS = {"tied": ("utd_mhad", "utd_mhad_depth", "silhouette"), "scuba": ("jhmdb", "jhmdb", "jhmdb")}
RECIPES = {
    "tied": Recipe(epochs=60, batch=16, lr=0.05, lr_step=45, weight_decay=5e-4, stride=STRIDE, flip=0.0),
    "scuba": Recipe(epochs=60, batch=16, lr=0.05, lr_step=45, weight_decay=5e-4, stride=STRIDE),
}
EXPLAINED, LIFT = 8, 2.0  # clips of a class; how many times denser than in the picture the person is in a kept concept
# Chosen with --cases tuning: with every second clip swapped and 8 epochs, the default, no conflicting clip is right.
KEEP = KeepConcepts(share=1.0, recipe=replace(RECIPE, epochs=30, lr_step=22))
FIGURES = f"figures-{hashlib.sha256(repr(KEEP).encode()).hexdigest()[:8]}.json"
NETS = ("original", "further", "random", "kept", "masks")


@dataclass(frozen=True)
class BackgroundCase:
    """One set, seed, and network."""

    name: str
    seed: int
    work: Path
    tuning: bool = False

    @property
    def home(self) -> Path:
        return self.work / f"backgrounds-{self.name}{'-tuning' if self.tuning else ''}" / str(self.seed)

    @cached_property
    def source(self) -> tuple[VideoSet, VideoSet, MaskOf]:
        """Training and test videos as they are published, and the person's masks."""
        known, folder, truth = SETS[self.name]
        train_set, test_set = load_named(known, data_folder() / folder)
        assert test_set is not None
        names = sorted(train_set.classes)
        if self.name == "scuba":
            names = names[int(self.tuning) :: 3]
        else:
            names = [names[(5 * self.seed + i) % len(names)] for i in range(5)]
            if self.tuning:  # the persons of the test are not looked at
                held = [path.name.startswith("s7") for path in train_set.paths]
                train_set, test_set = (train_set.select(np.flatnonzero(rows)) for rows in (~np.array(held), held))
        return train_set.only(names), test_set.only(names), person_mask(truth, data_folder() / folder)

    @cached_property
    def parts(self) -> dict[str, VideoSet]:
        """The training videos, and those of each test, on disk."""
        train_set, test_set, mask = self.source
        root = self.home / "videos"
        if self.name == "tied":
            write_tied(root, train_set, test_set, mask, seed=self.seed)
            found = {part: scan_folder(root / part) for part in ("train", "test", "conflicting")}
            return {part: videos.only(train_set.classes) for part, videos in found.items()}
        found = {"train": train_set, "test": test_set}
        behind: dict[str, Background] = {"stripes": Stripes(), "others": OtherVideos(test_set, mask)}
        for kind, background in behind.items():
            write_scuba(root / kind, test_set, mask, background=background, seed=self.seed)
            for part in ("scuba", "scufo"):
                found[f"{part}_{kind}"] = scan_folder(root / kind / part).only(test_set.classes)
        return found

    def network(self) -> VideoModel:
        """The network trained on the training videos."""
        kept, videos = self.home / "weights.safetensors", self.parts["train"]
        torch.manual_seed(self.seed)
        model = VideoModel(
            tiny(len(videos.classes)).eval(),
            layer="pool",
            grid=(FRAMES, *GEOMETRY.crop),
            classes=videos.classes,
            geometry=GEOMETRY,
            batch_size=32,
            stride=STRIDE,
            name=f"{self.name} {self.seed}",
        )
        if not kept.exists():
            loaded = load_videos(videos.paths, videos.labels, GEOMETRY)
            train(model, loaded, geometry=GEOMETRY, recipe=replace(RECIPES[self.name], seed=self.seed))
            save_weights(model.net, kept, {})
        load_weights(model.net, kept)
        return model

    def frames(self, model: VideoModel, part: str) -> np.ndarray:
        """The central clip of each video, uint8 [N,T,H,W,3]."""
        return np.stack([clip.frames for clip in read_clips(self.parts[part], model.reader())])

    def persons(self, model: VideoModel) -> np.ndarray:
        """The person in each training clip, bool [N,T,H,W]."""
        videos, _, mask = self.source
        at = {f"{videos.classes[k]}/{p.stem}": p for k, p in zip(videos.labels, videos.paths, strict=True)}
        of, found = self.parts["train"], []
        for k, path in zip(of.labels, of.paths, strict=True):
            label = of.classes[k]
            found.append(grid_mask(mask(at[f"{label}/{path.stem}"], label), model.reader()))
        return np.stack(found)

    def examples(self, model: VideoModel) -> tuple[Examples, dict]:
        """Training clips with the voxels of the concepts on the person, and how well these cover it."""
        videos, persons = self.parts["train"], self.persons(model)
        clips = list(read_clips(videos, model.reader()))
        unrelated = read_clips(scan_folder(data_folder() / "unrelated"), model.reader(), limit=16).clips
        settings = replace(PRESETS["default"], videos=EXPLAINED, unrelated_videos=16, unrelated_crops=8)
        store, wanted, chosen = Store(self.home / "store"), np.zeros_like(persons), {}
        for k, label in enumerate(videos.classes):
            rows = np.flatnonzero(videos.labels == k)
            own = [clips[i] for i in rows]
            run = explain_concepts(
                model, own[:EXPLAINED], random=unrelated, target=label, settings=settings, store=store
            )
            chosen[label] = on_person(run, own, persons[rows])
            found = locate(model, run, own, [k] * len(own), keep=chosen[label], store=store)
            assert found.wanted is not None
            wanted[rows] = found.wanted
        frames = np.stack([clip.frames for clip in clips])
        both = (wanted & persons).sum()
        quality = {
            "person_recall": float(both / persons.sum()),
            "person_precision": float(both / max(wanted.sum(), 1)),
            "person_volume": float(persons.mean()),
            "kept_volume": float(wanted.mean()),
            "kept_concepts": {label: [int(c) for c in found] for label, found in chosen.items()},
        }
        return Examples(frames, videos.labels, np.zeros_like(wanted), wanted), quality

    def networks(self, model: VideoModel) -> tuple[dict[str, VideoModel], dict]:
        """The network as it was, and after each training."""
        examples, quality = self.examples(model)
        masks = np.stack([with_rim(person) for person in self.persons(model)])
        true = Examples(examples.frames, examples.labels, examples.unwanted, masks)
        other = examples.random_concept(np.random.default_rng(self.seed))
        plans: tuple[tuple[Correction, Examples], ...] = (
            (KEEP.uncorrected, examples),
            (KEEP, other),
            (KEEP, examples),
            (KEEP, true),
        )
        made = [method(model, given, seed=self.seed) for method, given in plans]
        return dict(zip(NETS, [model, *made], strict=True)), quality


def on_person(run: ConceptRun, clips: list[Clip], persons: np.ndarray) -> tuple[int, ...]:
    """Concepts of a run in which the person is at least `LIFT` times as dense as in the clips; the densest at least.

    ``persons`` bool [N,T,H,W], the person in each of ``clips``, among which are those of the run.
    """
    known = {clip.frames.tobytes(): person for clip, person in zip(clips, persons, strict=True)}
    inside, volume, share = np.zeros(len(run.bank)), np.zeros(len(run.bank)), []
    for clip, found, assigned in zip(run.clips, run.supervoxels, run.assigned, strict=True):
        person = known[clip.frames.tobytes()]
        share.append(person.mean())
        for k in range(len(run.bank)):
            mask = concept_mask(found, assigned, k)
            inside[k] += (mask & person).sum()
            volume[k] += mask.sum()
    dense = inside / np.maximum(volume, 1)
    chosen = np.flatnonzero(dense >= LIFT * np.mean(share))
    return tuple(int(k) for k in (chosen if len(chosen) else [dense.argmax()]))


def run_case(case: BackgroundCase) -> dict:
    """Right answers of every network in every test."""
    kept = case.home / FIGURES
    if kept.exists():
        return json.loads(kept.read_text())
    model = case.network()
    nets, quality = case.networks(model)
    right: dict[str, dict[str, list[int]]] = {name: {} for name in nets}
    odds: dict[str, dict[str, np.ndarray]] = {name: {} for name in nets}
    for part in [part for part in case.parts if part != "train"]:
        frames, labels = case.frames(model, part), case.parts[part].labels
        for name, net in nets.items():
            z = net.logits(frames).cpu().double()
            right[name][part] = (z.argmax(1).numpy() == labels).astype(int).tolist()
            rows = [OBJECTIVES["log_odds"](z[i : i + 1], int(k)).item() for i, k in enumerate(labels)]
            odds[name][part] = np.array(rows)
    pairs = ("test", "conflicting") if case.name == "tied" else ("test", "scuba_others")
    reliance = {name: float(np.abs(o[pairs[0]] - o[pairs[1]]).mean()) for name, o in odds.items()}
    found = {"right": right, "reliance": reliance, "concepts": quality}
    kept.write_text(json.dumps(found))
    return found


def run_backgrounds(work: Path, seeds: list[int], *, tuning: bool = False) -> None:
    """Measure the sets that are there; print a line for each network, and a line of JSON."""
    for name, (_, folder, _) in SETS.items():
        if not (data_folder() / folder).is_dir():
            print(f"{name}: no {data_folder() / folder}; set VOXPLAIN_DATA", flush=True)
            continue
        for seed in seeds:
            found = run_case(BackgroundCase(name, seed, work, tuning))
            print(name, seed, json.dumps(found["concepts"]), flush=True)
            for net, parts in found["right"].items():
                shown = {part: round(100 * float(np.mean(r)), 1) for part, r in parts.items()}
                print(f"  {net:9s} {shown} reliance {found['reliance'][net]:.2f}", flush=True)
    print(json.dumps(background_figures(work, tuning=tuning)))


def background_figures(work: Path, *, tuning: bool = False) -> dict | None:
    """What was measured so far, by set; None for nothing."""
    result = {}
    for name in SETS:
        folder = work / f"backgrounds-{name}{'-tuning' if tuning else ''}"
        found = [json.loads(path.read_text()) for path in sorted(folder.glob(f"*/{FIGURES}"))]
        if found:
            result[name] = summary(found)
    return result or None


def summary(found: list[dict]) -> dict:
    """Accuracy of each network in each test, contrasted accuracy, and gains of keeping concepts, over seeds."""
    rng, parts = np.random.default_rng(0), list(found[0]["right"]["original"])
    right = [{net: {p: np.array(r, float) for p, r in of.items()} for net, of in f["right"].items()} for f in found]
    for of in right:
        for tests in of.values():
            for kind in [p.removeprefix("scuba_") for p in parts if p.startswith("scuba_")]:
                tests[f"contrasted_{kind}"] = tests[f"scuba_{kind}"] * (1 - tests[f"scufo_{kind}"])
    tests = list(right[0]["original"])
    accuracy = {
        net: {part: round(100 * float(np.mean([of[net][part].mean() for of in right])), 1) for part in tests}
        for net in NETS
    }

    def gain(a: str, b: str, part: str) -> dict:
        points = [100 * (of[a][part] - of[b][part]) for of in right]
        return {"points": nested(points, rng), "p": round(sign_flip_test([p.mean() for p in points], rng), 4)}

    against = (("kept", "further"), ("random", "further"), ("masks", "further"))
    left = {net: [f["reliance"][net] / f["reliance"]["original"] for f in found] for net in NETS[1:]}
    return {
        "seeds": len(found),
        "accuracy": accuracy,
        "gains": {f"{a} over {b}": {part: gain(a, b, part) for part in tests} for a, b in against},
        "reliance_left": {net: over_cases(values, rng) for net, values in left.items()},
    }
