"""How a network is called and which layer holds its features, found by running it on candidates of an input."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from voxplain.errors import ModelError
from voxplain.model.layer_choice import suggest_feature_layer
from voxplain.model.layouts import LAYOUTS, Layout
from voxplain.model.outputs import Output, Pathways, run_network
from voxplain.model.trace import Trace, trace

if TYPE_CHECKING:
    from voxplain.model.video_model import VideoModel

__all__ = ["GRIDS", "FoundInput", "find_input", "noise_input"]

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
    layout : {"BCTHW", "BTCHW", "TBCHW", "BTHWC"}
        Axes of the input.
    grid : (T, H, W)
        Size of the input.
    layer : str
        Dotted name of the layer before the head, "" where there is none.
    frames_in_batch : bool
        The network takes frames as the rows of its batch.
    """

    layout: Layout
    grid: tuple[int, int, int]
    layer: str
    frames_in_batch: bool = False


def find_input(
    net: nn.Module,
    *,
    layer: str | None = None,
    layout: Layout | None = None,
    grids: Sequence[tuple[int, int, int]] = GRIDS,
    classes: int | None = None,
    output: Output | None = None,
    pathways: Pathways | None = None,
    frames_in_batch: bool | None = None,
) -> FoundInput:
    """The first layout and grid on which a network gives logits, and the layer before its head.

    Each grid is tried in all layouts, and last as frames in the batch, on one clip of noise, in evaluation mode and
    without gradients; the network is left as it was found.

    Parameters
    ----------
    net : nn.Module
    layer : str, optional
        Kept when given.
    layout : {"BCTHW", "BTCHW", "TBCHW", "BTHWC"}, optional
        The only layout to try.
    grids : sequence of (T, H, W)
        Candidates, in order.
    classes : int, optional
        The number of logits the network must give.
    output : str, int or callable, optional
        Which tensor of the network's output holds the scores.
    pathways : callable, optional
        From the input to what the network takes.
    frames_in_batch : bool, optional
        Whether the network takes frames as rows; by default both are tried.

    Returns
    -------
    FoundInput

    Raises
    ------
    ModelError
        The network runs on no candidate, or gives several tensors of which none is named.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> find_input(net)
    FoundInput(layout='BCTHW', grid=(16, 112, 112), layer='1', frames_in_batch=False)
    """
    failed: list[str] = []
    for grid, axes, folded in _candidates(grids, layout, frames_in_batch):
        unclear = None
        try:
            found = _run(net, grid, axes, folded, classes, output, pathways)
        except ModelError as error:
            unclear = error
        except Exception as error:  # whatever a network raises on an input that it was not made for
            failed.append((str(error) or type(error).__name__).splitlines()[0])
            continue
        if unclear is not None:  # it runs, but does not say where its scores are
            raise unclear
        shape = tuple(found.output.shape)
        if len(shape) < 2 or shape[0] != 1 or (classes and shape[1] != classes):
            failed.append(f"an output of shape {shape} where [1,{classes or 'classes'}] is needed")
            continue
        return FoundInput(axes, grid, layer or suggest_feature_layer(found, shape[1], grid[0]) or "", folded)
    tried = ", ".join("×".join(map(str, grid)) for grid in grids)
    raise ModelError(
        f"expected a network that classifies clips in layout {layout or ', '.join(LAYOUTS)} of {tried}, got, for the "
        f"first of them, {failed[0]!r}; give the network's own grid=(T, H, W) and layout, and check that it takes "
        "one float tensor (or give pathways=)"
    )


def _candidates(
    grids: Sequence[tuple[int, int, int]], layout: Layout | None, frames_in_batch: bool | None
) -> Iterator[tuple[tuple[int, int, int], Layout, bool]]:
    for grid in grids:
        if not frames_in_batch:
            yield from ((grid, axes, False) for axes in (LAYOUTS if layout is None else (layout,)))
        if frames_in_batch is not False:
            yield grid, layout or "BTCHW", True


def _run(
    net: nn.Module,
    grid: tuple[int, int, int],
    layout: Layout,
    frames_in_batch: bool,
    classes: int | None,
    output: Output | None,
    pathways: Pathways | None,
) -> Trace:
    """Trace one clip of seeded noise; no generator of torch is touched."""
    weight = next((p for p in net.parameters() if p.is_floating_point()), torch.empty(0))
    x = _noise(grid, layout, weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of candidates that do not fit
        return trace(
            net,
            x,
            lambda given: run_network(
                net,
                given,
                layout=layout,
                output=output,
                classes=classes,
                pathways=pathways,
                frames_in_batch=frames_in_batch,
            ),
        )


def _noise(grid: tuple[int, int, int], layout: Layout, like: torch.Tensor) -> torch.Tensor:
    """One clip of seeded noise, in the number type and on the device of ``like``."""
    t, h, w = grid
    names = {"B": 1, "C": 3, "T": t, "H": h, "W": w}
    # Drawn in the order of axes of the layout.
    shape = tuple(names[axis] for axis in layout)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(like.device, like.dtype)


def noise_input(model: "VideoModel") -> torch.Tensor:
    """One clip of seeded noise as a model's network takes it."""
    return _noise(model.grid, model.layout, torch.empty(0, device=model.device, dtype=model.dtype))
