"""The loops of SLIC, for numba: nearest seed, mean of its voxels.

Every distance and sum is taken in float64 in the order in which scikit-image takes it, so that ties are resolved alike.
Levels are processed together, since each reads the whole clip ten times. Letters: L levels, T×H×W voxels, K seeds of
all levels, each (t, y, x, l, a, b); those of level i are `parts[i]` to `parts[i + 1]`.
"""

from __future__ import annotations

import numpy as np

from voxplain.compiled import compiled

DEPTH, ROWS, WIDE = TILE = 8, 8, 8  # a tile of the clip: voxels in t, y, x
VOXELS = DEPTH * ROWS * WIDE
FAR = np.finfo(np.float64).max  # farther than any seed whose window holds the voxel
OUTSIDE = np.inf


@compiled
def tiled(image):  # type: ignore[no-untyped-def]
    """Colours [3,T,H,W] as tiles [t,y,x,3,VOXELS], the edge repeated, and the range of each [t,y,x,3,2].

    In a tile x counts slowest, then t, then y.
    """
    _, depth, height, width = image.shape
    nt, ny, nx = -(-depth // DEPTH), -(-height // ROWS), -(-width // WIDE)
    tiles, boxes = np.empty((nt, ny, nx, 3, VOXELS)), np.empty((nt, ny, nx, 3, 2))
    boxes[..., 0], boxes[..., 1] = FAR, -FAR
    for t in range(nt * DEPTH):
        for y in range(ny * ROWS):
            start = t % DEPTH * ROWS + y % ROWS
            for c in range(3):
                row = image[c, min(t, depth - 1), min(y, height - 1)]
                for x in range(nx * WIDE):
                    value, box = row[min(x, width - 1)], boxes[t // DEPTH, y // ROWS, x // WIDE, c]
                    tiles[t // DEPTH, y // ROWS, x // WIDE, c, x % WIDE * (DEPTH * ROWS) + start] = value
                    box[0], box[1] = min(box[0], value), max(box[1], value)
    return tiles, boxes


@compiled
def _along(seeds, counts, steps, axis, spacing, size, block):  # type: ignore[no-untyped-def]
    """Squared distances of seeds and voxels along one axis [K,blocks·block], infinite outside a seed's window.

    Also the least of each block of voxels [blocks,K]. Beyond the edge its last voxel is repeated.
    """
    blocks = -(-size // block)
    far = np.full((seeds.shape[0], blocks * block), OUTSIDE)
    least = np.full((blocks, seeds.shape[0]), OUTSIDE)
    for k in range(seeds.shape[0]):
        if counts[k] == 0:  # a seed without voxels has no place
            continue
        centre, step = seeds[k, axis], steps[k, axis]
        low, high = int(max(centre - 2 * step, 0.0)), int(min(centre + 2 * step + 1, float(size)))
        for i in range(blocks * block):
            place = min(i, size - 1)
            if low <= place < high:
                d = spacing * (centre - place)
                far[k, i] = d * d
                least[i // block, k] = min(least[i // block, k], d * d)
    return far, least


@compiled
def _farthest(seeds, k, ends, pull, boxes, a, b, c):  # type: ignore[no-untyped-def]
    """The greatest distance of seed k that a tile's place and range of colours allow."""
    place, colour = 0.0, 0.0
    for i in range(3):
        e = max(abs(ends[i, 0] - seeds[k, i]), abs(ends[i, 1] - seeds[k, i]))
        f = max(abs(boxes[a, b, c, i, 0] - seeds[k, 3 + i]), abs(boxes[a, b, c, i, 1] - seeds[k, 3 + i]))
        place, colour = place + pull[i] * e * e, colour + f * f
    return place + colour


@compiled
def _beaten(seeds, k, j, ends, pull, boxes, a, b, c, spread, farthest):  # type: ignore[no-untyped-def]
    """Whether seed k is farther than seed j from every voxel of a tile.

    The difference of two squared distances is linear in place and colour, so it is least at a corner of the tile.
    """
    if spread[k] != spread[j]:
        return False
    least, size = 0.0, farthest
    for i in range(6):
        if i < 3:
            e, low, high = (seeds[j, i] - seeds[k, i]) * pull[i], ends[i, 0], ends[i, 1]
        else:
            e, low, high = (seeds[j, i] - seeds[k, i]) / spread[k], boxes[a, b, c, i - 3, 0], boxes[a, b, c, i - 3, 1]
        u, v = e * (2 * low - seeds[j, i] - seeds[k, i]), e * (2 * high - seeds[j, i] - seeds[k, i])
        least += min(u, v)
        size += abs(u) + abs(v)
    return least > 1e-12 * size  # by more than rounding


@compiled
def _compare(tiles, a, b, c, dt, dy, dx, weight, seeds, k, most, aside, space, best, label):  # type: ignore[no-untyped-def]
    """Give seed k the voxels of a tile that are nearer to it than to those before; of equals the first by number.

    `dt`, `dy`, `dx` are squared distances along the axes. Arrays are passed whole, since slicing one counts references.
    """
    t0, y0, x0 = a * DEPTH, b * ROWS, c * WIDE
    for t in range(DEPTH):
        for y in range(ROWS):
            aside[t * ROWS + y] = dt[k, t0 + t] + dy[k, y0 + y]
    for x in range(WIDE):
        along = dx[k, x0 + x]
        for i in range(DEPTH * ROWS):
            space[x * (DEPTH * ROWS) + i] = (aside[i] + along) * weight
    s0, s1, s2 = seeds[k, 3], seeds[k, 4], seeds[k, 5]
    if most == 1.0:  # always so in SLIC; dividing by 1 changes no bit but takes time
        for i in range(VOXELS):
            e0, e1, e2 = tiles[a, b, c, 0, i] - s0, tiles[a, b, c, 1, i] - s1, tiles[a, b, c, 2, i] - s2
            d, held, owner = space[i] + (e0 * e0 + e1 * e1 + e2 * e2), best[i], label[i]
            wins = d < held
            best[i] = d if wins else held
            label[i] = k if wins else owner
    else:
        for i in range(VOXELS):
            e0, e1, e2 = tiles[a, b, c, 0, i] - s0, tiles[a, b, c, 1, i] - s1, tiles[a, b, c, 2, i] - s2
            d, held, owner = space[i] + (e0 * e0 + e1 * e1 + e2 * e2) / most, best[i], label[i]
            wins = d < held
            best[i] = d if wins else held
            label[i] = k if wins else owner


@compiled
def _rivals(seeds, first, near, bounds, ends, pull, boxes, a, b, c, spread, whole):  # type: ignore[no-untyped-def]
    """Reduce `near`, seeds whose window overlaps a tile, to those that may be nearest to a voxel of it; their number.

    `whole`: the first's window holds all of the tile, so that the others have to be nearer than it is.
    """
    reach = _farthest(seeds, first, ends, pull, boxes, a, b, c) / min(spread[first], 1.0)
    left = 0
    for n in range(near.shape[0]):
        k = near[n]
        if (
            k != first
            and whole
            and (bounds[k] > reach * (1 + 1e-12) or _beaten(seeds, k, first, ends, pull, boxes, a, b, c, spread, reach))
        ):
            continue
        near[left] = k
        left += 1
    return left


@compiled
def assign(tiles, boxes, shape, parts, seeds, counts, steps, spacing, weights, spread, labels):  # type: ignore[no-untyped-def]
    """Give every voxel the nearest seed of each level whose window holds it; a voxel in no window stays as it was.

    `labels` [L,…] are those of whole tiles, beyond the edge too.
    """
    dt, least_t = _along(seeds, counts, steps, 0, spacing[0], shape[0], DEPTH)
    dy, least_y = _along(seeds, counts, steps, 1, spacing[1], shape[1], ROWS)
    dx, least_x = _along(seeds, counts, steps, 2, spacing[2], shape[2], WIDE)
    number = seeds.shape[0]
    bounds, near = np.empty(number), np.empty(number, np.int64)
    ends, pull = np.empty((3, 2)), np.empty(3)
    aside, space = np.empty(DEPTH * ROWS), np.empty(VOXELS)
    best, label = np.empty(VOXELS), np.empty(VOXELS, np.int64)
    for a, b, c in np.ndindex(tiles.shape[:3]):
        t0, y0, x0 = a * DEPTH, b * ROWS, c * WIDE
        ends[0, 0], ends[1, 0], ends[2, 0] = t0, y0, x0
        ends[0, 1], ends[1, 1], ends[2, 1] = t0 + DEPTH - 1, y0 + ROWS - 1, x0 + WIDE - 1
        for level in range(parts.shape[0] - 1):
            start, stop, weight = parts[level], parts[level + 1], weights[level]
            for k in range(start, stop):
                bounds[k] = (least_t[a, k] + least_y[b, k] + least_x[c, k]) * weight
            found, first = 0, start
            for k in range(start, stop):
                first = k if bounds[k] < bounds[first] else first
                near[found] = k
                found += bounds[k] < OUTSIDE
            if found == 0:
                continue
            for i in range(3):
                pull[i] = spacing[i] * spacing[i] * weight
            corners = dt[first, t0] + dt[first, t0 + DEPTH - 1] + dy[first, y0] + dy[first, y0 + ROWS - 1]
            whole = corners + dx[first, x0] + dx[first, x0 + WIDE - 1] < OUTSIDE
            left = _rivals(seeds, first, near[:found], bounds, ends, pull, boxes, a, b, c, spread, whole)
            best[:], label[:] = FAR, -1
            for n in range(left):  # by number: of equals the first stays
                k = near[n]
                _compare(tiles, a, b, c, dt, dy, dx, weight, seeds, k, spread[k], aside, space, best, label)
            for t in range(DEPTH):
                for y in range(ROWS):
                    for x in range(WIDE):
                        owner = label[(x * DEPTH + t) * ROWS + y]
                        if owner >= 0:
                            labels[level, t0 + t, y0 + y, x0 + x] = owner


@compiled
def average(image, labels, seeds, counts):  # type: ignore[no-untyped-def]
    """Move every seed to the mean place and colour of its voxels, summed in raster order."""
    _, depth, height, width = image.shape
    counts[:] = 0
    seeds[:] = 0
    for t in range(depth):
        for y in range(height):
            for level in range(labels.shape[0]):
                row = labels[level, t, y]
                x = 0
                while x < width:  # runs of one label, summed in registers
                    k, start, place = row[x], x, 0
                    if k < 0:
                        x += 1
                        continue
                    s0, s1, s2 = seeds[k, 3], seeds[k, 4], seeds[k, 5]
                    while x < width and row[x] == k:
                        s0 += image[0, t, y, x]
                        s1 += image[1, t, y, x]
                        s2 += image[2, t, y, x]
                        place += x
                        x += 1
                    seeds[k, 3], seeds[k, 4], seeds[k, 5] = s0, s1, s2
                    seeds[k, 0] += t * (x - start)
                    seeds[k, 1] += y * (x - start)
                    seeds[k, 2] += place
                    counts[k] += x - start
    for k in range(seeds.shape[0]):
        if counts[k]:
            for c in range(6):
                seeds[k, c] /= counts[k]


@compiled
def widen(image, labels, seeds, spread):  # type: ignore[no-untyped-def]
    """SLICO: raise each seed's spread to the largest squared colour distance of its voxels."""
    _, depth, height, width = image.shape
    for level in range(labels.shape[0]):
        for t in range(depth):
            for y in range(height):
                for x in range(width):
                    k = labels[level, t, y, x]
                    if k >= 0:
                        e0, e1 = image[0, t, y, x] - seeds[k, 3], image[1, t, y, x] - seeds[k, 4]
                        e2 = image[2, t, y, x] - seeds[k, 5]
                        spread[k] = max(spread[k], e0 * e0 + e1 * e1 + e2 * e2)
