"""What the rows of the study say: truth by structure, stability of ranks, agreement of metrics with truth, attacks.

Letters: N networks, M methods, V clips. A table of a network is float64 [M,V], higher better, NaN where not measured.
Intervals are 95 % percentile bootstrap intervals over clips, which are drawn within each network.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from voxplain.benchmark.attacks import ATTACKS
from voxplain.benchmark.study import CONTROLS, StudyRow
from voxplain.metrics import METRICS
from voxplain.statistics import spearman

__all__ = ["NO_NETWORK", "TRUTHS", "Estimate", "StudyTables"]

TRUTHS = ("energy_inside", "tube_iou")  # with the object of true reliance
NO_NETWORK = ("complexity", "sparseness")  # metrics of a map that ask nothing of the network
DIRECTION = {"insertion_blur": True, "insertion_black": True, "area_between_untuned": True}  # not listed in METRICS
DRAWS = 500
LEAST_METHODS = 4  # for a rank correlation


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float

    def plain(self) -> list[float | None]:
        """Value, low and high, rounded; None for NaN."""
        return [round(v, 4) if np.isfinite(v) else None for v in (self.value, self.low, self.high)]


NOTHING = Estimate(float("nan"), float("nan"), float("nan"))
Worth = Callable[[np.ndarray], np.ndarray]  # from clips to a number for each method, the best first


def _higher(metric: str) -> bool | None:
    return DIRECTION[metric] if metric in DIRECTION else METRICS[metric]().higher_is_better


@dataclass(frozen=True, eq=False)
class StudyTables:
    """The rows of a study as tables.

    Parameters
    ----------
    rows : sequence of StudyRow
    seed : int
        Of the bootstrap.
    """

    rows: Sequence[StudyRow]
    seed: int = 0
    _index: dict[tuple[str, str, str], StudyRow] = field(init=False, repr=False)
    _clips: dict[str, dict[str, None]] = field(init=False, repr=False, default_factory=dict)
    _worths: dict[tuple[str, ...], dict[bytes, np.ndarray]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Index the rows."""
        for row in self.rows:
            self._clips.setdefault(row.network, {})[row.clip] = None
        object.__setattr__(self, "_index", {(r.network, r.method, r.clip): r for r in self.rows if not r.error})

    @property
    def networks(self) -> list[str]:
        """Networks in the order of the rows."""
        return list(dict.fromkeys(r.network for r in self.rows))

    @property
    def methods(self) -> list[str]:
        """Methods that gave a map on a network, without controls."""
        return [m for m in dict.fromkeys(r.method for r in self.rows if not r.error) if m not in CONTROLS]

    @property
    def metrics(self) -> list[str]:
        """All metrics that were measured and have a better direction."""
        names = dict.fromkeys(n for r in self.rows for own in r.values.values() for n in own)
        return [n for n in names if _higher(n) is not None]

    def clips(self, network: str) -> list[str]:
        """Clips of a network."""
        return list(self._clips[network])

    def table(self, network: str, metric: str, methods: Sequence[str], version: str = "map") -> np.ndarray:
        """Values [M,V], higher better; energy as a multiple of its chance."""
        sign = 1.0 if _higher(metric) else -1.0
        clips = self.clips(network)
        out = np.full((len(methods), len(clips)), np.nan)
        for i, method in enumerate(methods):
            for j, clip in enumerate(clips):
                row = self._index.get((network, method, clip))
                value, chance = (row.values.get(version, {}) if row else {}).get(metric, (np.nan, None))
                out[i, j] = sign * (value / chance if metric == "energy_inside" and chance else value)
        return out

    def _bootstrap(self, networks: Sequence[str], of: Callable[[dict[str, np.ndarray]], float]) -> Estimate:
        """``of`` the clips' numbers of each network, and its interval over draws of them."""
        rng = np.random.default_rng(self.seed)
        counts = {n: len(self.clips(n)) for n in networks}
        value = of({n: np.arange(v) for n, v in counts.items()})
        drawn = [of({n: rng.integers(v, size=v) for n, v in counts.items()}) for _ in range(DRAWS)]
        good = [d for d in drawn if np.isfinite(d)]
        if not good:
            return Estimate(value, float("nan"), float("nan"))
        low, high = np.percentile(good, [2.5, 97.5])
        return Estimate(value, float(low), float(high))

    def mean(self, network: str, method: str, metric: str, *, moving: bool | None = None) -> Estimate:
        """Mean over clips, over those that a motion decides or those that a shape decides where ``moving`` is given."""
        values = self.table(network, metric, [method])[0]
        if moving is not None:
            of = {r.clip: r.moving for r in self.rows if r.network == network}
            values = np.where([of[c] == moving for c in self.clips(network)], values, np.nan)
        return self._bootstrap([network], lambda drawn: _mean(values[drawn[network]]))

    def truth(self, network: str, methods: Sequence[str]) -> "Worth":
        """From clips to minus the mean rank of each method by energy and by overlap with the object, [M]."""
        tables = [self.table(network, name, methods) for name in TRUTHS]
        known = self._worths.setdefault((network, *methods), {})  # draws of clips are the same for every metric

        def worth(clips: np.ndarray) -> np.ndarray:
            key = clips.tobytes()
            if key not in known:
                known[key] = -np.mean([_ranks(_means(t[:, clips])) for t in tables], axis=0)
            return known[key]

        return worth

    def best_truth_by_structure(self) -> dict[str, dict[str, Any]]:
        """The method of the best mean rank by truth on each network, with its energy and overlap."""
        found = {}
        for network in self.networks:
            methods = self._measured(network)
            worth = self.truth(network, methods)(np.arange(len(self.clips(network))))
            best = methods[int(np.nanargmax(worth))]
            energy, overlap = (self.mean(network, best, name) for name in TRUTHS)
            found[network] = {"method": best, "energy_over_chance": energy.plain(), "tube_iou": overlap.plain()}
        return found

    def rank_stability(self) -> Estimate:
        """Mean over pairs of networks of Spearman's ρ of the methods' order by truth."""
        networks = self.networks
        shared = [m for m in self.methods if all(m in self._measured(n) for n in networks)]
        if len(networks) < 2 or len(shared) < LEAST_METHODS:
            return NOTHING
        worth = {n: self.truth(n, shared) for n in networks}

        def agree(drawn: dict[str, np.ndarray]) -> float:
            orders = [worth[n](drawn[n]) for n in networks]
            return float(np.mean([spearman(a, b) for i, a in enumerate(orders) for b in orders[i + 1 :]]))

        return self._bootstrap(networks, agree)

    def rank_spread(self, networks: Sequence[str] = (), methods: Sequence[str] = ()) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation over networks of the rank by truth of each method that explains all of them."""
        networks = networks or self.networks
        shared = methods or [m for m in self.methods if all(m in self._measured(n) for n in networks)]
        ranks = [_ranks(self.truth(n, shared)(np.arange(len(self.clips(n))))) for n in networks]
        return {m: (float(np.mean(r)), float(np.std(r))) for m, r in zip(shared, np.transpose(ranks), strict=True)}

    def metric_truth_tau(self, metric: str) -> Estimate:
        """Mean over networks of Kendall's τ between the methods' order by a metric and by truth."""
        parts = self._beside_truth([metric])
        return self._bootstrap(list(parts), lambda drawn: _mean_tau(parts, drawn, 0)) if parts else NOTHING

    def tau_over(self, metric: str, other: str = "insertion") -> Estimate:
        """By how much a metric's τ with truth is above another's, over the same methods and draws of clips."""
        parts = self._beside_truth([metric, other])
        if not parts:
            return NOTHING
        return self._bootstrap(list(parts), lambda drawn: _mean_tau(parts, drawn, 0) - _mean_tau(parts, drawn, 1))

    def _beside_truth(
        self, metrics: Sequence[str], networks: Sequence[str] = ()
    ) -> "dict[str, tuple[list[np.ndarray], Worth]]":
        """For each network the tables of metrics over the methods that all of them measure, and the worth by truth."""
        found = {}
        for network in networks or self.networks:
            measured = [self._measured(network, m) for m in metrics]
            methods = [m for m in measured[0] if all(m in own for own in measured)]
            if len(methods) >= LEAST_METHODS:
                found[network] = [self.table(network, m, methods) for m in metrics], self.truth(network, methods)
        return found

    def objective_subjective(self) -> dict[str, Estimate]:
        """Spearman's ρ on each network of the methods' order by insertion and by the pointing game."""
        found = {}
        for network in self.networks:
            methods = self._measured(network, "insertion")
            tables = [self.table(network, m, methods) for m in ("insertion", "pointing_game")]
            found[network] = self._bootstrap(
                [network],
                lambda d, t=tables, n=network: _rho(*(_means(x[:, d[n]]) for x in t)),  # type: ignore[misc]
            )
        return found

    def _measured(self, network: str, metric: str = TRUTHS[0]) -> list[str]:
        """Methods, without controls, with a value of a metric on most clips of a network."""
        table = self.table(network, metric, self.methods)
        measured = np.isfinite(table).sum(1)
        return [m for m, n in zip(self.methods, measured, strict=True) if n and 2 * n >= measured.max()]

    def attacked(self, metric: str) -> dict[str, Estimate]:
        """How much a metric prefers each attack: the mean over clips of the attack's value less the truth's.

        For a control, the truth is the true mask. For a changed copy of a map it is the map itself, and where the copy
        is nearer to the truth than the map is (by energy and by overlap), the metric is right to prefer it: such maps
        do not count.
        """
        found = {}
        for control in (c for c in CONTROLS if c != "true_mask"):
            pairs = {n: self.table(n, metric, [control, "true_mask"]) for n in self.networks}
            gains = {n: pair[0] - pair[1] for n, pair in pairs.items()}
            found[control] = self._gain(gains)
        for attack in ATTACKS:
            found[attack] = self._gain({n: _means(self._less_true(n, metric, attack).T) for n in self.networks})
        return found

    def _less_true(self, network: str, metric: str, version: str) -> np.ndarray:
        """Gain of a metric by a changed copy of the map, [M,V]; NaN where the copy is not farther from the truth."""
        farther = np.ones((len(self.methods), len(self.clips(network))), bool)
        for name in TRUTHS:
            now, was = (self.table(network, name, self.methods, v) for v in (version, "map"))
            farther &= now < was
        now, was = (self.table(network, metric, self.methods, v) for v in (version, "map"))
        return np.where(farther, now - was, np.nan)

    def falls(self, metric: str) -> Estimate:
        """Share of maps whose value falls by much noise, of those that the noise takes farther from the truth.

        A value that stays the same counts half, so that 0.5 is the level of a metric that does not notice.
        """
        gains = {n: self._less_true(n, metric, "much_noise") for n in self.networks}
        fell = {n: np.where(np.isfinite(g), 0.5 - 0.5 * np.sign(g), np.nan) for n, g in gains.items()}
        return self._gain({n: _means(f.T) for n, f in fell.items()})

    def stable(self, metric: str) -> Estimate:
        """Mean over clips of Spearman's ρ between the methods' order by their maps and by copies with little noise."""
        found = {}
        for network in self.networks:
            tables = [self.table(network, metric, self.methods, v) for v in ("map", "little_noise")]
            both = np.isfinite(tables[0]) & np.isfinite(tables[1])
            found[network] = np.array(
                [_rho(*(np.where(both[:, j], t[:, j], np.nan) for t in tables)) for j in range(both.shape[1])]
            )
        return self._gain(found)

    def unsafe(self) -> dict[str, list[str]]:
        """Attacks that each metric prefers to the truth: the interval of the gain lies above 0. Unsafe metrics only."""
        found = {m: [a for a, g in self.attacked(m).items() if g.low > 0] for m in self.metrics}
        return {m: attacks for m, attacks in found.items() if attacks}

    def _gain(self, gains: Mapping[str, np.ndarray]) -> Estimate:
        return self._bootstrap(
            list(gains), lambda drawn: _mean(np.concatenate([gains[n][clips] for n, clips in drawn.items()]))
        )

    def overall(self, method: str, metric: str) -> Estimate:
        """Mean over all clips of all networks that a method explains."""
        return self._gain({n: self.table(n, metric, [method])[0] for n in self.networks})

    def over_chance(self, method: str) -> Estimate:
        """Energy inside the object as a multiple of chance, mean over all clips of all networks."""
        return self.overall(method, "energy_inside")

    def candidates(self, unsafe: Collection[str]) -> list[str]:
        """Metrics that need a network and no mask, and prefer no attack."""
        return [m for m in self.metrics if m not in unsafe and m not in NO_NETWORK and _needs(m) == "map"]

    def chosen_on_others(self, candidates: Sequence[str]) -> dict[str, tuple[str, float]]:
        """For each network the metric of greatest mean τ on all others, and its τ on this one less that of insertion.

        A metric chosen by its τ on some networks looks better there than it is; this is what the choice is worth on a
        network that took no part in it.
        """
        taus = {m: {n: self._tau_on(n, m) for n in self.networks} for m in {*candidates, "insertion"}}
        found = {}
        for network in self.networks if len(self.networks) > 1 else ():
            others = {m: _mean(np.array([t for n, t in taus[m].items() if n != network])) for m in candidates}
            known = {m: t for m, t in others.items() if np.isfinite(t)}
            if known:
                best = max(known, key=known.__getitem__)
                found[network] = best, taus[best][network] - taus["insertion"][network]
        return found

    def _tau_on(self, network: str, metric: str) -> float:
        parts = self._beside_truth([metric], [network])
        return _mean_tau(parts, {network: np.arange(len(self.clips(network)))}, 0)


def _needs(metric: str) -> str:
    return "map" if metric in DIRECTION else METRICS[metric]().needs


def _mean_tau(parts: "Mapping[str, tuple[list[np.ndarray], Worth]]", drawn: Mapping[str, np.ndarray], i: int) -> float:
    """Mean over networks of Kendall's τ between the order by the metric of place ``i`` and by truth."""
    taus = [_tau(_means(tables[i][:, drawn[n]]), worth(drawn[n])) for n, (tables, worth) in parts.items()]
    return _mean(np.array(taus))


