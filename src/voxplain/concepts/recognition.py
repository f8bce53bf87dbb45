"""Whether a network recognises a class: one statement about the class, made before any concept is called significant.

Letters: M clips of the class, N unrelated clips, K concepts, F fills, C classes.
"""

from dataclasses import dataclass, field

import numpy as np
import torch

from voxplain.model import OBJECTIVES
from voxplain.record_html import fields_table
from voxplain.statistics import SIGNIFICANT, sign_flips

__all__ = ["LEAST_COST", "LEAST_RISE", "Recognition", "recognition"]

# Of the log-odds; random weights stay below them, see docs/defaults.md.
LEAST_RISE = 1.0
LEAST_COST = 2.0


@dataclass(frozen=True)
class Recognition:
    """How a class's own clips and unrelated clips differ in the network's output.

    Parameters
    ----------
    videos, predicted : int
        Clips of the class, and those that the network predicts as the class.
    unrelated_videos, unrelated_predicted : int
        The same of unrelated clips.
    rise, low, high : float
        Mean log-odds of the class in its own clips minus that in unrelated ones, with its 95 % interval.
    p_value : float
        Of the test described in `recognition`.
    cost : float
        Largest mean loss of log-odds when a concept is hidden, above that when random regions of its volume are; 0
        where no concept was compared with them.
    everything : float
        Mean loss of log-odds when everything is hidden.
    spread : float, optional
        Of a quantity, which has no log-odds: the standard deviation of the output over unrelated clips, in which all
        differences are counted. None for classes.
    """

    videos: int
    predicted: int
    unrelated_videos: int
    unrelated_predicted: int
    rise: float
    low: float
    high: float
    p_value: float
    cost: float = 0.0
    everything: float = 0.0
    spread: float | None = field(default=None, metadata={"later": True})

    _repr_html_ = fields_table

    @property
    def holds(self) -> bool:
        """Whether the network recognises the class: the p-value is below 0.05."""
        return self.p_value < SIGNIFICANT

    def sentence(self, target: str) -> str:
        """The statement about the class named ``target``."""
        word = "recognises" if self.holds else "does not clearly recognise"
        rest = "" if self.holds else ", so no concept is called significant"
        if self.spread is not None:
            word = "responds to" if self.holds else "does not clearly respond to"
            return f"The network {word} “{target}”{rest}."
        return (
            f"The network {word} “{target}”: it predicts it in {self.predicted} of its {self.videos} videos and in "
            f"{self.unrelated_predicted} of {self.unrelated_videos} unrelated ones{rest}."
        )

    def details(self) -> str:
        """What the statement rests on."""
        if self.spread is not None:
            return self._of_quantity()
        change = f"{abs(self.rise):.1f} {'lower' if self.rise < 0 else 'higher'}"
        between = f"95 % interval {self.low:.1f} to {self.high:.1f}".replace("-", "−")
        fall, cost = (f"{x:.1f}".replace("-", "−") for x in (self.everything, self.cost))
        return (
            f"The log-odds of the class are {change} in its own videos ({between}), fall by {fall} when everything is "
            f"hidden, and by at most {cost} more when a concept is hidden than when random regions of its volume are. "
            "Recognised is a class predicted more often than by chance whose log-odds rise by more than "
            f"{LEAST_RISE:g}, or fall by more than {LEAST_RISE:g} when everything is hidden and by more than "
            f"{LEAST_COST:g} for a concept."
        )

    def _of_quantity(self) -> str:
        between = f"95 % interval {self.low:.1f} to {self.high:.1f}".replace("-", "−")
        rise, fall, cost = (f"{x:.1f}".replace("-", "−") for x in (self.rise, self.everything, self.cost))
        return (
            f"The output is {rise} standard deviations of unrelated videos higher in the {self.videos} videos than in "
            f"{self.unrelated_videos} unrelated ones ({between}), falls by {fall} when everything is hidden, and by at "
            f"most {cost} more when a concept is hidden than when random regions of its volume are. It responds where "
            f"the output rises by more than {LEAST_RISE:g}, or falls by more than {LEAST_RISE:g} when everything is "
            f"hidden and by more than {LEAST_COST:g} for a concept."
        )


