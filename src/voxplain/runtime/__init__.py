"""Where the work on single clips is done: on threads here, in a share of the clips, or on the actors of a Ray cluster.

All of them run the same pieces of work and give the same bytes; only the place and the time differ.
"""

from voxplain.runtime.shard import MissingShards, Shard, ShardExecutor, read_shard
from voxplain.runtime.thread_executor import ThreadExecutor, cores

__all__ = ["MissingShards", "Shard", "ShardExecutor", "ThreadExecutor", "cores", "read_shard"]
