"""What the scores of a network mean: classes that exclude each other, labels, one decision, or measured quantities.

Letters: N clips, K scores, z the scores [N,K] that the network gives, p probabilities.

| task | scores | log-odds of score y | target |
|---|---|---|---|
| classification | K classes of which one holds | z_y − log Σ_{k≠y} exp z_k | a class |
| multilabel | K labels, each with its own decision | z_y | a label, or "not" and the label |
| binary | one decision | z | "yes" or "not yes" |
| regression | K quantities in their own unit | not defined: z_y itself | the rise or the fall of a quantity |
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from voxplain.errors import ModelError

__all__ = [
    "ASSUMED",
    "LIKE_LABELS",
    "ONE_OUTPUT",
    "TASKS",
    "FoundTask",
    "Task",
    "as_logits",
    "find_task",
    "like_labels",
]

Task = Literal["classification", "multilabel", "binary", "regression"]
TASKS: tuple[Task, ...] = ("classification", "multilabel", "binary", "regression")
ONE_OUTPUT = (
    "expected task='binary' or task='regression' for a network with one output a clip, got none; say whether the "
    "output is a logit that is above 0 for yes, or a quantity in a unit of its own"
)

LIKE_LABELS = (
    "all outputs lie between 0 and 1 without summing to 1; if they are probabilities of labels, set task='multilabel' "
    "and probabilities=True, otherwise they are explained as logits of exclusive classes"
)
ASSUMED = (
    "the outputs are taken as logits of classes that exclude each other, which no pass shows; set the task to "
    "multilabel if they are labels, and to regression if they are quantities"
)

# Steps of autograd that only move, average or convert what comes before.
_PASSING = [
    "View",
    "Reshape",
    "UnsafeView",
    "Clone",
    "Mean",
    "Squeeze",
    "Unsqueeze",
    "Slice",
    "Select",
    "Alias",
    "ToCopy",
    "Transpose",
    "T",
    "Permute",
    "Expand",
    "Index",
]


def as_logits(z: Tensor, task: Task | None, probabilities: bool) -> Tensor:
    """Logits float32 [N,K] of the scores: the scores themselves, or the logits whose probabilities they are.

    Log p for classes, whose softmax is p, and log p − log(1 − p) for labels.
    """
    if not probabilities or task == "regression":
        return z
    # Rounded to 0 or 1, a probability would give infinite log-odds.
    least = torch.finfo(z.dtype).tiny if task in (None, "classification") else torch.finfo(z.dtype).eps
    if task in (None, "classification"):
        return z.clamp_min(least).log()
    p = z.clamp(least, 1 - least)
    return p.log() - torch.log1p(-p)


class FoundTask(NamedTuple):
    """What one pass shows: the task, or None; whether the scores are probabilities; the number of scores of a clip."""

    task: Task | None
    probabilities: bool
    outputs: int


def find_task(run: Callable[[Tensor], Tensor], x: Tensor) -> FoundTask:
    """Task of a network and whether its scores are probabilities already, as far as one pass shows it.

    Parameters
    ----------
    run : callable
        From an input to the scores [1,K], as the network gives them.
    x : float tensor
        One prepared clip.

    Returns
    -------
    FoundTask
        A softmax or its logarithm, or rows that sum to 1, are classes; a sigmoid over several outputs labels, and over
        one a binary decision. Outputs without either can be more than one thing: None.
    """
    z = _recorded(run, x)
    if z.ndim != 2 or len(z) != 1:  # no scores of a clip, of which the first pass says more
        return FoundTask("classification", False, 0)
    outputs = z.shape[1]
    several = outputs > 1
    last = _last_operation(z)
    rows = z.detach().float()
    if several and bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() < 1e-5).all()):
        return FoundTask("classification", True, outputs)
    if several and last.startswith("LogSoftmax"):
        return FoundTask("classification", False, outputs)
    if last.startswith("Sigmoid"):
        return FoundTask("multilabel" if several else "binary", True, outputs)
    return FoundTask(None, False, outputs)


def like_labels(task: Task | None, probabilities: bool | None, z: Tensor) -> bool:
    """Whether scores [N,K] that are taken as logits of classes may be probabilities of labels: all are in 0–1."""
    return task in (None, "classification") and not probabilities and bool(((z >= 0) & (z <= 1)).all())


def _recorded(run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The scores with the chain of operations that made them, of which no intermediate result is kept."""
    drop = torch.autograd.graph.saved_tensors_hooks(lambda _: None, lambda _: torch.empty(0))
    try:
        with torch.inference_mode(False), torch.enable_grad(), drop:
            return run(x.detach().clone().requires_grad_(True))
    except ModelError:
        raise
    except RuntimeError:  # such as weights made in inference mode
        with torch.no_grad():
            return run(x)


def _last_operation(z: Tensor) -> str:
    node = z.grad_fn
    while node is not None:
        name = type(node).__name__
        if not any(name.startswith(step + "Backward") for step in _PASSING):
            return name
        node = node.next_functions[0][0] if node.next_functions else None
    return ""
