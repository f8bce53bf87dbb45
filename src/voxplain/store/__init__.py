"""Results on disk as plain open files, found by everything that made them."""

from voxplain.store.disk import Entry, Store, remove_abandoned, write_csv, write_whole
from voxplain.store.keys import content_hash, key

__all__ = ["Entry", "Store", "content_hash", "key", "remove_abandoned", "write_csv", "write_whole"]
