"""Clusters and CAVs of 20,000 features: seconds and agreement, ours beside scikit-learn written plainly.

    python benchmarks/clustering.py [--rows 20000] [--widths 512 4096] [--seeds 3] [--pairs 250] [--threads N]

Two tables a width: one without structure (gaussian) and a mixture of 40 gaussians. 25 clusters with 10 starts each,
then 25 × 50 CAVs of the 40 members nearest each centre against random sets of 40. scikit-learn's CAVs are fitted one
by one on the same training rows, `--pairs` of them in equal steps over the 1,250, and their seconds are scaled to all:
the output says how many were fitted. Wall-clock seconds, both ways on the same number of threads. Inertia is summed
in float64 from the labels for both. The last line is one JSON object.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import sklearn.cluster
import torch
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from voxplain.concepts.cav import CAVs, _split, fit_cavs
from voxplain.concepts.classifiers import CLASSIFIERS
from voxplain.concepts.cluster import KMeans, with_means
from voxplain.concepts.cluster_filter import CLUSTER_FILTERS
from voxplain.concepts.discover import discover

KEEP, SETS = 40, 50


def table(kind: str, rows: int, width: int) -> np.ndarray:
    """Gaussian noise; for a mixture, around 40 centres 0.35 as far out as the noise and not equally common."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((rows, width), dtype=np.float32)
    if kind == "mixture":
        centres = 0.35 * rng.standard_normal((40, width), dtype=np.float32)
        values += centres[rng.choice(40, rows, p=rng.dirichlet(np.full(40, 3.0)))]
    return values


def timed(work: Callable[..., Any], *inputs: object, **options: object) -> tuple[float, Any]:
    start = time.perf_counter()
    done = work(*inputs, **options)
    return time.perf_counter() - start, done


def inertia(values: np.ndarray, labels: np.ndarray) -> float:
    labels, centres = with_means(values, labels)[:2]
    parts = (values[labels == k].astype(np.float64) - centres[k] for k in range(len(centres)))
    return float(sum((part**2).sum() for part in parts))


def agreement(runs: list[np.ndarray]) -> float | None:
    """Mean adjusted Rand index of each run with the next."""
    return float(np.mean([adjusted_rand_score(a, b) for a, b in pairwise(runs)])) if len(runs) > 1 else None


def clusters(values: np.ndarray, seeds: int, their_seeds: int) -> dict[str, Any]:
    """k-means by both rewrites, one seed after the other."""
    ours, theirs = [], []
    for seed in range(seeds):
        ours.append(timed(KMeans(), values, clips=np.arange(len(values)), seed=seed))
        if seed < their_seeds:
            theirs.append(timed(sklearn.cluster.KMeans(25, n_init=KMeans().inits, random_state=seed).fit, values))
    our_labels, their_labels = [labels for _, (labels, _) in ours], [found.labels_ for _, found in theirs]
    our_inertia, their_inertia = ([inertia(values, x) for x in runs] for runs in (our_labels, their_labels))
    seconds, plain = (float(np.median([s for s, _ in runs])) for runs in (ours, theirs))
    return {
        "kmeans_s": seconds,
        "kmeans_sklearn_s": plain,
        "kmeans_ratio": plain / seconds,
        "inertia_ratio": float(np.mean(our_inertia) / np.mean(their_inertia)),
        "inertia_ratio_worst": max(our_inertia) / min(their_inertia),
        "ari_seeds": agreement(our_labels),
        "ari_seeds_sklearn": agreement(their_labels),
        "ari_to_sklearn": adjusted_rand_score(our_labels[0], their_labels[0]),
    }


