"""Linear classifiers for CAVs, solved for many training sets at once from inner products alone.

Letters: B training sets, n rows each, K = X·Xᵀ their Gram matrices float64 [B,n,n], y labels float64 [n] in
{−1, +1}. The best weights of every classifier here are a sum of training rows, w = Xᵀa, so a classifier is
called with (K, y) and returns the row coefficients a [B,n] and the unpenalised intercepts b [B] of f(x) =
w·x + b: the feature size D costs nothing. Features are used as they come, not standardised, as in the
reference; penalties are therefore in feature units (see `scaled` of `fit_cavs`).
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from voxplain.errors import DataError


class Classifier(Protocol):
    """Anything that separates two classes linearly from their Gram matrix."""

    def __call__(self, gram: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Row coefficients [B,n] and intercepts [B] from gram [B,n,n] and labels [n] in {−1, +1}."""


@dataclass(frozen=True, kw_only=True)
class MeanDifference:
    """The mean of the positive rows minus that of the negative rows; the threshold lies half way.

    Also called the pattern CAV: it follows where the concept lies, not what separates it best.
    Reference: Martin and Weller 2019; Pahde et al. 2022.
    """

    def __call__(self, gram: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Fit; shapes as in the module docstring."""
        positive = (labels > 0).to(gram.dtype) / (labels > 0).sum()
        negative = (labels < 0).to(gram.dtype) / (labels < 0).sum()
        a = (positive - negative).expand(len(gram), -1)
        return a, -(gram @ (positive - negative)) @ (positive + negative) / 2


@dataclass(frozen=True, kw_only=True)
class Ridge:
    """Least squares to ±1 with a squared penalty: min ‖y − Xw − b‖² + alpha·‖w‖².

    Solved by one Cholesky factorisation of the centred Gram matrix; the solution of scikit-learn's `Ridge`.
    Reference: Hoerl and Kennard 1970.
    """

    alpha: float = 1.0
    """squared feature units; scikit-learn's default."""

    def __post_init__(self) -> None:
        """Check the penalty."""
        _check_positive("Ridge", "alpha", self.alpha)

    def __call__(self, gram: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Fit; shapes as in the module docstring."""
        rows = gram.mean(dim=-1, keepdim=True)
        centred = gram - rows - rows.mT + rows.mean(dim=-2, keepdim=True)
        centred.diagonal(dim1=-2, dim2=-1).add_(self.alpha)
        y = (labels - labels.mean()).expand(len(gram), -1).unsqueeze(-1)
        a = torch.cholesky_solve(y, torch.linalg.cholesky(centred)).squeeze(-1)
        return a, labels.mean() - (gram @ a.unsqueeze(-1)).squeeze(-1).mean(dim=-1)


@dataclass(frozen=True, kw_only=True)
class Logistic:
    """Logistic regression: min ‖w‖²/2 + c·Σ log(1 + exp(−y·f)), by damped Newton steps.

    The solution of scikit-learn's `LogisticRegression`. Reference: TCAV, Kim et al. 2018, offers it.
    """

    c: float = 1.0
    """inverse penalty, per squared feature unit; scikit-learn's default."""
    iterations: int = 100
    """Newton steps at most; stops when no training set can gain."""

    def __post_init__(self) -> None:
        """Check the penalty."""
        _check_positive("Logistic", "c", self.c)

    def __call__(self, gram: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Fit; shapes as in the module docstring."""
        a, b = torch.zeros_like(gram[..., 0]), torch.zeros_like(gram[..., 0, 0])
        loss = self._loss(gram, labels, a, b)
        for _ in range(self.iterations):
            step_a, step_b = self._newton(gram, labels, a, b)
            size = torch.ones_like(b)
            for _ in range(30):  # halve the step of the sets whose loss would rise
                new_a, new_b = a + size[:, None] * step_a, b + size * step_b
                new = self._loss(gram, labels, new_a, new_b)
                worse = ~(new <= loss)
                if not worse.any():
                    break
                size = torch.where(worse, size / 2, size)
            gain = torch.where(worse, 0, loss - new)
            a, b = torch.where(worse[:, None], a, new_a), torch.where(worse, b, new_b)
            loss = torch.where(worse, loss, new)
            if bool((gain <= 1e-12 * loss).all()):
                break
        return a, b

    def _loss(self, gram: Tensor, labels: Tensor, a: Tensor, b: Tensor) -> Tensor:
        ka = (gram @ a.unsqueeze(-1)).squeeze(-1)
        margin = labels * (ka + b[:, None])
        return (a * ka).sum(dim=-1) / 2 + self.c * torch.nn.functional.softplus(-margin).sum(dim=-1)

    def _newton(self, gram: Tensor, labels: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Newton's step: with weights s², (K + s⁻²/c)·a' + b' = z and Σa' = 0, solved for u = a'/s."""
        f = (gram @ a.unsqueeze(-1)).squeeze(-1) + b[:, None]
        right = torch.sigmoid(labels * f)
        s = (right * torch.sigmoid(-labels * f)).sqrt().clamp_min(1e-8)
        target = s * f + labels * torch.sigmoid(-labels * f) / s
        system = s[:, :, None] * gram * s[:, None, :]
        system.diagonal(dim1=-2, dim2=-1).add_(1 / self.c)
        u, b_new = _bordered(torch.linalg.cholesky(system), s, target, torch.zeros_like(b))
        return s * u - a, b_new - b


@dataclass(frozen=True, kw_only=True)
class Hinge:
    """Linear support vector machine: min alpha/2·‖w‖² + mean of max(0, 1 − y·f), by an interior-point method.

    The objective that the reference hands to scikit-learn's `SGDClassifier`, at its optimum instead of near
    it; equals `SVC(kernel="linear", C=1/(alpha·n))`. Reference: Cortes and Vapnik 1995.
    """

    alpha: float = 0.01
    """penalty, squared feature units; STCE code."""
    iterations: int = 200
    """interior-point steps at most; 20 to 40 suffice."""
    tolerance: float = 1e-9
    """complementarity gap and residual at which to stop, relative."""

    def __post_init__(self) -> None:
        """Check the penalty."""
        _check_positive("Hinge", "alpha", self.alpha)

    def __call__(self, gram: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Fit; shapes as in the module docstring.

        Dual: min ½dᵀQd − Σd, 0 ≤ d ≤ 1/(alpha·n), y·d = 0 with Q = yKy. Rescaled so that the upper bound is
        1.
        """
        bound = 1 / (self.alpha * labels.shape[0])
        q = bound * labels[:, None] * gram * labels
        d, b = torch.full_like(gram[..., 0], 0.5), torch.zeros_like(gram[..., 0, 0])
        slope = (q @ d.unsqueeze(-1)).squeeze(-1) - 1
        low = slope.abs().amax(dim=-1, keepdim=True).clamp_min(1).expand_as(d)
        high = low
        # Rounding errors of Q·1: residuals stop falling there, and a factorisation needs that much diagonal.
        noise = len(labels) * torch.finfo(q.dtype).eps * q.diagonal(dim1=-2, dim2=-1).amax(dim=-1)
        for _ in range(self.iterations):
            gap = (d * low + (1 - d) * high).mean(dim=-1) / 2
            residual = torch.maximum((slope + labels * b[:, None] - low + high).abs().amax(dim=-1), (d @ labels).abs())
            most = d.amax(dim=-1)
            done = (gap <= self.tolerance * most) & (residual <= self.tolerance + noise * most)
            if bool(done.all()):
                break
            d, low, high, b = _interior_step(q, labels, slope, d, low, high, b, 0.1 * gap, 10 * noise, done)
            slope = (q @ d.unsqueeze(-1)).squeeze(-1) - 1
        return bound * labels * d, b


def _check_positive(classifier: str, field: str, value: float) -> None:
    if not value > 0:
        raise DataError(f"{classifier} needs a penalty above 0, got {field}={value}: without one it has no optimum")


def _interior_step(
    q: Tensor,
    y: Tensor,
    slope: Tensor,
    d: Tensor,
    low: Tensor,
    high: Tensor,
    b: Tensor,
    mu: Tensor,
    lift: Tensor,
    done: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One primal-dual Newton step towards d·low = (1 − d)·high = mu, inside the bounds; `done` sets stay."""
    mu = mu[:, None]
    system = q.clone()
    system.diagonal(dim1=-2, dim2=-1).add_(low / d + high / (1 - d) + lift[:, None])
    right = mu / d - mu / (1 - d) - slope - y * b[:, None]
    step, step_b = _bordered(torch.linalg.cholesky(system), y.expand_as(d), right, -(d @ y))
    step_low = mu / d - low - low / d * step
    step_high = mu / (1 - d) - high + high / (1 - d) * step
    fall = torch.cat([-step / d, step / (1 - d), -step_low / low, -step_high / high], dim=-1).amax(dim=-1)
    size = (~done) / torch.maximum(fall / 0.995, torch.ones_like(fall))
    column = size[:, None]
    return d + column * step, low + column * step_low, high + column * step_high, b + size * step_b


def _bordered(factor: Tensor, border: Tensor, right: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """Solve M·x + border·t = right and border·x = total for x [B,n], t [B], given M's Cholesky factor."""
    both = torch.cholesky_solve(torch.stack([right, border], dim=-1), factor)
    t = ((border * both[..., 0]).sum(dim=-1) - total) / (border * both[..., 1]).sum(dim=-1)
    return both[..., 0] - t[:, None] * both[..., 1], t


CLASSIFIERS: dict[str, Classifier] = {
    "ridge": Ridge(),
    "logistic": Logistic(),
    "hinge": Hinge(),
    "mean_difference": MeanDifference(),
}
"""Every classifier with its default parameters."""
