"""Does an audit find a planted slice? Precision of the first ten clips of its first slice, beside other orders.

    python benchmarks/audit.py [--work DIR] [--kinds patch caption …] [--quick]

In each case the network that comes with voxplain gets a shortcut of known strength: its logit of another class rises
along the direction that a defect has in its features, so that clips of the audited class with the defect are mostly
taken for that class. Ten of the class's clips have the defect. Whether a clip has it is known to the benchmark only.

precision_at_10   share of the first ten clips of the first slice that have the defect; a slice of fewer clips counts
                  with the places that it does not fill as misses
by_log_odds       the same for the clips in the order of rising log-odds of their class: what looking at the worst clips
                  first gives, without any description
share             share of the class's clips that have the defect: the precision of a random order
found             share of the cases in which the first slice is significant (q < 0.05)
named             share of the cases in which the concept that describes it covers the defect better than any other
                  (only defects with a place of their own)
corrected         share of the wrong clips with the defect that hiding that concept corrects
relation          the class of a network that tells whether one square is above the other: loss of log-odds when one is
                  moved to the other side, above that when both are moved; with its q-value, and that of the horizontal
                  order, which decides nothing. Of a network of known weights, by maps alone, and ("trained") of one
                  trained on such clips, by the default features and number of clusters

Scenes have seeds of their own (700000 and on), on which nothing was tuned.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import voxplain as vx
from voxplain.audits import ClassAudit
from voxplain.concepts.effect import concept_mask
from voxplain.concepts.sequential_effects import SequentialEffects
from voxplain.datasets import VideoSet
from voxplain.datasets.planted import DEFECTS, PlantedDesign, draw_scene, masks, with_defect, without_defect
from voxplain.datasets.planted.scene import Scene, draw
from voxplain.nets import build_net, load_weights, save_weights
from voxplain.progress import progress_bar
from voxplain.video.encode import write_video

CLASS, TAKEN_FOR = "ring", "cross"
CLIPS, PLANTED, OTHERS = 24, 10, 8
FIRST_SEED = 700_000
LOCAL = {"patch": "shortcut", "caption": "caption", "colour": "distractor0"}  # objects that are the defect
ORDERS = ("green above", "red above")
TRAINING = 1500  # clips of each of the two for the network that is trained
STRENGTH = 1.5  # the shortcut's rise over the mean margin of the clips
SETTINGS = vx.ConceptSettings(
    unrelated_videos=12,
    unrelated_crops=12,
    random_sets=4,
    effect=SequentialEffects(fills=("median",), fill_clips=8, clips=8, passes=150, top=2, detail_clips=4),
)
MEASURES = vx.AuditSettings(kind_clips=6, wrong_clips=10, relation_clips=8)


def scene_of(design: PlantedDesign, label: str, place: int, *, defect: bool) -> Scene:
    scene = without_defect(design, draw_scene(replace(design, shortcut=None), label, FIRST_SEED + place))
    return with_defect(design, scene) if defect else scene


def write_set(design: PlantedDesign, home: Path) -> tuple[VideoSet, dict[str, Scene]]:
    """The audited videos, and the scene of each by path."""
    scenes = {home / CLASS / f"{i:02d}.mp4": scene_of(design, CLASS, i, defect=i < PLANTED) for i in range(CLIPS)}
    scenes |= {home / TAKEN_FOR / f"{i:02d}.mp4": scene_of(design, TAKEN_FOR, i, defect=False) for i in range(OTHERS)}
    for path, scene in scenes.items():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, draw(scene)[0])
    paths = tuple(scenes)
    labels = np.array([(CLASS, TAKEN_FOR).index(p.parent.name) for p in paths], np.int64)
    return VideoSet((CLASS, TAKEN_FOR), paths, labels), {str(p): s for p, s in scenes.items()}


class Shortcut(nn.Module):
    """A head whose logit of one class rises along a direction of the features."""

    def __init__(self, head: nn.Module, direction: Tensor, zero: Tensor, target: int, gain: float) -> None:
        super().__init__()
        self.head, self.target = head, target
        self.register_buffer("direction", direction * gain)
        self.register_buffer("zero", zero)

    def forward(self, x: Tensor) -> Tensor:
        z = self.head(x)
        rise = torch.relu((x.flatten(1) - self.zero) @ self.direction)
        return z + rise[:, None] * nn.functional.one_hot(torch.tensor(self.target), z.shape[1])


def with_shortcut(design: PlantedDesign) -> vx.VideoModel:
    """The shipped network with a shortcut from the design's defect to TAKEN_FOR, fitted on scenes of other seeds."""
    model = vx.load_model("planted")
    places = range(-40, -24)
    pair = [np.stack([draw(scene_of(design, CLASS, i, defect=defect))[0] for i in places]) for defect in (False, True)]
    without, having = (model.embed(frames).double() for frames in pair)
    direction = (having - without).mean(0)
    direction /= direction.norm()
    along = [features @ direction for features in (without, having)]
    # Zero for clips without the defect, and for the others STRENGTH times their mean margin.
    start = along[0].mean() + 0.25 * (along[1].mean() - along[0].mean())
    z = model.logits(pair[1]).double()
    y, other = model.class_index(CLASS), model.class_index(TAKEN_FOR)
    margin = float((z[:, y] - z[:, other]).mean())
    gain = STRENGTH * margin / max(float(torch.relu(along[1] - start).mean()), 1e-9)
    zero = (direction * start).float()
    model.net.head = Shortcut(model.net.head, direction.float(), zero, other, gain)
    return replace(model, net=model.net.eval(), name=f"shortcut-{design.shortcut_kind}")


