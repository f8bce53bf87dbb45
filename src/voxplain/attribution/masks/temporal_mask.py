"""Temporal masks: which frames does the class need in motion (freeze), or in order (reverse)?

Letters: N clips, P clips with a mask each, T frames, H×W pixels. Masks are float [P,T] in 0–1: 1 perturbs a frame
fully.
Mänttäri, Broomé, Folkesson, Kjellström 2020, "Interpreting Video Features: A Comparison of 3D Convolutional Networks
and Convolutional LSTM Networks" (arXiv 2002.00367).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Details, Maps, attribution_call
from voxplain.attribution.masks.mask_descent import Adam, check_field, descend, network_loss
from voxplain.attribution.masks.mask_losses import total_variation
from voxplain.attribution.passes import logits, recording, score
from voxplain.model import Objective

__all__ = ["TemporalFreeze", "TemporalReverse", "freeze", "reverse", "runs"]

THRESHOLD = 0.1  # a frame whose mask is above it belongs to a run of perturbed frames
START = 5.0  # the parameter of a frame that is on at the start; minus that of one that is off; the mask is its sigmoid
ENOUGH = 0.9  # share of the full perturbation's drop that the mask at the start must reach


def freeze(x: Tensor, mask: Tensor) -> Tensor:
    """Each frame replaced by the (perturbed) one before it, weighted by the mask: x'_t = (1−m_t)·x_t + m_t·x'_{t−1}.

    The first frame stays. Inputs [P,3,T,H,W], masks [P,T]; differentiable in the mask.
    """
    frames = [x[:, :, 0]]
    for t in range(1, x.shape[2]):
        m = mask[:, t, None, None, None]
        frames.append((1 - m) * x[:, :, t] + m * frames[-1])
    return torch.stack(frames, 2)


def runs(mask: Sequence[float], threshold: float = THRESHOLD) -> list[tuple[int, int]]:
    """Maximal runs of frames above the threshold, as (first, last)."""
    on = [t for t, m in enumerate(mask) if m > threshold]
    starts = [t for t in on if t - 1 not in on]
    ends = [t for t in on if t + 1 not in on]
    return list(zip(starts, ends, strict=True))


def reverse(x: Tensor, mask: Tensor) -> Tensor:
    """Each run of frames above the threshold played backwards: x'_t = (1−m_t)·x_t + m_t·x_{first+last−t}.

    Inputs [P,3,T,H,W], masks [P,T]; differentiable in the mask, but for which frames make a run. (The authors' code
    takes m of a run's first half for both halves, which leaves the second half to the penalties alone.)
    """
    order = torch.arange(x.shape[2]).repeat(len(x), 1)
    for row, values in zip(order, mask.detach().tolist(), strict=True):
        for first, last in runs(values):
            row[first : last + 1] = row[first : last + 1].flip(0)
    swapped = x.gather(2, order.to(x.device)[:, None, :, None, None].expand_as(x))
    return x + mask[:, None, :, None, None] * (swapped - x)


@dataclass(frozen=True)
class TemporalFreeze:
    """Temporal freeze mask: minimise λ1·‖m‖₁ + λ2·Σ|m_t − m_{t−1}|^β + s(freeze(x, m)); the map is m in every pixel.

    The frames that the class needs in motion. m is the sigmoid of what Adam optimises. The start is the shortest
    centred run of frames that reaches 90 % of the drop that freezing everything makes; the result is the mask with the
    least loss of all iterations. ``details``: runs above 0.1, and the score of the clip, of the clip frozen and of the
    clip reversed by this mask. One backward pass an iteration.

    Parameters
    ----------
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.
    iterations : int
        Of Adam.
    sparsity : float
        λ1.
    smoothness : float
        λ2; the authors' code counts every difference but the first and last twice.
    beta : float
        β.
    learning_rate : float
        Of Adam; 0.2 in the authors' PyTorch code (TensorFlow: 0.001 in 100 iterations).

    References
    ----------
    Mänttäri, Broomé, Folkesson and Kjellström 2020, Interpreting video features, arXiv 2002.00367

    Examples
    --------
    >>> TemporalFreeze(iterations=3)(model, clip).shape
    (8, 32, 32)
    """

    objective: Objective = "probability"
    iterations: int = 300
    sparsity: float = 0.01
    smoothness: float = 0.02
    beta: float = 3.0
    learning_rate: float = 0.2

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        _check(self.iterations, self.beta)

    @attribution_call("temporal_freeze")
    def __call__(self, batch: Batch) -> Maps:
        return _Search(batch, freeze, self).maps()


@dataclass(frozen=True)
class TemporalReverse:
    """Temporal reverse mask: as `TemporalFreeze`, with runs of frames played backwards in place of frozen.

    The frames that the class needs in their order. Which frames form a run changes by jumps while the mask moves: the
    result is the mask with the least loss of all iterations.

    Parameters
    ----------
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.
    iterations : int
        Of Adam.
    sparsity : float
        λ1.
    smoothness : float
        λ2.
    beta : float
        β.
    learning_rate : float
        Of Adam.

    References
    ----------
    Mänttäri, Broomé, Folkesson and Kjellström 2020, Interpreting video features, arXiv 2002.00367

    Examples
    --------
    >>> TemporalReverse(iterations=3)(model, clip).shape
    (8, 32, 32)
    """

    objective: Objective = "probability"
    iterations: int = 300
    sparsity: float = 0.01
    smoothness: float = 0.02
    beta: float = 3.0
    learning_rate: float = 0.2

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        _check(self.iterations, self.beta)

    @attribution_call("temporal_reverse")
    def __call__(self, batch: Batch) -> Maps:
        return _Search(batch, reverse, self).maps()


def _check(iterations: int, beta: float) -> None:
    check_field(iterations >= 1, "1 iteration or more", iterations)
    check_field(beta >= 1, "beta of 1 or more", beta)


@dataclass(frozen=True, eq=False)
class _Search:
    """One call of one of the two methods, which differ in how a mask changes clips."""

    batch: Batch
    change: Callable[[Tensor, Tensor], Tensor]
    method: "TemporalFreeze | TemporalReverse"

    def maps(self) -> tuple[Tensor, list[Details]]:
        """Maps [N,T,H,W] and details."""
        model = self.batch.model
        with recording(model.net):
            x = self.batch.x.float().clone()  # what a caller makes in inference mode can take part in no gradient
            mask = torch.cat([self._one(clip, y) for clip, y in zip(x.split(1), self.batch.targets, strict=True)])
            return mask[:, :, None, None].expand(-1, -1, *model.grid[1:]), self._facts(x, mask)

    def _one(self, x: Tensor, target: int) -> Tensor:
        """The mask [1,T] of least loss for one clip [1,3,T,H,W]."""
        method, best = self.method, torch.full((1,), torch.inf, device=x.device)
        kept = torch.zeros(1, x.shape[2], device=x.device)

        def loss(parameters: Tensor, _: Sequence[int], __: int) -> Tensor:
            mask = parameters.sigmoid()
            penalty = method.sparsity * mask.sum(1) + method.smoothness * total_variation(mask, method.beta)
            value = penalty + network_loss(
                self.batch.model, self.change(x, mask), [target], lambda z, y: score(z, y, method.objective)
            )
            better = value.detach() < best
            best[better], kept[better] = value.detach()[better], mask.detach()[better]
            return value

        descend(self._start(x, target)[None], loss, method.iterations, Adam(method.learning_rate), clamp=False)
        return kept

    def _start(self, x: Tensor, target: int) -> Tensor:
        """Parameters [T] of the shortest centred run that makes 90 % of the full perturbation's drop."""
        frames = x.shape[2]
        centred = torch.ones((frames + 1) // 2, frames, device=x.device)  # row i: i frames off at each end
        for off, row in enumerate(centred):
            row[:off] = 0
            row[frames - off :] = 0
        clips = [x, *(self.change(x, row[None]) for row in centred)]
        # One input a pass: the length of the run must not depend on how a batch rounds.
        value = score(
            torch.cat([logits(self.batch.model, v) for v in clips]), [target] * len(clips), self.method.objective
        )
        drop, enough = value[0] - value[1:], 0
        while enough + 1 < len(centred) and drop[0] > 0 and drop[enough + 1] >= ENOUGH * drop[0]:
            enough += 1
        return START * (2 * centred[enough] - 1)

    def _facts(self, x: Tensor, mask: Tensor) -> list[Details]:
        """Runs and scores of every clip's mask."""
        model, targets = self.batch.model, self.batch.targets
        clips = (x, freeze(x, mask), reverse(x, mask))
        values = [score(logits(model, v), targets, self.method.objective).tolist() for v in clips]
        names = ("runs", "score", "score_frozen", "score_reversed")
        return [dict(zip(names, facts, strict=True)) for facts in zip(map(runs, mask.tolist()), *values, strict=True)]
