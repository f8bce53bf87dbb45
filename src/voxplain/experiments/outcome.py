"""Results of one network at one setting: accuracy at every step of every order, with intervals over videos.

A `Row` is one line of the papers' tables: accuracy in % at q = 1 … Q for one order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxplain.concepts.concept_run import EvaluationRun
from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.report.add_remove import mean_curves

__all__ = ["ORDERS", "Outcome", "Row", "rows_of"]

ORDERS = ("top", "random", "least", "matched")


@dataclass(frozen=True, eq=False)
class Outcome:
    """One network at one setting, over all test videos of all classes.

    Parameters
    ----------
    net, setting : str
    published : str or None
        The published table of this setting: kinetics, kth-standard or kth-small.
    evaluation : EvaluationRun
    trained_accuracy : float, optional
        Held-out accuracy right after training, where the network was trained here.
    """

    net: str
    setting: str
    published: str | None
    evaluation: EvaluationRun
    trained_accuracy: float | None = None

    @property
    def sides(self) -> tuple[AddRemoveCurves, AddRemoveCurves]:
        """(adding, removing)."""
        return self.evaluation.adding, self.evaluation.removing

    @property
    def baseline(self) -> float:
        """Accuracy on the unmodified test videos, 0–1."""
        return self.evaluation.adding.baseline()

    def ends_exactly(self) -> bool:
        """Whether all concepts added, where they cover a clip, and none removed give the unmodified logits exactly."""
        adding, removing = self.sides
        whole = adding.coverage[:, :, -1] == 1  # elsewhere some voxels are of no concept
        full = (adding.logits[:, :, -1] == adding.unmodified).all(-1)[whole].all()
        return bool(full and (removing.logits[:, :, 0] == removing.unmodified).all())


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Parameters
    ----------
    net, setting, kind, order : str
    accuracy : tuple of float
        In %, at q = 1 … Q.
    low, high : tuple of float
        95 % bootstrap interval over videos, in %.
    coverage : tuple of float
        In %.
    source : str
        "here", or the publication.
    """

    net: str
    setting: str
    kind: str
    order: str
    accuracy: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    coverage: tuple[float, ...]
    source: str = "here"


def rows_of(outcome: Outcome, *, samples: int = 2000, seed: int = 0) -> list[Row]:
    """The rows of both tables of an outcome: adding, then removing; top, random, least, matched."""
    rows = []
    for steps in outcome.sides:
        means = mean_curves(steps, bands="videos", samples=samples, seed=seed)
        for order in ORDERS:
            values = (means.values[order], *means.bands[order], means.coverage[order])
            accuracy, low, high, coverage = (_percent(v[1:-1]) for v in values)  # q = 1 … Q
            rows.append(Row(outcome.net, outcome.setting, steps.kind, order, accuracy, low, high, coverage))
    return rows


def _percent(values: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    return tuple(float(100 * v) for v in values)
