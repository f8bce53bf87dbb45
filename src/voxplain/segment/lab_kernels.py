"""Lab colours and Gaussian blur of a clip, for numba: sums in the order of scikit-image and SciPy."""

from __future__ import annotations

from voxplain.compiled import compiled


@compiled
def over_white(xyz, white):  # type: ignore[no-untyped-def]
    """Divide XYZ [H,W,3] by the white point, in place."""
    for y in range(xyz.shape[0]):
        for x in range(xyz.shape[1]):
            for c in range(3):
                xyz[y, x, c] /= white[c]


@compiled
def lab_planes(xyz, roots, out):  # type: ignore[no-untyped-def]
    """Lab [3,H,W] from XYZ over white [H,W,3] and its cube roots (CIE 1976)."""
    for i in range(xyz.shape[0]):
        for j in range(xyz.shape[1]):
            x = roots[i, j, 0] if xyz[i, j, 0] > 0.008856 else 7.787 * xyz[i, j, 0] + 16.0 / 116.0
            y = roots[i, j, 1] if xyz[i, j, 1] > 0.008856 else 7.787 * xyz[i, j, 1] + 16.0 / 116.0
            z = roots[i, j, 2] if xyz[i, j, 2] > 0.008856 else 7.787 * xyz[i, j, 2] + 16.0 / 116.0
            out[0, i, j], out[1, i, j], out[2, i, j] = 116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)


@compiled
def blur(image, weights, mirror, out):  # type: ignore[no-untyped-def]
    """Blur [M,N,W] along N: each row a weighted sum of rows; `mirror` [N + 2r] has their numbers, edges mirrored."""
    radius = weights.shape[0] // 2
    for m in range(image.shape[0]):
        for n in range(image.shape[1]):
            target, middle = out[m, n], image[m, n]
            for x in range(image.shape[2]):
                target[x] = middle[x] * weights[radius]
            for j in range(radius, 0, -1):  # from the far taps inward
                before, after = image[m, mirror[n + radius - j]], image[m, mirror[n + radius + j]]
                for x in range(image.shape[2]):
                    target[x] += (before[x] + after[x]) * weights[radius - j]


@compiled
def blur_columns(image, weights, mirror, out):  # type: ignore[no-untyped-def]
    """Blur [M,W] along W; `mirror` [W + 2r]."""
    radius, width = weights.shape[0] // 2, image.shape[1]
    for m in range(image.shape[0]):
        row, target = image[m][mirror], out[m]
        for x in range(width):
            target[x] = row[x + radius] * weights[radius]
        for j in range(radius, 0, -1):
            for x in range(width):
                target[x] += (row[x + radius - j] + row[x + radius + j]) * weights[radius - j]
