"""Sinusoidal stripes as backgrounds: at random, or of a class."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.datasets.backgrounds import Drawn

__all__ = ["ClassStripes", "Stripes", "sinusoid"]

Color = tuple[int, int, int]
Picture = NDArray[np.uint8]

CYCLES = (2.0, 8.0)  # stripes over the longer side of the picture, the fewest and the most


def sinusoid(
    height: int, width: int, *, angle: float, cycles: float, phase: float, colors: tuple[Color, Color]
) -> Picture:
    """Stripes whose colour changes as a sine between two colours.

    Parameters
    ----------
    height, width : int
        Pixels.
    angle : float
        Of the direction in which the colour changes; radians, 0 = to the right.
    cycles : float
        Stripes over the longer side.
    phase : float
        Radians.
    colors : two of (int, int, int)
        Red, green and blue, 0 to 255, at the trough and at the crest.

    Returns
    -------
    uint8 [height,width,3]

    Examples
    --------
    >>> black, white = (0, 0, 0), (255, 255, 255)
    >>> sinusoid(1, 4, angle=0.0, cycles=1.0, phase=0.0, colors=(black, white))[0, :, 0]
    array([128, 255, 128,   0], dtype=uint8)
    """
    y, x = np.mgrid[:height, :width]
    along = (x * np.cos(angle) + y * np.sin(angle)) / max(height, width)
    share = 0.5 + 0.5 * np.sin(2 * np.pi * cycles * along + phase)
    low, high = np.asarray(colors, np.float64)
    return np.rint(low + share[..., None] * (high - low)).astype(np.uint8)


@dataclass(frozen=True)
class Stripes:
    """Sinusoidal stripes of random direction, width and colours.

    References
    ----------
    Li et al., Mitigating and Evaluating Static Bias of Action Representations in the Background and the Foreground,
    ICCV 2023: one of the three kinds of background of SCUBA.
    """

    def __call__(self, label: str, rng: np.random.Generator) -> Drawn:
        """Stripes; the class does not matter."""
        angle, cycles, phase = rng.uniform(0, np.pi), rng.uniform(*CYCLES), rng.uniform(0, 2 * np.pi)
        (a, b, c), (d, e, f) = rng.integers(0, 256, (2, 3)).tolist()
        colors = ((a, b, c), (d, e, f))
        return Drawn("stripes", lambda h, w: sinusoid(h, w, angle=angle, cycles=cycles, phase=phase, colors=colors))


@dataclass(frozen=True)
class ClassStripes:
    """Stripes whose direction, width and colours belong to a class; each drawing has another phase.

    Parameters
    ----------
    classes : tuple of str
        All classes. Neighbours in this order get colours and directions far from each other.
    """

    classes: tuple[str, ...]

    def __call__(self, label: str, rng: np.random.Generator) -> Drawn:
        """The stripes of the class ``label``."""
        k, phase = self.classes.index(label), rng.uniform(0, 2 * np.pi)
        turn = (k * 0.381966) % 1.0  # the golden section: any number of classes is spread over the circle
        colors = (_color(turn, 0.35), _color(turn, 0.9))
        cycles = CYCLES[0] + (CYCLES[1] - CYCLES[0]) * ((k * 0.618034) % 1.0)

        def picture(height: int, width: int) -> Picture:
            return sinusoid(height, width, angle=np.pi * turn, cycles=cycles, phase=phase, colors=colors)

        return Drawn(f"stripes of {label}", picture)


def _color(hue: float, value: float) -> Color:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.8, value))
    return red, green, blue
