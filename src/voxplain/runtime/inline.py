"""`InlineExecutor`: tasks computed by the calling thread, one after the other."""

from typing import Any

from voxplain.model import VideoModel
from voxplain.runtime.task import Task

__all__ = ["InlineExecutor"]


class InlineExecutor:
    """Compute tasks in the calling thread with the network as it is given, on all cores that torch uses."""

    workers = 1

    def __init__(self, model: VideoModel) -> None:
        """``model`` computes every task."""
        self._model = model

    def __call__(self, task: Task[Any]) -> Any:
        """What ``task.compute`` returns."""
        return task.compute(self._model)
