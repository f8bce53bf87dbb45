"""Replicas of a network: modules of their own, one set of weights."""

import copy
from dataclasses import replace

from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.model.copies import mark_copy

__all__ = ["replicas"]


def replicas(model: VideoModel, count: int) -> list[VideoModel]:
    """``count`` models for as many threads, which share every parameter and buffer with ``model``.

    A layer's output is captured by a hook on its module, and a hook of one thread must not run in another: so each
    replica has module objects of its own. A change of the weights changes all. Raises ModelError when the network
    cannot be copied.
    """
    if count < 1:
        raise ModelError(f"expected at least one replica, got {count}; give a positive whole number")
    shared = [*model.net.parameters(), *model.net.buffers()]
    try:
        nets = [copy.deepcopy(model.net, {id(v): v for v in shared}) for _ in range(count)]
    except Exception as error:  # whatever a network's own parts raise
        raise ModelError(
            f"expected a network whose modules can be copied, got {type(error).__name__}: {error}; "
            "keep open files, locks and computed tensors out of it, or use one thread"
        ) from None
    for net in nets:
        mark_copy(net, model.net)
    return [replace(model, net=net) for net in nets]
