"""Excitation backprop: winning probabilities, propagated from a class to the voxels through positive weights.

Letters: p_i the marginal winning probability of unit i, x_j the activations that feed it, w⁺ the positive weights.
Zhang et al. 2016 (arXiv 1608.00507); on video, with the map taken at the last feature map: Li et al. 2020
(arXiv 2005.00375).
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Details, Maps, attribution_call, layer_alias
from voxplain.attribution.cams.map_layer import MapLayer, choose_layer, fold, to_grid
from voxplain.attribution.relevance import rules as relevance
from voxplain.attribution.relevance.relevance_pass import RecordedPass, record_pass
from voxplain.attribution.relevance.rules import Rule
from voxplain.errors import DataError

__all__ = ["INPUT", "ExcitationBackprop", "excite"]

INPUT = "input"  # in place of a layer's name


def excite(
    batch: Batch, *, layer: str | None, contrastive: bool, fold_norm: bool, evidence: bool = False
) -> tuple[Tensor, list[Details], int]:
    """Maps [N,T,H,W] and details of excitation backprop, and how many recurrent layers it went through."""
    at = None if layer == INPUT else choose_layer(batch, layer)
    found: list[Tensor] = []
    recurrent = 0
    # Clip by clip at a layer: frames that a network folds into its batch are then this clip's for certain.
    alone = 1 if at is not None else len(batch.x)
    for x, targets in zip(batch.x.split(alone), torch.tensor(batch.targets).split(alone), strict=True):
        with record_pass(
            batch.model, x, _rules(1), layer=at.name if at else None, fold=fold_norm, evidence=evidence
        ) as trace:
            found.append(_found(trace, targets, at, contrastive, batch.model.grid[0]))
            recurrent = trace.settings.recurrent
    maps = torch.cat(found)
    details = [{"mass": float(p.sum()), "layer": at.name if at else INPUT} for p in maps]
    maps = maps.clamp(min=0) if contrastive else maps
    if at is None:
        return maps, details, recurrent
    values, where = to_grid(batch, maps, at)
    return values, [d | w for d, w in zip(details, where, strict=True)], recurrent


def _rules(sign: int) -> dict[str, Rule]:
    kinds: dict[str, Rule] = dict.fromkeys(("conv", "dense", "fixed"), relevance.excitation)
    kinds["first"] = relevance.excitation_by_colour
    # Averages of logits: their sign is no excitation, so positions share equally.
    return kinds | {"head": partial(relevance.excitation, sign=sign), "above": relevance.flat}


def _found(trace: RecordedPass, targets: Tensor, at: MapLayer | None, contrastive: bool, frames: int) -> Tensor:
    """p, or p of the class less p of its dual, summed over channels: [N,T,H,W] or [1,t,h,w]."""
    start = torch.zeros_like(trace.logits)
    start[torch.arange(len(start)), targets] = 1
    found = trace.back(start, again=contrastive)
    if contrastive:
        trace.settings.rules.update(_rules(-1))
        found = [p - dual for p, dual in zip(found, trace.back(start), strict=True)]
    if at is None:
        return found[0].float().sum(1)
    maps = fold(found, at, len(start), frames)
    assert maps is not None  # of one clip
    return maps.float().sum(1)


def _name(method: "ExcitationBackprop") -> str:
    return "contrastive_excitation_backprop" if method.contrastive else "excitation_backprop"


@layer_alias
@dataclass(frozen=True)
class ExcitationBackprop:
    """Excitation backprop, p_j = x_j Σ_i w_ij⁺ p_i / Σ_k w_ik⁺ x_k from p_y = 1 at the target's logit.

    Biases take no part; sums share by activation, and max pools give all to the maximum. ``details["mass"]`` is the sum
    of the map before clipping and upsampling: 1 for a class unless a unit on the way has no positive contribution, and
    0 for the contrastive map.

    Parameters
    ----------
    layer : str, optional
        Dotted name; by default the last map over space, as in the video attribution study; "input": the voxels.
        `target_layer` is accepted as well.
    contrastive : bool
        Subtract the map of the dual logit, whose weights are −w_y, and keep what is positive.
    batch_norm : {"fold", "pass"}
        "fold" it into the layer before it, or "pass" relevance through unchanged, as in the study; the same where its
        scale is positive.

    References
    ----------
    Zhang et al. 2016, Top-down neural attention by excitation backprop, arXiv 1608.00507
    Li et al. 2020, arXiv 2005.00375 (the video attribution study)

    Examples
    --------
    >>> ExcitationBackprop()(model, clip).shape
    (8, 32, 32)
    """

    layer: str | None = None
    contrastive: bool = False
    batch_norm: Literal["fold", "pass"] = "fold"

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        check_names(self.batch_norm)

    @attribution_call(_name)
    def __call__(self, batch: Batch) -> Maps:
        fold_norm = self.batch_norm == "fold"
        return excite(batch, layer=self.layer, contrastive=self.contrastive, fold_norm=fold_norm)[:2]


def check_names(batch_norm: str) -> None:
    """Raise DataError unless batch norm is folded or passed over."""
    if batch_norm not in ("fold", "pass"):
        raise DataError(f"expected batch_norm among fold, pass, got {batch_norm!r}; choose one")
