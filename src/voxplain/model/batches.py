"""Logits of clips that are made one by one, a batch at a time in memory."""

from collections.abc import Iterator

import numpy as np

from voxplain.model.video_model import VideoModel

__all__ = ["logits_of"]


def logits_of(model: VideoModel, pictures: Iterator[np.ndarray], *, finite: bool = True) -> np.ndarray:
    """Logits of clips that are made one by one.

    Parameters
    ----------
    model : VideoModel
    pictures : iterator of uint8 [T,H,W,3]
        At most ``model.pass_size`` are held at a time.
    finite : bool
        Raise an error for NaN and infinity. False: the logits of such a clip are NaN, as if it were not measured.

    Returns
    -------
    float32 [N,K]
    """
    rows, batch = [], []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == model.pass_size:
            rows.append(model.logits(np.stack(batch), finite=finite).cpu().numpy())
            batch = []
    if batch:
        rows.append(model.logits(np.stack(batch), finite=finite).cpu().numpy())
    return np.concatenate(rows)
