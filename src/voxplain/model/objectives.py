"""Objectives: one number for each clip from its logits, to be differentiated or compared.

Letters: N clips, K classes, z the logits [N,K], y the target, p the softmax of z. A single column z [N,1] is a
quantity, which has no probability: every objective is then the quantity itself, in its own unit.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["OBJECTIVES", "Objective", "log_odds", "log_probability", "logit", "probability"]

Objective = Literal["logit", "log_probability", "log_odds", "probability"]


def logit(z: Tensor, target: int) -> Tensor:
    """The class logit z_y, [N]: Eq. 2 of the STCE paper as written."""
    return z[:, target]


def log_probability(z: Tensor, target: int) -> Tensor:
    """log p_y, [N]: minus the cross-entropy loss, whose gradient the STCE reference code uses."""
    # Through the log odds, because 1 − p_y rounds to zero in float32 long before its gradient fades.
    return nn.functional.logsigmoid(log_odds(z, target)) if z.shape[1] > 1 else z[:, target]


def log_odds(z: Tensor, target: int) -> Tensor:
    """log p_y / (1 − p_y), [N]: the log-odds, whose gradient does not vanish where p_y is 1."""
    others = torch.cat([z[:, :target], z[:, target + 1 :]], dim=1)
    return z[:, target] - (torch.logsumexp(others, dim=1) if others.shape[1] else 0.0)


def probability(z: Tensor, target: int) -> Tensor:
    """p_y, [N]: what the video attribution study differentiates, whose networks end in softmax."""
    # The exponential's gradient does not cancel where p_y is almost 1.
    return log_probability(z, target).exp() if z.shape[1] > 1 else z[:, target]


OBJECTIVES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "logit": logit,
    "log_probability": log_probability,
    "log_odds": log_odds,
    "probability": probability,
}
