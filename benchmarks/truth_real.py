"""Real videos for `truth.py --cases real`: are concepts stable, distinct, on the person, and does the ranking hold?

What a network relies on is not known here. Each set has a `tiny` network trained on its training videos by the
project's recipe (WORK/real-<set>/, resumable), and every class is explained with default settings. Classes are chosen
by number alone: every n-th by name, at most `CLASSES`.

seed_iou, bootstrap_iou   as on planted videos, of the concepts on top
near_copies               share of concepts whose centre has a cosine of `NEAR` or more with another concept's, or that
                          share half of their voxels with another
person_iou                of the concept on top with the acting person, mean over clips; best_person_iou: of any concept
areas                     adding and removing concepts in held-out clips, top against the other orders, mean over the
                          first five concepts; areas_before_all: over those before the last, after which orders agree
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from truth_figures import concept_mask_of, interval, iou, stability, top_masks
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.concepts.order_tests import _gains
from voxplain.concepts.settings import PRESETS, ConceptSettings
from voxplain.datasets import VideoSet, load_named, read_clips, scan_folder
from voxplain.datasets.ground_truth import truth_mask
from voxplain.explain import evaluate_concepts, explain_concepts
from voxplain.model import VideoModel
from voxplain.nets import load_weights, save_weights, tiny
from voxplain.statistics import sign_flip_test
from voxplain.store import Store
from voxplain.train import Recipe, accuracy, load_videos, train
from voxplain.train.measure import overall_accuracy
from voxplain.video import Clip, Geometry

__all__ = ["REAL", "RealSet", "missing", "report_real", "run_real"]

CLIPS, HELD_OUT = 20, 16  # a class, at most
CLASSES = 10
NEAR = 0.9
OTHERS = {"least": "least", "least at equal coverage": "least_equal_coverage", "matched": "same_volume"}


def data_folder() -> Path:
    """The folder of the data sets: VOXPLAIN_DATA, or shared/data beside the checkout."""
    return Path(os.environ.get("VOXPLAIN_DATA", Path(__file__).parents[2] / "shared" / "data"))


@dataclass(frozen=True)
class RealSet:
    """A data set, its training and the truth of where the person is; only the ``trained`` most filled classes."""

    name: str
    folder: str
    dataset: str
    geometry: Geometry
    recipe: Recipe
    person: str | None = None
    trained: int | None = None

    def parts(self) -> tuple[VideoSet, VideoSet]:
        """Training and held-out videos by the set's own split."""
        train, test = load_named(self.dataset, data_folder() / self.folder)
        assert test is not None
        if self.trained is None:
            return train, test
        most = np.argsort(-np.bincount(train.labels, minlength=len(train.classes)), kind="stable")[: self.trained]
        return _only(train, np.sort(most)), _only(test, np.sort(most))


def _only(videos: VideoSet, classes: np.ndarray) -> VideoSet:
    """The videos of some classes, numbered anew."""
    rows = np.flatnonzero(np.isin(videos.labels, classes))
    labels = np.searchsorted(classes, videos.labels[rows]).astype(np.int64)
    return VideoSet(tuple(videos.classes[k] for k in classes), tuple(videos.paths[i] for i in rows), labels)


REAL = (
    RealSet(
        "weizmann",
        "weizmann",
        "weizmann",
        Geometry((76, 92), (64, 64)),
        Recipe(epochs=200, batch=16, lr=0.05, lr_step=160, weight_decay=5e-4),
    ),
    RealSet(
        "utd_depth",
        "utd_mhad_depth",
        "utd_mhad",
        Geometry((72, 90), (64, 64)),
        Recipe(epochs=45, batch=16, lr=0.05, lr_step=36, weight_decay=1e-3, flip=0.0, stride=3),
        person="silhouette",
    ),
    # Five of 21 classes: what a network from fresh weights learns within minutes on a processor.
    RealSet(
        "jhmdb",
        "jhmdb",
        "jhmdb",
        Geometry((72, 96), (64, 64)),
        Recipe(epochs=60, batch=16, lr=0.05, lr_step=48, weight_decay=5e-4),
        person="jhmdb",
        trained=5,
    ),
)


def missing(real: RealSet) -> str | None:
    """Why a set cannot be measured here; None where it can."""
    folders = [data_folder() / real.folder, data_folder() / "unrelated"]
    gone = [str(f) for f in folders if not f.is_dir()]
    return f"no {' and no '.join(gone)}; set VOXPLAIN_DATA" if gone else None


