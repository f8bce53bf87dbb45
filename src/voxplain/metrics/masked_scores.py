"""Scores of one clip while parts of it are hidden.

Letters: M masks, T×H×W the grid. A mask says what is shown: 1 the clip, 0 the base; bool or float in between.
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
    model: VideoModel, clip: Clip, shown: Iterable[np.ndarray], fill: str, target: int, objective: Objective
) -> np.ndarray:
    """The objective of what each of M masks [T,H,W] shows of a clip over its base, float64 [M].

    Masks are taken from the iterator ``batch_size`` at a time and forgotten. ``fill``: an entry of FILLS.
    """
    frames = clip.frames[None]
    x, base = to_input(model, frames)[0], base_input(model, frames, fill)[0]
    found = []
    for part in _chunks(shown, model.batch_size):
        keep = torch.from_numpy(np.stack(part)).to(x.device)
        z = logits(model, blend(x, base, keep if keep.dtype == torch.bool else keep.to(x.dtype)))
        found.append(score(z.double(), [target] * len(part), objective).cpu())
    return torch.cat(found).numpy()


def _chunks(items: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    left = iter(items)
    while part := list(islice(left, size)):
        yield part
