"""A chain of 60 small results, run as a process that a test kills.

``python chain.py ROOT [fsync|line COUNT]``: with a count it kills itself, as ``kill -9`` would, in that call
of fsync or at that line of disk.py and files.py.
"""

import os
import signal
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

# Disk and keys need nothing of what the packages' __init__ bring, torch among it: a start takes 0.2 s without, not 1.5.
for name in ("voxplain", "voxplain.store"):
    package = types.ModuleType(name)
    package.__path__ = [str(Path(__file__).parents[2].joinpath("src", *name.split(".")))]
    sys.modules[name] = package

from voxplain import files  # noqa: E402
from voxplain.store import disk  # noqa: E402
from voxplain.store.disk import Store  # noqa: E402
from voxplain.store.keys import key  # noqa: E402

LENGTH = 60


def run(root: Path) -> int:
    """Make the chain, each link from the one before; returns how many links were made, not found."""
    store, made, total = Store(root), 0, 0
    for i in range(LENGTH):
        name = key("link", 1, number=i, before=total)
        rng = np.random.default_rng(i)
        values = rng.normal(size=(40, 5)).astype(np.float32)

        def make(values: np.ndarray = values, i: int = i, total: int = total) -> Any:
            nonlocal made
            made += 1
            if i % 3 == 0:
                return {"values": values, "offset": np.int64([total])}
            return (values > 0).astype(np.int16) if i % 3 == 1 else {"total": total, "nan": float("nan")}

        if i % 3 == 0:
            total += int(store.arrays("tensors", name, make)["values"].argmax())
        elif i % 3 == 1:
            total += int(store.labels("volumes", name, make).sum())
        else:
            total += store.record("tables", name, make)["total"] % 7
    return made


def kill_at(mode: str, count: int) -> None:
    left = count

    def tick(*_: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if mode == "fsync":
        files.os = types.SimpleNamespace(**{**vars(os), "fsync": tick})  # type: ignore[attr-defined]
        return

    def trace(frame: types.FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename not in (disk.__file__, files.__file__):
            return None
        tick()
        return trace

    sys.settrace(trace)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        kill_at(sys.argv[2], int(sys.argv[3]))
    print("ready", flush=True)
    print(run(Path(sys.argv[1])), flush=True)
