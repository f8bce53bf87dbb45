"""Concept activation vectors: the direction in feature space from unrelated videos towards a concept.

Letters: K concepts, R random sets (draws of unrelated clips), n rows a set, D features; B pairs of a concept with a
random set.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxplain.concepts.classifiers import CLASSIFIERS, Classifier
from voxplain.errors import DataError
from voxplain.record_html import fields_table

__all__ = ["CLASSIFIERS", "CAVs", "cav_alignment", "cav_similarity", "fit_cavs", "relative_cavs"]

_BUDGET = 2**24  # float64 numbers in the largest array held at once: 128 MiB


@dataclass(frozen=True)
class CAVs:
    """Unit vectors towards K concepts, one for each random set, with their held-out accuracy.

    Parameters
    ----------
    vectors : float32 [K,R,D]
        Of Euclidean length 1; NaN for a pair without a direction, whose features or means are all equal.
    accuracy : float32 [K,R]
        Balanced accuracy on held-out rows; chance 0.5. NaN for a pair without a direction.
    layer : str
        The layer whose features these are.

    Raises
    ------
    DataError
        Shapes that do not belong together, or vectors of another length.
    """

    vectors: NDArray[np.float32]
    accuracy: NDArray[np.float32]
    layer: str

    _repr_html_ = fields_table

    def __post_init__(self) -> None:
        """Check shapes and lengths."""
        if self.vectors.ndim != 3 or 0 in self.vectors.shape or self.accuracy.shape != self.vectors.shape[:2]:
            raise DataError(
                f"CAVs need vectors [K,R,D] and accuracy [K,R], got {self.vectors.shape} and {self.accuracy.shape}"
            )
        length, unknown = np.linalg.norm(self.vectors, axis=-1), np.isnan(self.accuracy)
        if not (np.isnan(length) == unknown).all() or not np.allclose(length[~unknown], 1, atol=1e-4):
            raise DataError(
                "CAVs need vectors of length 1, or NaN where the accuracy is NaN: divide each by its Euclidean norm"
            )

    def __repr__(self) -> str:
        """Shapes, not data."""
        k, r, d = self.vectors.shape
        lost = k - int(self.known.sum())
        without = f", {lost} without a direction" if lost else ""
        held_out = f"{self.mean_accuracy:.2f}"
        return f"CAVs({k} concepts × {r} random sets × {d} features of {self.layer!r}, accuracy {held_out}{without})"

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which concepts have a direction against every random set, bool [K]."""
        return np.asarray(~np.isnan(self.accuracy).any(axis=1))

    @property
    def mean_accuracy(self) -> float:
        """Mean accuracy of the concepts that have directions; NaN where none has."""
        return float(self.accuracy[self.known].mean()) if self.known.any() else float("nan")

    def without_direction(self, names: Sequence[str]) -> str:
        """A sentence that names the concepts without a direction; empty where every concept has its directions.

        Parameters
        ----------
        names : sequence of str
            The K concepts, as the sentence is to call them.

        Returns
        -------
        str
            Without a full stop.
        """
        lost = [name for name, known in zip(names, self.known, strict=True) if not known]
        if not lost:
            return ""
        return (
            f"no CAV, and no TCAV score, of {', '.join(lost)}: at layer {self.layer!r} their features, or means, equal "
            "those of a random set; use another layer or other unrelated videos"
        )


