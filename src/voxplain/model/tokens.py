"""Positions of a layer's output in time and space: of maps, channels second or last, and of tokens.

Letters: N clips, T×H×W the network's input, t×h×w positions, S tokens, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.errors import ModelError
from voxplain.model.cost import uncounted
from voxplain.model.layers import evaluation_mode, find_layer, first_tensor
from voxplain.model.trace import Call, trace

if TYPE_CHECKING:
    from voxplain.model.video_model import VideoModel

__all__ = ["Positions", "Tokens", "channel_axis", "find_positions", "token_layout"]

Grid = tuple[int, int, int]
Order = Literal["thw", "hwt"]
ORDERS: tuple[Order, ...] = ("thw", "hwt")
MOST_PREFIX = 5  # a class token and four registers
CONVOLUTIONS = nn.modules.conv._ConvNd
NORMS = nn.modules.batchnorm._NormBase


@dataclass(frozen=True)
class Tokens:
    """Which positions the tokens [N,S,C] of a transformer have.

    Parameters
    ----------
    grid : (t, h, w)
        Positions in time and space.
    prefix : int
        Tokens before them that have none: class token, registers.
    order : {"thw", "hwt"}
        The last axis changes fastest: "thw" in most networks, "hwt" in TimeSformer.

    Raises
    ------
    ModelError
        Numbers out of range or another order.

    Examples
    --------
    >>> Tokens(grid=(2, 4, 4), prefix=1).map_of(torch.zeros(1, 33, 8)).shape
    torch.Size([1, 8, 2, 4, 4])
    """

    grid: Grid
    prefix: int = 0
    order: Order = "thw"

    def __post_init__(self) -> None:
        """Check the fields."""
        if len(self.grid) != 3 or min(self.grid) < 1 or self.prefix < 0 or self.order not in ORDERS:
            raise ModelError(
                f"expected a grid (t, h, w) of 1 or more, a prefix of 0 or more and the order thw or hwt, got "
                f"{self.grid}, {self.prefix} and {self.order!r}; correct them"
            )

    @property
    def count(self) -> int:
        """S, with the tokens of the prefix."""
        return prod(self.grid) + self.prefix

    def map_of(self, tokens: Tensor) -> Tensor:
        """Tokens [N,S,C] as a map [N,C,t,h,w], without those of the prefix."""
        t, h, w = self.grid
        own = tokens[:, self.prefix :].transpose(1, 2)
        if self.order == "thw":
            return own.unflatten(2, (t, h, w))
        return own.unflatten(2, (h, w, t)).permute(0, 1, 4, 2, 3)


@dataclass(frozen=True)
class Positions:
    """A layer whose output has positions in time and space.

    Parameters
    ----------
    layer : str
        Dotted name.
    grid : (t, h, w)
    tokens : Tokens, optional
        Of an output [N,S,C]; None for maps.
    axis : int
        The channels' axis of maps.
    frames : bool
        The output is a map for each frame, [N·t,C,h,w], or the tokens of each, [N·t,S,C].
    """

    layer: str
    grid: Grid
    tokens: Tokens | None = None
    axis: int = 1
    frames: bool = False

    def map_of(self, output: Tensor) -> Tensor:
        """The layer's output as a map [N,C,t,h,w]; tokens before the positions, such as a class token, are left out."""
        if self.tokens is not None:
            found = self.tokens.map_of(output)
            return found[:, :, 0].unflatten(0, (-1, self.grid[0])).transpose(1, 2) if self.frames else found
        found = output.movedim(self.axis, 1)
        return found.unflatten(0, (-1, self.grid[0])).transpose(1, 2) if self.frames else found


def channel_axis(module: nn.Module, shape: Sequence[int]) -> int:
    """The axis of the channels in a module's output: 1, or the last where its modules work on the last axis.

    Tokens [N,S,C] have them last. A map has them last where a linear layer or layer norm in the module has the width of
    the last axis, and no convolution or batch norm in it the width of the second.
    """
    dims = len(shape)
    if dims < 4:
        return dims - 1
    per_position = any(
        (isinstance(m, nn.Linear) and m.out_features == shape[-1])
        or (isinstance(m, nn.LayerNorm) and tuple(m.normalized_shape) == (shape[-1],))
        for m in module.modules()
    )
    second = any(
        (isinstance(m, CONVOLUTIONS) and m.out_channels == shape[1])
        or (isinstance(m, NORMS) and m.num_features == shape[1])
        for m in module.modules()
    )
    return dims - 1 if per_position and not second else 1


