"""Where the work on single clips is done: on threads here, in a share of the clips, or on the actors of a Ray cluster.

All of them run the same pieces of work and give the same bytes; only the place and the time differ.
"""

from voxplain.scale.here import Here, cores
from voxplain.scale.shard import Missing, Shard, Shared, read_shard

__all__ = ["Here", "Missing", "Shard", "Shared", "cores", "read_shard"]
