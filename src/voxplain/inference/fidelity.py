"""Agreement of a fast copy of a network with the network: features, logits and gradients of the same clips.

Letters: N clips, D feature dimensions, K classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from voxplain.errors import ModelError
from voxplain.model import Frames, ModelOutput, Objective, VideoModel

__all__ = ["Fidelity", "SampleOutputs", "fidelity", "largest_gap", "lowest_cosine", "sample_outputs"]

_GRADIENT_CLIPS = 2  # where the layer is an early one, a gradient costs more than the pass
_OBJECTIVE: Objective = "log_odds"  # where the head is linear the logit's gradient is its weights, for every clip


@dataclass(frozen=True)
class Fidelity:
    """Agreement of a fast copy with the network it was made from, over the clips of a sample.

    Cosines are the lowest of any clip. Centred: each network's own mean feature is subtracted first, because concepts
    are differences between features, and a component that all clips share would hide an error in those.
    """

    cosine: float  # of features
    centred_cosine: float  # of features less their mean
    logit_gap: float  # largest absolute difference of logits
    relative_gap: float  # the same in standard deviations of the network's logits, over all clips and classes
    gradient_cosine: float | None  # at the layer, of one class; None: the network gives no gradient
    clips: int  # in the sample


def lowest_cosine(a: Tensor, b: Tensor) -> float:
    """The lowest cosine between rows of [N,D] and [N,D]; two rows of zeros count 1, one of zeros 0."""
    a, b = a.double(), b.double()
    lengths = a.norm(dim=1), b.norm(dim=1)
    both_zero = (lengths[0] == 0) & (lengths[1] == 0)
    product = (lengths[0] * lengths[1]).clamp_min(torch.finfo(torch.float64).tiny)
    return float(torch.where(both_zero, 1.0, (a * b).sum(1) / product).min().clamp(-1, 1))


def largest_gap(a: ModelOutput, b: ModelOutput) -> float:
    """The largest difference of features or of logits, as a share of the largest value of ``a``'s."""
    gaps = []
    for x, y in ((a.features, b.features), (a.logits, b.logits)):
        top = float(x.abs().max())
        gap = float((x - y).abs().max())
        gaps.append(gap / top if top else gap)
    return max(gaps)


@dataclass(frozen=True, eq=False)
class SampleOutputs:
    """Outputs of a network for the clips of a sample, and for the first few the gradient of a class."""

    outputs: ModelOutput
    target: int
    gradient: Tensor | None  # [n,D], n ≤ N; None: the layer gets none


def sample_outputs(model: VideoModel, frames: Frames, target: int | None = None) -> SampleOutputs:
    """Run a network once on clips uint8 [N,T,H,W,3]; ``target``: the class, None: that predicted for the first clip."""
    few = frames[: min(_GRADIENT_CLIPS, model.pass_size)]
    try:
        y, first, gradient = model.outputs_and_gradient(few, target, objective=_OBJECTIVE)
    except ModelError:  # a layer that the logits do not depend on has features all the same
        found = model.outputs(frames)
        return SampleOutputs(found, int(found.logits[0].argmax()) if target is None else target, None)
    if len(frames) > len(few):
        rest = model.outputs(frames[len(few) :])
        first = ModelOutput(torch.cat([first.logits, rest.logits]), torch.cat([first.features, rest.features]))
    return SampleOutputs(first, y, gradient)


def fidelity(truth: SampleOutputs, fast: SampleOutputs) -> Fidelity:
    """Compare a network with a fast copy of it on the same clips and class."""
    a, b = truth.outputs.features, fast.outputs.features
    gap = float((truth.outputs.logits - fast.outputs.logits).abs().max())
    spread = float(truth.outputs.logits.std(correction=0))
    both = truth.gradient is not None and fast.gradient is not None
    return Fidelity(
        cosine=lowest_cosine(a, b),
        centred_cosine=lowest_cosine(a - a.mean(0), b - b.mean(0)),
        logit_gap=gap,
        relative_gap=gap / spread if spread else gap,
        gradient_cosine=lowest_cosine(truth.gradient, fast.gradient) if both else None,  # type: ignore[arg-type]
        clips=len(a),
    )
