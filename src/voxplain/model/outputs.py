"""Which tensor of a network's output holds the scores, and how its rows become one a clip.

Letters: N clips, T frames, K scores. `run_network` is the only place where the scores are picked: predictions, every
method's own passes, concepts, the doctor and training all call it.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from voxplain.errors import ModelError
from voxplain.model.layouts import Layout, clip_count, frames_of

__all__ = ["Output", "Pathways", "run_network"]

Output = str | int | Callable[[Any], Tensor]
Pathways = Callable[[Tensor], Any]


def run_network(
    net: nn.Module,
    x: Tensor,
    *,
    layout: Layout,
    output: Output | None = None,
    classes: int | None = None,
    pathways: Pathways | None = None,
    frames_in_batch: bool = False,
) -> Tensor:
    """Scores of one prepared batch, inside whatever autograd and hooks the caller has set up.

    Parameters
    ----------
    net : nn.Module
    x : float tensor
        N clips with the axes of ``layout``.
    layout : str
        An entry of `LAYOUTS`.
    output : str, int or callable, optional
        Name, index or function that picks the scores.
    classes : int, optional
        K, where it is known; of several tensors the only one [N,K] is then taken.
    pathways : callable, optional
        From ``x`` to what the network takes: a tensor or a list, given as it is, a tuple of positional arguments, or a
        dict of arguments by name.
    frames_in_batch : bool
        Give the network frames [N·T,3,H,W], and average the rows of its output over the frames of a clip.

    Returns
    -------
    tensor [N,K] or [N,K,…]

    Raises
    ------
    ModelError
        No tensor of scores, or several and none that is named.
    """
    n, frames = clip_count(x, layout), x.shape[layout.index("T")]
    given = frames_of(x, layout) if frames_in_batch else x
    if pathways is not None:
        given = pathways(given)
    if isinstance(given, tuple):
        raw = net(*given)
    else:
        raw = net(**given) if isinstance(given, dict) else net(given)
    rows = (n, n * frames) if frames_in_batch else (n,)
    z = _picked(raw, output, classes, rows)
    if (z.ndim == 0 and n == 1) or (z.ndim == 1 and len(z) in rows):  # one number a clip
        z = z.reshape(-1, 1)
    if frames_in_batch and len(z) != n and len(z) % n == 0:
        z = z.unflatten(0, (n, -1)).mean(1)
    return z


def _picked(raw: Any, output: Output | None, classes: int | None, rows: tuple[int, ...]) -> Tensor:
    if callable(output):
        found = output(raw)
        if not isinstance(found, Tensor) or found.ndim == 0:
            got = f"a tensor {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise ModelError(f"expected a function that gives a tensor with one row a clip, got {got}; correct it")
        return found
    if output is None and isinstance(raw, Tensor):
        return raw
    named = dict(_tensors(raw))
    if output is not None:
        if str(output) in named:
            return named[str(output)]
        if isinstance(output, int) and -len(named) <= output < len(named):
            return list(named.values())[output]
        raise ModelError(
            f"expected output {output!r} in what the network gives, {_listed(named) or type(raw).__name__}; name one "
            "of these"
        )
    if "logits" in named:
        return named["logits"]
    scores = {k: v for k, v in named.items() if v.is_floating_point() and v.ndim and len(v) in rows}
    if classes and len(scores) > 1:
        exact = {k: v for k, v in scores.items() if v.ndim == 2 and v.shape[1] == classes}
        scores = exact if len(exact) == 1 else scores
    if len(scores) == 1:
        return next(iter(scores.values()))
    if not scores:
        raise ModelError(
            f"expected an output with a tensor of logits, got {_listed(named) or type(raw).__name__}; "
            "return a tensor, a tuple, a dict or an object with .logits"
        )
    hint = next(iter(scores))
    raise ModelError(
        f"expected one tensor of scores in the network's output, got several: {_listed(scores)}; name the one to "
        f"explain, for example output={int(hint) if hint.isdigit() else hint!r}"
    )


def _tensors(raw: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in an output with its name: keys, attributes and indices, joined by dots."""
    if isinstance(raw, Tensor):
        yield prefix, raw
        return
    if isinstance(raw, Mapping):
        items = [(str(k), v) for k, v in raw.items()]
    elif isinstance(raw, tuple | list):
        items = list(zip(getattr(raw, "_fields", map(str, range(len(raw)))), raw, strict=True))
    elif dataclasses.is_dataclass(raw) and not isinstance(raw, type):
        items = [(f.name, getattr(raw, f.name)) for f in dataclasses.fields(raw)]
    else:
        items = list(vars(raw).items()) if hasattr(raw, "__dict__") and not isinstance(raw, nn.Module) else []
    for name, value in items:
        yield from _tensors(value, f"{prefix}.{name}" if prefix else name)


def _listed(named: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{name!r} {tuple(value.shape)}" for name, value in list(named.items())[:12])
