"""Which score ranks concepts best? The area between top and least on held-out clips, for every score, on one bank.

    python benchmarks/scores.py [--data DIR] [--sets planted weizmann utd_depth] [--work runs/scores]

All scores of a class rank the same concepts, so only the order differs. Adding: what the top concepts alone bring back,
beyond what the least bring. Removing: what their loss costs. A score made by removing should win at removing: adding is
the independent witness here, planted truth (`truth.py`) the other. Areas in points of accuracy, mean over q = 1 … 5,
95 % by bootstrap over videos; "equal coverage" reads both curves against the share of voxels. Weizmann and UTD need the
networks that `voxplain reproduce` trains: --nets names the folder of its outputs.
"""

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from voxplain.cli.held_out import HeldOut, split_videos
from voxplain.concepts.classifiers import CLASSIFIERS
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.evaluate import AddRemove, join
from voxplain.concepts.order_tests import OrderTest, order_test
from voxplain.concepts.rank import EFFECTS
from voxplain.concepts.score import SCORES, directional_derivatives
from voxplain.concepts.sequential_effects import SequentialEffects
from voxplain.concepts.settings import ConceptSettings
from voxplain.datasets import read_clips, scan_folder
from voxplain.datasets.planted import DESIGNS, write_planted
from voxplain.explain import evaluate_concepts, explain_concepts
from voxplain.model import OBJECTIVES, VideoModel, stack
from voxplain.store import Store
from voxplain.zoo.load import load_model

SETTINGS = ConceptSettings(
    videos=20,
    unrelated_videos=60,
    unrelated_crops=15,
    effect=SequentialEffects(thorough=True),  # every kind of effect in every clip
    evaluation=AddRemove(steps=5, draws=1, matched=1),
)
# Of each set: the network of its experiment, and layers before the feature layer ("block4" of tiny is its pool's input,
# which comes to the same).
NETS = {"planted": ("tiny", ("block3",)), "weizmann": ("tiny", ("block3",)), "utd_depth": ("compact", ())}
# What is shown instead of what is hidden; depth is grey on black, and its default fails there (docs/results.md).
BLACK = {"utd_depth": "black"}
# How CAVs are learnt, by name.
KINDS = tuple(
    (f"{examples} {name}", {"unrelated_examples": examples, "classifier": CLASSIFIERS[name]})
    for examples in ("matched", "raw")
    for name in ("ridge", "mean_difference")
)


def sets(asked: argparse.Namespace) -> dict[str, tuple[Path, Path, HeldOut, VideoModel]]:
    """(videos, unrelated, how they are divided, network) by name."""
    found = {}
    for name in asked.sets:
        if name == "planted":
            root = asked.work / "planted"
            write_planted(root, design=DESIGNS["standard"], train=20, test=15, unrelated=60, seed=11)
            found[name] = (root, root / "unrelated", HeldOut(), load_model("planted"))
            continue
        net = NETS[name][0]
        weights = asked.nets / name / net / "weights.safetensors"
        if asked.data is None or not weights.exists():
            print(f"{name}: skipped, no --data or no {weights}; make it with `voxplain reproduce {name}`")
            continue
        held = HeldOut(hold_out=("ido", "lena", "moshe")) if name == "weizmann" else HeldOut(dataset="utd_mhad")
        folder = {"weizmann": "weizmann", "utd_depth": "utd_mhad_depth"}[name]
        found[name] = (asked.data / folder, asked.data / "unrelated", held, load_model(net, weights=weights))
    return found


def scores_of(model: VideoModel, runs: dict[str, ConceptRun], y: int) -> dict[str, np.ndarray]:
    """Every score's value per concept; the runs differ in how their CAVs were learnt."""
    first = next(iter(runs.values()))
    found = {f"effect {n}": np.nan_to_num(drop(first.effects, y, "log_odds")).mean(0) for n, drop in EFFECTS.items()}
    frames = stack(first.clips)
    for objective in OBJECTIVES:
        gradients = model.gradient(frames, y, objective=objective)
        for name, run in runs.items():
            derivatives = directional_derivatives(gradients, run.cavs)
            for score, function in SCORES.items():
                found[f"tcav {name} {objective} {score}"] = function(derivatives).mean(1)
    return found


