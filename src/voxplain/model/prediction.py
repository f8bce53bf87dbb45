"""`Prediction`: the classes of one clip with their probabilities, best first."""

from dataclasses import dataclass
from html import escape

import numpy as np
import torch
from torch import Tensor

from voxplain.errors import DataError
from voxplain.model.tasks import Task

__all__ = ["Prediction"]

SHOWN = 5  # rows that a table shows


@dataclass(frozen=True, eq=False)
class Prediction:
    """Classes and probabilities of one clip, best first; printed as a table of the first five.

    Parameters
    ----------
    classes : tuple of str
        Names; the index as text where the model has no names.
    probabilities : float32 [K]
        Softmax of the logits, not increasing; for labels the sigmoid of each, and for a regression the outputs.
    indices : int64 [K]
        Logit index of each class.
    units : str, optional
        Unit of the outputs of a regression; None for probabilities.

    Examples
    --------
    >>> import torch
    >>> found = Prediction.from_logits(torch.tensor([0.0, 2.0]), ("sit", "walk"))
    >>> found.classes, found.indices.tolist()
    (('walk', 'sit'), [1, 0])
    >>> print(found)
    walk  88.1 %
    sit   11.9 %
    """

    classes: tuple[str, ...]
    probabilities: np.ndarray
    indices: np.ndarray
    units: str | None = None

    def __post_init__(self) -> None:
        """Check that all three have one entry a class."""
        if not len(self.classes) == len(self.probabilities) == len(self.indices) > 0:
            lengths = len(self.classes), len(self.probabilities), len(self.indices)
            raise DataError(f"expected as many classes as probabilities and indices, at least one, got {lengths}")

    @classmethod
    def from_logits(
        cls, logits: Tensor, classes: tuple[str, ...] = (), *, task: Task | None = None, units: str = ""
    ) -> "Prediction":
        """Probabilities of logits [K] by the task, sorted; equal ones in the order of the logits."""
        z = logits.detach().double()
        if task == "binary":
            (label,) = classes or ("yes",)
            classes, z = (label, f"not {label}"), torch.cat([z, -z])
        if task == "regression":
            probabilities = z.cpu().numpy()
        else:
            probabilities = (z.sigmoid() if task in ("multilabel", "binary") else z.softmax(0)).cpu().numpy()
        order = np.argsort(-probabilities, kind="stable")
        names = tuple(classes[i] if classes else str(i) for i in order)
        shown = units if task == "regression" else None
        return cls(names, probabilities[order].astype(np.float32), order.astype(np.int64), shown)

    def __len__(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def __repr__(self) -> str:
        """A table of the first five classes, and how many more there are."""
        rows = self._rows()
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {share:>6}" for name, share in rows]
        return "\n".join(lines + ([f"and {len(self) - SHOWN} more classes"] if len(self) > SHOWN else []))

    def _repr_html_(self) -> str:
        """The same table for a notebook."""
        rows = "".join(
            f"<tr><td style='text-align:left'>{escape(name)}</td><td>{share}</td></tr>" for name, share in self._rows()
        )
        value = "probability" if self.units is None else "output"
        return f"<table><tr><th style='text-align:left'>class</th><th>{value}</th></tr>{rows}</table>"

    def _rows(self) -> list[tuple[str, str]]:
        shown = zip(self.classes[:SHOWN], self.probabilities[:SHOWN], strict=True)
        if self.units is not None:
            return [(name, f"{float(p):.4g} {self.units}".rstrip()) for name, p in shown]
        return [(name, f"{100 * float(p):.1f} %") for name, p in shown]