def find_positions(model: "VideoModel", call: Call) -> Positions | None:
    """The positions of a recorded call of one clip; None where its output has none, or no more than one."""
    shape, axis = call.shape, model.channel_axis
    if len(shape) == 5 and shape[0] == 1:
        axis = channel_axis(call.module, shape) if axis is None else axis % 5
        t, h, w = (n for i, n in enumerate(shape) if i not in (0, axis))
        return Positions(call.name, (t, h, w), None, axis) if t * h * w > 1 else None
    if len(shape) == 4 and shape[0] == model.grid[0]:  # of the frames of the one clip, or of one picture
        axis = channel_axis(call.module, shape) if axis is None else axis % 4
        h, w = (n for i, n in enumerate(shape) if i not in (0, axis))
        fits = h * w > 1 and _is_picture((h, w), model.grid)
        return Positions(call.name, (shape[0], h, w), None, axis, frames=True) if fits else None
    if len(shape) == 3 and shape[0] == model.grid[0] > 1:
        own = token_layout(model, shape[1], per_frame=True)
        return None if own is None else Positions(call.name, (shape[0], *own.grid[1:]), own, frames=True)
    if len(shape) == 3 and shape[0] == 1 and shape[1] > 1:
        tokens = token_layout(model, shape[1])
        return None if tokens is None else Positions(call.name, tokens.grid, tokens)
    return None


def _is_picture(places: tuple[int, int], grid: Grid) -> bool:
    """Whether one stride gives a map of h×w of frames of H×W, up to a position; not tokens by features of a head."""
    least, most = ([full / max(n + step, 0.5) for n, full in zip(places, grid[1:], strict=True)] for step in (1, -1))
    return max(least) <= min(most)


# By network: the grids of its maps and the order of its tokens; an entry is dropped with its network.
_found: WeakKeyDictionary[nn.Module, dict[object, dict[tuple[int, bool], Tokens]]] = WeakKeyDictionary()


def token_layout(model: "VideoModel", count: int, *, per_frame: bool = False) -> Tokens | None:
    """The positions of S = ``count`` tokens of a clip, or of each of its frames, which then are one step in time.

    Those of ``model.tokens`` where they are as many; otherwise those of a map in the network, such as the embedding of
    patches, or of patches of the input, with up to five tokens before them. What was inferred is checked: where a
    change of one corner of the last frames does not first change the tokens there, there is none. Two passes are
    made for a network, and their result is kept.

    Parameters
    ----------
    model : VideoModel
    count : int
        S.
    per_frame : bool
        The frames are rows of the batch, [N·T,S,C].

    Returns
    -------
    Tokens or None
        None where the tokens have no positions that can be found.
    """
    if model.tokens is not None and model.tokens.count == count and not per_frame:
        return model.tokens
    known = _found.setdefault(model.net, {})
    key = (model.layout, model.grid, tuple(n for n, _ in model.net.named_modules()))
    if key not in known:
        with uncounted():
            known[key] = _layouts(model)
    return known[key].get((count, per_frame))


