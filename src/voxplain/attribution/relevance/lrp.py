"""Layer-wise relevance propagation: the score, handed back layer by layer until each voxel has its share.

Letters: z the logits [K], s the objective, R relevance. The rules are in `relevance`.

Bach et al. 2015 (doi 10.1371/journal.pone.0130140); which rule for which layer: Montavon et al. 2019
(doi 10.1007/978-3-030-28954-6_10), Kohlbrenner et al. 2020 (arXiv 1910.09840); batch norm folded into the layer before
it: Guillemot et al. 2020 (arXiv 2009.13080); on video: Srinivasan et al. 2017 (doi 10.1109/ICASSP.2017.7952445).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from voxplain.attribution.passes import score
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.attribution.relevance import rules as relevance
from voxplain.attribution.relevance.relevance_pass import record_pass
from voxplain.attribution.relevance.rules import Rule
from voxplain.errors import DataError
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

__all__ = ["LRP"]

INPUT_RULES: dict[str, Rule] = {"flat": relevance.flat, "w_square": relevance.w_square, "z_box": relevance.z_box}


@dataclass(frozen=True)
class LRP:
    """R = rule(R of the layer above), from R_k = z_k ∂s/∂z_k at the logits (for the logit: z_y alone) to the voxels.

    ``composite``: ε in hidden linear and recurrent layers, z⁺ in convolutions and sums, ``input_rule`` at the first.
    Sums and averages share by the same rule, max pools give all to the maximum, activations hand on what they get.
    Biases and ε take relevance; ``details``: ``start`` Σ_k R_k, and ``conservation_gap``, the share of it that did not
    reach the voxels. ReLU networks without ε: LRP-ε is input × gradient.
    """

    rule: Literal["epsilon", "gamma", "alpha_beta", "z_plus", "composite"] = "composite"
    epsilon: float = 0.25  # of a layer's root mean square output; Montavon et al. 2019
    gamma: float = 0.25  # weight of the favourable contributions; Montavon et al. 2019
    alpha: float = 2.0  # of the positive contributions, beta of the negative; 2 and 1 in Bach et al. 2015
    beta: float = 1.0
    input_rule: Literal["same", "flat", "w_square", "z_box"] | None = None  # None: flat for composite, else the same
    # The last layer: logits may be negative, and only ε gives those relevance of the right sign.
    head: Literal["epsilon", "same"] = "epsilon"
    batch_norm: Literal["fold", "pass"] = "fold"  # into the layer right before it, where there is one; or passed over
    objective: Objective = "logit"
    channels: Channels = "signed"  # the sum over colours keeps what is conserved

    def __post_init__(self) -> None:
        """Refuse parameters that cannot conserve relevance, and unknown rules."""
        if self.rule not in ("epsilon", "gamma", "alpha_beta", "z_plus", "composite"):
            raise DataError(
                f"expected a rule among epsilon, gamma, alpha_beta, z_plus, composite, got {self.rule!r}; choose one"
            )
        if self.input_rule not in (None, "same", *INPUT_RULES):
            raise DataError(
                f"expected an input rule among same, {', '.join(INPUT_RULES)}, got {self.input_rule!r}; choose one"
            )
        for name, value, known in (
            ("head", self.head, ("epsilon", "same")),
            ("batch_norm", self.batch_norm, ("fold", "pass")),
        ):
            if value not in known:
                raise DataError(f"expected {name} among {', '.join(known)}, got {value!r}; choose one")
        if min(self.epsilon, self.gamma, self.beta) < 0 or abs(self.alpha - self.beta - 1) > 1e-6:
            raise DataError(
                "expected epsilon, gamma and beta of 0 or more and alpha − beta = 1, got "
                f"{self.epsilon}, {self.gamma}, {self.beta} and alpha {self.alpha}; only then is relevance conserved"
            )

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, f"lrp_{self.rule}", self._maps, model, clip, target)

    def _rules(self) -> dict[str, Rule]:
        damped = partial(relevance.epsilon, share=self.epsilon)
        by_name: dict[str, tuple[Rule, Rule, Rule]] = {
            "epsilon": (damped, damped, relevance.epsilon),
            "gamma": (partial(relevance.gamma, share=self.gamma),) * 3,
            "alpha_beta": (partial(relevance.alpha_beta, alpha=self.alpha, beta=self.beta),) * 3,
            "z_plus": (relevance.z_plus,) * 3,
            "composite": (relevance.z_plus, damped, relevance.z_plus),
        }
        conv, dense, fixed = by_name[self.rule]
        first = self.input_rule or ("flat" if self.rule == "composite" else "same")
        return {
            "conv": conv,
            "dense": dense,
            "fixed": fixed,
            "first": INPUT_RULES.get(first, conv),
            "head": relevance.epsilon if self.head == "epsilon" else dense,
            "above": relevance.epsilon,
        }

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
        with record_pass(batch.model, batch.x, self._rules(), fold=self.batch_norm == "fold") as trace:
            z = trace.logits.detach().requires_grad_(True)
            (g,) = torch.autograd.grad(score(z, batch.targets, self.objective).sum(), z)
            start = z.detach() * g
            values = trace.back(start)[0].float()
        begun, reached = start.sum(1), values.flatten(1).sum(1)
        details = [
            {"start": float(a), "conservation_gap": float((a - b) / a) if a else float(b != 0)}
            for a, b in zip(begun, reached, strict=True)
        ]
        return over_channels(values, self.channels), details
