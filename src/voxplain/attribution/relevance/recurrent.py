"""Recurrent layers unrolled step by step, in a relevance pass or plain: RNN (tanh, ReLU), LSTM and GRU, and cells.

Letters: T steps, N clips, F inputs, U units; x_t the step's input [N,F], h the state [N,U]. A unit's pre-activation is
one linear layer of [x_t, h]. Gates take no relevance, the signals they multiply take all of it (Arras et al. 2017,
arXiv 1706.07206); a state that is a sum, c = f·c + i·g, shares as every sum does.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from voxplain.attribution.relevance.nodes import PassSettings, add_up, is_live, passed, rescaled, weighted
from voxplain.attribution.relevance.rules import Affine
from voxplain.errors import ModelError

__all__ = ["RECURRENT", "plain_recurrent"]

States = tuple[Tensor, ...]  # (h,), or (h, c) of an LSTM
Weights = list[Tensor]  # w_ih, w_hh and, unless without bias, b_ih, b_hh
RecurrentStep = Callable[[PassSettings, Tensor, States, Weights], States]
PlainStep = Callable[[Tensor, States, Weights], States]


def _linear(settings: PassSettings, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    layer = Affine(lambda v, weight: F.linear(v, weight), w, b, (-1,))  # type: ignore[arg-type]
    return weighted(settings, x, layer, "dense", lambda v: F.linear(v, w, b))


def _joint(settings: PassSettings, x: Tensor, h: Tensor, weights: Weights, rows: slice) -> Tensor:
    """w_ih x + w_hh h + b for some rows, as one linear layer of [x, h]."""
    w = torch.cat([weights[0][rows], weights[1][rows]], 1)
    b = weights[2][rows] + weights[3][rows] if len(weights) == 4 else None
    return _linear(settings, torch.cat([x, h], -1), w, b)


def _gate(x: Tensor, h: Tensor, weights: Weights, rows: slice) -> Tensor:
    with torch.no_grad():
        biases = weights[2:] or [None, None]  # type: ignore[list-item]
        terms = zip((x, h), weights[:2], biases, strict=True)
        return torch.stack([F.linear(v, w[rows], b if b is None else b[rows]) for v, w, b in terms]).sum(0).sigmoid()


def _rows(weights: Weights, count: int) -> list[slice]:
    n = len(weights[0]) // count
    return [slice(i * n, (i + 1) * n) for i in range(count)]


def _times(x: Tensor, gate: Tensor) -> Tensor:
    return passed(x, lambda v: v * gate, "mul")


def _sum(settings: PassSettings, terms: list[Tensor]) -> Tensor:
    value = torch.stack([t.detach() for t in terms]).sum(0)
    live = [t for t in terms if is_live(t)]
    rest = [t for t in terms if not is_live(t)]
    return add_up(settings, live, torch.stack(rest).sum(0) if rest else None, value) if live else value


def _rnn(act: Callable[[Tensor], Tensor]) -> RecurrentStep:
    def step(settings: PassSettings, x: Tensor, states: States, weights: Weights) -> States:
        return (passed(_joint(settings, x, states[0], weights, slice(None)), act, act.__name__),)

    return step


def _lstm(settings: PassSettings, x: Tensor, states: States, weights: Weights) -> States:
    h, c = states
    at_i, at_f, at_g, at_o = _rows(weights, 4)
    i, f, o = (_gate(x, h, weights, rows) for rows in (at_i, at_f, at_o))
    g = passed(_joint(settings, x, h, weights, at_g), torch.tanh, "tanh")
    c = _sum(settings, [_times(c, f), _times(g, i)])
    return passed(c, lambda v: o * torch.tanh(v), "tanh"), c


def _gru(settings: PassSettings, x: Tensor, states: States, weights: Weights) -> States:
    h = states[0]
    at_r, at_z, at_n = _rows(weights, 3)
    r, z = (_gate(x, h, weights, rows) for rows in (at_r, at_z))
    b_ih, b_hh = (b[at_n] for b in weights[2:]) if len(weights) == 4 else (None, None)
    inner = _times(_linear(settings, h, weights[1][at_n], b_hh), r)
    n = passed(_sum(settings, [_linear(settings, x, weights[0][at_n], b_ih), inner]), torch.tanh, "tanh")
    return (_sum(settings, [_times(n, 1 - z), _times(h, z)]),)


STEPS: dict[str, RecurrentStep] = {
    "rnn_relu": _rnn(torch.relu),
    "rnn_tanh": _rnn(torch.tanh),
    "lstm": _lstm,
    "gru": _gru,
}


def _plain_lstm(x: Tensor, states: States, weights: Weights) -> States:
    i, f, g, o = _both(x, states[0], weights).chunk(4, 1)
    c = f.sigmoid() * states[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _plain_gru(x: Tensor, states: States, weights: Weights) -> States:
    h, (b_ih, b_hh) = states[0], weights[2:] or (None, None)
    (r, z, n), (r0, z0, n0) = F.linear(x, weights[0], b_ih).chunk(3, 1), F.linear(h, weights[1], b_hh).chunk(3, 1)
    z, n = (z + z0).sigmoid(), (n + (r + r0).sigmoid() * n0).tanh()
    return (n + z * (h - n),)


def _both(x: Tensor, h: Tensor, weights: Weights) -> Tensor:
    b_ih, b_hh = weights[2:] or (None, None)
    return F.linear(x, weights[0], b_ih) + F.linear(h, weights[1], b_hh)


PLAIN_STEPS: dict[str, PlainStep] = {
    "rnn_relu": lambda x, states, weights: (_both(x, states[0], weights).relu(),),
    "rnn_tanh": lambda x, states, weights: (_both(x, states[0], weights).tanh(),),
    "lstm": _plain_lstm,
    "gru": _plain_gru,
}


def plain_recurrent(mode: TorchFunctionMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Value of torch.lstm, torch.lstm_cell and their like by linear layers, activations, products and sums.

    These run in the given mode. Raises ModelError for packed sequences, projected states, and where the layer does not
    follow its formula.
    """
    name = func.__name__.removesuffix("_cell")

    def step(x: Tensor, states: States, weights: Weights) -> States:
        with mode:
            return PLAIN_STEPS[name](x, states, weights)

    return (_layers if func.__name__ == name else _cell)(step, func, args, kwargs)


