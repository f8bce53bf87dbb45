"""Control map of the clip's centre."""

from dataclasses import dataclass

import torch

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.errors import DataError

__all__ = ["CentrePrior"]


@dataclass(frozen=True)
class CentrePrior:
    """Control: a Gaussian around the clip's centre, exp(−d²/2σ²), because cameras are usually pointed at their subject.

    Parameters
    ----------
    space : float
        σ along y and x, as a share of the frame's height and width.
    time : float, optional
        σ along t, as a share of the clip's length; None: the same in every frame.

    Examples
    --------
    >>> CentrePrior()(model, clip).max() < 1
    True
    """

    space: float = 0.25
    time: float | None = 0.25

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        if self.space <= 0 or (self.time is not None and self.time <= 0):
            raise DataError(f"expected widths above 0, got space {self.space} and time {self.time}; correct them")

    @attribution_call("centre_prior")
    def __call__(self, batch: Batch) -> Maps:
        total = torch.zeros(batch.model.grid, dtype=torch.float64)
        for axis, (n, sigma) in enumerate(zip(batch.model.grid, (self.time, self.space, self.space), strict=True)):
            if sigma is not None:
                away = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) / (sigma * n)
                total += (away**2 / 2).reshape([-1 if a == axis else 1 for a in range(3)])
        return torch.exp(-total).expand(len(batch.clips), *batch.model.grid)
