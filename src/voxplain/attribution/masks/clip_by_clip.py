"""One mask a clip: the clips of a batch explained one after the other, and what is said of a mask that deletes.

Letters: N clips, T×H×W the network's grid.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Details
from voxplain.attribution.masks.blur_pyramid import Perturb
from voxplain.attribution.passes import logits, recording, score
from voxplain.model import VideoModel

__all__ = ["clip_by_clip", "deletion_map"]

Explain = Callable[[VideoModel, Tensor, int], tuple[Tensor, Details]]


def clip_by_clip(batch: Batch, explain: Explain) -> tuple[Tensor, list[Details]]:
    """Maps [N,T,H,W] and details of all clips, by a function of the model, one clip [1,3,T,H,W] and its target."""
    with recording(batch.model.net):
        x = batch.x.float().clone()  # what a caller makes in inference mode can take part in no gradient
        found = [explain(batch.model, clip, y) for clip, y in zip(x.split(1), batch.targets, strict=True)]
    return torch.cat([values for values, _ in found]), [details for _, details in found]


def deletion_map(
    model: VideoModel, x: Tensor, target: int, perturb: Perturb, mask: Tensor, iterations: int
) -> tuple[Tensor, Details]:
    """1 − mask [1,T,H,W], how much of the clip that is, and the target's probability without and with the mask."""
    with torch.no_grad():
        before, after = (float(score(logits(model, v), [target], "probability")) for v in (x, perturb(mask, [0])))
    return 1 - mask, {
        "perturbed_area": float((1 - mask).mean()),
        "probability_before": before,
        "probability_after": after,
        "iterations": iterations,
    }
