"""Layer-wise relevance propagation: the score, handed back layer by layer until each voxel has its share.

Letters: z the logits [K], s the objective, R relevance. The rules are in `rules`, their combinations here.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.passes import score
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.attribution.relevance import rules as relevance
from voxplain.attribution.relevance.relevance_pass import record_pass
from voxplain.attribution.relevance.rules import Rule
from voxplain.errors import DataError
from voxplain.model import Objective

__all__ = ["COMPOSITES", "LRP", "RULES", "InputRule", "RuleName"]

RuleName = Literal[
    "epsilon",
    "gamma",
    "alpha_beta",
    "z_plus",
    "epsilon_plus",
    "epsilon_plus_flat",
    "epsilon_gamma_box",
    "epsilon_alpha2_beta1",
    "epsilon_alpha2_beta1_flat",
]
InputRule = Literal["same", "flat", "w_square", "z_box"]

RULES = ("epsilon", "gamma", "alpha_beta", "z_plus")  # one rule for all layers
# As zennit names them: rule of convolutions, of sums and averages, of the first layer; linear layers take ε.
COMPOSITES: dict[str, tuple[str, str, InputRule]] = {
    "epsilon_plus": ("z_plus", "z_plus", "same"),
    "epsilon_plus_flat": ("z_plus", "z_plus", "flat"),
    "epsilon_gamma_box": ("gamma", "norm", "z_box"),
    "epsilon_alpha2_beta1": ("alpha2_beta1", "norm", "same"),
    "epsilon_alpha2_beta1_flat": ("alpha2_beta1", "norm", "flat"),
}
INPUT_RULES: dict[str, Rule] = {"flat": relevance.flat, "w_square": relevance.w_square, "z_box": relevance.z_box}


def _name(method: "LRP") -> str:
    return f"lrp_{method.rule}"


@dataclass(frozen=True)
class LRP:
    """Layer-wise relevance propagation (LRP), from R_k = z_k ∂s/∂z_k at the logits to the voxels.

    For the objective "logit" that is z_y at the target's logit alone. Sums and averages have a rule too, max pools give
    all to the maximum, activations pass on what they get, norms are linear with a constant divisor, and products and
    attention share as in AttnLRP. Biases and ε take relevance; ``details``: ``start`` Σ_k R_k, ``conservation_gap``,
    the share of it that did not reach the voxels, and what took it: ``constants``, the relevance of biases, positions
    and class tokens, and ``softmax_constants``, that of the constant terms of attention weights; the rest is of ε. A
    class token that hardly depends on the clip can have nearly all of it: then the map is of a small part. For ReLU
    networks without ε, LRP-ε is input × gradient. Raises ModelError for operations without a rule.

    ====================================  ==================  =================  =================  ===========
    rule                                  convolutions        linear, recurrent  sums and averages  first layer
    ====================================  ==================  =================  =================  ===========
    "epsilon"                             ε                   ε                  ε → 0              same
    "gamma"                               γ                   γ                  γ                  same
    "alpha_beta"                          αβ                  αβ                 αβ                 same
    "z_plus"                              z⁺                  z⁺                 z⁺                 same
    "epsilon_plus"                        z⁺                  ε                  z⁺                 same
    "epsilon_plus_flat"                   z⁺                  ε                  z⁺                 flat
    "epsilon_gamma_box"                   γ                   ε                  ε → 0              z^B
    "epsilon_alpha2_beta1"                αβ, 2 and 1         ε                  ε → 0              same
    "epsilon_alpha2_beta1_flat"           αβ, 2 and 1         ε                  ε → 0              flat
    ====================================  ==================  =================  =================  ===========

    The combined rules are zennit's composites EpsilonPlus, EpsilonPlusFlat, EpsilonGammaBox, EpsilonAlpha2Beta1 and
    EpsilonAlpha2Beta1Flat, but for two things: ε is relative (see ``epsilon``) and not applied at the last layer (see
    ``head``), and with "epsilon_plus" and "epsilon_plus_flat" sums and averages share by z⁺ where zennit's share by
    ε → 0, which is the same unless inputs of both signs meet.

    Parameters
    ----------
    rule : str
        A row of the table.
    epsilon : float
        Share of a layer's root mean square output (zennit: an absolute number); Montavon et al. 2019.
    gamma : float
        Weight of the favourable contributions; Montavon et al. 2019.
    alpha, beta : float
        Of positive and of negative contributions, alpha − beta = 1; 2 and 1 in Bach et al. 2015. Only for "alpha_beta".
    input_rule : {"same", "flat", "w_square", "z_box"}, optional
        Rule of the first layer with weights; by default that of the table. "z_box" takes black and white as bounds.
    head : {"epsilon", "same"}
        Rule of the last layer with weights: logits may be negative, and only ε → 0 gives those relevance of the right
        sign; "same": the rule of linear layers.
    batch_norm : {"fold", "pass"}
        "fold" it into the layer before it, where there is one, or "pass" relevance through unchanged.
    attention : {"shared", "constant"}
        "shared": attention weights and values each get half of a product's relevance, as in AttnLRP; "constant": the
        values get all of it, as in CP-LRP.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.
    channels : str
        Reduction over the three colours: an entry of `CHANNELS`; "signed", their sum, keeps what is conserved.

    References
    ----------
    Bach et al. 2015, On pixel-wise explanations for non-linear classifier decisions, doi 10.1371/journal.pone.0130140
    Montavon et al. 2019, Layer-wise relevance propagation: an overview, doi 10.1007/978-3-030-28954-6_10
    Kohlbrenner et al. 2020, Towards best practice in explaining neural network decisions with LRP, arXiv 1910.09840
    Guillemot et al. 2020, Breaking batch normalization for better explainability, arXiv 2009.13080
    Achtibat et al. 2024, AttnLRP: attention-aware layer-wise relevance propagation, arXiv 2402.05602
    Ali et al. 2022, XAI for transformers: better explanations through conservative propagation, arXiv 2202.07304
    Srinivasan et al. 2017, Interpretable human action recognition, doi 10.1109/ICASSP.2017.7952445 (video)

    Examples
    --------
    >>> heat = LRP("epsilon_gamma_box")(model, clip)
    >>> heat.method, heat.shape
    ('lrp_epsilon_gamma_box', (8, 32, 32))
    """

    rule: RuleName = "epsilon_plus_flat"
    epsilon: float = 0.25
    gamma: float = 0.25
    alpha: float = 2.0
    beta: float = 1.0
    input_rule: InputRule | None = None
    head: Literal["epsilon", "same"] = "epsilon"
    batch_norm: Literal["fold", "pass"] = "fold"
    attention: Literal["shared", "constant"] = "shared"
    objective: Objective = "logit"
    channels: Channels = "signed"

    def __post_init__(self) -> None:
        """Check that the names exist and that the numbers conserve relevance."""
        for name, value, known in (
            ("rule", self.rule, (*RULES, *COMPOSITES)),
            ("input_rule", self.input_rule, ("same", *INPUT_RULES, None)),
            ("head", self.head, ("epsilon", "same")),
            ("batch_norm", self.batch_norm, ("fold", "pass")),
            ("attention", self.attention, ("shared", "constant")),
        ):
            if value not in known:
                advice = "composite is now epsilon_plus_flat" if value == "composite" else "choose one"
                raise DataError(f"expected {name} among {', '.join(map(str, known))}, got {value!r}; {advice}")
        if min(self.epsilon, self.gamma, self.beta) < 0 or abs(self.alpha - self.beta - 1) > 1e-6:
            raise DataError(
                "expected epsilon, gamma and beta of 0 or more and alpha − beta = 1, got "
                f"{self.epsilon}, {self.gamma}, {self.beta} and alpha {self.alpha}; only then is relevance conserved"
            )

    def _rules(self) -> dict[str, Rule]:
        """The rule of each kind of step, see `KINDS`."""
        by_name: dict[str, Rule] = {
            "epsilon": partial(relevance.epsilon, share=self.epsilon),
            "norm": relevance.epsilon,
            "gamma": partial(relevance.gamma, share=self.gamma),
            "alpha_beta": partial(relevance.alpha_beta, alpha=self.alpha, beta=self.beta),
            "alpha2_beta1": partial(relevance.alpha_beta, alpha=2.0, beta=1.0),
            "z_plus": relevance.z_plus,
        }
        if self.rule in COMPOSITES:
            conv, fixed, first = COMPOSITES[self.rule]
            dense = "epsilon"
        else:
            conv = dense = self.rule
            fixed, first = "norm" if self.rule == "epsilon" else self.rule, "same"
        return {
            "conv": by_name[conv],
            "dense": by_name[dense],
            "fixed": by_name[fixed],
            "first": INPUT_RULES.get(self.input_rule or first, by_name[conv]),
            "head": relevance.epsilon if self.head == "epsilon" else by_name[dense],
            "above": relevance.epsilon,
        }

    @attribution_call(_name)
    def __call__(self, batch: Batch) -> Maps:
        fold, shared = self.batch_norm == "fold", self.attention == "shared"
        with record_pass(batch.model, batch.x, self._rules(), fold=fold, attention=shared) as trace:
            z = trace.logits.detach().requires_grad_(True)
            (g,) = torch.autograd.grad(score(z, batch.targets, self.objective).sum(), z)
            start = z.detach() * g
            values = trace.back(start)[0].float()
        begun, reached = start.sum(1), values.flatten(1).sum(1)
        details = [
            {"start": float(a), "conservation_gap": float((a - b) / a) if a else float(b != 0)}
            for a, b in zip(begun, reached, strict=True)
        ]
        if trace.settings.biases:  # of one clip
            details[0]["constants"] = trace.settings.biases
        if trace.settings.constants:
            details[0]["softmax_constants"] = trace.settings.constants
        return over_channels(values, self.channels), details
