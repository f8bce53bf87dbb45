"""Stored videos are opened by several threads: the header of an array is parsed by one at a time."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from voxplain.train.stored import StoredFrames


def test_headers_are_parsed_by_one_thread_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{i}.npy" for i in range(16)]
    for i, path in enumerate(paths):
        np.save(path, np.full((2, 4, 4, 3), i, np.uint8))
    load, inside, most = np.load, threading.Semaphore(1), []

    def counted(*args: object, **options: object) -> np.ndarray:
        most.append(inside.acquire(blocking=False))  # False where another thread is in here
        try:
            time.sleep(1e-3)  # so that threads meet here unless they wait for each other
            return load(*args, **options)
        finally:
            inside.release()

    monkeypatch.setattr(np, "load", counted)
    stored = StoredFrames(paths)
    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda i: int(stored[i % 16].max()), range(400)))
    assert values == [i % 16 for i in range(400)]
    assert all(most)