def run_case(kind: str, work: Path) -> dict:
    """Figures of one kind of defect."""
    design = PlantedDesign(shortcut=CLASS, shortcut_kind=kind)
    videos, scenes = write_set(design, work / kind / "videos")
    model = with_shortcut(design)
    audit = vx.audit(
        model, videos, settings=SETTINGS, measures=MEASURES, store=work / kind / "store", progress=progress_bar
    )
    found = audit.of_class(CLASS)
    planted = np.array([int(Path(source).stem) < PLANTED for source in found.sources])
    wrong = np.array(found.wrong)
    first = found.slices[0] if found.slices else None
    hits = planted[list(first.clips[:10])].sum() if first else 0
    index = found.index
    frames = np.stack([clip.frames for clip in audit.runs[[c.label for c in audit.classes].index(CLASS)].clips])
    z = model.logits(frames).cpu().numpy()
    odds = z[:, index] - np.logaddexp.reduce(np.delete(z, index, 1), axis=1)
    figures = {
        "kind": kind,
        "accuracy_with_defect": float((~wrong[planted]).mean()),
        "accuracy_without": float((~wrong[~planted]).mean()),
        "precision_at_10": float(hits) / 10,
        "by_log_odds": float(planted[np.argsort(odds, kind="stable")[:10]].mean()),
        "share": float(planted.mean()),
        "q_value": first.q_value if first else None,
        "slice": [list(first.present), list(first.absent), len(first.clips)] if first else None,
    }
    if kind in LOCAL:
        figures |= named(kind, audit, found, scenes)
    return figures


