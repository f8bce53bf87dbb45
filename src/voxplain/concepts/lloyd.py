"""k-means from several starts at once: sought in few principal directions, finished in the full space.

Letters: N rows, D features a row, K clusters, S starts; labels int64 [N,S], centres float32 [S,K,D].

A projection on M principal directions changes no clustering's inertia by more than the variance left out, and leaves
most of the noise out, so that Lloyd's steps settle in better places than in all D dimensions and cost D/M times
less. Rows go through in blocks of a fixed size, each multiplied by one thread: the same bytes from any number of
threads.

References: Lloyd 1982; Arthur and Vassilvitskii 2007 (k-means++); Ding and He 2004, K-means clustering via principal
component analysis; Cohen et al. 2015, Dimensionality reduction for k-means clustering.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["kmeans"]

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]

_BLOCK = 1024  # rows: their distances to 25 centres of 10 starts take 1 MiB
_STEPS = 300  # Lloyd steps at most; scikit-learn's default
_TOLERANCE = 1e-4  # of the mean variance of a feature: squared move of all centres at which to stop; scikit-learn's
_ROUGH = 1e-3  # the same for the search, whose best starts go on in the full space anyway
_FINISHED = 3  # starts that go on: the best in few directions need not be the best in all


def kmeans(values: Rows, k: int, *, inits: int, directions: int, seed: int) -> Labels:
    """Labels int64 [N] of the best of `inits` k-means++ starts; values float32 [N,D] with k distinct rows.

    The starts are tried in the first `directions` principal directions; where there are no fewer features, in all.
    """
    centred = values - values.mean(axis=0, dtype=np.float64).astype(np.float32)
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        view = centred
        if directions < min(values.shape):
            view = _principal(centred, directions, seed)
        starts = np.stack(list(pool.map(lambda s: _plus_plus(view, k, (seed, s)), range(inits))))
        labels, inertia = _lloyd(view, starts, _TOLERANCE if view is centred else _ROUGH, pool.map)
        if view is not centred:
            best = np.argsort(inertia, kind="stable")[:_FINISHED]
            sums, counts = _changes(centred, labels[:, best], np.full((len(view), len(best)), -1), k)
            starts = (sums / np.maximum(counts, 1)[..., None]).astype(np.float32)
            labels, inertia = _lloyd(centred, starts, _TOLERANCE, pool.map)
    return labels[:, inertia.argmin()]


def _principal(centred: Rows, directions: int, seed: int) -> Rows:
    """Coordinates float32 [N,directions] of centred rows along the directions of their largest variance."""
    from sklearn.utils.extmath import randomized_svd

    left, size, _ = randomized_svd(
        centred, directions, n_iter=2, power_iteration_normalizer="QR", random_state=seed
    )  # two passes: the span is what counts here, not each direction
    return np.ascontiguousarray(left * size, dtype=np.float32)


def _plus_plus(values: Rows, k: int, seed: tuple[int, int]) -> Rows:
    """Centres [K,D] by greedy k-means++: rows drawn by squared distance, of a few each time the best one."""
    rng, trials = np.random.default_rng(seed), 2 + int(np.log(k))  # as many as scikit-learn
    norms = np.einsum("nd,nd->n", values, values)
    chosen = [int(rng.integers(len(values)))]
    nearest = np.full(len(values), np.inf, np.float32)
    for i in range(k):
        if i:
            total = nearest.cumsum(dtype=np.float64)
            drawn = np.searchsorted(total, rng.random(trials) * total[-1], side="right")
        else:
            drawn = np.array(chosen)
        drawn = np.minimum(drawn, len(values) - 1)
        far = values[drawn] @ values.T
        far *= -2
        far += norms
        far += norms[drawn, None]
        np.clip(far, 0, nearest, out=far)
        best = int(far.sum(axis=1, dtype=np.float64).argmin())
        nearest = far[best]
        chosen = [*chosen[:i], int(drawn[best])]
    return values[chosen]


def _lloyd(
    values: Rows, centres: Rows, tolerance: float, each: Callable[..., Iterable[object]]
) -> tuple[Labels, NDArray[np.float64]]:
    """Labels [N,S] and inertia [S] once no row changes its cluster or all centres of a start hardly move."""
    starts, k, _ = centres.shape
    spread = np.einsum("nd,nd->n", values, values).sum(dtype=np.float64)  # rows are centred
    least = tolerance * spread / values.size
    centres, live = centres.copy(), np.arange(starts)
    old = np.full((len(values), starts), -1, np.int64)
    sums, counts = np.zeros(centres.shape), np.zeros((starts, k))
    for _ in range(_STEPS):
        labels = _assign(values, centres[live], each)
        added, joined = _changes(values, labels, old, k)
        sums, counts = sums + added, counts + joined
        moved = _means(values, centres[live], sums, counts, labels)
        step = ((moved - centres[live]).astype(np.float64) ** 2).sum(axis=(1, 2))
        going = (labels != old).any(axis=0) & (step > least)
        centres[live] = moved
        live, old, sums, counts = live[going], labels[:, going], sums[going], counts[going]
        if not len(live):
            break
    labels = _assign(values, centres, each)
    sums, counts = _changes(values, labels, np.full_like(labels, -1), k)
    # Σ‖x − m‖² = Σ‖x‖² − Σ n·‖m‖² with the mean m of each cluster
    return labels, spread - (sums**2 / np.maximum(counts, 1)[..., None]).sum(axis=(1, 2))


def _assign(values: Rows, centres: Rows, each: Callable[..., Iterable[object]]) -> Labels:
    """Nearest centre [N,S] in every start."""
    starts, k, width = centres.shape
    flat = centres.reshape(-1, width)
    across = np.ascontiguousarray(-2 * flat.T)
    norms = (flat.astype(np.float64) ** 2).sum(axis=1).astype(np.float32)
    labels = np.empty((len(values), starts), np.int64)

    def block(start: int) -> None:
        part = slice(start, start + _BLOCK)
        far = values[part] @ across
        far += norms  # ‖x − c‖² less ‖x‖², which is the same for all centres
        far.reshape(-1, starts, k).argmin(axis=2, out=labels[part])

    for _ in each(block, range(0, len(values), _BLOCK)):
        pass
    return labels


def _changes(values: Rows, labels: Labels, old: Labels, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the sums [S,K,D] and counts [S,K] of clusters gain by rows that change theirs; −1 is none.

    Near the end few rows do, and float64 forgets nothing on the way.
    """
    from scipy.sparse import csr_array

    starts = labels.shape[1]
    sums, counts = np.zeros((starts * k, values.shape[1])), np.zeros(starts * k)
    rows = np.flatnonzero((labels != old).any(axis=1))
    for i in range(0, len(rows), _BLOCK):
        part = rows[i : i + _BLOCK]
        row, start = np.nonzero(labels[part] != old[part])
        gains, loses = labels[part[row], start] + k * start, old[part[row], start]
        had = loses >= 0
        sign = np.concatenate([np.ones(len(gains)), -np.ones(had.sum())])
        places = np.concatenate([gains, (loses + k * start)[had]]), np.concatenate([row, row[had]])
        member = csr_array((sign, places), shape=(starts * k, len(part)))
        sums += member @ values[part].astype(np.float64)
        counts += member.sum(axis=1)
    return sums.reshape(starts, k, -1), counts.reshape(starts, k)


def _means(values: Rows, centres: Rows, sums: NDArray[np.float64], counts: NDArray[np.float64], labels: Labels) -> Rows:
    """The centres of the clusters as they are; an empty one moves to a row that lies far from its own centre."""
    moved = (sums / np.maximum(counts, 1)[..., None]).astype(np.float32)
    for start in np.flatnonzero((counts == 0).any(axis=1)):
        empty = np.flatnonzero(counts[start] == 0)
        away = np.linalg.norm(values - centres[start][labels[:, start]], axis=1)
        moved[start, empty] = values[np.argsort(-away, kind="stable")[: len(empty)]]
    return moved
