"""`Inference`: a copy of a network that gives the same features in less time, checked on real clips.

Exact steps first: batch norm folded into the layer before it, weights and input in channels-last order. Then bfloat16,
where the hardware has it, the network is large enough to gain, and the features of the clips at hand stay as they are.
Nothing is decided by a stopwatch, so the same machine always decides the same. torch.compile is no step here: it has to
see the whole network to gain, and then neither hooks at a layer nor copies of the network work.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from voxplain.errors import ModelError
from voxplain.inference.equivalent import Candidate, Rewrite, equivalent_copy, first_line, rewrites
from voxplain.inference.fidelity import Fidelity, SampleOutputs, fidelity, sample_outputs
from voxplain.inference.fold import copied
from voxplain.inference.hardware import bfloat16_hardware
from voxplain.inference.rate import Count, flops
from voxplain.model import Frames, ModelOutput, VideoModel

__all__ = ["PRECISIONS", "Accelerated", "Inference"]

PRECISIONS = ("auto", "fp32", "bf16")
LARGE = 100_000_000  # operations a clip; from here on bfloat16 took at most 0.75 of float32's time on a CPU
FEWEST = 4  # clips to centre: with fewer a clip is much of the mean it is compared with


@dataclass(frozen=True)
class Accelerated:
    """A fast copy of a network, what was done to it and why, and how close it is to the network."""

    model: VideoModel
    precision: str  # of the weights: fp32, bf16, or the name of another type that the network came in
    reason: str  # in words, for the report
    fidelity: Fidelity
    folded: tuple[str, ...] = ()  # batch norms that the layer before them took over
    channels_last: bool = False


@dataclass(frozen=True)
class Inference:
    """How a network is run where only its outputs are wanted. Called with (model, frames) gives `Accelerated`.

    ``frames`` uint8 [N,T,H,W,3] should be such clips as will be shown to the network, 4 or more that differ: for
    concepts, masked crops of several videos. bfloat16 is taken when the lowest centred cosine of their features to
    those of the network as it was, and the cosine of its gradients, reach ``min_cosine``; ``auto`` asks before whether
    hardware and network gain from it, ``bf16`` does not. What cannot be done is left out, and the reason is given. The
    network given is not touched.
    """

    precision: str = "auto"  # auto, fp32 or bf16
    min_cosine: float = 0.999  # lowest centred cosine of features at which bf16 is taken
    sample: int = 8  # clips compared

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.precision not in PRECISIONS or not -1 <= self.min_cosine <= 1 or self.sample < FEWEST:
            raise ModelError(
                f"expected precision as one of {', '.join(PRECISIONS)}, min_cosine from -1 to 1 and sample of {FEWEST} "
                f"or more, got {self.precision!r}, {self.min_cosine} and {self.sample}; correct them"
            )

    def __call__(self, model: VideoModel, frames: Frames) -> Accelerated:
        """The fast copy. Raises ModelError where the model itself cannot see the frames."""
        model.prepare(frames[:1])  # raises for what is no clip of this model before it is indexed
        frames = frames[np.linspace(0, len(frames) - 1, min(len(frames), self.sample)).round().astype(int)]
        truth, notes = sample_outputs(model, frames), list[str]()
        with Count() as count:  # of the pass that looks for what can be folded
            tried = rewrites(model, frames, notes)
        operations = count.operations if tried and not notes else flops(model)
        obstacle = self._obstacle(model, truth.outputs, operations)
        if obstacle:
            made, why = equivalent_copy(model, frames, truth, tried, notes), f"{_name(model.dtype)}: {obstacle}"
        else:
            made, why = self._fastest(model, frames, truth, tried, notes)
        return Accelerated(
            model=made.model,
            precision=_name(made.model.dtype),
            reason="; ".join([why, *notes]),
            fidelity=fidelity(truth, made.sample),
            folded=made.rewrite.folded if made.rewrite else (),
            channels_last=made.model.channels_last,
        )

    def _fastest(
        self, model: VideoModel, frames: Frames, truth: SampleOutputs, tried: list[Rewrite], notes: list[str]
    ) -> tuple[Candidate, str]:
        """The copy with bfloat16 weights, or the fastest without; and why."""
        first = tried[0] if tried else None
        # Untested in float32: the check of bfloat16 tests the rewrite, too, in a third of the time.
        half, why = self._half(first.make if first else lambda: model, first, frames, truth)
        if half:
            return half, why
        made = equivalent_copy(model, frames, truth, tried, notes)
        if made.rewrite is first:
            return made, why
        half, why = self._half(lambda: made.model, made.rewrite, frames, truth)
        return half or made, why

    def _obstacle(self, model: VideoModel, truth: ModelOutput, operations: int) -> str | None:
        """Why bfloat16 is not even tried; None: it is."""
        if self.precision == "fp32":
            return "fp32 was asked for"
        if model.dtype is not torch.float32:
            return "only float32 weights are turned into bf16"
        if (different := len(torch.unique(truth.features, dim=0))) < FEWEST:
            return f"bf16 is taken after a check on {FEWEST} different clips or more, and there are {different}"
        if self.precision == "auto" and (why := bfloat16_hardware(model.device)):
            return why
        if self.precision == "auto" and operations < LARGE:
            return f"a clip takes {operations / 1e9:.3f} GFLOP, too few to gain from bf16 (from {LARGE / 1e9:g} on)"
        return None

    def _half(
        self, make: Callable[[], VideoModel], rewrite: Rewrite | None, frames: Frames, truth: SampleOutputs
    ) -> tuple[Candidate | None, str]:
        """The copy with bfloat16 weights where it is as good as asked for; and why, or why not."""
        try:
            base = make()
            half = replace(base, net=copied(base.net).to(torch.bfloat16))
            made = Candidate(half, sample_outputs(half, frames, truth.target), rewrite)
        except Exception as error:  # whatever a network raises that mixes number types
            return None, f"fp32: the network does not run in bf16 ({first_line(error)})"
        found = fidelity(truth, made.sample)
        figures = f"lowest centred cosine of the features of {found.clips} clips {found.centred_cosine:.4f}"
        if not found.centred_cosine >= self.min_cosine:  # also when it is no number
            return None, f"fp32: bf16 has a {figures}, below {self.min_cosine:g}{_alike(truth.outputs)}"
        if found.gradient_cosine is not None and not found.gradient_cosine >= self.min_cosine:
            return None, f"fp32: bf16 has gradients of cosine {found.gradient_cosine:.4f}, below {self.min_cosine:g}"
        return made, f"bf16: {figures}"


def _name(kind: torch.dtype) -> str:
    """fp32, bf16, or torch's name of another type."""
    return {torch.float32: "fp32", torch.bfloat16: "bf16"}.get(kind, str(kind).removeprefix("torch."))


def _alike(truth: ModelOutput) -> str:
    """A hint where the clips differ so little that rounding hides it."""
    spread = float((truth.features - truth.features.mean(0)).norm() / truth.features.norm().clamp_min(1e-30))
    return f" (the clips' features differ by {spread:.1%} of their size: try clips that differ more)" * (spread < 0.05)
