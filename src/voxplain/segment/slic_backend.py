"""Choice of the implementation of SLIC: scikit-image, or loops compiled by numba, with equal labels.

Equal means every voxel, which the tests check; so results of both are stored under one key. That requires arithmetic
without fused multiply-add, as scikit-image is built for x86-64: on other processors scikit-image is used, and also
where numba is missing (`pip install voxplain[fast]`).

Compiling takes some seconds once an installation, since the code is cached on disk. Until the cache exists,
scikit-image is used first, so that short jobs do not compile, and long ones compile once.
"""

from __future__ import annotations

import platform
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain import compiled

__all__ = ["compilable", "note", "slic_labels"]

PATIENCE = 20.0  # processor seconds of scikit-image after which compiling, of about 6, pays

_spent = 0.0  # processor seconds of scikit-image so far in this process


def compilable() -> bool:
    """Whether compiled loops give scikit-image's labels on this processor."""
    return compiled.available() and platform.machine().lower() in ("x86_64", "amd64")


def note() -> str:
    """The implementation of SLIC in use, in one sentence."""
    if compilable():
        return "slic: scikit-image's labels, found by compiled loops once they are on disk"
    if not compiled.available():
        return "slic: by scikit-image; several times as fast, with the same labels, after `pip install voxplain[fast]`"
    return "slic: by scikit-image; its compiled loops are for x86-64"


def slic_labels(
    frames: NDArray[np.uint8], segments: tuple[int, ...], *, slico: bool, **parameters: Any
) -> list[NDArray[np.intp]] | list[NDArray[np.int32]]:
    """Labels [T,H,W] of frames uint8 [T,H,W,3] at each number of segments, from 0."""
    global _spent
    if compilable() and (_spent > PATIENCE or _kept()):
        from voxplain.segment.slic_compiled import slic_levels

        return slic_levels(frames, segments, slico=slico, **parameters)
    from skimage.segmentation import slic

    def level(number: int) -> NDArray[np.intp]:
        labels: NDArray[np.intp] = slic(
            frames, n_segments=number, slic_zero=slico, start_label=0, channel_axis=-1, **parameters
        )
        return labels

    start = time.process_time()
    # scikit-image releases the interpreter lock in its main loop, so levels run in parallel.
    with ThreadPoolExecutor(len(segments)) as pool:
        found = list(pool.map(level, segments))
    _spent += time.process_time() - start
    return found


def _kept() -> bool:
    """Whether the compiled code of the longest loop is cached beside its source; numba is not imported to find out."""
    source = Path(__file__).with_name("slic_kernels.py")
    codes = source.parent.glob("__pycache__/slic_kernels.assign-*.nbi")
    return any(code.stat().st_mtime >= source.stat().st_mtime for code in codes)