def named(kind: str, audit: vx.AuditRun, found: ClassAudit, scenes: dict[str, Scene]) -> dict:
    """Whether the concept that covers the defect best describes the first slice, and what hiding it corrects."""
    run = next(run for run in audit.runs if run.target == CLASS)
    both, either = np.zeros(len(run.bank)), np.zeros(len(run.bank))
    for i, source in enumerate(found.sources):
        own = [mask for name, mask in masks(scenes[source]).items() if name.startswith(LOCAL[kind])]
        if int(Path(source).stem) >= PLANTED or not own:
            continue
        truth = np.any(own, 0)
        for k in range(len(run.bank)):
            mask = concept_mask(run.supervoxels[i], run.assigned[i], k)
            both[k] += (mask & truth).sum()
            either[k] += (mask | truth).sum()
    overlap = both / np.maximum(either, 1)
    best = int(overlap.argmax())
    cause = next((c for c in found.causes if c.concept == best), None)
    return {
        "concept": best,
        "overlap": round(float(overlap[best]), 3),
        "named": bool(found.slices) and found.slices[0].present == (best,),
        "corrected": cause.corrected if cause else 0.0,
        "cause_q": cause.q_value if cause else None,
        "kind_of_concept": next(c.kind for c in found.concepts if c.concept == best),
    }


