"""How a network is called and which layer holds its features, found by running it on candidates of an input."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from voxplain.errors import ModelError
from voxplain.model.layer_choice import suggest_feature_layer
from voxplain.model.trace import Trace, trace

__all__ = ["GRIDS", "LAYOUTS", "FoundInput", "Layout", "find_input"]

Layout = Literal["BCTHW", "BTCHW"]
LAYOUTS: tuple[Layout, ...] = ("BCTHW", "BTCHW")
# Inputs of published networks, tried in this order: C3D and R3D-18; I3D, VideoMAE and MViT; TimeSformer and X3D-S; MViT
# of 32 frames; networks for small pictures. With adaptive pooling a network runs on each, and gets the first.
GRIDS: tuple[tuple[int, int, int], ...] = (
    (16, 112, 112),
    (16, 224, 224),
    (8, 224, 224),
    (32, 224, 224),
    (8, 112, 112),
    (32, 112, 112),
    (16, 64, 64),
    (8, 64, 64),
    (16, 32, 32),
    (8, 32, 32),
)


@dataclass(frozen=True)
class FoundInput:
    """The input that a network runs on, and its feature layer.

    Parameters
    ----------
    layout : {"BCTHW", "BTCHW"}
        Axes of the input.
    grid : (T, H, W)
        Size of the input.
    layer : str
        Dotted name of the layer before the head.
    """

    layout: Layout
    grid: tuple[int, int, int]
    layer: str


def find_input(
    net: nn.Module,
    *,
    layer: str | None = None,
    layout: Layout | None = None,
    grids: Sequence[tuple[int, int, int]] = GRIDS,
    classes: int | None = None,
) -> FoundInput:
    """The first layout and grid on which a network gives logits, and the layer before its head.

    Each grid is tried in both layouts on one clip of noise, in evaluation mode and without gradients; the network is
    left as it was found.

    Parameters
    ----------
    net : nn.Module
    layer : str, optional
        Kept when given.
    layout : {"BCTHW", "BTCHW"}, optional
        The only layout to try.
    grids : sequence of (T, H, W)
        Candidates, in order.
    classes : int, optional
        The number of logits the network must give.

    Returns
    -------
    FoundInput

    Raises
    ------
    ModelError
        The network runs on no candidate, or has no layer that gives one vector or map a clip before its head.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> find_input(net)
    FoundInput(layout='BCTHW', grid=(16, 112, 112), layer='1')
    """
    failed: list[str] = []
    for grid, axes in _candidates(grids, layout):
        try:
            found = _run(net, grid, axes)
        except Exception as error:  # whatever a network raises on an input that it was not made for
            failed.append((str(error) or type(error).__name__).splitlines()[0])
            continue
        shape = tuple(found.output.shape)
        if len(shape) < 2 or shape[0] != 1 or (classes and shape[1] != classes):
            failed.append(f"an output of shape {shape} where [1,{classes or 'classes'}] is needed")
            continue
        name = layer or suggest_feature_layer(found, shape[1])
        if name is None:
            raise ModelError(
                "expected a network with a module before its head that gives one vector or map a clip, found none; "
                "name the layer to explain, layer='…' (`voxplain doctor` lists all)"
            )
        return FoundInput(axes, grid, name)
    tried = ", ".join("×".join(map(str, grid)) for grid in grids)
    raise ModelError(
        f"expected a network that classifies clips in layout {layout or 'BCTHW or BTCHW'} of {tried}, got, for the "
        f"first of them, {failed[0]!r}; give the network's own grid=(T, H, W) and layout, and check that it takes "
        "one float tensor"
    )


def _candidates(
    grids: Sequence[tuple[int, int, int]], layout: Layout | None
) -> Iterator[tuple[tuple[int, int, int], Layout]]:
    return ((grid, axes) for grid in grids for axes in (LAYOUTS if layout is None else (layout,)))


def _run(net: nn.Module, grid: tuple[int, int, int], layout: Layout) -> Trace:
    """Trace one clip of seeded noise; no generator of torch is touched."""
    weight = next((p for p in net.parameters() if p.is_floating_point()), torch.empty(0))
    t, h, w = grid
    shape = (1, 3, t, h, w) if layout == "BCTHW" else (1, t, 3, h, w)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(weight.device, weight.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of candidates that do not fit
        return trace(net, x)