def make(real: RealSet, home: Path) -> tuple[VideoModel, VideoSet, VideoSet, float]:
    """The set's network, its training and held-out videos, and its held-out accuracy."""
    own, held = real.parts()
    torch.manual_seed(0)
    model = VideoModel(
        tiny(len(own.classes)),
        layer="pool",
        grid=(16, 64, 64),
        classes=own.classes,
        geometry=real.geometry,
        batch_size=32,
        stride=real.recipe.stride,
        name=real.name,
    )
    weights, figures = home / "weights.safetensors", home / "accuracy.json"
    if not figures.exists():  # written last
        home.mkdir(parents=True, exist_ok=True)
        if not weights.exists():
            videos = load_videos(own.paths, own.labels, real.geometry)
            checkpoint = home / "checkpoint.safetensors"
            train(model, videos, geometry=real.geometry, recipe=real.recipe, checkpoint=checkpoint)
            save_weights(model.net, weights, {})
        load_weights(model.net, weights)
        model.net.eval()
        test = load_videos(held.paths, held.labels, real.geometry)
        matrix = accuracy(model, test, real.geometry, stride=real.recipe.stride)
        figures.write_text(json.dumps(overall_accuracy(matrix)))
    load_weights(model.net, weights)
    model.net.eval()
    return model, own, held, float(json.loads(figures.read_text()))


def near_copies(run: ConceptRun) -> float:
    """Share of concepts that are nearly another one, by direction or by voxels."""
    unit = run.bank.centers / np.maximum(np.linalg.norm(run.bank.centers, axis=1, keepdims=True), 1e-12)
    near = unit @ unit.T >= NEAR
    k = len(run.bank)
    both, either = np.zeros((k, k)), np.zeros((k, k))
    for i in range(len(run.clips)):
        masks = np.stack([concept_mask_of(run, i, j).ravel() for j in range(k)]).astype(np.float32)
        common, size = masks @ masks.T, masks.sum(1)
        both += common
        either += size[:, None] + size - common
    near |= both >= 0.5 * np.maximum(either, 1)
    return float((near & ~np.eye(k, dtype=bool)).any(1).mean())


def person_figures(run: ConceptRun, persons: list[np.ndarray]) -> dict[str, float]:
    """Overlap with the acting person of what is shown first, and of the best concept; mean over clips."""
    rows = [[concept_mask_of(run, i, j) for j in range(len(run.bank))] for i in range(len(persons))]
    ious = np.array([[iou(mask, p) for mask in row] for row, p in zip(rows, persons, strict=True)])
    top = top_masks(run)
    shared = [(m & p).sum() for m, p in zip(top, persons, strict=True)]
    shown = [n / m.sum() for n, m in zip(shared, top, strict=True) if m.any()]
    return {
        "person_iou": float(np.mean([iou(mask, p) for mask, p in zip(top, persons, strict=True)])),
        "person_recall": float(np.mean([n / max(p.sum(), 1) for n, p in zip(shared, persons, strict=True)])),
        "person_precision": float(np.mean(shown)) if shown else 0.0,
        "best_person_iou": float(ious.mean(0).max()),
        "person_volume": float(np.mean([p.mean() for p in persons])),
    }


def curves_of(saved: dict) -> AddRemoveCurves:
    """Curves from their lists."""
    arrays = {n: np.asarray(v, np.int64 if n == "truth" else np.float32) for n, v in saved["arrays"].items()}
    return AddRemoveCurves(saved["kind"], tuple(saved["names"]), **arrays)


def saved_curves(curves: AddRemoveCurves) -> dict:
    """Curves as plain lists."""
    arrays = ("logits", "coverage", "matched", "matched_right", "truth", "unmodified")
    return {
        "kind": curves.kind,
        "names": list(curves.names),
        "arrays": {name: np.asarray(getattr(curves, name)).tolist() for name in arrays},
    }


def before_all(curves: AddRemoveCurves, concepts: int) -> AddRemoveCurves:
    """The curves without the steps at which all of the class's concepts are in, whatever their order."""
    last = min(curves.coverage.shape[2] - 2, concepts - 1)
    kept = [*range(last + 1), -1]
    changed = {name: getattr(curves, name)[:, :, kept] for name in ("logits", "coverage")}
    return replace(curves, matched=curves.matched[:, kept], matched_right=curves.matched_right[:, kept], **changed)


def area(parts: list[AddRemoveCurves], other: str) -> list[float]:
    """Difference, ends of its 95 % interval and p-value over the videos of several classes; see `order_test`."""
    sign = 1 if parts[0].kind == "adding" else -1
    gain = sign * np.concatenate([_gains(part, other, "accuracy") for part in parts])
    gain = gain[~np.isnan(gain)]
    rng = np.random.default_rng(0)
    mean, low, high = interval(gain.tolist(), rng)
    return [round(v, 4) for v in (mean, low, high, sign_flip_test(gain, rng, permutations=4095))]


