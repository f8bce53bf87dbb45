"""`Prediction`: the classes of one clip with their probabilities, best first."""

from dataclasses import dataclass
from html import escape

import numpy as np
from torch import Tensor

from voxplain.errors import DataError

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
        Softmax of the logits, not increasing.
    indices : int64 [K]
        Logit index of each class.

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

    def __post_init__(self) -> None:
        """Check that all three have one entry a class."""
        if not len(self.classes) == len(self.probabilities) == len(self.indices) > 0:
            lengths = len(self.classes), len(self.probabilities), len(self.indices)
            raise DataError(f"expected as many classes as probabilities and indices, at least one, got {lengths}")

    @classmethod
    def from_logits(cls, logits: Tensor, classes: tuple[str, ...] = ()) -> "Prediction":
        """Softmax of logits [K], sorted; equal ones in the order of the logits."""
        probabilities = logits.detach().double().softmax(0).cpu().numpy()
        order = np.argsort(-probabilities, kind="stable")
        names = tuple(classes[i] if classes else str(i) for i in order)
        return cls(names, probabilities[order].astype(np.float32), order.astype(np.int64))

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
        return f"<table><tr><th style='text-align:left'>class</th><th>probability</th></tr>{rows}</table>"

    def _rows(self) -> list[tuple[str, str]]:
        shown = zip(self.classes[:SHOWN], self.probabilities[:SHOWN], strict=True)
        return [(name, f"{100 * float(p):.1f} %") for name, p in shown]
