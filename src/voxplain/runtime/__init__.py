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
    identify,
    inline_engine,
    require_complete,
)
from voxplain.runtime.inline import InlineExecutor
from voxplain.runtime.shard import MissingShards, Shard, read_shard
from voxplain.runtime.task import Task
from voxplain.runtime.thread_executor import ThreadExecutor, cores

__all__ = [
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
    "cores",
    "identify",
    "inline_engine",
    "read_shard",
    "require_complete",
]
