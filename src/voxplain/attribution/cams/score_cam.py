"""Score-CAM: each channel's map, as a mask on the clip, is weighted by the score that it keeps; no gradients.

Wang et al. 2020 (arXiv 1910.01279). Letters: C channels, A maps [N,C,t,h,w], H_c the map c upsampled and scaled to
0–1.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Maps, attribution_call, layer_alias
from voxplain.attribution.cams.map_layer import activations, choose_layer, to_grid
from voxplain.attribution.passes import scores
from voxplain.attribution.reduce import upsample
from voxplain.errors import DataError
from voxplain.model import Objective

__all__ = ["ScoreCAM"]


@layer_alias
@dataclass(frozen=True)
class ScoreCAM:
    """Score-CAM, ReLU(Σ_c α_c A_c) with α the softmax over channels of the scores s(x⊙H_c); no gradients.

    H_c is the channel's map, upsampled and scaled to 0–1; where it is 0, the clip has the mean colour. The paper
    subtracts the score of a baseline first; it is the same for all channels, so that it cancels in the softmax.
    Channels that are the same everywhere mask nothing and are left out. Costs a forward pass a channel.

    Parameters
    ----------
    layer : str, optional
        Dotted name of the layer; by default the last map before the head. `target_layer` is accepted as well.
    weighting : {"softmax", "score"}
        "softmax", or "score": the score itself weighs the scaled maps H_c, as in the video attribution study with the
        objective "probability".
    top_channels : int, optional
        Use only those whose maps vary most (standard deviation); by default all.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.

    References
    ----------
    Wang et al. 2020, Score-CAM, arXiv 1910.01279

    Examples
    --------
    >>> ScoreCAM(top_channels=4)(model, clip).shape
    (8, 32, 32)
    """

    layer: str | None = None
    weighting: Literal["softmax", "score"] = "softmax"
    top_channels: int | None = None
    objective: Objective = "logit"

    @attribution_call("score_cam")
    def __call__(self, batch: Batch) -> Maps:
        if self.weighting not in ("softmax", "score"):
            raise DataError(f"expected weighting softmax or score, got {self.weighting!r}; choose one")
        if self.top_channels is not None and self.top_channels < 1:
            raise DataError(f"expected top_channels of 1 or more, or None for all, got {self.top_channels}")
        layer = choose_layer(batch, self.layer)
        a, _ = activations(batch.model, batch.x, layer)
        rows = [self._one(batch, i, a[i]) for i in range(len(a))]
        values, details = to_grid(batch, torch.stack([r[0] for r in rows]).relu(), layer)
        return values, [{**d, "channels": r[1]} for d, r in zip(details, rows, strict=True)]

    def _one(self, batch: Batch, i: int, a: Tensor) -> tuple[Tensor, int]:
        """The coarse map [t,h,w] of clip ``i`` from its activations [C,t,h,w], and how many channels it used."""
        spread = a.flatten(1).std(1)
        order = torch.argsort(spread, descending=True, stable=True)[: self.top_channels]
        kept = order[spread[order] > 0]
        if not len(kept):
            return torch.zeros_like(a[0]), 0
        a = a[kept]
        kept_scores = self._masked_scores(batch, i, a)
        if self.weighting == "score":
            return torch.einsum("c,cthw->thw", kept_scores, _unit(a)), len(kept)
        return torch.einsum("c,cthw->thw", kept_scores.softmax(0), a), len(kept)

    def _masked_scores(self, batch: Batch, i: int, a: Tensor) -> Tensor:
        """s(x⊙H_c) of clip ``i`` for each map [C,t,h,w], ``pass_size`` channels at a time, float32 [C]."""
        found = []
        for part in a.split(batch.model.pass_size):
            masked = batch.x[i : i + 1] * _unit(upsample(part, batch.model.grid))[:, None]
            found.append(scores(batch.model, masked, [batch.targets[i]] * len(part), self.objective))
        return torch.cat(found)


def _unit(maps: Tensor) -> Tensor:
    """Maps [C,…] scaled so that the least value of each is 0, the largest 1."""
    flat = maps.flatten(1)
    shape = (-1,) + (1,) * (maps.ndim - 1)
    low, high = flat.amin(1).view(shape), flat.amax(1).view(shape)
    return (maps - low) / (high - low).clamp(min=torch.finfo(maps.dtype).tiny)
