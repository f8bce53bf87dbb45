"""Which CAVs rank concepts as the network relies on them? 50 small random sets against one of all, known truth.

    python benchmarks/tcav_variants.py [--work runs/truth] [--nets standard-1 …] [--classes N] [--null-draws 20]

Concepts of the default settings on tuning networks of `truth_nets.py`, 20 clips a class; each variant scores
the same concepts. Truth as in `truth.py`: what a class loses without each object, weighted by how much of it a concept
covers.

spearman     rank correlation of the score with the true reliance, by log-odds and by logit, mean over classes
first        share of classes in which the concept on top overlaps the object relied on by an IoU of 0.5 or more
seeds        mean rank correlation of the scores under 3 seeds of random sets and held-out rows, same concepts
seconds      of all CAVs and scores of a class, null concepts included
false        share of concepts with p < 0.05 against null concepts where there is no class: clips drawn from the
             unrelated ones, with the gradients of a class of the network (`--null-draws` draws a network)

The last line is one JSON object.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from truth_figures import overlap
from truth_nets import TUNING, make
from truth_sets import Known, known_planted, unrelated_planted
from voxplain.concepts.classifiers import CLASSIFIERS
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.discover import discover
from voxplain.concepts.rank import rank_by_tcav
from voxplain.concepts.settings import PRESETS, ConceptSettings
from voxplain.explain import class_steps as steps
from voxplain.explain import explain_concepts
from voxplain.explain.session import Session, open_session
from voxplain.model import VideoModel
from voxplain.progress import quiet
from voxplain.runtime import ThreadExecutor
from voxplain.statistics import spearman
from voxplain.store import Store
from voxplain.video import Clip

CLIPS, UNRELATED = 20, 100
SEEDS = (0, 1, 2)
ALL = 1_000_000  # more than there are: every unrelated example
MANY = {"random_sets": 50, "random_size": 40, "balance": True}
ONE = {"random_sets": 1, "random_size": ALL, "balance": False}
DEFAULT = PRESETS["default"]

# Fields of the settings that differ from the default's, by name.
VARIANTS: dict[str, dict[str, object]] = {
    f"{examples}, {name.replace('_', ' ')}, {'50 sets of 40' if sets is MANY else 'one of all'}": {
        "unrelated_examples": examples,
        "classifier": CLASSIFIERS[name],
        **sets,
    }
    for examples in ("matched", "raw")
    for name in ("ridge", "mean_difference")
    for sets in (MANY, ONE)
}
PAPER = {"classifier": PRESETS["paper"].classifier, "unrelated_examples": "raw", "tcav": "sign_count", **MANY}
VARIANTS["as in the paper: raw, hinge, 50 sets of 40, logit, sign count"] = {**PAPER, "objective": "logit"}
VARIANTS["as in its code: raw, hinge, 50 sets of 40, log-probability, sign count"] = {
    **PAPER,
    "objective": "log_probability",
}
PLAIN = "matched, mean difference of any length, one of all"
EFFECT = "direct effect"


@dataclass(frozen=True, eq=False)
class Class:
    """A class's concepts, and all that its scores are computed from."""

    session: Session
    target: int
    concepts: list[np.ndarray]  # features [n,D'] of each concept's members
    owners: list[np.ndarray]  # the clips of those rows
    null: list[np.ndarray]
    examples: dict[str, np.ndarray]  # unrelated ones [N,D'], matched and raw
    gradients: dict[str, np.ndarray]  # [M,D'] by objective

    def scores(self, changes: dict[str, object], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Scores of the concepts [K] and of the null concepts, by one variant."""
        settings = replace(self.session.settings, seed=seed, **changes)  # type: ignore[arg-type]
        _, found = steps.tcav(
            replace(self.session, settings=settings),
            self.concepts,
            self.null,
            self.examples[settings.unrelated_examples],
            self.gradients[settings.objective],
            self.target,
            self.owners,
        )
        return found.value, found.null

    def plain(self) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives along the difference of the means, not divided by its length: of concepts and null concepts."""
        others, along = self.examples["matched"].mean(0), self.gradients["logit"].mean(0)
        own, null = (np.stack([rows.mean(0) - others for rows in part]) @ along for part in (self.concepts, self.null))
        return own, null


def inputs(
    session: Session,
    clips: Sequence[Clip],
    unrelated: Sequence[Clip],
    y: int,
    bank: tuple[Sequence[np.ndarray], np.ndarray],
) -> Class:
    """What TCAV needs for a class with the concepts ``bank``: their members, and (clip, supervoxel) of each row."""
    members, origin = bank
    half = len(unrelated) // 2
    values = np.zeros((len(origin), 1), np.float32)  # read only where features are in the layer's space
    concepts = steps.concept_features(session, clips, values, origin, members, "the concepts", y)
    drawn = steps.drawn_features(session, unrelated[half:], "unrelated videos (null)", for_cavs=False)
    found = {}
    for kind in ("matched", "raw"):
        own = replace(session, settings=replace(session.settings, unrelated_examples=kind))
        found[kind] = np.concatenate(steps.unrelated_examples(own, unrelated[:half]).values())
    gradients = {}
    for objective in ("logit", "log_probability"):
        own = replace(session, settings=replace(session.settings, objective=objective))
        gradients[objective] = np.stack(steps.gradients(own, clips, y).values())
    null = steps.null_concepts(session, unrelated[half:], drawn.values())
    return Class(session, y, concepts, [origin[rows, 0] for rows in members], null, found, gradients)


def top_iou(run: ConceptRun, known: Known) -> np.ndarray:
    """IoU of each concept with the object relied on that it overlaps most, [K]."""
    found = overlap(run, known)
    union = np.maximum(found.concept[:, :, None] + found.object[:, None] - found.both, 1)
    ious = (found.both / union).sum(0) / np.maximum((found.object > 0).sum(0), 1)
    return ious[:, [known.names.index(name) for name in known.relied]].max(1)


def figures(of: Class, run: ConceptRun, known: Known) -> dict[str, dict[str, float]]:
    """The figures of every variant for one class."""
    recall = overlap(run, known).recall.mean(0)
    truth = {n: recall @ np.nan_to_num(d).mean(0) for n, d in (("odds", known.drop), ("logit", known.drop_logit))}
    ious = top_iou(run, known)

    def agreement(values: np.ndarray) -> dict[str, float]:
        found = {f"spearman_{name}": spearman(values, reliance) for name, reliance in truth.items()}
        return found | {"first": float(ious[int(values.argmax())] >= 0.5)}

    rows = {EFFECT: agreement(run.scores["effect"].value)}
    for name, changes in VARIANTS.items():
        start = time.perf_counter()
        value = of.scores(changes)[0]
        seconds = time.perf_counter() - start
        seeds = [value, *(of.scores(changes, seed)[0] for seed in SEEDS[1:])]
        agree = np.mean([spearman(a, b) for a, b in combinations(seeds, 2)])
        rows[name] = agreement(value) | {"seeds": float(agree), "seconds": seconds}
    start = time.perf_counter()
    rows[PLAIN] = agreement(of.plain()[0]) | {"seconds": time.perf_counter() - start}
    return rows


def false_rates(session: Session, unrelated: Sequence[Clip], gradients: np.ndarray, draws: int, y: int) -> dict:
    """p-values of concepts found in unrelated clips as in a class's, by variant; other unrelated clips are the null's.

    ``gradients`` [M,D'] are those of a class of the network.
    """
    found: dict[str, list[np.ndarray]] = {}
    s = session.settings
    features = steps.drawn_features(session, unrelated, "unrelated videos", for_cavs=False).values()
    for draw in range(draws):
        order = np.random.default_rng((5, draw)).permutation(len(unrelated))
        own, others = order[:CLIPS], [unrelated[i] for i in order[CLIPS:]]
        values = np.concatenate([features[i].values for i in own])
        clips = np.repeat(np.arange(CLIPS), [len(features[i].ids) for i in own])
        origin = np.stack([clips, np.concatenate([features[i].ids for i in own])], 1)
        bank = discover(
            values, clips, clusterer=s.clusterer, keep=s.keep, cluster_filter=s.cluster_filter, reach=s.reach, seed=draw
        )
        mine = [unrelated[i] for i in own]
        of = inputs(session, mine, others, y, (bank.members, origin))
        of = replace(of, gradients=dict.fromkeys(of.gradients, gradients))
        tested = {n: of.scores(changes, draw) for n, changes in VARIANTS.items() if "as in" not in n}
        for name, (value, null) in {**tested, PLAIN: of.plain()}.items():
            p = rank_by_tcav(name, value[:, None], null[:, None], target=y, chance=0.0).p_value
            found.setdefault(name, []).append(p)
    return {name: np.concatenate(p) for name, p in found.items()}


def measure(name: str, work: Path, store: Path, most: int | None, draws: int) -> tuple[list[dict], dict]:
    """The figures of each class of a network, and the p-values without a class."""
    case = next(c for c in TUNING if c.name.removeprefix("trained-") == name)
    model, planted, _ = make(case, work)
    unrelated = unrelated_planted(model, planted.root, UNRELATED)
    settings: ConceptSettings = replace(DEFAULT, videos=CLIPS, unrelated_videos=UNRELATED)
    at, rows, chance = Store(store / name), [], {}
    for label in list(planted.design.decided)[:most]:
        known = known_planted(model, planted, label, CLIPS)
        if not known.relied:
            continue
        run = explain_concepts(model, known.clips, random=unrelated, target=label, settings=settings, store=at)
        session = opened(model, settings, at, known.clips)
        of = inputs(session, known.clips, unrelated, run.target_index, (run.bank.members, run.origin))
        rows.append(figures(of, run, known))
        if draws and not chance:
            chance = false_rates(session, unrelated, of.gradients["logit"], draws, run.target_index)
        print(f"{name} {label}: done", flush=True)
    return rows, chance


def opened(model: VideoModel, settings: ConceptSettings, store: Store, clips: Sequence[Clip]) -> Session:
    """A session on threads of this process."""
    return open_session(model, settings, store, clips, executor=ThreadExecutor, shard=None, progress=quiet)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/truth"))
    parser.add_argument("--store", type=Path, default=Path("runs/tcav"))
    parser.add_argument("--nets", nargs="+", default=["standard-1", "standard-residual-1", "textured-2", "occluded-7"])
    parser.add_argument("--classes", type=int, help="only the first classes of each network")
    parser.add_argument("--null-draws", type=int, default=10)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows, chance = [], []
    for name in asked.nets:
        found, p = measure(name, asked.work, asked.store, asked.classes, asked.null_draws)
        rows += found
        chance.append(p)
    print(f"\n{len(rows)} classes of {len(asked.nets)} networks")
    keys = ("spearman_odds", "spearman_logit", "first", "seeds", "seconds")
    print(f"{'score':70s}" + "".join(f"{k:>16s}" for k in (*keys, "false")))
    summary = {}
    for name in rows[0]:
        line = {k: float(np.mean([r[name][k] for r in rows])) for k in keys if k in rows[0][name]}
        p = [x[name] for x in chance if name in x]
        if p:
            line["false"] = float((np.concatenate(p) < 0.05).mean())
        cells = "".join(f"{line[k]:16.3f}" if k in line else " " * 16 for k in (*keys, "false"))
        print(f"{name:70s}{cells}")
        summary[name] = {k: round(v, 4) for k, v in line.items()}
    print(json.dumps({"classes": len(rows), "nets": asked.nets, "scores": summary}))


if __name__ == "__main__":
    main()