class Above(nn.Module):
    """Logits of "red above green" and "green above red": the difference of the mean heights of red and of green."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.colours = nn.Conv3d(3, 2, 1, bias=True)
        self.register_buffer("height", torch.linspace(1, -1, side))
        with torch.no_grad():
            weight = torch.tensor([[4.0, -4.0, 0.0], [-4.0, 4.0, 0.0]])
            self.colours.weight.copy_(weight.reshape(2, 3, 1, 1, 1))
            self.colours.bias.fill_(-0.4)

    def forward(self, x: Tensor) -> Tensor:
        there = torch.relu(self.colours(x)).mean((2, 4))  # [B,2,H]
        at = (there * self.height).sum(2) / (there.sum(2) + 1e-3)
        higher = 6 * (at[:, 0] - at[:, 1])
        return torch.stack([-higher, higher], 1)


def relation_clip(above: str, seed: int, shape: tuple[int, int, int] = (8, 48, 48)) -> np.ndarray:
    """A red and a green square on noise, one above the other, at any places: one alone seldom tells which."""
    rng = np.random.default_rng((seed, above == "red"))
    frames = rng.normal(110, 3, (*shape, 3))
    top, low = (int(y) for y in np.sort(rng.choice(shape[1] - 8, 2, replace=False)))
    while low - top < 9:
        top, low = (int(y) for y in np.sort(rng.choice(shape[1] - 8, 2, replace=False)))
    for colour, y in ((above, top), ("green" if above == "red" else "red", low)):
        x = int(rng.integers(4, 36))
        frames[:, y : y + 8, x : x + 8] = (220, 40, 60) if colour == "red" else (40, 220, 60)
    return frames.clip(0, 255).astype(np.uint8)


def known_network() -> tuple[vx.VideoModel, vx.ConceptSettings]:
    """The network of known weights, and settings for it.

    Maps alone: a square's contribution is that of its place against the mean place, which is 0 in its middle.
    """
    whole = vx.Geometry((48, 48), (48, 48))
    options = {"grid": (8, 48, 48), "classes": ORDERS, "mean": (0.0,) * 3, "std": (1.0,) * 3, "geometry": whole}
    model = vx.VideoModel(Above(48).eval(), layer="colours", name="above", task="classification", **options)
    features = vx.ContextFeatures(layers=("colours",), contribution=0.0)
    return model, replace(SETTINGS, embedder=features, clusterer=vx.KMeans(clusters=6), keep=4)


def trained_network(work: Path) -> tuple[vx.VideoModel, float]:
    """`tiny` trained on clips of the two orders, and its accuracy on others."""
    whole = vx.Geometry((48, 48), (48, 48))
    torch.manual_seed(0)
    net = build_net("tiny", 2).eval()
    model = vx.VideoModel(
        net, layer="pool", grid=(8, 48, 48), classes=ORDERS, geometry=whole, name="above", task="classification"
    )
    clips, labels = (
        np.stack([relation_clip(label.split()[0], 10_000 + i) for label in ORDERS for i in range(TRAINING + 50)]),
        np.repeat([0, 1], TRAINING + 50),
    )
    held = np.arange(len(labels)) % (TRAINING + 50) >= TRAINING
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "weights.safetensors").exists():
        # Colours stay, for they tell the classes apart, and places, which `train_on_clips` would move at random.
        _train(model, clips[~held], labels[~held])
        save_weights(net, work / "weights.safetensors", {})
    load_weights(net, work / "weights.safetensors")
    z = np.concatenate([np.asarray(model.logits(part)) for part in np.array_split(clips[held], 10)])
    return model, float((z.argmax(1) == labels[held]).mean())


def _train(model: vx.VideoModel, clips: np.ndarray, labels: np.ndarray, epochs: int = 12) -> None:
    rng, truth = np.random.default_rng(0), torch.from_numpy(labels)
    steps = -(-len(clips) // 32)
    optimiser = torch.optim.AdamW(model.net.parameters(), lr=5e-3, weight_decay=0.02)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=epochs * steps)
    model.net.train()
    for epoch in range(epochs):
        right = 0
        for rows in np.array_split(rng.permutation(len(clips)), steps):
            z = model.net(model.prepare(clips[rows]))
            loss = nn.functional.cross_entropy(z, truth[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            cycle.step()
            right += int((z.argmax(1) == truth[rows]).sum())
        print(f"order of squares: epoch {epoch + 1} of {epochs}: right {right / len(clips):.3f}", flush=True)
        if right > 0.998 * len(clips):
            break
    model.net.eval()


def run_relation(model: vx.VideoModel, settings: vx.ConceptSettings, work: Path) -> dict:
    """What the audit says of a class that is decided by which square is above."""
    paths = []
    for label in ORDERS:
        for i in range(10):
            path = work / "videos" / label / f"{i:02d}.mp4"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_video(path, relation_clip(label.split()[0], i))
            paths.append(path)
    videos = VideoSet(ORDERS, tuple(paths), np.repeat([0, 1], 10).astype(np.int64))
    audit = vx.audit(model, videos, settings=settings, measures=MEASURES, store=work / "store", progress=progress_bar)
    found = {}
    for own in audit.classes:
        # Of several pairs the one with the least q; q-values are of all pairs and axes together.
        effects = {e.axis: e for e in sorted(own.relation_effects, key=lambda e: -e.q_value)}
        vertical, horizontal = effects.get("vertical"), effects.get("horizontal")
        found[own.label] = {
            "relations": [f"{r.first} {r.name} {r.second}: {r.share:.2f}" for r in own.relations],
            "vertical": round(vertical.lost, 2) if vertical else None,
            "vertical_q": round(vertical.q_value, 4) if vertical else None,
            "horizontal": round(horizontal.lost, 2) if horizontal else None,
            "horizontal_q": round(horizontal.q_value, 4) if horizontal else None,
        }
    return found


def overall(cases: list[dict], relation: dict) -> dict:
    def mean(name: str) -> float | None:
        own = [float(c[name]) for c in cases if c.get(name) is not None]
        return round(float(np.mean(own)), 3) if own else None

    return {
        "cases": len(cases),
        **{name: mean(name) for name in ("precision_at_10", "by_log_odds", "share", "named", "corrected")},
        "found": round(float(np.mean([c["q_value"] is not None and c["q_value"] < 0.05 for c in cases])), 3),
        "relation": relation,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/audit"))
    parser.add_argument("--kinds", nargs="+", choices=DEFECTS, default=list(DEFECTS))
    parser.add_argument("--quick", action="store_true", help="one kind of defect")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    relation = run_relation(*known_network(), asked.work / "relation")
    trained, accuracy = trained_network(asked.work / "trained")
    relation["trained"] = {"accuracy": accuracy, **run_relation(trained, SETTINGS, asked.work / "trained")}
    print(json.dumps(relation), flush=True)
    cases = []
    for kind in asked.kinds[:1] if asked.quick else asked.kinds:
        cases.append(run_case(kind, asked.work))
        print(json.dumps(cases[-1]), flush=True)
    print(json.dumps(overall(cases, relation)))


if __name__ == "__main__":
    main()
