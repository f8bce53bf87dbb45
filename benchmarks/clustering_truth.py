"""Consensus of k-means against other clusterings of the same features, with known truth.

    python benchmarks/clustering_truth.py [--work runs/truth] [--nets standard-1 textured-2] [--classes N]

Regions, features and effects are those of the default settings, on tuning networks of `truth_nets.py`, 20 clips a
class, three seeds of the clustering. Where the number of clusters has to be given it is the one of 6 to 12 with the
largest mean silhouette, the rule and the bounds of the consensus. Figures of `truth_figures.strict_figures`, mean over
classes and seeds; `seed_iou` is the IoU of the concepts on top under two seeds; seconds are those of the clustering
alone. The last line is one JSON object.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import sklearn.cluster
import sklearn.decomposition
import torch
from numpy.typing import NDArray
from sklearn.metrics import silhouette_score

from tcav_variants import opened
from truth_figures import agreement, strict_figures, top_masks
from truth_nets import TUNING, make
from truth_sets import Known, known_planted, unrelated_planted
from voxplain.concepts.cluster import NMF, Clusterer, Clustering, KMeans, steady, with_means
from voxplain.concepts.cluster_graph import Agglomerative, Spectral
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.consensus import Consensus
from voxplain.concepts.discover import discover
from voxplain.concepts.rank import rank_by_effect
from voxplain.concepts.settings import PRESETS
from voxplain.explain import explain_concepts
from voxplain.explain.effect_steps import EngineClips
from voxplain.explain.session import Session
from voxplain.store import Store

CLIPS, UNRELATED, SEEDS = 20, 60, (0, 1, 2)
SIZES = range(6, 13)
FIGURES = ("top_iou", "top_recall", "top_precision", "strict_rank_first", "fragments", "best_iou")
Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Chosen:
    """A clusterer of a given number of clusters with the number of the largest mean silhouette."""

    make: Callable[[int], Clusterer]

    def __call__(self, values: Rows, *, clips: NDArray[np.int64], seed: int = 0) -> Clustering:
        found = [Clustering(*self.make(k)(values, clips=clips, seed=seed)) for k in SIZES]
        real = [f for f in found if len(f.centers) > 1] or found[:1]
        return max(real, key=lambda f: silhouette_score(values, f.labels) if len(f.centers) > 1 else 0)


@dataclass(frozen=True)
class Density:
    """HDBSCAN; a concept is in at least a quarter of the clips."""

    def __call__(self, values: Rows, *, clips: NDArray[np.int64], seed: int = 0) -> Clustering:
        method = sklearn.cluster.HDBSCAN(min_cluster_size=max(5, len(np.unique(clips)) // 4), min_samples=5, copy=True)
        labels = method.fit(values).labels_
        return with_means(values, labels if (labels >= 0).any() else np.zeros_like(labels))


@dataclass(frozen=True)
class Dictionary:
    """Sparse dictionary: each row goes to the atom with the largest part of it, as in a sparse autoencoder."""

    atoms: int

    def __call__(self, values: Rows, *, clips: NDArray[np.int64], seed: int = 0) -> Clustering:
        method = sklearn.decomposition.MiniBatchDictionaryLearning(
            self.atoms,
            alpha=0.1,
            batch_size=64,
            max_iter=200,
            random_state=seed,
            positive_code=True,
            fit_algorithm="cd",
        )
        method.set_params(transform_algorithm="lasso_cd", transform_alpha=0.1)
        with steady():
            codes = method.fit(values).transform(values)
        return with_means(values, codes.argmax(1))


def whitened(values: Rows) -> Rows:
    """Principal components of 95 % of the variance, each at a variance of 1."""
    return np.asarray(sklearn.decomposition.PCA(0.95, whiten=True, svd_solver="full").fit_transform(values), np.float32)


def same(values: Rows) -> Rows:
    return values


METHODS: dict[str, tuple[Clusterer, Callable[[Rows], Rows]]] = {
    "consensus of k-means (default)": (Consensus(), same),
    "k-means": (Chosen(lambda k: KMeans(clusters=k)), same),
    "spectral": (Chosen(lambda k: Spectral(clusters=k)), same),
    "agglomerative (Ward)": (Chosen(lambda k: Agglomerative(clusters=k)), same),
    "NMF": (Chosen(lambda k: NMF(clusters=k)), same),
    "HDBSCAN": (Density(), same),
    "sparse dictionary": (Chosen(Dictionary), same),
    "consensus, whitened": (Consensus(), whitened),
    "k-means, whitened": (Chosen(lambda k: KMeans(clusters=k)), whitened),
}


def clustered(session: Session, base: ConceptRun, rows: list[Rows], name: str, seed: int) -> tuple[ConceptRun, float]:
    """The run with the concepts of another clustering, ranked by their effects, and the seconds of the clustering."""
    clusterer, transform = METHODS[name]
    s = session.settings
    start = time.perf_counter()
    values = transform(np.concatenate(rows))
    clips = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    bank = discover(
        values, clips, clusterer=clusterer, keep=s.keep, cluster_filter=s.cluster_filter, reach=s.reach, seed=seed
    )
    seconds = time.perf_counter() - start
    assigned = np.split(bank.encode(values), np.cumsum([len(r) for r in rows])[:-1])
    hidden = EngineClips(session, base.clips, base.supervoxels, assigned, len(bank), base.target_index)
    effects = hidden.effects()
    assert base.recognition is not None
    effect = rank_by_effect(effects, base.target_index, recognised=base.recognition.holds, kind=s.effect_kind)
    scores = {**base.scores, "effect": effect}
    return replace(base, bank=bank, assigned=tuple(assigned), effects=effects, scores=scores, wholes=()), seconds


def of_class(session: Session, base: ConceptRun, known: Known) -> dict[str, dict[str, float]]:
    """The figures of every clustering for one class, mean over seeds."""
    rows = session.embedded(known.clips, "the class", deduplicate=True, target=base.target_index).values()
    found = {}
    for name in METHODS:
        tops, figures, seconds, counts = [], [], [], []
        for seed in SEEDS:
            run, took = clustered(session, base, rows, name, seed)
            tops.append(top_masks(run))
            figures.append(strict_figures(run, known))
            seconds.append(took)
            counts.append(len(run.bank))
        found[name] = {key: float(np.mean([f[key] for f in figures])) for key in FIGURES} | {
            "seed_iou": float(np.mean([agreement(a, b) for a, b in combinations(tops, 2)])),
            "concepts": float(np.mean(counts)),
            "seconds": float(np.mean(seconds)),
        }
    return found


def measure(name: str, work: Path, folder: Path, most: int | None) -> list[dict]:
    """The figures of each class of a network; kept in FOLDER class by class and found again."""
    case = next(c for c in TUNING if c.name.removeprefix("trained-") == name)
    model, planted, _ = make(case, work)
    unrelated = unrelated_planted(model, planted.root, UNRELATED)
    settings = replace(PRESETS["default"], videos=CLIPS, unrelated_videos=UNRELATED)
    store, found = Store(folder / name), []
    for label in list(planted.design.decided)[:most]:
        kept = folder / f"{name}-{label}.json"
        if not kept.exists():
            known = known_planted(model, planted, label, CLIPS)
            if not known.relied:
                continue
            base = explain_concepts(model, known.clips, random=unrelated, target=label, settings=settings, store=store)
            session = opened(model, settings, store, known.clips)
            kept.write_text(json.dumps(of_class(session, base, known)))
            print(f"{name} {label}: done", flush=True)
        found.append(json.loads(kept.read_text()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/truth"))
    parser.add_argument("--store", type=Path, default=Path("runs/clustering"))
    parser.add_argument("--nets", nargs="+", default=["standard-1", "textured-2"])
    parser.add_argument("--classes", type=int, help="only the first classes of each network")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.store.mkdir(parents=True, exist_ok=True)
    rows = [r for name in asked.nets for r in measure(name, asked.work, asked.store, asked.classes)]
    keys = (*FIGURES, "seed_iou", "concepts", "seconds")
    print(f"\n{len(rows)} classes of {len(asked.nets)} networks, {len(SEEDS)} seeds")
    print(f"{'clustering':32s}" + "".join(f"{k.removeprefix('top_').removeprefix('strict_'):>12s}" for k in keys))
    summary = {}
    for name in METHODS:
        line = {k: float(np.mean([r[name][k] for r in rows])) for k in keys}
        print(f"{name:32s}" + "".join(f"{line[k]:12.2f}" for k in keys))
        summary[name] = {k: round(v, 4) for k, v in line.items()}
    print(json.dumps({"classes": len(rows), "nets": asked.nets, "clusterings": summary}))


if __name__ == "__main__":
    main()
