"""What commonly makes explanations wrong: each check yields sentences with a finding and what to do about it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.model.layer_choice import PASSING
from voxplain.model.layers import evaluation_mode
from voxplain.model.tasks import LIKE_LABELS, like_labels
from voxplain.model.token_pool import find_pool
from voxplain.model.tokens import token_layout
from voxplain.model.trace import Trace

__all__ = [
    "about_feature",
    "about_layers",
    "about_mode",
    "about_output",
    "about_range",
    "about_reuse",
    "about_task",
    "about_tokens",
    "about_values",
    "class_rows",
]

NORMS = (nn.LayerNorm, nn.RMSNorm)


def class_rows(output: Tensor) -> Tensor:
    """Logits [N,K], averaged over what follows where a network gives [N,K,…]."""
    return output.flatten(2).mean(2) if output.ndim > 2 else output


def about_mode(net: nn.Module) -> Iterator[str]:
    """Dropout or batch norm in training mode, as the network came."""
    for kind, modules in (("dropout", nn.modules.dropout._DropoutNd), ("batch-norm", nn.modules.batchnorm._BatchNorm)):
        active = sum(m.training for m in net.modules() if isinstance(m, modules))
        if active:
            effect = "its outputs are random" if kind == "dropout" else "they change with the batch"
            yield (
                f"{active} {kind} modules are in training mode, in which {effect}; voxplain evaluates without that and "
                "leaves the flags alone, but call net.eval() before you use the network yourself"
            )


def about_values(found: Trace) -> Iterator[str]:
    """NaN or infinity in the output, and the first layer that gives such values."""
    if not bool(torch.isfinite(found.output).all()):
        first = next((f"; the first layer to give such values is {c.name!r}" for c in found.calls if not c.finite), "")
        yield (
            f"the network gives NaN or infinity{first}; check the weights, the input range (mean and std) "
            "and the number type; nothing else was checked"
        )


def about_layers(found: Trace, layers: list[str | None]) -> Iterator[str]:
    """Layers whose output is overwritten in place by what follows."""
    for layer in dict.fromkeys(name for name in layers if name in found.overwritten):
        by = found.overwritten[str(layer)]
        yield (
            f"the output of {layer!r} is overwritten in place by {repr(by) if by else 'the code after it'}; "
            "voxplain copies it first, so you see the values before that"
            + (f"; name {by!r} as the layer to see them after" if by else "")
            + ", and other tools' hooks see the wrong ones: build with inplace=False for them"
        )


def about_tokens(model: VideoModel, found: Trace) -> Iterator[str]:
    """Tokens of a transformer whose positions could not be found; of a pass of one clip."""
    for call in found.calls:
        shape = call.shape
        if not isinstance(call.module, NORMS) or len(shape) != 3 or shape[0] != 1 or shape[1] <= model.grid[0]:
            continue
        if token_layout(model, shape[1]) is None:
            yield (
                f"the {shape[1]} tokens of {call.name!r} have no positions that could be found, so that layers of "
                "tokens have no map and maps are taken from layers before them; give VideoModel their positions in "
                "time and space and the number of tokens before them: tokens=Tokens(grid=(t, h, w), prefix=…)"
            )
            return


def about_reuse(found: Trace) -> Iterator[str]:
    """Modules that run more than once."""
    passing = {call.name for call in found.calls if isinstance(call.module, PASSING)}
    names = [name for name, count in found.counts.items() if count > 1 and name not in passing]
    if names:
        listed = ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        yield (
            f"{listed} run more than once in a pass; as a layer only the last call is seen, and rules that "
            "change modules (guided backpropagation, LRP) treat the calls alike: give each call its own "
            "module, or choose a layer that runs once"
        )


def about_task(model: VideoModel, z: Tensor) -> Iterator[str]:
    """Outputs whose meaning one pass does not show."""
    if model.task is None and z.ndim == 2 and z.shape[1] == 1:
        yield (
            "the network gives one number a clip, a decision or a quantity; set task='binary' (a logit, above 0 for "
            "yes) or task='regression'"
        )
    elif like_labels(model.task, model.probabilities, z):
        yield LIKE_LABELS


def about_output(model: VideoModel, frames: np.ndarray, z: Tensor) -> Iterator[str]:
    """Outputs that are no logits of single clips: shape, softmax, batch dependence, no dependence."""
    size = float(z.abs().max())
    if z.ndim != 2 or len(z) != len(frames) or (model.classes and z.shape[1] != len(model.classes)):
        yield (
            f"the output is {tuple(z.shape)} where [{len(frames)},{len(model.classes) or 'classes'}] is "
            "needed; wrap the network so that it gives one row of class scores a clip"
        )
        return
    alone, again = _outputs(model, frames[:1]), _outputs(model, frames[:1])
    if float((alone - again).abs().max()) > 1e-3 * size:
        yield (
            "the same clip gives other logits each time, even in evaluation mode, so the network is random; look for "
            "dropout that is always on, such as F.dropout without training=self.training"
        )
    elif float((alone - z[:1]).abs().max()) > 1e-3 * size:
        yield (
            "a clip's logits change with the other clips in its batch, even in evaluation mode; look for "
            "batch norm without running statistics, or set batch_size=1"
        )
    if float((z - z[:1]).abs().max()) <= 1e-5 * size:
        yield "different clips give the same logits; check that the weights are loaded and the input arrives"


def about_range(model: VideoModel, frames: np.ndarray, z: Tensor) -> Iterator[str]:
    """Input that is not normalised as the network seems to need it."""
    x = model.prepare(frames[:1]).float()
    mean, std = float(x.mean()), float(x.std())
    if abs(mean) > 2 or not 0.1 < std < 5:
        yield (
            f"the normalised input has mean {mean:.3g} and standard deviation {std:.3g}, far from 0 and 1; "
            "unless the network was trained so, correct mean and std (of RGB in 0–1, not 0–255)"
        )
    raw = _outputs(replace(model, mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255)), frames)
    if raw.shape == z.shape and float((raw - z).abs().max()) < 0.01 * float(z.max() - z.min()):
        yield (
            "the logits hardly change when the input is given as 0–255 without normalisation; the network "
            "seems to normalise by itself: set mean=(0, 0, 0), std=(1, 1, 1) unless you know better"
        )


@torch.no_grad()
def _outputs(model: VideoModel, frames: np.ndarray) -> Tensor:
    with evaluation_mode(model.net):
        return model.raw(model.prepare(frames))


def about_feature(model: VideoModel, frames: np.ndarray) -> Iterator[str]:
    """The layer to explain at: one position that counts, a linear head, or a layer that cannot be used."""
    try:
        y = int(model.logits(frames)[0].argmax())
        g = model.gradient(frames, y, objective="logit")
    except ModelError as error:
        yield str(error)
        return
    except RuntimeError as error:
        yield (
            f"the network ran, but no gradient of its logits at {model.layer!r} can be computed: "
            f"{str(error).splitlines()[0]}; write that step of the network without in-place operations"
        )
        return
    one = find_pool(model) if model.pool is True else True
    if one is not True:
        which = "first" if one == "class_token" else "last"
        yield (
            f"only the {which} position of {model.layer!r} reaches the logits, but features average all of them; set "
            f"pool={one!r}, or choose an earlier layer"
        )
    if torch.allclose(g, g[:1].expand_as(g), rtol=1e-4, atol=1e-6 * float(g.abs().max())):
        yield (
            f"everything above {model.layer!r} is linear, so the gradient of a plain logit is the same for "
            "every clip and TCAV by sign count of it is 0 or 1 whatever the videos show; use tcav=magnitude (the "
            "default), the objective log_odds, or an earlier layer"
        )
