"""Do the tests hold their level, and how often do they find what is there?

    python benchmarks/significance.py [--work DIR] [--parts class,corrections,own]

class        `recognition` in networks of 2, 3, 6 and 10 classes, 12 clips of the class and 20 unrelated, with the
             objects and the quarters of the background as concepts: trained ones (classes that lose log-odds of 1 or
             more when the object is left out, and `default`, the others), and blind ones with random weights (three
             layouts) or trained on shuffled labels until they fit them. Beside it each of its two ways without the
             other, a t-test of any rise of the log-odds, and the test of the class's rise in probability as one more of
             those of the other outputs.
corrections  power and false discoveries of max-T, Benjamini–Hochberg and Holm on simulated effects of 12 clips.
own          share of p < 0.05 for own concepts that are more unrelated clips, with 16 to 100 unrelated clips.

Planted clips of tuning shapes, 8×32×32; nothing here is of the design that the README reports on.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from torch import nn

import voxplain as vx
from voxplain.concepts.effect import Effects
from voxplain.concepts.features import embed_clip
from voxplain.concepts.rank import excess_drop, rank_by_effect
from voxplain.concepts.recognition import recognition
from voxplain.concepts.significance import independent_t
from voxplain.datasets.planted import DESIGNS, PlantedDesign
from voxplain.datasets.planted.draw import draw_scene, draw_unrelated
from voxplain.datasets.planted.scene import Scene, masks, render, without
from voxplain.model import OBJECTIVES
from voxplain.nets import build_net
from voxplain.perturb import base_clip, hide
from voxplain.segment import Supervoxels, volume_matched
from voxplain.statistics import benjamini_hochberg, holm, sign_flips

DESIGN = PlantedDesign(
    appearance=("cross", "ring", "triangle", "star"), motions=("bounce", "orbit", "right", "left", "shuttle")
)
CLASSES = {
    2: [("cross", "orbit"), ("ring", "triangle"), ("orbit", "right"), ("bounce", "shuttle")],
    3: [("cross", "ring", "triangle"), ("bounce", "left", "star"), ("cross", "nothing", "orbit")],
    6: [
        ("bounce", "cross", "nothing", "orbit", "right", "ring"),
        ("cross", "left", "orbit", "ring", "star", "triangle"),
    ],
    10: [DESIGN.classes],
}
CLIPS, UNRELATED = 12, 20


def small(scene: Scene) -> np.ndarray:
    """A scene at half its length and size, uint8 [8,32,32,3]."""
    x = render(scene, codec=False)[::2]
    return x.reshape(8, 32, 2, 32, 2, 3).mean((2, 4)).round().astype(np.uint8)


def clips_of(label: str, count: int, work: Path) -> np.ndarray:
    """Clips of a class, or unrelated ones; kept in a file."""
    kept = work / f"{label}-{count}.npy"
    if not kept.exists():
        draw = draw_unrelated if label == "unrelated" else lambda d, seed: draw_scene(d, label, seed)
        np.save(kept, np.stack([small(draw(DESIGN, 7_000_000 + i)) for i in range(count)]))
    return np.load(kept)


def plain(classes: int) -> nn.Module:
    """Another layout, with no normalisation and large random weights."""
    net = nn.Sequential(
        nn.Conv3d(3, 24, (3, 7, 7), (2, 4, 4), (1, 3, 3)),
        nn.ReLU(),
        nn.Conv3d(24, 48, 3, 2, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(48, classes),
    )
    for layer in net:
        if isinstance(layer, nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    return net


LAYOUTS: dict[str, Callable[[int], nn.Module]] = {
    "tiny": lambda c: build_net("tiny", c),
    "compact": lambda c: build_net("compact", c),
    "plain": plain,
}


def tensor(frames: np.ndarray) -> torch.Tensor:
    """Frames [N,T,H,W,3] as a network's input."""
    return (torch.from_numpy(frames.copy()).permute(0, 4, 1, 2, 3).float() / 255 - 0.4) / 0.25