def _layouts(model: "VideoModel") -> dict[tuple[int, bool], Tokens]:
    """The layouts of a network's tokens by their number, and whether they are of one frame."""
    noise = np.random.default_rng(0).integers(0, 256, (1, *model.grid, 3), np.uint8)
    calls = trace(model.net, model.prepare(noise), model.raw).calls
    grids: dict[int, Grid] = {}
    for call in calls:
        grid = _grid_of_map(call, model.grid)
        if grid is not None and prod(grid) > 1:
            grids[prod(grid)] = grid
    counts: dict[int, Call] = {}
    for call in calls:
        if len(call.shape) == 3 and call.shape[0] == 1 and call.shape[1] > 1:
            counts.setdefault(call.shape[1], call)  # the first of them: nothing is mixed there yet
    found: dict[tuple[int, bool], Tokens] = {}
    order: Order | None = None
    for count, call in counts.items():
        guess = _guess(count, grids) or _of_patches(count, model.grid)
        if guess is not None and order is None:
            order = _order(model, noise, call, guess)
        if guess is not None and order is not None:
            found[count, False] = Tokens(guess.grid, guess.prefix, order)
    pictures = {grid[1] * grid[2]: (1, *grid[1:]) for grid in grids.values() if grid[0] == model.grid[0]}
    for count in {c.shape[1] for c in calls if len(c.shape) == 3 and c.shape[0] == model.grid[0] > 1}:
        guess = _guess(count, pictures) or _of_patches(count, (1, *model.grid[1:]))
        if guess is not None:
            found[count, True] = guess
    return found


def _grid_of_map(call: Call, size: Grid) -> Grid | None:
    """Positions of a map [·,C,t,h,w], or of maps [T,C,h,w] of the frames of a clip of ``size``."""
    axis = channel_axis(call.module, call.shape)
    inner = tuple(n for i, n in enumerate(call.shape) if i not in (0, axis))
    if len(inner) == 3:
        return inner
    if len(inner) == 2 and call.shape[0] == size[0] and len(call.shape) == 4 and _is_picture(inner, size):
        return (size[0], *inner)
    return None


def _guess(count: int, grids: dict[int, Grid]) -> Tokens | None:
    for prefix in range(MOST_PREFIX + 1):
        grid = grids.get(count - prefix)
        # A prefix of several tokens is believed only where there are many others.
        if grid is not None and (prefix < 2 or count > 16 * prefix):
            return Tokens(grid, prefix)
    return None


def _of_patches(count: int, size: Grid) -> Tokens | None:
    """Tokens of cubes of voxels that divide the input, the usual sizes first; None where there are none so many."""
    for prefix in (0, 1):
        for patch in (16, 14, 32, 8, 4):
            if size[1] % patch or size[2] % patch:
                continue
            h, w = size[1] // patch, size[2] // patch
            t = (count - prefix) // (h * w)
            if t * h * w == count - prefix and t > 0 and size[0] % t == 0:
                return Tokens((t, h, w), prefix)
    return None


@torch.no_grad()
def _order(model: "VideoModel", noise: np.ndarray, call: Call, guess: Tokens) -> Order | None:
    """The order of tokens, from those that change with the top right corner of the last frames.

    The one that changes most is the corner's; or, as neighbours may change more where convolutions come first, those
    within one position of the corner hold more than half of the change in one order and not in the other.
    """
    seen: list[Tensor] = []
    first = True

    def keep(_: nn.Module, __: object, output: object) -> None:
        nonlocal first
        if first:  # of several calls the first is the one that was recorded
            seen.append(first_tensor(output).float().clone())
        first = False

    changed = noise.copy()
    t, h, w = (n // m for n, m in zip(model.grid, guess.grid, strict=True))
    changed[:, -t:, :h, -w:] = 255 - changed[:, -t:, :h, -w:]
    handle = find_layer(model.net, call.name).register_forward_hook(keep)
    try:
        with evaluation_mode(model.net):
            for frames in (noise, changed):
                first = True
                model.raw(model.prepare(frames))
    finally:
        handle.remove()
    if len(seen) != 2 or seen[0].shape[:2] != (1, guess.count):
        return None
    change = (seen[1] - seen[0]).abs().sum(2, keepdim=True)
    if not bool(change.any()):
        return None
    maps = {order: replace(guess, order=order).map_of(change)[0, 0] for order in ORDERS}
    exact = [order for order in ORDERS if maps[order][-1, 0, -1] == change[:, guess.prefix :].max()]
    near = [order for order in ORDERS if maps[order][-2:, :2, -2:].sum() > 0.5 * change.sum()]
    return next((fits[0] for fits in (exact, near) if len(fits) == 1), exact[0] if exact else None)
