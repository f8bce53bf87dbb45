"""`RayExecutor`: tasks on the actors of a Ray cluster, or of one that is started here.

The driver reads the clips, looks results up in its store, sends the other tasks to actors and stores what they return:
actors need neither the videos nor the store. Where the cluster has GPUs, one actor a GPU computes what needs the
network and actors on the other cores segment; otherwise every actor does both on one core. Source: Ray's actor pool.
"""

import os
import queue
from typing import Any

from voxplain.errors import MissingExtra, VoxplainError
from voxplain.model import VideoModel
from voxplain.runtime.task import Task
from voxplain.runtime.thread_executor import ThreadExecutor

__all__ = ["RayExecutor"]

RETRIES = 4  # of a task whose actor dies
_KEPT = 2  # models an actor keeps: a run that explains at several layers goes from one to the next


class _Actor:
    """Runs in a process of the cluster, one task at a time."""

    def __init__(self, device: str) -> None:
        self._device, self._models = device, dict[str, ThreadExecutor]()

    def run(self, model: list[Any], task: bytes) -> Any:
        """What a task computes. ``model`` holds the reference of a network, so that it is fetched once."""
        import ray
        from ray import cloudpickle

        name = model[0].hex()
        if name not in self._models:
            while len(self._models) >= _KEPT:
                self._models.pop(next(iter(self._models)))
            fetched: VideoModel = cloudpickle.loads(ray.get(model[0]))
            fetched.net.to(self._device)
            self._models[name] = ThreadExecutor(fetched, 1)
        # As bytes: arrays that Ray itself unpacks are shared and cannot be written, which torch warns of.
        return self._models[name](cloudpickle.loads(task))

    def process(self) -> int:
        """The actor's process, for tests that end it."""
        return os.getpid()


class RayExecutor:
    """Actors of a Ray cluster, for several models one after the other: called with a model, gives an `Executor`.

    A killed actor is started again and its task is computed again, five times at most; earlier results are in the
    driver's store.
    """

    def __init__(self, address: str = "local", workers: int | None = None) -> None:
        """Connect to the cluster at ``address`` (auto: the one running here), or start one with ``local``.

        ``workers`` actors; None: one a core of the cluster. Raises MissingExtra without Ray, VoxplainError where there
        is no cluster at the address.
        """
        ray = _ray()
        try:
            if not ray.is_initialized():
                local = address == "local"
                ray.init(
                    address=address,
                    num_cpus=workers if local else None,
                    include_dashboard=False if local else None,
                    log_to_driver=False,
                    logging_level="ERROR",
                    namespace="voxplain",
                )
        except (ConnectionError, ValueError, RuntimeError) as error:
            said = str(error).strip().splitlines()[0]
            raise VoxplainError(
                f"expected a Ray cluster at {address!r}, got: {said}; start one with `ray start --head` and name its "
                "address, or use local"
            ) from None
        found = ray.cluster_resources()
        count = workers or max(1, int(found.get("CPU", 1)))
        gpus = int(found.get("GPU", 0))
        self.actors = _start(ray, "cuda" if gpus else "cpu", gpus or count, gpu=bool(gpus))
        segmenting = _start(ray, "cpu", max(1, count - gpus), gpu=False) if gpus else self.actors
        self._idle = {True: _queue(self.actors), False: _queue(segmenting)}
        if not gpus:
            self._idle[False] = self._idle[True]
        self.workers = len(self.actors) + (len(segmenting) if gpus else 0)

    def __call__(self, model: VideoModel) -> "_Bound":
        """The executor for one model."""
        from ray import cloudpickle

        ray = _ray()
        before = model.device
        model.net.to("cpu")  # an actor may have no device of that kind
        sent = ray.put(cloudpickle.dumps(model))
        model.net.to(before)
        return _Bound(self, [sent], self.workers)

    def run(self, model: list[Any], task: Task[Any]) -> Any:
        """Compute a task on the next idle actor. Raises what the task raises."""
        from ray import cloudpickle

        ray = _ray()
        idle = self._idle[task.uses_network]
        actor = idle.get()
        try:
            return ray.get(actor.run.remote(model, cloudpickle.dumps(task)))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            said = str(error).strip().splitlines()[0]
            raise VoxplainError(
                f"expected Ray to finish a task, got {type(error).__name__}: {said}; what is done is kept: "
                "run the same command again"
            ) from None
        finally:
            idle.put(actor)

    def close(self) -> None:
        """End the actors."""
        ray = _ray()
        for actor in {id(a): a for a in (*self.actors, *_drained(self._idle[False]))}.values():
            ray.kill(actor)


class _Bound:
    """The pool's actors with one model: an `Executor`."""

    def __init__(self, pool: RayExecutor, model: list[Any], workers: int) -> None:
        self._pool, self._model, self.workers = pool, model, workers

    def __call__(self, task: Task[Any]) -> Any:
        return self._pool.run(self._model, task)


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise MissingExtra(
            "expected Ray for work on a cluster, got none installed; pip install 'voxplain[ray]'"
        ) from None
    return ray


def _start(ray: Any, device: str, count: int, *, gpu: bool) -> list[Any]:
    # Restarted without end, because nodes of a cluster come and go; a task that ends its actor each time, by the memory
    # it takes, ends the run.
    kind = ray.remote(max_restarts=-1, max_task_retries=RETRIES, num_cpus=1, num_gpus=1 if gpu else 0)(_Actor)
    return [kind.remote(device) for _ in range(count)]


def _queue(actors: list[Any]) -> "queue.Queue[Any]":
    idle: queue.Queue[Any] = queue.Queue()
    for actor in actors:
        idle.put(actor)
    return idle


def _drained(idle: "queue.Queue[Any]") -> list[Any]:
    found = []
    while not idle.empty():
        found.append(idle.get_nowait())
    return found