def settings_of(preset: str) -> ConceptSettings:
    """The preset, less what no figure here needs: random orders and pictures of the evaluation."""
    settings = PRESETS[preset]
    evaluation, exploration = replace(settings.evaluation, draws=1), replace(settings.exploration, clips=0)
    return replace(settings, evaluation=evaluation, exploration=exploration)


def examine_real(
    explain: Callable[..., ConceptRun], real: RealSet, clips: list[Clip], held: list[Clip], label: str, root: Path
) -> dict:
    """The figures of one class, as plain numbers."""
    run = explain(clips, label)
    figures = {"near_copies": near_copies(run), "concepts": float(len(run.bank))}
    figures["significant"] = float((run.scores[run.ranking].q_value < 0.05).any())
    figures["no_concept"] = float(1 - run.effects.volume.sum(1).mean())
    figures |= stability(explain, clips, label, run)
    if real.person:
        reader = run.model.reader() if run.model else None
        assert reader is not None
        persons = [truth_mask(real.person, root, Path(c.source), label, reader) for c in clips]
        figures |= person_figures(run, persons)
    evaluation = evaluate_concepts(run, held).evaluation
    assert evaluation is not None
    curves = [saved_curves(side) for side in (evaluation.adding, evaluation.removing)]
    return {"label": label, "figures": figures, "curves": curves, "clips": len(clips), "held": len(held)}


def run_real(real: RealSet, preset: str, work: Path) -> dict:
    """The classes of a real set; kept in WORK class by class, and found again while the settings are the same."""
    torch.set_num_threads(1)
    home, start = work / f"real-{real.name}", time.monotonic()
    model, own, held, right = make(real, home)
    print(f"{real.name}: held-out accuracy {right:.3f}, {time.monotonic() - start:.0f} s", flush=True)
    reader, settings, store = model.reader(), settings_of(preset), Store(home / "store")
    unrelated = read_clips(scan_folder(data_folder() / "unrelated"), reader, limit=settings.unrelated_videos).clips

    def explain(clips: list[Clip], label: str, seed: int = 0) -> ConceptRun:
        chosen = replace(settings, seed=seed)
        return explain_concepts(model, clips, random=unrelated, target=label, settings=chosen, store=store)

    classes, asked = [], hashlib.sha256(repr(settings).encode()).hexdigest()[:8]
    for label in sorted(own.classes)[:: -(-len(own.classes) // CLASSES)]:
        kept = home / f"figures-{preset}-{asked}-{label}.json"
        if not kept.exists():
            clips = list(read_clips(own.of_class(label), reader, limit=CLIPS).clips)
            test = list(read_clips(held.of_class(label), reader, limit=HELD_OUT).clips)
            found = examine_real(explain, real, clips, test, label, data_folder() / real.folder)
            kept.write_text(json.dumps(found))
            print(f"{real.name} {preset} {label}: {time.monotonic() - start:.0f} s", flush=True)
        classes.append(json.loads(kept.read_text()))
    return {"case": real.name, "preset": preset, "accuracy": right, "classes": classes}


def report_real(results: list[dict]) -> dict:
    """Print the tables; returns their summary by set, with 95 % intervals over classes (areas: over videos)."""
    rng, summary = np.random.default_rng(0), {"real_areas": {}, "real_areas_before_all": {}, "real_accuracy": {}}
    for r in results:
        rows = [c["figures"] for c in r["classes"]]
        print(
            f"\n{r['case']}: {len(rows)} classes, held-out accuracy {100 * r['accuracy']:.1f} %; intervals over classes"
        )
        for name in rows[0]:
            values = [row[name] for row in rows]
            mean, low, high = interval(values, rng)
            lost = int(np.isnan(values).sum())
            note = f", not measured in {lost} classes with too few clips" if lost else ""
            print(f"{name:20s} {mean:5.2f} [{low:5.2f}, {high:5.2f}]{note}")
            key, row = f"real_{name}", [round(v, 4) for v in (mean, low, high)]
            summary.setdefault(key, {})[r["case"]] = row if lost < len(values) else None
        summary["real_accuracy"][r["case"]] = round(r["accuracy"], 4)
        curves = [[curves_of(c["curves"][side]) for c in r["classes"]] for side in (0, 1)]
        counts = [int(row["concepts"]) for row in rows]
        shorter = [[before_all(c, k) for c, k in zip(side, counts, strict=True) if k > 1] for side in curves]
        for key, sides in (("real_areas", curves), ("real_areas_before_all", shorter)):
            print(key.removeprefix("real_").replace("_", " ") + ", in points")
            areas = {f"{side[0].kind}_{name}": area(side, other) for side in sides for other, name in OTHERS.items()}
            for name, (mean, low, high, p) in areas.items():
                print(f"  {name:32s} {100 * mean:6.1f} [{100 * low:6.1f}, {100 * high:6.1f}], p = {p:.4f}")
            summary[key][r["case"]] = areas
    return summary
