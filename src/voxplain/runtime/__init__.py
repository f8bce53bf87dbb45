"""How work is computed: tasks, the engine that finds or computes their results, and the executors that it uses.

All executors give the same results, byte for byte; only the place and the time differ.
"""

from voxplain.runtime.engine import (
    Engine,
    Executor,
    Identity,
    Pending,
    Progress,
    Results,
    arithmetic,
    identify,
    inline_engine,
    require_complete,
)
from voxplain.runtime.inline import InlineExecutor
from voxplain.runtime.shard import MissingShards, Shard, read_shard
from voxplain.runtime.task import Task
from voxplain.runtime.thread_executor import MEMORY_OF_A_WORKER, ThreadExecutor, cores

__all__ = [
    "MEMORY_OF_A_WORKER",
    "Engine",
    "Executor",
    "Identity",
    "InlineExecutor",
    "MissingShards",
    "Pending",
    "Progress",
    "Results",
    "Shard",
    "Task",
    "ThreadExecutor",
    "arithmetic",
    "cores",
    "identify",
    "inline_engine",
    "read_shard",
    "require_complete",
]