def ordered(run: ConceptRun, values: np.ndarray) -> ConceptRun:
    """The run with its concepts ranked by other values."""
    score = replace(run.scores["effect"], value=np.asarray(values, np.float64))
    return replace(run, scores={**run.scores, "asked": score}, ranking="asked")


def evaluated(
    name: str, videos: Path, unrelated: Path, held: HeldOut, model: VideoModel, asked: argparse.Namespace
) -> dict:
    """AddRemoveCurves of adding and removing by score, joined over classes."""
    base = SETTINGS
    if fill := BLACK.get(name):
        base = replace(base, effect=replace(base.effect, fills=(fill,)), evaluation=replace(base.evaluation, fill=fill))
    train, test = split_videos(videos, held)
    random = read_clips(scan_folder(unrelated), model.reader(), limit=base.unrelated_videos).clips
    labels = [c for c in train.classes if (c in asked.classes if asked.classes else c != "nothing")]
    # With an experiment's own store, what it has computed is found again.
    own = asked.nets / name / NETS[name][0] / "store"
    store = Store(own if own.is_dir() else asked.work / "store" / name)
    found: dict[str, list] = {}
    for label in labels:
        clips = read_clips(train.of_class(label), model.reader(), limit=base.videos).clips
        shown = read_clips(test.of_class(label), model.reader()).clips
        y = model.class_index(label)

        def evaluated(run: ConceptRun, values: np.ndarray, at: VideoModel, shown: tuple = shown) -> tuple:
            evaluation = evaluate_concepts(ordered(run, values), shown, model=at, settings=base, store=store).evaluation
            return evaluation.adding, evaluation.removing

        def explain(at: VideoModel, label: str = label, clips: tuple = clips, **own: object) -> ConceptRun:
            settings = replace(base, **own)
            return explain_concepts(at, clips, random=random, target=label, settings=settings, store=store)

        runs = {name: explain(model, **own) for name, own in KINDS}
        first = runs[KINDS[0][0]]
        for score, values in scores_of(model, runs, y).items():
            found.setdefault(score, []).append(evaluated(first, values, model))
        for layer in NETS[name][1]:
            at = replace(model, layer=layer)
            run = explain(at)
            for score in ("effect", "tcav"):
                found.setdefault(f"layer {layer}, {score}", []).append(evaluated(run, run.scores[score].value, at))
        print(f"  {label}: done", flush=True)
    return {name: tuple(join(list(side)) for side in zip(*both, strict=True)) for name, both in found.items()}


def area(c: OrderTest) -> str:
    return f"{100 * c.difference:5.1f} [{100 * c.low:5.1f}, {100 * c.high:5.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("VOXPLAIN_DATA") and Path(os.environ["VOXPLAIN_DATA"])
    )
    parser.add_argument("--nets", type=Path, default=Path("runs/reproduce"))
    parser.add_argument("--sets", nargs="+", default=["planted", "weizmann", "utd_depth"])
    parser.add_argument("--work", type=Path, default=Path("runs/scores"))
    parser.add_argument("--classes", nargs="+", help="only these classes; default: all")
    asked = parser.parse_args()
    summary = {}
    for name, (videos, unrelated, held, model) in sets(asked).items():
        print(f"{name}:", flush=True)
        found = evaluated(name, videos, unrelated, held, model, asked)
        rows = {}
        for score, (adding, removing) in found.items():
            rows[score] = [order_test(s, o) for s in (adding, removing) for o in ("least", "least at equal coverage")]
        first = next(iter(found.values()))[0]
        print(f"{name}, {len(first.truth)} test videos, {100 * first.baseline():.1f} % unmodified; area top − least")
        heads = ("adding", "adding, equal coverage", "removing", "removing, equal coverage")
        print(f"{'score':44s}" + "".join(f"{h:>25s}" for h in heads))
        for score, row in sorted(rows.items(), key=lambda x: -x[1][0].difference):
            print(f"{score:44s}" + "".join(f"{area(c):>25s}" for c in row))
        summary[name] = {
            score: {h: [round(v, 4) for v in (c.difference, c.low, c.high)] for h, c in zip(heads, row, strict=True)}
            for score, row in rows.items()
        }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
