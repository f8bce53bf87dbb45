"""The published Tables 1–6 of STCE, % accuracy after 1 to 5 concepts, shown beside ours for the same settings.

Kinetics: 10 classes, 480 test videos. KTH: C3D, 863 test videos; standard = 15/50/80 segments and 25 clusters, small =
15/30/60 and 15. Each entry is one run; "random" is one draw of an order (every value is k/480 or k/863 exactly).
"""

from voxplain.experiments.outcome import Row

__all__ = ["BASELINES", "published_rows"]

BASELINES = {
    "kinetics": {"c3d": 79.58, "r3d": 75.62, "i3d": 85.63},
    "kth-standard": {"c3d": 91.31},
    "kth-small": {"c3d": 91.31},
}

# {table: {net: {kind: (top, random, least)}}}
_TABLES: dict[str, dict[str, dict[str, tuple[tuple[float, ...], ...]]]] = {
    "kinetics": {
        "c3d": {
            "adding": (
                (22.29, 34.79, 43.33, 50.83, 58.54),
                (21.88, 33.33, 39.79, 49.17, 55.83),
                (23.33, 30.63, 37.29, 45.83, 52.29),
            ),
            "removing": (
                (74.38, 60.21, 55.42, 47.50, 43.54),
                (74.38, 64.38, 59.38, 51.88, 45.00),
                (75.21, 66.04, 60.21, 53.75, 47.71),
            ),
        },
        "r3d": {
            "adding": (
                (11.67, 23.96, 32.92, 39.38, 46.67),
                (10.63, 21.25, 32.50, 37.71, 41.25),
                (9.79, 16.04, 26.04, 33.13, 41.46),
            ),
            "removing": (
                (69.79, 66.25, 50.83, 39.58, 24.38),
                (72.29, 64.38, 51.04, 39.79, 28.13),
                (73.33, 64.38, 51.67, 42.29, 28.13),
            ),
        },
        "i3d": {
            "adding": (
                (23.33, 37.92, 46.88, 54.38, 61.88),
                (25.83, 37.50, 46.04, 52.71, 56.67),
                (25.42, 37.50, 47.29, 51.46, 55.83),
            ),
            "removing": (
                (74.58, 65.63, 58.96, 49.79, 41.88),
                (78.33, 70.83, 60.42, 53.75, 43.96),
                (80.21, 71.25, 65.00, 57.92, 46.25),
            ),
        },
    },
    "kth-standard": {
        "c3d": {
            "adding": (
                (21.21, 23.52, 29.43, 39.17, 46.23),
                (19.35, 23.52, 25.26, 28.27, 32.91),
                (17.27, 18.77, 20.97, 25.26, 31.87),
            ),
            "removing": (
                (89.92, 84.94, 81.11, 76.83, 70.45),
                (90.50, 89.80, 86.67, 82.04, 74.74),
                (90.50, 89.80, 89.46, 86.44, 81.23),
            ),
        }
    },
    "kth-small": {
        "c3d": {
            "adding": (
                (35.46, 54.35, 66.63, 69.52, 73.81),
                (27.69, 43.92, 59.68, 67.44, 71.84),
                (22.94, 34.07, 48.44, 65.82, 68.37),
            ),
            "removing": (
                (89.69, 86.10, 78.10, 66.86, 59.68),
                (90.50, 88.88, 78.68, 73.93, 69.18),
                (91.43, 89.92, 85.75, 78.91, 71.73),
            ),
        }
    },
}


def published_rows(table: str | None, net: str, setting: str) -> list[Row]:
    """Published rows of a table for a network, empty where there are none; without intervals and coverage."""
    found = _TABLES.get(table or "", {}).get(net, {})
    return [
        Row(net, setting, kind, order, values, (), (), (), "published")
        for kind, rows in found.items()
        for order, values in zip(("top", "random", "least"), rows, strict=True)
    ]