def _unrolled(step: PlainStep, x: Tensor, states: States, weights: Weights) -> list[States]:
    """The states after each step of a sequence [T,N,F]."""
    found: list[States] = []
    for frame in x.unbind(0):
        states = step(frame, states, weights)
        found.append(states)
    return found


def _layers(
    step: PlainStep,
    func: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    first: Callable[[Tensor], Tensor] = lambda seq: seq,
) -> Any:
    """Value of torch.lstm and its like: outputs and last states of all layers, in one direction or both.

    ``first`` is applied to the sequences [T,N,F] that come in.
    """
    name = func.__name__
    # Of packed sequences the second argument is the number of clips at each step, of others the state.
    packed = name == "lstm" and isinstance(args[1], Tensor)
    if kwargs or len(args) != 9 or packed or not isinstance(args[2], list | tuple):
        raise ModelError(
            f"expected {name} on a whole tensor of sequences, got a packed sequence; pad the sequences to one length"
        )
    x, start, flat, biased, count, _, _, both, batch_first = args
    starts = tuple(start) if name == "lstm" else (start,)
    per, ways = 4 if biased else 2, 2 if both else 1
    if len(flat) != per * ways * count:
        raise ModelError(f"expected {name} without a projection of its state, got one; use proj_size=0")
    seq = first(x.transpose(0, 1) if batch_first else x)
    last: list[States] = []
    for layer in range(count):
        outputs = []
        for way in range(ways):
            k = layer * ways + way
            weights = list(flat[k * per : (k + 1) * per])
            run = _unrolled(step, seq.flip(0) if way else seq, tuple(s[k] for s in starts), weights)
            last.append(run[-1])
            h = torch.stack([states[0] for states in run])
            outputs.append(h.flip(0) if way else h)
        seq = torch.cat(outputs, -1)
    found = (seq.transpose(0, 1) if batch_first else seq, *(torch.stack(part) for part in zip(*last, strict=True)))
    with torch.no_grad():
        _same(name, found[0], func(*args)[0])
    return found


def _cell(step: PlainStep, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Value of torch.lstm_cell and its like: the next state."""
    name = func.__name__.removesuffix("_cell")
    x, state, *weights = args
    states = tuple(state) if name == "lstm" else (state,)
    found = step(x, states, [w for w in weights if w is not None])
    with torch.no_grad():
        true = func(*args, **kwargs)
    _same(name, found[0], true[0] if name == "lstm" else true)
    return found if name == "lstm" else found[0]


def _same(name: str, mine: Tensor, true: Tensor) -> None:
    if not torch.allclose(mine.detach().float(), true.float(), rtol=1e-2, atol=1e-3):
        raise ModelError(f"expected {name} to follow its textbook formula, got other values; use a gradient method")


def _layers_of_pass(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    settings.recurrent += 1
    return _layers(
        partial(STEPS[func.__name__], settings), func, args, kwargs, rescaled if settings.evidence else lambda seq: seq
    )


def _cell_of_pass(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _cell(partial(STEPS[func.__name__.removesuffix("_cell")], settings), func, args, kwargs)


RECURRENT = {**dict.fromkeys(STEPS, _layers_of_pass), **{f"{name}_cell": _cell_of_pass for name in STEPS}}
