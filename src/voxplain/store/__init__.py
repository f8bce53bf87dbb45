"""Results on disk as plain open files, found by keys made of all that they depend on."""

from voxplain.store.audits import AUDIT_FILE, load_audit, save_audit
from voxplain.store.disk import Entry, Store, gather, remove_abandoned, write_csv, write_whole
from voxplain.store.keys import content_hash, key
from voxplain.store.runs import RUN_FILES, find_run, find_runs, is_attribution, load_attribution, load_run, save_run

__all__ = [
    "AUDIT_FILE",
    "RUN_FILES",
    "Entry",
    "Store",
    "content_hash",
    "find_run",
    "find_runs",
    "gather",
    "is_attribution",
    "key",
    "load_attribution",
    "load_audit",
    "load_run",
    "remove_abandoned",
    "save_audit",
    "save_run",
    "write_csv",
    "write_whole",
]