def recognition(
    own: np.ndarray,
    unrelated: np.ndarray,
    target: int,
    *,
    cost: np.ndarray | None = None,
    blank: np.ndarray | None = None,
    seed: int = 0,
) -> Recognition:
    """Test whether the network recognises a class in its own clips.

    The class must be predicted in more of its own clips than one of C classes would be by chance (binomial test), and
    its log-odds must differ, in one of two ways, by more than those of networks with random weights. These differ
    between kinds of clips, too, consistently, but by little, and which of C outputs rises is chance, so that with fewer
    than 20 classes no test among the outputs alone has a p-value below 0.05.

    - The mean log-odds rise from unrelated clips to the class's own by more than `LEAST_RISE` (Welch's t-test).
    - Or they fall by more than `LEAST_RISE` when everything is hidden (t-test with each fill), and by more than
      `LEAST_COST` when some concept is hidden rather than random regions of its volume (sign flips over clips,
      corrected for K concepts by max-T). This finds classes that the network predicts in most unrelated clips, too, but
      not without what it relies on.

    The p-value is the larger of that of the binomial test and twice the smaller one of the two ways.

    The single output of a quantity (C = 1) is counted in its standard deviations over the unrelated clips, and there is
    no binomial test. Its bounds were not tried on networks with random weights.

    Parameters
    ----------
    own : ndarray [M,C]
        Logits of clips of the class.
    unrelated : ndarray [N,C]
        Logits of unrelated clips.
    target : int
        Class index.
    cost : ndarray [M,K], optional
        Log-odds lost when a concept is hidden minus those lost when random regions of its volume are; 0 where the clip
        lacks the concept, NaN where not measured (`rank.excess_drop`).
    blank : ndarray [F,M,C] or [M,C], optional
        Logits of the clips with everything hidden; NaN where not measured.
    seed : int
        Of the sign flips.

    Returns
    -------
    Recognition
        With fewer than 2 clips on a side the p-value is 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> own = rng.normal([4, 0], 1, (12, 2))
    >>> found = recognition(own, rng.normal([0, 1], 1, (20, 2)), 0)
    >>> found.holds, found.predicted, round(found.rise, 1)
    (True, 12, 4.7)
    >>> recognition(own / 50, rng.normal([0, 1], 1, (20, 2)) / 50, 0).holds  # outputs that hardly depend on the clip
    False
    """
    from scipy import stats

    quantity, spread = own.shape[1] == 1, None
    if quantity:  # in its own unit, which says nothing of how much is much
        spread = float(np.std(unrelated, ddof=1)) if len(unrelated) > 1 else 0.0
        spread = spread if spread > 0 else 1.0
        own, unrelated = own / spread, unrelated / spread
        cost, blank = (None if x is None else x / spread for x in (cost, blank))
    flat = [torch.from_numpy(np.asarray(z, np.float64)) for z in (own, unrelated)]
    values = [OBJECTIVES["log_odds"](z, target).numpy() for z in flat]
    predicted = [int(_predicts(z, target).sum()) for z in (own, unrelated)]
    counts = [len(v) for v in values]
    rise = float(values[0].mean() - values[1].mean())
    low, high, p = -np.inf, np.inf, 1.0
    largest, p_cost = _largest_cost(cost, seed)
    everything, p_blank = _lost(values[0], blank, target)
    if min(counts) > 1:
        squares = [v.var(ddof=1) / len(v) for v in values]
        error = float(np.sqrt(sum(squares)))
        parts = sum(s**2 / (n - 1) for s, n in zip(squares, counts, strict=True))
        freedom = float(sum(squares) ** 2 / parts) if error else 1.0
        half = float(stats.t.isf(SIGNIFICANT / 2, freedom)) * error
        low, high = rise - half, rise + half
        often = stats.binomtest(predicted[0], counts[0], 1 / max(own.shape[1], 2), alternative="greater").pvalue
        p_rise = _t_test(rise, error, freedom)
        p = max(0.0 if quantity else float(often), min(1.0, 2 * p_rise, 2 * max(p_cost, p_blank)))
    return Recognition(
        counts[0], predicted[0], counts[1], predicted[1], rise, low, high, p, largest, everything, spread
    )


def _largest_cost(cost: np.ndarray | None, seed: int) -> tuple[float, float]:
    """Mean cost of the concept that costs most, and the p-value that any costs more than `LEAST_COST`."""
    compared = np.zeros((0, 0)) if cost is None else cost[:, ~np.isnan(cost).all(0)]
    if not compared.size:
        return 0.0, 1.0
    flips = sign_flips(compared - LEAST_COST, np.random.default_rng(seed))
    return float(np.nanmean(compared, 0).max()), float(flips.adjusted().min())


def _lost(own: np.ndarray, blank: np.ndarray | None, target: int) -> tuple[float, float]:
    """Mean loss of log-odds when all is hidden, and the p-value that it is more than `LEAST_RISE` with every fill."""
    found = []
    for z in () if blank is None else blank.reshape(-1, *blank.shape[-2:]):
        rows = ~np.isnan(z).any(1)
        if rows.sum() > 1:
            lost = own[rows] - OBJECTIVES["log_odds"](torch.from_numpy(z[rows].astype(np.float64)), target).numpy()
            error = float(lost.std(ddof=1) / np.sqrt(len(lost)))
            found.append((float(lost.mean()), _t_test(float(lost.mean()), error, len(lost) - 1)))
    return (min(m for m, _ in found), max(p for _, p in found)) if found else (0.0, 1.0)


def _t_test(mean: float, error: float, freedom: float) -> float:
    """One-sided p-value that a mean is above `LEAST_RISE`."""
    from scipy import stats

    away = (mean - LEAST_RISE) / error if error else np.inf * (mean - LEAST_RISE)
    return float(stats.t.sf(away, freedom))


def _predicts(logits: np.ndarray, target: int) -> np.ndarray:
    """Whether the class is predicted, bool [N]; a single output predicts it above 0."""
    return logits.argmax(1) == target if logits.shape[1] > 1 else logits[:, 0] > 0
