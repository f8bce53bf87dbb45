"""Surfaces of planted objects in two colours, closed forms that move, turn and grow with the object.

Letters: a texture is a function of a point (x, y), pixels from the object's centre divided by its radius, and of an
angle in radians; it returns the share of the second colour, 0 to 1.
"""

from collections.abc import Callable

import numpy as np

__all__ = ["TEXTURES", "Texture"]

Texture = Callable[[np.ndarray, np.ndarray, float], np.ndarray]

SHARP = 3.0  # edges between the colours: about a pixel wide at a radius of 10 pixels


def _two_colours(wave: np.ndarray) -> np.ndarray:
    return np.clip(0.5 + SHARP * wave, 0, 1)


def _turn(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _stripes(x: np.ndarray, y: np.ndarray, angle: float) -> np.ndarray:
    """Two stripes of each colour over the diameter."""
    return _two_colours(np.sin(2 * np.pi * _turn(x, y, angle)[0]))


def _checks(x: np.ndarray, y: np.ndarray, angle: float) -> np.ndarray:
    u, v = _turn(x, y, angle)
    return _two_colours(np.sin(2 * np.pi * u) * np.sin(2 * np.pi * v))


def _noise(x: np.ndarray, y: np.ndarray, angle: float) -> np.ndarray:
    """Blots: the sign of a sum of six waves in directions a golden angle apart."""
    waves = [
        np.sin(2 * np.pi * (0.5 + 0.2 * i) * _turn(x, y, angle * (i + 1) + 2.4 * i)[0] + i * i + angle)
        for i in range(6)
    ]
    return _two_colours(0.5 * np.sum(waves, axis=0))


TEXTURES: dict[str, Texture] = {
    "plain": lambda x, y, angle: np.zeros(np.broadcast_shapes(x.shape, y.shape)),
    "stripes": _stripes,
    "checks": _checks,
    "noise": _noise,
}
