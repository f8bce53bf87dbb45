"""The orders of axes in which networks take clips.

Letters: B clips, T frames, C colours, H×W pixels.
"""

from typing import Literal

from torch import Tensor

__all__ = ["LAYOUTS", "Layout", "clip_count", "frames_of", "from_bcthw", "to_bcthw"]

Layout = Literal["BCTHW", "BTCHW", "TBCHW", "BTHWC"]
LAYOUTS: tuple[Layout, ...] = ("BCTHW", "BTCHW", "TBCHW", "BTHWC")


def _permutation(layout: str, to: str) -> tuple[int, ...]:
    return tuple(layout.index(axis) for axis in to)


def to_bcthw(x: Tensor, layout: Layout) -> Tensor:
    """A view with the axes [B,C,T,H,W] of a tensor with those of ``layout``."""
    return x if layout == "BCTHW" else x.permute(_permutation(layout, "BCTHW"))


def from_bcthw(x: Tensor, layout: Layout) -> Tensor:
    """A view with the axes of ``layout`` of a tensor [B,C,T,H,W]."""
    return x if layout == "BCTHW" else x.permute(_permutation("BCTHW", layout))


def clip_count(x: Tensor, layout: Layout) -> int:
    """Number of clips in a batch."""
    return x.shape[layout.index("B")]


def frames_of(x: Tensor, layout: Layout) -> Tensor:
    """The frames of a batch as pictures [B·T,C,H,W], or [B·T,H,W,C] of a layout with the colours last."""
    to = "BTHWC" if layout.endswith("C") else "BTCHW"
    return x.permute(_permutation(layout, to)).flatten(0, 1)
