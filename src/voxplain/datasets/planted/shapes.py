"""Shapes and motions of planted objects: signed distances and paths, both closed forms.

Letters: a shape is a function of (x, y), pixels divided by the object's radius, and is negative inside;
a motion is a function of t in [0, 1] that returns (dx, dy, scale), offsets in units of the motion's reach.
"""

from collections.abc import Callable

import numpy as np

__all__ = ["MOTIONS", "SHAPES", "Motion", "Shape"]

Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]
Path3 = tuple[np.ndarray, np.ndarray, np.ndarray]
Motion = Callable[[np.ndarray, float], Path3]


def _polygon(sides: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance to a regular polygon with a corner up and circumradius 1."""
    angle = np.arctan2(x, -y)
    sector = 2 * np.pi / sides
    folded = np.mod(angle, sector) - sector / 2
    return np.hypot(x, y) * np.cos(folded) - np.cos(sector / 2)


def _disk(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x, y) - 0.85


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) - 0.75


def _box(x: np.ndarray, y: np.ndarray, w: float, h: float) -> np.ndarray:
    return np.maximum(np.abs(x) - w, np.abs(y) - h)


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(_box(x, y, 1.0, 0.3), _box(x, y, 0.3, 1.0))


def _saltire(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _cross((x + y) / np.sqrt(2), (x - y) / np.sqrt(2))


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A five-pointed star: the radius swings between 1 at the points and 0.42 in the notches."""
    radius, angle = np.hypot(x, y), np.arctan2(x, -y)
    sector = 2 * np.pi / 5
    swing = np.abs(np.mod(angle, sector) / sector - 0.5) * 2
    return radius - (0.42 + 0.58 * swing**1.5)


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.hypot(x, y) - 0.7) - 0.22


def _crescent(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.hypot(x, y) - 0.95, 0.75 - np.hypot(x - 0.5, y))


def _tee(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(_box(x, y + 0.65, 0.95, 0.28), _box(x, y - 0.05, 0.28, 0.95))


def _ell(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(_box(x + 0.6, y, 0.3, 0.95), _box(x, y - 0.65, 0.9, 0.3))


def _bars(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(_box(x + 0.6, y, 0.28, 0.95), _box(x - 0.6, y, 0.28, 0.95))


SHAPES: dict[str, Shape] = {
    "disk": _disk,
    "square": _square,
    "triangle": lambda x, y: _polygon(3, x, y),
    "hexagon": lambda x, y: _polygon(6, x, y),
    "cross": _cross,
    "saltire": _saltire,
    "star": _star,
    "ring": _ring,
    "crescent": _crescent,
    "tee": _tee,
    "ell": _ell,
    "bars": _bars,
}


def _path(x: np.ndarray, y: np.ndarray, scale: np.ndarray | None = None) -> Path3:
    return x, y, np.ones_like(x) if scale is None else scale


# ``phase`` in [0, 1) starts a periodic motion anywhere in its cycle; straight motions ignore it.
MOTIONS: dict[str, Motion] = {
    "still": lambda t, phase: _path(0 * t, 0 * t),
    "right": lambda t, phase: _path(2 * t - 1, 0 * t),
    "left": lambda t, phase: _path(1 - 2 * t, 0 * t),
    "up": lambda t, phase: _path(0 * t, 1 - 2 * t),
    "down": lambda t, phase: _path(0 * t, 2 * t - 1),
    "shuttle": lambda t, phase: _path(np.sin(2 * np.pi * (2 * t + phase)), 0 * t),
    "bounce": lambda t, phase: _path(0 * t, np.sin(2 * np.pi * (2 * t + phase))),
    "orbit": lambda t, phase: _path(np.cos(2 * np.pi * (t + phase)), np.sin(2 * np.pi * (t + phase))),
    "counter": lambda t, phase: _path(np.cos(2 * np.pi * (t + phase)), -np.sin(2 * np.pi * (t + phase))),
    "pulse": lambda t, phase: _path(0 * t, 0 * t, 1 + 0.4 * np.sin(2 * np.pi * (2 * t + phase))),
}
