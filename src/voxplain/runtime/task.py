"""`Task`: a piece of work whose result is stored under everything that it depends on."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, Literal, TypeVar

from voxplain.hashing import content_hash
from voxplain.model import VideoModel
from voxplain.store import key
from voxplain.video import Clip

__all__ = ["Form", "Task"]

R = TypeVar("R")
Form = Literal["arrays", "labels", "record"]  # how the store keeps a result, see `Store`


@dataclass(frozen=True, eq=False)
class Task(ABC, Generic[R]):
    """A piece of work: a frozen dataclass whose fields are its inputs; ``R`` is the type of its result.

    A task does not access the store: `Engine` looks its result up, or computes and stores it. Every field is part of
    the key, but for those with ``compare=False``, which must follow from the others; of a `Clip` only the frames count.
    Raise ``version`` when the code of `compute` gives other results.
    """

    step: ClassVar[str]  # folder of the results in the store
    version: ClassVar[int] = 1
    form: ClassVar[Form] = "arrays"
    uses_network: ClassVar[bool] = True  # whether the result depends on the network

    @property
    def shared_by(self) -> Clip | None:
        """The clip by whose content the shards of a run divide the work; None: every shard does it."""
        found = getattr(self, "clip", None)
        return found if isinstance(found, Clip) else None

    def key(self, network: Mapping[str, Any]) -> str:
        """Name of the result: a hash of step, version, fields and, where the network is used, of its identity."""
        inputs = {f.name: _content(getattr(self, f.name)) for f in fields(self) if f.compare}
        return key(self.step, self.version, **inputs, **(dict(network) if self.uses_network else {}))

    @abstractmethod
    def compute(self, model: VideoModel) -> Any:
        """The result as the store keeps it: arrays by name, one integer array, or plain values."""

    def read(self, stored: Any) -> R:
        """The result from what the store keeps."""
        result: R = stored
        return result


def _content(value: Any) -> Any:
    """A field as it goes into the key: the frames of a clip, the hashes of the frames of several."""
    if isinstance(value, Clip):
        return value.frames
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) and isinstance(value[0], Clip):
        return [content_hash(clip.frames) for clip in value]
    return value
