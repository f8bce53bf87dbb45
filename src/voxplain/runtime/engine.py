"""The one way to compute: task → key → store → compute, on threads, in shards of an array job, or on a Ray cluster."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from voxplain.inference import stay_on_one_thread
from voxplain.lazy import bounded
from voxplain.model import VideoModel
from voxplain.model.fingerprint import Fingerprint, fingerprint
from voxplain.model.video_model import CLIPS_ON_CPU
from voxplain.progress import quiet
from voxplain.runtime.inline import InlineExecutor
from voxplain.runtime.shard import MissingShards, Shard
from voxplain.runtime.task import Task
from voxplain.store import Store

__all__ = [
    "Engine",
    "Executor",
    "Identity",
    "Pending",
    "Progress",
    "Results",
    "arithmetic",
    "identify",
    "inline_engine",
    "require_complete",
]

R = TypeVar("R")
S = TypeVar("S")
Progress = Callable[[str, int], AbstractContextManager[Callable[..., object]]]
_FOLDER = "networks"  # of the store: the answers of the networks that results were computed with


class Executor(Protocol):
    """Computes tasks, ``workers`` of them at once."""

    workers: int

    def __call__(self, task: Task[Any]) -> Any:
        """What ``task.compute`` returns; called from several threads."""


@dataclass(frozen=True)
class Pending:
    """Placeholder of a result that is not in the store yet and belongs to another shard."""

    reason: str


@dataclass(frozen=True)
class Identity:
    """Names of a network in keys, and the number type in which the network computes.

    Parameters
    ----------
    names : tuple of str
        Names of all equal networks in the store; results are looked up under each and stored under the first.
    precision : str
        For instance ``"fp32"`` or ``"bf16"``, see `arithmetic`.
    """

    names: tuple[str, ...]
    precision: str

    @property
    def name(self) -> str:
        """The name under which results are stored."""
        return self.names[0]

    def inputs(self) -> list[dict[str, str]]:
        """What goes into the key, one mapping a name."""
        return [{"network": name, "precision": self.precision} for name in self.names]


def arithmetic(model: VideoModel, precision: str) -> str:
    """The number type, and the clips in one pass where they are fewer than every larger batch size gives."""
    few = model.device.type == "cpu" and model.pass_size < CLIPS_ON_CPU
    return f"{precision}, {model.pass_size} clips a pass" if few else precision


def identify(store: Store, found: Fingerprint, precision: str) -> Identity:
    """The identity of a network in a store: its own name, or those of equal networks that were used before.

    Equal means the same structure and an answer to the probe clip within the tolerance, so results that another
    processor or device computed are found. A network that is new to the store is added to it.
    """
    names = _equal_names(store, found)
    if not names:
        store.arrays(_FOLDER, _file(found), lambda: {"answer": found.answer})
        names = _equal_names(store, found)
    return Identity(tuple(names), precision)


def _file(found: Fingerprint) -> str:
    return f"{found.structure[:32]}-{found.name}"


def _equal_names(store: Store, found: Fingerprint) -> list[str]:
    names = []
    for stem in store.names(_FOLDER):
        structure, _, name = stem.partition("-")
        if structure == found.structure[:32]:
            answer = store.arrays(_FOLDER, stem, lambda: {"answer": found.answer})["answer"]
            if found.matches(answer):
                names.append(name)
    return sorted(names)


@dataclass(frozen=True, eq=False)
class Results(Generic[R]):
    """Results in the order of their tasks; those that other shards have to compute are `Pending`."""

    items: tuple[R | Pending, ...]

    @property
    def pending(self) -> int:
        """How many results are missing."""
        return sum(isinstance(item, Pending) for item in self.items)

    def apply(self, function: Callable[[R], S]) -> "Results[S]":
        """``function`` of every result; what is pending stays so."""
        return Results(tuple(item if isinstance(item, Pending) else function(item) for item in self.items))

    def values(self) -> list[R]:
        """All results. Raises MissingShards where one is pending."""
        require_complete(self)
        return [item for item in self.items if not isinstance(item, Pending)]


def require_complete(*results: Results[Any]) -> None:
    """Raise MissingShards when a result of another shard is not there yet."""
    missing = sum(part.pending for part in results)
    if missing:
        raise MissingShards(
            f"this shard's part of the step is done; {missing} results of other shards are not there yet: run the same "
            "command again when all shards have ended, or `voxplain merge` where each had a folder of its own"
        )


@dataclass(frozen=True, eq=False)
class Engine:
    """Runs tasks: finds each result in the store or computes and stores it.

    Parameters
    ----------
    identity : Identity
        The network in keys.
    store : Store
        Where results are kept.
    executor : Executor
        Where tasks are computed.
    shard : Shard, optional
        Compute only the tasks of this shard's clips; the others are pending until their shard has stored them.
    progress : callable
        Called with a description and a count; gives a context manager whose value is called once an item.
    """

    identity: Identity
    store: Store
    executor: Executor
    shard: Shard | None = None
    progress: Progress = quiet

    def run(self, task: Task[R]) -> R:
        """One result. Raises MissingShards where another shard has to compute it first."""
        name, there = self._place(task)
        if not there:
            self._check_owner(task)
        return task.read(self._get(task, name, lambda: self.executor(task)))

    def keep(self, task: Task[R], value: Any) -> R:
        """The result of a task that another task computed beside its own: ``value``, as `Task.compute` returns it."""
        return task.read(self._get(task, self._place(task)[0], lambda: value))

    def map(self, description: str, count: int, work: Callable[[int], R]) -> Results[R]:
        """``work(0)`` to ``work(count - 1)`` on the executor's threads, in order; each calls `run`.

        Work that meets a result of another shard is `Pending`; the rest goes on.
        """

        def attempt(i: int) -> R | Pending:
            try:
                return work(i)
            except MissingShards as error:
                return Pending(str(error))

        done: list[R | Pending] = []
        with self.progress(description, count) as advance:
            if self.executor.workers == 1:
                for i in range(count):
                    done.append(attempt(i))
                    advance()
                return Results(tuple(done))
            pool = ThreadPoolExecutor(max_workers=self.executor.workers, initializer=stay_on_one_thread)
            try:
                for result in bounded(pool, attempt, range(count), 2 * self.executor.workers):
                    done.append(result)
                    advance()
            finally:
                pool.shutdown(cancel_futures=True)  # what is begun is finished and kept
        return Results(tuple(done))

    def _check_owner(self, task: Task[Any]) -> None:
        clip = task.shared_by
        if self.shard is not None and clip is not None and not self.shard.owns(clip.frames):
            raise MissingShards(f"a result for {clip.source} belongs to another shard")

    def _place(self, task: Task[Any]) -> tuple[str, bool]:
        """The key of the result, and whether it is stored."""
        inputs: list[Mapping[str, Any]] = [*self.identity.inputs()] if task.uses_network else [{}]
        keys = [task.key(network) for network in inputs]
        there = next((name for name in keys if self.store.has(task.form, task.step, name)), None)
        return there or keys[0], there is not None

    def _get(self, task: Task[Any], name: str, make: Callable[[], Any]) -> Any:
        return getattr(self.store, task.form)(task.step, name, make)


def inline_engine(model: VideoModel, store: Store, *, shard: Shard | None = None, progress: Progress = quiet) -> Engine:
    """An engine that computes with a network as it is given, in the calling thread."""
    precision = arithmetic(model, str(model.dtype).removeprefix("torch."))
    identity = identify(store, fingerprint(model), precision)
    return Engine(identity, store, InlineExecutor(model), shard, progress)
