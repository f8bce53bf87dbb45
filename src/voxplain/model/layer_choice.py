"""Which layer of a traced network gives the feature vector."""

from torch import nn

from voxplain.model.trace import Call, Trace

__all__ = ["suggest_feature_layer"]

# Their output is their input, or differs in no more than axes of length 1.
PASSING = (nn.Identity, nn.Flatten, nn.modules.dropout._DropoutNd)
POOLING = (
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
)


def suggest_feature_layer(found: Trace, classes: int, frames: int = 1) -> str | None:
    """The last vector or map before the head, of the width that the final linear layer or 1×1×1 convolution takes.

    Parameters
    ----------
    found : Trace
    classes : int
        Number of logits.
    frames : int
        T: a layer may give a row for each frame of a clip, where none gives a row a clip.

    Returns
    -------
    str or None
        Dotted name. Without such a head, the last [N,D] before the output; None where there is none.
    """
    clips = found.output.shape[0]
    return _feature_layer(found, classes, clips) or (
        _feature_layer(found, classes, clips * frames) if frames > 1 else None
    )


def _feature_layer(found: Trace, classes: int, rows: int) -> str | None:
    """The feature layer among those whose output has so many rows."""
    head = _head(found, classes)
    before = found.calls if head is None else found.calls[:head]
    for call in reversed(before):
        if isinstance(call.module, PASSING) or not call.shape or call.shape[0] != rows:
            continue
        if head is None:
            if len(call.shape) == 2 and call.value != found.calls[-1].value:
                return _outermost(before, call)
        elif _width(found.calls[head].module) in _channels(call.shape):
            return _outermost(before, call)
    return None


def _head(found: Trace, classes: int) -> int | None:
    """Index of the last call of a linear layer or convolution with as many outputs as classes."""
    for i in reversed(range(len(found.calls))):
        module = found.calls[i].module
        if getattr(module, "out_features", getattr(module, "out_channels", None)) == classes:
            return i
    return None


def _width(module: nn.Module) -> int:
    return int(getattr(module, "in_features", 0) or getattr(module, "in_channels", 0))


def _channels(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes that may be the channels': the last of tokens, the second or the last of maps."""
    return (shape[-1],) if len(shape) < 4 else (shape[1], shape[-1])


def _outermost(calls: list[Call], call: Call) -> str:
    """The shortest name of a module with the same output, if possible of one that runs once."""
    counts: dict[str, int] = {}
    for c in calls:
        counts[c.name] = counts.get(c.name, 0) + 1
    same = [c for c in calls if c.value == call.value and c.plain and not isinstance(c.module, PASSING)]
    best = min(same or [call], key=lambda c: (counts[c.name] > 1, c.name.count(".")))
    return best.name