def _mean(values: np.ndarray) -> float:
    good = values[np.isfinite(values)]
    return float(good.mean()) if len(good) else float("nan")


def _means(table: np.ndarray) -> np.ndarray:
    """Mean over clips of each method, NaN where none is measured."""
    good = np.isfinite(table)
    return np.where(good.any(1), np.where(good, table, 0).sum(1) / np.maximum(good.sum(1), 1), np.nan)


def _ranks(values: np.ndarray) -> np.ndarray:
    """1 the highest; what is not defined comes last."""
    return np.asarray(stats.rankdata(-np.where(np.isfinite(values), values, -np.inf)))


def _tau(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's τ-b; SciPy's takes a hundred times as long on so few values, and is called for every draw."""
    good = np.isfinite(a) & np.isfinite(b)
    x, y = (np.sign(v[good][:, None] - v[good][None]) for v in (a, b))
    size = float(np.sqrt(np.abs(x).sum() * np.abs(y).sum()))
    return float((x * y).sum()) / size if good.sum() >= LEAST_METHODS and size else float("nan")


def _rho(a: np.ndarray, b: np.ndarray) -> float:
    good = np.isfinite(a) & np.isfinite(b)
    return spearman(a[good], b[good]) if good.sum() >= LEAST_METHODS else float("nan")