def fit_cavs(
    concepts: Sequence[Tensor],
    negatives: Tensor,
    *,
    classifier: Classifier = CLASSIFIERS["ridge"],
    layer: str,
    holdout: float = 0.33,
    balance: bool = True,
    scaled: bool = False,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> CAVs:
    """Fit one linear classifier for every concept against every random set; a CAV is its unit normal.

    Both sides of a pair are shuffled by the seed; a share of each is held out for the accuracy, and the vector is
    fitted to the rest. Solved in float64.

    Parameters
    ----------
    concepts : sequence of [n_k,D]
        Features of each concept.
    negatives : [R,n,D]
        Features of the random sets.
    classifier : Classifier
        An entry of `CLASSIFIERS`, or one with other parameters.
    layer : str
        The layer whose features these are.
    holdout : float
        Share of each side that is held out, above 0 and below 1.
    balance : bool
        Cut both sides to the smaller count.
    scaled : bool
        Divide the features of a pair by their root mean square distance from their mean, so that a penalty has the
        same effect at every layer.
    seed : int
    device : torch.device or str, optional
        By default that of ``negatives``; the CPU in place of MPS, which has no float64.

    Returns
    -------
    CAVs
        Vectors [K,R,D]; NaN for a pair whose features or means are all equal, which has no direction.

    Raises
    ------
    DataError
        Wrong shapes, fewer than 2 rows on a side, or values that are not finite.

    References
    ----------
    Kim et al., Interpretability beyond feature attribution: TCAV, ICML 2018.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows, unrelated = rng.normal(2, 1, (20, 8)), rng.normal(0, 1, (3, 20, 8))
    >>> cavs = fit_cavs([torch.from_numpy(rows)], torch.from_numpy(unrelated), layer="pool")
    >>> cavs.vectors.shape, bool(cavs.accuracy.mean() > 0.8)
    ((1, 3, 8), True)
    """
    concepts, negatives = [torch.as_tensor(rows) for rows in concepts], torch.as_tensor(negatives)
    _check(concepts, negatives, holdout)
    place = torch.device(device) if device is not None else negatives.device
    place = torch.device("cpu") if place.type == "mps" else place
    sets, size, width = negatives.shape
    # Shifting all features changes no classifier, for none penalises the intercept, but it saves digits.
    shift = negatives.mean(dim=(0, 1), dtype=torch.float64).to(place)
    vectors = np.empty((len(concepts), sets, width), np.float32)
    accuracy = np.empty((len(concepts), sets), np.float32)
    most = size + max(len(rows) for rows in concepts)
    block = max(1, _BUDGET // max(most * most, size * width))
    for start in range(0, sets, block):
        chosen = range(start, min(start + block, sets))
        others = negatives[start : chosen.stop].to(place, torch.float64) - shift
        within = others @ others.mT
        for k, rows in enumerate(concepts):
            own = rows.to(place, torch.float64) - shift
            split = _split(len(own), size, holdout, balance, [(seed, k, r) for r in chosen], place)
            gram = split.gather(_joint_gram(own, others, within))
            spread = gram.diagonal(dim1=-2, dim2=-1).mean(dim=-1) - gram.mean(dim=(-2, -1))
            spread = torch.where(spread <= 1e-12 * (shift @ shift), 0, spread)  # float32 noise around one point
            a, right = _fit_apart(gram, spread, split, classifier, scaled)
            found = _combine(a, split, own, others)
            length = torch.linalg.vector_norm(found, dim=-1, keepdim=True)
            lost = ~(length[:, 0] > 0)
            found[lost], right[lost] = torch.nan, torch.nan
            vectors[k, start : chosen.stop] = (found / length).cpu().numpy()
            accuracy[k, start : chosen.stop] = right.cpu().numpy()
    return CAVs(vectors=vectors, accuracy=accuracy, layer=layer)


def relative_cavs(
    concepts: Sequence[Tensor],
    *,
    repeats: int = 50,
    classifier: Classifier = CLASSIFIERS["ridge"],
    layer: str,
    holdout: float = 0.33,
    scaled: bool = False,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> CAVs:
    """Relative CAVs: each concept against the union of the other concepts.

    The classifier learns what distinguishes a concept from the others, not what all of them share.

    Parameters
    ----------
    concepts
        Features [n_k,D] of each of K ≥ 2 concepts.
    repeats
        CAVs fitted per concept. Each has its own negatives: rows of the other concepts drawn without replacement, as
        many as the concept has, or all of them if there are fewer.
    classifier, layer, holdout, scaled, seed, device
        As in `fit_cavs`.

    Returns
    -------
    CAVs
        ``vectors`` [K,repeats,D] of length 1 and the held-out ``accuracy`` [K,repeats]; NaN as in `fit_cavs`.

    Raises
    ------
    DataError
        For fewer than two concepts, and as `fit_cavs`.

    References
    ----------
    Relative TCAV: Kim et al. 2018, section 3.6.

    Examples
    --------
    >>> import torch
    >>> import voxplain as vx
    >>> noise = torch.Generator().manual_seed(0)
    >>> concepts = [torch.randn(20, 8, generator=noise) + 4 * torch.eye(8)[k] for k in range(3)]
    >>> cavs = vx.relative_cavs(concepts, repeats=5, layer="layer4")
    >>> cavs.vectors.shape
    (3, 5, 8)
    >>> cavs.vectors.mean(axis=1).argmax(axis=1).tolist()
    [0, 1, 2]
    """
    concepts = [torch.as_tensor(rows) for rows in concepts]
    if len(concepts) < 2 or repeats < 1:
        raise DataError(f"relative CAVs need at least 2 concepts and 1 repeat, got {len(concepts)} and {repeats}")
    found = []
    for k, rows in enumerate(concepts):
        union = torch.cat([x for i, x in enumerate(concepts) if i != k])
        rng = np.random.default_rng((seed, k))
        size = min(len(rows), len(union))
        drawn = np.stack([rng.permutation(len(union))[:size] for _ in range(repeats)])
        found.append(
            fit_cavs(
                [rows],
                union[torch.from_numpy(drawn).to(union.device)],
                classifier=classifier,
                layer=layer,
                holdout=holdout,
                scaled=scaled,
                seed=seed,
                device=device,
            )
        )
    return CAVs(
        vectors=np.concatenate([x.vectors for x in found]),
        accuracy=np.concatenate([x.accuracy for x in found]),
        layer=layer,
    )


def cav_similarity(cavs: CAVs) -> NDArray[np.float64]:
    """Cosine between two concepts' CAVs against the same random set, mean over the sets.

    Parameters
    ----------
    cavs : CAVs
        Vectors [K,R,D].

    Returns
    -------
    float64 [K,K]
        NaN in the row and the column of a concept that lacks a direction.
    """
    vectors = cavs.vectors.astype(np.float64)
    return np.einsum("ird,jrd->ij", vectors, vectors, optimize=True) / vectors.shape[1]


def cav_alignment(cavs: CAVs) -> float:
    """Mean cosine between CAVs of different concepts within a random set.

    Near 0 the concepts have different directions. Towards 1 all CAVs are one direction, most likely the one between
    cropped and filled supervoxels and whole clips.

    Parameters
    ----------
    cavs : CAVs
        Vectors [K,R,D].

    Returns
    -------
    float
        −1 to 1; NaN for a single concept. Concepts that lack a direction do not count.
    """
    similarity = cav_similarity(cavs)[np.ix_(cavs.known, cavs.known)]
    k = len(similarity)
    return float("nan") if k < 2 else float((similarity.sum() - np.trace(similarity)) / (k * (k - 1)))


@dataclass(frozen=True)
class _Split:
    """Which rows of a pair, concept first, train and which are held out."""

    rows: Tensor
    """int64 [B,m+h]: m training rows, then h held-out ones; indices into concept rows, then random."""
    train: Tensor
    """float64 [m], +1 concept and −1 random."""
    test: Tensor
    """float64 [h]."""

    def gather(self, gram: Tensor) -> Tensor:
        """The Gram matrices of the chosen rows, in their order."""
        batch = torch.arange(len(self.rows), device=gram.device)[:, None, None]
        return gram[batch, self.rows[:, :, None], self.rows[:, None, :]]


def _split(
    own: int, others: int, holdout: float, balance: bool, keys: list[tuple[int, int, int]], place: torch.device
) -> _Split:
    """Shuffle, balance and split both sides of each pair; a pair's split depends on its own key only."""
    used = (min(own, others),) * 2 if balance else (own, others)
    held = [min(max(1, round(holdout * n)), n - 1) for n in used]
    rows = []
    for key in keys:
        rng = np.random.default_rng(key)
        mine, theirs = rng.permutation(own)[: used[0]], own + rng.permutation(others)[: used[1]]
        rows.append(np.concatenate([mine[held[0] :], theirs[held[1] :], mine[: held[0]], theirs[: held[1]]]))
    train = torch.ones(sum(used) - sum(held), dtype=torch.float64, device=place)
    train[used[0] - held[0] :] = -1
    test = torch.ones(sum(held), dtype=torch.float64, device=place)
    test[held[0] :] = -1
    return _Split(torch.from_numpy(np.stack(rows)).to(place), train, test)


def _joint_gram(own: Tensor, others: Tensor, within: Tensor) -> Tensor:
    """Inner products [B,n_k+n,n_k+n] of concept rows [n_k,D] and random rows [B,n,D] whose own are known."""
    cross = others @ own.mT
    top = torch.cat([(own @ own.mT).expand(len(others), -1, -1), cross.mT], dim=-1)
    return torch.cat([top, torch.cat([cross, within], dim=-1)], dim=-2)


def _fit(gram: Tensor, split: _Split, classifier: Classifier) -> tuple[Tensor, Tensor]:
    """Coefficients [B,m] of training rows and balanced accuracy [B] on held-out ones; ties count half."""
    m = len(split.train)
    try:
        a, b = classifier(gram[:, :m, :m].contiguous(), split.train)
    except torch.linalg.LinAlgError as error:
        raise DataError(
            f"{classifier} cannot solve features this large for its penalty: fit with scaled=True"
        ) from error
    side = torch.sign((gram[:, m:, :m] @ a.unsqueeze(-1)).squeeze(-1) + b[:, None])
    right = (1 + side * split.test) / 2
    concept = split.test > 0
    return a, (right[:, concept].mean(dim=-1) + right[:, ~concept].mean(dim=-1)) / 2


def _fit_apart(
    gram: Tensor, spread: Tensor, split: _Split, classifier: Classifier, scaled: bool
) -> tuple[Tensor, Tensor]:
    """As `_fit`; coefficients of 0 for a pair whose rows are all equal, which have a spread of 0."""
    apart = spread > 0
    a, right = gram.new_zeros(len(gram), len(split.train)), gram.new_zeros(len(gram))
    if bool(apart.any()):
        own = gram[apart]
        a[apart], right[apart] = _fit(own / spread[apart, None, None] if scaled else own, split, classifier)
    return a, right


def _combine(a: Tensor, split: _Split, own: Tensor, others: Tensor) -> Tensor:
    """The weights w = Xᵀa [B,D] from coefficients of shuffled training rows."""
    sizes = [len(own), others.shape[1]]
    placed = torch.zeros(len(a), sum(sizes), dtype=a.dtype, device=a.device)
    mine, theirs = placed.scatter(1, split.rows[:, : a.shape[1]], a).split(sizes, dim=1)
    return mine @ own + (theirs.unsqueeze(1) @ others).squeeze(1)


def _check(concepts: list[Tensor], negatives: Tensor, holdout: float) -> None:
    shapes = [tuple(rows.shape) for rows in concepts]
    if negatives.ndim != 3 or 0 in negatives.shape or negatives.shape[1] < 2:
        raise DataError(f"random sets need features [R,n,D] with n ≥ 2, got {tuple(negatives.shape)}")
    if not concepts or any(len(s) != 2 or s[0] < 2 or s[1] != negatives.shape[2] for s in shapes):
        raise DataError(
            f"each concept needs features [n,{negatives.shape[2]}], n ≥ 2 to train and hold out, got {shapes}"
        )
    if not 0 < holdout < 1:
        raise DataError(f"the held-out share must lie between 0 and 1, got {holdout}")
    for name, rows in [*((f"concept {k}", x) for k, x in enumerate(concepts)), ("random sets", negatives)]:
        if not bool(torch.isfinite(rows).all()):
            raise DataError(f"{name} should have finite features, got NaN or infinity: check the network")
