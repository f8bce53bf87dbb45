"""Connected pieces of a label volume, for numba, numbered as scikit-image numbers them."""

from __future__ import annotations

import numpy as np

from voxplain.compiled import compiled


@compiled
def connect(labels, shape, smallest, largest):  # type: ignore[no-untyped-def]
    """Number the connected pieces in raster order, int32 [T,H,W]; one below `smallest` joins the last neighbour.

    A piece ends at `largest` voxels, and what is left of it starts another.
    """
    depth, height, width = shape
    row, plane = width + 2, (height + 2) * (width + 2)
    # With a rim of -1, so that no neighbour needs a check. Numbers given are 0 and up; label k waits as -2 - k.
    state = np.full((depth + 2) * plane, -1, np.int32)
    for t in range(depth):
        for y in range(height):
            at = (t + 1) * plane + (y + 1) * row + 1
            for x in range(width):
                k = labels[t, y, x]
                state[at + x] = -2 - k if k >= 0 else -1
    queue = np.empty(max(largest, 1), np.int32)
    steps = (1, -1, row, -row, plane, -plane)
    fresh = 0
    for t in range(depth):
        for y in range(height):
            for x in range(width):
                at = (t + 1) * plane + (y + 1) * row + 1 + x
                waiting = state[at]
                if waiting >= -1:
                    continue
                neighbour, size, visited = fresh, 1, 0
                state[at], queue[0] = fresh, at
                while visited < size < largest:
                    for step in steps:
                        there = queue[visited] + step
                        owner = state[there]
                        if owner == waiting:
                            state[there], queue[size] = fresh, there
                            size += 1
                            if size >= largest:
                                break
                        elif owner >= 0 and owner != fresh:
                            neighbour = owner
                    visited += 1
                if size < smallest:
                    for i in range(size):
                        state[queue[i]] = neighbour
                else:
                    fresh += 1
    found = np.empty((depth, height, width), np.int32)
    for t in range(depth):
        for y in range(height):
            at = (t + 1) * plane + (y + 1) * row + 1
            for x in range(width):
                found[t, y, x] = state[at + x]
    return found