def network(kind: str, layout: str, labels: Sequence[str], seed: int, work: Path, per_class: int = 200) -> nn.Module:
    """A network of one kind, trained where it is to be."""
    torch.manual_seed(seed)
    net = LAYOUTS[layout](len(labels))
    if kind == "random":
        return net.eval()
    per_class = per_class if kind == "trained" else 100  # so few that shuffled labels are learnt by heart
    kept = work / f"{kind}-{'-'.join(labels)}-{seed}.pt"
    if kept.exists():
        net.load_state_dict(torch.load(kept, weights_only=True))
        return net.eval()
    x = np.concatenate([clips_of(name, 200, work)[:per_class] for name in labels])
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(labels)), per_class)
    y = rng.permutation(y) if kind == "shuffled" else y
    epochs, steps = 14, len(x) // 32
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=0.05, total_steps=epochs * steps)
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(x))[: steps * 32], steps):
            loss = nn.functional.cross_entropy(net(tensor(x[rows])), torch.from_numpy(y[rows]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
    torch.save(net.state_dict(), kept)
    return net.eval()


def needs_its_object(net: nn.Module, label: str, y: int) -> float:
    """Mean log-odds that the class loses when its clips are drawn without the object that decides it."""
    scenes = [draw_scene(DESIGN, label, 7_000_000 + i) for i in range(CLIPS)]
    if label == DESIGN.empty:
        return 0.0
    with torch.no_grad():
        whole, gone = (
            net(tensor(np.stack([small(s) for s in x]))) for x in (scenes, [without(s, "target") for s in scenes])
        )
    return float((OBJECTIVES["log_odds"](whole, y) - OBJECTIVES["log_odds"](gone, y)).mean())


def among_outputs(own: np.ndarray, unrelated: np.ndarray, y: int) -> float:
    """P-value of the class's rise in mean probability as one more of the other outputs' rises."""
    rise = np.diff([torch.from_numpy(z).double().softmax(1).mean(0).numpy() for z in (unrelated, own)], axis=0)[0]
    others = np.delete(rise, y)
    return float(stats.ttest_ind([rise[y]], others, alternative="greater").pvalue) if len(others) > 1 else np.nan


@cache
def hidden_concepts(label: str) -> tuple[np.ndarray, np.ndarray]:
    """Clips with an object or a quarter of the background hidden, with random blocks of its volume, and the fill.

    Uint8 [F,M,K,3,8,32,32,3] with the fills blur and median, and the volumes [M,K].
    """
    t, y, x = np.indices((8, 32, 32))
    blocks = Supervoxels.from_levels([(t // 2) * 64 + (y // 4) * 8 + x // 4])
    quarters = (y // 16) * 2 + x // 16
    pictures, volume = np.zeros((2, CLIPS, 8, 3, 8, 32, 32, 3), np.uint8), np.zeros((CLIPS, 8))
    for m in range(CLIPS):
        scene = draw_scene(DESIGN, label, 7_000_000 + m)
        frames, found = small(scene), masks(scene)
        order = sorted(found, key=lambda name: (name != "target", name))[:4]
        objects = [found[name][::2].reshape(8, 32, 2, 32, 2).mean((2, 4)) >= 0.5 for name in order]
        ground = ~np.any(objects, 0) if objects else np.ones(t.shape, bool)
        for k, mask in [*enumerate(objects), *((4 + q, ground & (quarters == q)) for q in range(4))]:
            volume[m, k] = mask.mean()
            random = volume_matched(np.random.default_rng((m, k)), blocks, int(mask.sum()))
            for f, fill in enumerate(("blur", "median")):
                base = base_clip(frames, fill, np.zeros(3, np.uint8))
                pictures[f, m, k] = hide(frames, mask, base), hide(frames, random, base), base
    return pictures, volume


def effects_of(net: nn.Module, own: np.ndarray, label: str) -> Effects:
    """Effects of the concepts of `hidden_concepts`; ``own`` [M,C] are the logits of the unmodified clips."""
    pictures, volume = hidden_concepts(label)
    z = net(tensor(pictures.reshape(-1, *pictures.shape[4:]))).numpy().reshape(*pictures.shape[:4], -1)
    blank = z[:, :, 4, 2].copy()
    z[:, volume == 0] = np.nan
    unknown = np.full_like(z[:, :, :, 0], np.nan)
    return Effects(own, z[:, :, :, 0], z[:, :, :, 1], unknown, blank, volume, ("blur", "median"))


def verdicts(net: nn.Module, own: np.ndarray, others: np.ndarray, label: str, y: int) -> list[bool]:
    """Six statements about a class.

    `recognition`; it by the rise alone; it by hiding alone; it together with a significant concept; any rise of the
    log-odds; a rise among those of the outputs.
    """
    effects = effects_of(net, own, label)
    hiding = {"cost": excess_drop(effects, y), "blank": effects.blank}
    lead = [OBJECTIVES["log_odds"](torch.from_numpy(z), y).numpy() for z in (own, others)]
    any_rise = stats.ttest_ind(*lead, equal_var=False, alternative="greater").pvalue < 0.025
    # Unrelated clips that equal the class's own leave hiding as the only way to be recognised.
    ways = [recognition(own, others, y), recognition(own, own, y, **hiding)]
    made = recognition(own, others, y, **hiding)
    significant = made.holds and (rank_by_effect(effects, y).q_value < 0.05).any()
    return [made.holds, *(w.holds for w in ways), significant, any_rise, among_outputs(own, others, y) < 0.05]


def statement_about_the_class(work: Path) -> dict[str, list[float]]:
    """Shares of classes that the tests of `verdicts` call recognised, by kind of network and number of classes."""
    found: dict[str, list[list[bool]]] = {}
    unrelated = tensor(clips_of("unrelated", 60, work)[:UNRELATED])
    for kind, layouts, seeds in (("trained", ("tiny",), 1), ("shuffled", ("tiny",), 2), ("random", tuple(LAYOUTS), 8)):
        for count, sets in CLASSES.items():
            for labels, layout, seed in [(s, x, i) for s in sets for x in layouts for i in range(seeds)]:
                net = network(kind, layout, labels, seed, work)
                with torch.no_grad():
                    others = net(unrelated).numpy()
                    for y, name in enumerate(labels):
                        own = net(tensor(clips_of(name, 200, work)[:CLIPS])).numpy()
                        default = kind == "trained" and needs_its_object(net, name, y) < 1
                        found.setdefault(f"{'default' if default else kind} {count}", []).append(
                            verdicts(net, own, others, name, y)
                        )
    summary = {}
    for name, rows in found.items():
        summary[name] = shares = np.mean(rows, 0).round(3).tolist()
        text = (
            "recognised {:.3f} (rise {:.3f}, hiding {:.3f}; with a significant concept {:.3f}), any rise {:.3f}, "
            "among outputs {:.3f}"
        ).format(*shares)
        print(f"{name:12s} classes, {len(rows):4d} tested: {text}", flush=True)
    return summary


def corrections(draws: int = 200) -> dict[str, list[float]]:
    """Share of draws with a true effect found, mean share found, and false discovery rate."""
    rng, summary = np.random.default_rng(0), {}
    methods = {
        "max-T": lambda flips: flips.adjusted(),
        "Benjamini–Hochberg": lambda flips: benjamini_hochberg(flips.p_value()),
        "Holm": lambda flips: holm(flips.p_value()),
    }
    for concepts, true in ((12, 1), (12, 3), (25, 1), (25, 3), (25, 8)):
        found: dict[str, list[list[float]]] = {name: [] for name in methods}
        for _ in range(draws):
            values = 0.5 * rng.laplace(size=(CLIPS, concepts)) + 0.5 * rng.normal(size=(CLIPS, 1))
            values[:, :true] += 1
            values[rng.random(values.shape) < 0.15] = 0  # absent
            flips = sign_flips(values, rng)
            for name, adjusted in methods.items():
                hit = adjusted(flips) < 0.05
                found[name].append([hit[:true].any(), hit[:true].mean(), hit[true:].sum() / max(hit.sum(), 1)])
        for name, rows in found.items():
            summary[f"{name}, {true} of {concepts}"] = shares = np.mean(rows, 0).round(3).tolist()
            text = "any found {:.2f}, found {:.2f}, false discovery rate {:.3f}".format(*shares)
            print(f"{name:20s} {true} of {concepts} concepts: {text}", flush=True)
    return summary


def own_concepts(repeats: int = 60) -> dict[str, float]:
    """Share of own concepts of nothing but unrelated clips with p < 0.05."""
    model, rng, summary = vx.load_model("planted"), np.random.default_rng(1), {}
    design = DESIGNS["standard"]
    frames = [render(draw_unrelated(design, 77_000_000 + i), codec=False) for i in range(360)]
    rows = np.stack([embed_clip(model, vx.Clip.from_array(f), window_step=8) for f in frames])
    along = []
    for y, label in enumerate(model.classes):
        clips = np.stack([render(draw_scene(design, label, 78_000_000 + i), codec=False) for i in range(10)])
        along.append(rows @ model.gradient(clips, y, objective="logit").mean(0).cpu().numpy())
    for size in (5, 15, 30):
        for unrelated in (16, 24, 40, 100):
            p = []
            for repeat in range(repeats):
                drawn = along[repeat % len(along)][rng.permutation(len(rows))]
                concepts = drawn[unrelated : unrelated + 8 * size].reshape(8, size)
                p += independent_t(concepts, drawn[:unrelated]).p_value().tolist()
            summary[f"{size} clips, {unrelated} unrelated"] = share = round(float((np.array(p) < 0.05).mean()), 3)
            print(f"own concepts of {size} clips, {unrelated} unrelated: {share:.3f} of {len(p)}", flush=True)
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/significance"))
    parser.add_argument("--parts", default="class,corrections,own")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    parts = {"class": lambda: statement_about_the_class(asked.work), "corrections": corrections, "own": own_concepts}
    print(json.dumps({name: parts[name]() for name in asked.parts.split(",")}))


if __name__ == "__main__":
    main()
