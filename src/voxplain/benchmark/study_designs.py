"""Two studies side by side, such as of two designs of clips: do they order the methods in the same way?"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxplain.benchmark.study import StudyRow
from voxplain.benchmark.study_tables import Estimate, StudyTables
from voxplain.errors import DataError
from voxplain.statistics import spearman

__all__ = ["DRAWS", "OrderAgreement", "order_agreement", "read_rows"]

DRAWS = 500
LEAST_METHODS = 4  # for a rank correlation


@dataclass(frozen=True)
class OrderAgreement:
    """Spearman's ρ of the orders of methods by truth in two studies, with 95 % bootstrap intervals over clips.

    ``overall``: of the mean ranks over ``networks``, which both have; ``by_network``: of each. ``methods``: those that
    explain all of these networks in both.
    """

    overall: Estimate
    by_network: dict[str, Estimate]
    networks: tuple[str, ...]
    methods: tuple[str, ...]


def read_rows(path: Path) -> list[StudyRow]:
    """Rows of ``rows.json``, which a study writes.

    Raises DataError where there is no such file.
    """
    if not path.is_file():
        raise DataError(f"expected rows of a study in {path}, got no such file; run the study without --shard first")
    return [StudyRow(**row) for row in json.loads(path.read_text())]


def order_agreement(
    first: StudyTables, second: StudyTables, *, methods: Sequence[str] = (), seed: int = 0
) -> OrderAgreement:
    """How far two studies agree on the order of methods by truth.

    Parameters
    ----------
    first, second : StudyTables
    methods : sequence of str
        Only these; by default all that explain each network of both studies.
    seed : int
        Of the draws of clips.

    Returns
    -------
    OrderAgreement

    Raises
    ------
    DataError
        No network in both, or fewer than 4 methods.
    """
    networks = [n for n in first.networks if n in second.networks]
    shared = [
        m
        for m in first.methods
        if (not methods or m in methods) and all(_measured(s, n, m) for s in (first, second) for n in networks)
    ]
    if not networks or len(shared) < LEAST_METHODS:
        raise DataError(
            f"expected a network and {LEAST_METHODS} methods in both studies, got {len(networks)} and {len(shared)}"
        )
    worth = {n: [s.truth(n, shared) for s in (first, second)] for n in networks}
    counts = {n: [len(s.clips(n)) for s in (first, second)] for n in networks}
    rng = np.random.default_rng(seed)

    def orders(drawn: bool) -> dict[str, list[np.ndarray]]:
        return {
            n: [
                of(rng.integers(v, size=v) if drawn else np.arange(v))
                for of, v in zip(worth[n], counts[n], strict=True)
            ]
            for n in networks
        }

    def agree(found: dict[str, list[np.ndarray]]) -> list[float]:
        means = [np.mean([pair[i] for pair in found.values()], axis=0) for i in (0, 1)]
        return [spearman(*means), *(spearman(*pair) for pair in found.values())]

    value = agree(orders(False))
    low, high = np.nanpercentile([agree(orders(True)) for _ in range(DRAWS)], [2.5, 97.5], axis=0)
    estimates = [Estimate(v, float(a), float(b)) for v, a, b in zip(value, low, high, strict=True)]
    by_network = dict(zip(networks, estimates[1:], strict=True))
    return OrderAgreement(estimates[0], by_network, tuple(networks), tuple(shared))


def _measured(study: StudyTables, network: str, method: str) -> bool:
    return bool(np.isfinite(study.table(network, "energy_inside", [method])).any())
