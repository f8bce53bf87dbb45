"""The class that is explained, as users give it: a name, an index, one for each clip, or nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from voxplain.errors import DataError
from voxplain.model.inputs import ClipsLike, as_clips

if TYPE_CHECKING:
    from voxplain.model.video_model import VideoModel

__all__ = ["Target", "Targets", "resolve_targets"]

Target = str | int
Targets = Target | Sequence[Target] | np.ndarray | Tensor


def resolve_targets(model: "VideoModel", clips: ClipsLike, target: Targets | None = None) -> tuple[int, ...]:
    """Logit index of the class to explain, one for each clip.

    Parameters
    ----------
    model : VideoModel
    clips : whatever `as_clips` accepts
    target : str, int, or a sequence, 1-d array or tensor of one for each clip, optional
        Class name or logit index; left out, the class that the model predicts for each clip.

    Returns
    -------
    tuple of int
        As many as clips.

    Raises
    ------
    ModelError
        A class that the network does not have.
    DataError
        A wrong number of targets, or targets that are neither names nor whole numbers.

    Examples
    --------
    >>> import voxplain as vx
    >>> model = vx.load_model("planted")
    >>> clips = np.zeros((2, *model.grid, 3), np.uint8)
    >>> resolve_targets(model, clips, np.array([3, 1]))
    (3, 1)
    """
    if target is None:
        return tuple(model.logits(clips).argmax(1).tolist())
    if isinstance(target, np.ndarray | np.generic | Tensor):
        whole = isinstance(target, Tensor) and not (target.is_floating_point() or target.is_complex())
        if not whole and (isinstance(target, Tensor) or target.dtype.kind not in "iuUO"):
            raise DataError(f"expected class names or whole numbers as targets, got {target.dtype}; convert them")
        target = target.tolist()
    n = len(as_clips(clips))
    named: list[Target] = [target] * n if isinstance(target, str | int) else [_plain(t) for t in target]
    if len(named) != n:
        raise DataError(f"expected one target, or one for each of {n} clips, got {len(named)}")
    return tuple(model.class_index(t) for t in named)


def _plain(target: object) -> Target:
    """One item of a sequence of targets; scalars of NumPy and torch become Python's."""
    plain = target.item() if isinstance(target, np.generic | Tensor) and target.ndim == 0 else target
    if not isinstance(plain, str | int):
        raise DataError(f"expected class names or whole numbers as targets, got {type(target).__name__}; convert them")
    return plain