def plain_cavs(
    make: Callable[[], Any], concepts: list[torch.Tensor], negatives: torch.Tensor, pairs: list[tuple[int, int]]
) -> tuple[np.ndarray, float]:
    """Unit normals [P,D] fitted one pair after the other on the rows `fit_cavs` trains on, and mean accuracy."""
    vectors, right = [], []
    for k, r in pairs:
        split = _split(len(concepts[k]), negatives.shape[1], 0.33, True, [(0, k, r)], torch.device("cpu"))
        rows = torch.cat([concepts[k], negatives[r]])[split.rows[0]].numpy()
        m = len(split.train)
        model = make().fit(rows[:m], split.train.numpy())
        normal = model.coef_.ravel()
        vectors.append(normal / np.linalg.norm(normal))
        right.append(np.mean(np.sign(rows[m:] @ normal + np.ravel(model.intercept_)[0]) == split.test.numpy()))
    return np.stack(vectors), float(np.mean(right))


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Mean cosine of unit vectors."""
    return float((one * other).sum(axis=-1).mean())


def at(cavs: CAVs, pairs: list[tuple[int, int]]) -> np.ndarray:
    return np.stack([cavs.vectors[k, r] for k, r in pairs])


def cavs(values: np.ndarray, most: int) -> dict[str, Any]:
    """CAVs of the clusters of `values`, by every classifier that both ways have."""
    rng = np.random.default_rng(1)
    bank = discover(values, np.arange(len(values)), keep=KEEP, cluster_filter=CLUSTER_FILTERS["none"])
    concepts = [torch.from_numpy(values[rows]) for rows in bank.members if len(rows) >= 2]
    negatives = torch.from_numpy(rng.standard_normal((SETS, KEEP, values.shape[1]), dtype=np.float32))
    every = [(k, r) for k in range(len(concepts)) for r in range(SETS)]
    pairs = every[:: max(1, len(every) // most)]
    found: dict[str, Any] = {"cavs": len(every), "cavs_fitted_by_sklearn": len(pairs)}
    plain = {
        "ridge": lambda: SklearnRidge(alpha=1.0),
        "logistic": LogisticRegression,
        "hinge": lambda: SGDClassifier(alpha=0.01, max_iter=1000, tol=1e-3, random_state=0),
    }
    theirs = {}
    for name, make in plain.items():
        seconds, ours = timed(fit_cavs, concepts, negatives, classifier=CLASSIFIERS[name], layer="features")
        took, (vectors, right) = timed(plain_cavs, make, concepts, negatives, pairs)
        took *= len(every) / len(pairs)
        theirs[name] = vectors
        found |= {
            f"{name}_s": seconds,
            f"{name}_sklearn_s": took,
            f"{name}_ratio": took / seconds,
            f"{name}_cosine": cosine(at(ours, pairs), vectors),
            f"{name}_accuracy": float(np.mean([ours.accuracy[p] for p in pairs])),
            f"{name}_accuracy_sklearn": right,
        }
        again = fit_cavs(concepts, negatives, classifier=CLASSIFIERS[name], layer="features", seed=1)
        found[f"{name}_cosine_splits"] = cosine(ours.vectors, again.vectors)
    few = pairs[:: max(1, len(pairs) // 50)]
    other, _ = plain_cavs(
        lambda: SGDClassifier(alpha=0.01, max_iter=1000, tol=1e-3, random_state=1), concepts, negatives, few
    )
    one = theirs["hinge"][:: max(1, len(pairs) // 50)]
    return found | {"sgd_cosine_seeds": cosine(one, other)}


def show(name: str, r: dict[str, Any]) -> None:
    print(
        f"{name}: k-means {r['kmeans_s']:.1f} s, scikit-learn {r['kmeans_sklearn_s']:.1f} s, "
        f"{r['kmeans_ratio']:.1f} times as fast; inertia {r['inertia_ratio']:.5f} of scikit-learn's; "
        f"ARI between seeds {r['ari_seeds']}, scikit-learn's {r['ari_seeds_sklearn']}"
    )
    for fit in ("ridge", "logistic", "hinge"):
        print(
            f"  {r['cavs']} {fit} CAVs {r[f'{fit}_s']:.2f} s, scikit-learn {r[f'{fit}_sklearn_s']:.1f} s "
            f"(from {r['cavs_fitted_by_sklearn']}), {r[f'{fit}_ratio']:.0f} times; cosine {r[f'{fit}_cosine']:.4f}, "
            f"between splits {r[f'{fit}_cosine_splits']:.3f}"
        )
    print(f"  scikit-learn's SGD between its own seeds: cosine {r['sgd_cosine_seeds']:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--widths", type=int, nargs="+", default=[512, 4096])
    parser.add_argument("--seeds", type=int, default=3, help="of our k-means; scikit-learn's takes one above 1,000-d")
    parser.add_argument("--pairs", type=int, default=250, help="CAVs that scikit-learn fits of each kind")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    result: dict[str, Any] = {"rows": options.rows, "threads": options.threads, "torch": torch.__version__}
    with threadpool_limits(options.threads):
        timed(KMeans(inits=1), table("gaussian", 500, 64), clips=np.arange(500))  # imports and thread pools
        for width in options.widths:
            for kind in ("gaussian", "mixture"):
                values = table(kind, options.rows, width)
                found = clusters(values, options.seeds, options.seeds if width <= 1000 else 1)
                found |= cavs(values, options.pairs)
                show(f"{kind} {options.rows} × {width}", found)
                result[f"{kind}_{width}"] = {k: round(v, 5) if isinstance(v, float) else v for k, v in found.items()}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
