"""Scores of one partly hidden clip.

Letters: M masks, T×H×W the grid. A mask is 1 where the clip is visible, 0 where the baseline is; bool, or float with
values in between.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import torch

from voxplain.attribution.passes import base_input, logits, score, to_input
from voxplain.attribution.perturbation.masked_clips import blend
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

__all__ = ["masked_scores"]


def masked_scores(
    model: VideoModel,
    clip: Clip,
    masks: Iterable[np.ndarray],
    fill: str | np.ndarray,
    target: int,
    objective: Objective,
) -> np.ndarray:
    """Score of a clip behind each of M masks [T,H,W], float64 [M].

    Masks are taken from the iterator ``pass_size`` at a time and not kept. ``fill``: an entry of FILLS, or the frames
    uint8 [T,H,W,3] that show where the clip is hidden.
    """
    frames = clip.frames[None]
    hidden = base_input(model, frames, fill) if isinstance(fill, str) else to_input(model, fill[None])
    x, base = to_input(model, frames)[0], hidden[0]
    found = []
    for part in _chunks(masks, model.pass_size):
        keep = torch.from_numpy(np.stack(part)).to(x.device)
        z = logits(model, blend(x, base, keep if keep.dtype == torch.bool else keep.to(x.dtype)))
        found.append(score(z.double(), [target] * len(part), objective).cpu())
    return torch.cat(found).numpy()


def _chunks(items: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    left = iter(items)
    while part := list(islice(left, size)):
        yield part
