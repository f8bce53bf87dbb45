"""The score that is explained, as users give it: a class, a label or its absence, a rise or a fall, a difference.

Every target that is not one of several classes is one score s of a clip. The model is then narrowed to it: its logits
become (s, 0), a decision for or against, whose log-odds are s; those of a regression become s alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from voxplain.errors import DataError, ModelError
from voxplain.model.inputs import ClipsLike, as_clips

if TYPE_CHECKING:
    from voxplain.model.video_model import VideoModel

__all__ = [
    "Difference",
    "Narrowed",
    "Target",
    "Targets",
    "column_weights",
    "narrow",
    "recorded_target",
    "resolve_targets",
]


@dataclass(frozen=True)
class Difference:
    """Target "why this and not that": the score of one class, label or quantity minus that of another.

    Parameters
    ----------
    positive, negative : str or int
        Names or indices. For classes the difference of the logits is the log-odds between the two.

    Examples
    --------
    >>> str(Difference("run", "walk"))
    'run vs walk'
    """

    positive: str | int
    negative: str | int

    def __str__(self) -> str:
        """The same target as text, which every ``target`` accepts, too."""
        return f"{self.positive} vs {self.negative}"


@dataclass(frozen=True)
class Narrowed:
    """The one score that a model was narrowed to: its ``name``, and Σ weight·z[column] of ``count`` scores."""

    name: str
    weights: tuple[tuple[int, float], ...]
    count: int | None = None

    def of(self, z: Tensor) -> Tensor:
        """The score [N,1] of logits [N,K]."""
        largest = max(column for column, _ in self.weights)
        if largest >= z.shape[1]:
            raise ModelError(f"expected a class index from 0 to {z.shape[1] - 1}, got {largest}; choose one")
        total = None
        for column, weight in self.weights:
            own = z[:, column : column + 1]
            own = own if weight == 1 else -own
            total = own if total is None else total + own
        assert total is not None
        return total


ScoreFunction = Callable[[Any], Tensor]
Target = str | int | Difference | ScoreFunction
Targets = Target | Sequence[Target] | np.ndarray | Tensor


def narrow(model: "VideoModel", target: Target) -> tuple["VideoModel", int]:
    """The model and its column of logits that hold the score of a target.

    Parameters
    ----------
    model : VideoModel
    target : str, int, Difference or callable
        A class, label or quantity by name or index; "not X" for the absence of a label, "rise of X" or "fall of X" of
        a quantity ("rise" and "fall" where there is one); "X vs Y", or a `Difference`. A function takes what the
        network gives for N clips, and returns one score a clip, [N] or [N,1].

    Returns
    -------
    tuple of VideoModel and int
        The model itself and the index of a class, or the model narrowed to one score and 0.

    Raises
    ------
    ModelError
        An unknown class, or a target that the model's task does not have.
    """
    if callable(target):
        name = getattr(target, "__name__", type(target).__name__)
        one = Narrowed(name, ((0, 1.0),), 1)
        return replace(model, output=target, task="regression", probabilities=False, narrowed=one, classes=(name,)), 0
    model = model.settled()
    if model.narrowed is not None:
        return model, model.class_index(str(target) if isinstance(target, Difference) else target)
    if isinstance(target, Difference):
        pair: tuple[int, int] | None = _index(model, target.positive), _index(model, target.negative)
    else:
        pair = _pair(model, target) if isinstance(target, str) else None
        if pair is None and model.task in (None, "classification"):
            return model, model.class_index(target)
    chosen = _one(model, target) if pair is None else _difference(model, *pair)  # type: ignore[arg-type]
    names: tuple[str, ...] = (chosen.name,)
    if model.task != "regression":
        names = chosen.name, _opposite(model, chosen)
    return replace(model, narrowed=chosen, classes=names), 0


def _difference(model: "VideoModel", a: int, b: int) -> Narrowed:
    name = f"{_label(model, a)} vs {_label(model, b)}"
    return Narrowed(name, ((a, 1.0), (b, -1.0)), len(model.classes) or None)


def _one(model: "VideoModel", target: str | int) -> Narrowed:
    """The score of a label or quantity, or its negative, by text or index."""
    labels, count = _labels(model), len(model.classes) or None
    regression = model.task == "regression"
    signs = {"rise": 1.0, "fall": -1.0} if regression else {}
    name, sign = target, 1.0
    if isinstance(target, str) and target not in labels:
        first, _, rest = target.partition(" of " if regression else " ")
        if regression and first in signs:
            sign, name = signs[first], rest or 0
        elif not regression and first == "not" and rest:
            sign, name = -1.0, rest
    y = _index(model, name)
    label = _label(model, y)
    if regression:
        return Narrowed(f"{'rise' if sign > 0 else 'fall'} of {label}", ((y, sign),), count)
    return Narrowed(label if sign > 0 else f"not {label}", ((y, sign),), count)


def _opposite(model: "VideoModel", chosen: Narrowed) -> str:
    if len(chosen.weights) == 2:
        (a, _), (b, _) = chosen.weights
        return f"{_label(model, b)} vs {_label(model, a)}"
    return chosen.name.removeprefix("not ") if chosen.weights[0][1] < 0 else f"not {chosen.name}"


def _pair(model: "VideoModel", text: str) -> tuple[int, int] | None:
    """The two indices of "X vs Y"; None where the text is a class of its own or has another form."""
    a, between, b = text.partition(" vs ")
    if text in _labels(model) or not between:
        return None
    return _index(model, a), _index(model, b)


def _labels(model: "VideoModel") -> tuple[str, ...]:
    return model.classes or (("yes",) if model.task == "binary" else ())


def _label(model: "VideoModel", y: int) -> str:
    labels = _labels(model)
    return labels[y] if y < len(labels) else "output" if model.task == "regression" and y == 0 else str(y)


def _index(model: "VideoModel", name: str | int) -> int:
    labels = _labels(model)
    if isinstance(name, str) and name in labels:
        return labels.index(name)
    if isinstance(name, str) and not labels and name.isdigit():
        return int(name)
    if isinstance(name, str) and not model.classes and name == _label(model, 0):
        return 0
    if isinstance(name, str) and labels and not model.classes:
        raise ModelError(f"expected the target {labels[0]!r} or 'not {labels[0]}', got {name!r}; choose one")
    return model.class_index(name)


def column_weights(model: "VideoModel", y: int, k: int) -> np.ndarray:
    """Weight of each of k scores of the network in the score that is explained, float32 [k].

    Raises ModelError where the score is no weighted sum of them.
    """
    chosen = Narrowed("", ((y, 1.0),)) if model.narrowed is None else model.narrowed
    if max(column for column, _ in chosen.weights) >= k:
        raise ModelError(f"expected a class index from 0 to {k - 1}, got {y}; choose one")
    row = np.zeros(k, np.float32)
    for column, weight in chosen.weights:
        row[column] += weight
    return row


def recorded_target(model: "VideoModel", y: int) -> int | str:
    """What records keep of a target: the index of a class, or the name of the score of a narrowed model."""
    one = model.narrowed is not None or model.task == "regression"
    return model.classes[y] if one and model.classes else y


def resolve_targets(
    model: "VideoModel", clips: ClipsLike, target: Targets | None = None
) -> tuple[tuple["VideoModel", int], ...]:
    """Model and column of logits of the target, one for each clip; see `narrow`.

    Parameters
    ----------
    model : VideoModel
    clips : whatever `as_clips` accepts
    target : str, int, Difference or callable, or a sequence, 1-d array or tensor of one for each clip, optional
        Left out: the class or label with the highest score of each clip, the side of a binary decision on which it
        is, or the rise of the only quantity of a regression.

    Returns
    -------
    tuple of (VideoModel, int)
        As many as clips.

    Raises
    ------
    ModelError
        A class that the network does not have, or no target for a regression with several outputs.
    DataError
        A wrong number of targets, or targets that are neither names nor whole numbers.

    Examples
    --------
    >>> import voxplain as vx
    >>> model = vx.load_model("planted")
    >>> clips = np.zeros((2, *model.grid, 3), np.uint8)
    >>> [y for _, y in resolve_targets(model, clips, np.array([3, 1]))]
    [3, 1]
    """
    if target is None:
        return tuple(narrow(model, t) for t in _predicted(model.settled(), clips))
    if isinstance(target, np.ndarray | np.generic | Tensor):
        whole = isinstance(target, Tensor) and not (target.is_floating_point() or target.is_complex())
        if not whole and (isinstance(target, Tensor) or target.dtype.kind not in "iuUO"):
            raise DataError(f"expected class names or whole numbers as targets, got {target.dtype}; convert them")
        target = target.tolist()
    n = len(as_clips(clips))
    single = isinstance(target, str | int | Difference) or callable(target)
    named: list[Target] = [target] * n if single else [_plain(t) for t in target]  # type: ignore[list-item,union-attr]
    if len(named) != n:
        raise DataError(f"expected one target, or one for each of {n} clips, got {len(named)}")
    if single and n:
        return (narrow(model, named[0]),) * n
    return tuple(narrow(model, t) for t in named)


def _predicted(model: "VideoModel", clips: ClipsLike) -> list[Target]:
    if model.narrowed is not None:
        return [0] * len(as_clips(clips))
    z = model.logits(clips)
    if model.task == "binary":
        (label,) = _labels(model)
        return [label if float(own) > 0 else f"not {label}" for own in z[:, 0]]
    if model.task == "regression" and z.shape[1] > 1:
        raise ModelError(
            f"expected a target for a regression with {z.shape[1]} outputs, got none; give one by name or index, or "
            "'fall of' it"
        )
    return list(z.argmax(1).tolist())


def _plain(target: object) -> Target:
    """One item of a sequence of targets; scalars of NumPy and torch become Python's."""
    plain = target.item() if isinstance(target, np.generic | Tensor) and target.ndim == 0 else target
    if not isinstance(plain, str | int | Difference) and not callable(plain):
        raise DataError(f"expected class names or whole numbers as targets, got {type(target).__name__}; convert them")
    return plain
