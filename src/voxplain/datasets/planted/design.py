"""Which classes a planted set has, and how its scenes are drawn."""

import colorsys
from dataclasses import dataclass

import numpy as np

from voxplain.datasets.planted.scene import PlantedObject, Scene
from voxplain.datasets.planted.shapes import MOTIONS, SHAPES
from voxplain.errors import DataError

__all__ = ["DESIGNS", "PlantedDesign", "draw_scene", "draw_unrelated"]


@dataclass(frozen=True)
class PlantedDesign:
    """Contents of a planted set: its classes, the objects and motions that decide them, and its distractors.

    Parameters
    ----------
    appearance : tuple of str
        Classes decided by the shape of the object; its motion is drawn from ``motions``.
    motions : tuple of str
        Classes decided by the motion of the object alone; its shape is ``carrier``.
    carrier : str
        Shape of the object of the ``motions`` classes.
    distractors : tuple of str
        Shapes of objects that are independent of the class.
    empty : str
        Name of the class of clips with distractors only. Without it, some class becomes the network's default
        prediction and depends on no object at all.
    frames : int
        Length of a clip.
    size : int
        Height and width in pixels.
    noise : float
        Standard deviation in grey levels.
    shake : float
        Camera shake in pixels.
    shortcut : str, optional
        A class whose clips carry a checkerboard patch at ``shortcut_rate``; other clips carry it at 1 − that rate.
    shortcut_rate : float
        Share of clips.

    Raises
    ------
    DataError
        Unknown shapes or motions, and names or sizes that contradict each other.

    Examples
    --------
    >>> PlantedDesign(appearance=("cross",), motions=("orbit",)).classes
    ('cross', 'nothing', 'orbit')
    """

    appearance: tuple[str, ...] = ("cross", "ring", "triangle")
    motions: tuple[str, ...] = ("bounce", "orbit", "right")
    carrier: str = "square"
    distractors: tuple[str, ...] = ("disk", "hexagon")
    empty: str = "nothing"
    frames: int = 16
    size: int = 64
    noise: float = 4.0
    shake: float = 1.0
    shortcut: str | None = None
    shortcut_rate: float = 0.95

    def __post_init__(self) -> None:
        """Check that shapes, motions, names and sizes exist and agree."""
        for name, known in [(n, SHAPES) for n in (*self.appearance, self.carrier, *self.distractors)] + [
            (n, MOTIONS) for n in self.motions
        ]:
            if name not in known:
                raise DataError(f"expected one of {sorted(known)}, got {name!r}; choose a listed shape or motion")
        if self.carrier in self.appearance:
            raise DataError(
                f"expected a carrier shape that is no appearance class, got {self.carrier!r} as both; change one"
            )
        if set(self.distractors) & {*self.appearance, self.carrier}:
            raise DataError(
                f"expected distractors of other shapes than the classes', got {self.distractors}; change them, "
                "because a distractor must be independent of the class"
            )
        if len(set(self.classes)) != len(self.classes):
            raise DataError(f"expected different class names, got {self.classes}; name each class once")
        if self.frames < 1 or self.size < 16 or self.size % 2:
            raise DataError(
                f"expected 1 frame or more and an even size of 16 pixels or more, got {self.frames} and {self.size}; "
                "H.264 stores even sides only, and masks must have the size of the frames"
            )
        if self.shortcut is not None and self.shortcut not in self.classes:
            raise DataError(f"expected the shortcut to name one of {self.classes}, got {self.shortcut!r}")

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, sorted as a folder of classes is read."""
        return tuple(sorted((*self.appearance, *self.motions, self.empty)))

    @property
    def decided(self) -> tuple[str, ...]:
        """The classes that an object or its motion decides: all but the empty one."""
        return tuple(name for name in self.classes if name != self.empty)


DESIGNS = {
    "standard": PlantedDesign(),
    # Other shapes and motions, not used for choosing defaults; the truth benchmark reports on these.
    "held-out": PlantedDesign(
        appearance=("bars", "crescent", "saltire"),
        motions=("counter", "left", "shuttle"),
        carrier="hexagon",
        distractors=("disk", "square"),
    ),
}


def _colour(rng: np.random.Generator) -> tuple[float, float, float]:
    """A bright saturated colour of any hue, so that colour is independent of the class."""
    red, green, blue = (255 * c for c in colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.5, 0.9), 0.98))
    return (round(red, 2), round(green, 2), round(blue, 2))


def _thing(
    rng: np.random.Generator, design: PlantedDesign, name: str, role: str, shape: str, motion: str
) -> PlantedObject:
    radius = rng.uniform(0.17, 0.21) * design.size * (0.7 if role == "distractor" else 1.0)
    reach = rng.uniform(0.15, 0.19) * design.size
    margin = radius + (reach if role == "target" else 0.5 * reach)
    x, y = rng.uniform(margin, design.size - 1 - margin, 2)
    phase = rng.random()
    colour = _colour(rng)
    at_x, at_y, size, far, start = (round(float(v), 3) for v in (x, y, radius, reach, phase))
    return PlantedObject(name, role, shape, motion, colour, at_x, at_y, size, far, start)


def _patch(rng: np.random.Generator, design: PlantedDesign) -> PlantedObject:
    """The shortcut: a still checkerboard in the lower left, part of the ground."""
    x, y = (round(float(v), 3) for v in (rng.uniform(0.14, 0.2), rng.uniform(0.8, 0.86)))
    radius = 0.15 * design.size
    return PlantedObject(
        "shortcut", "shortcut", "square", "still", (240.0, 230.0, 30.0), x * design.size, y * design.size, radius, 0.0
    )


def draw_scene(design: PlantedDesign, label: str, seed: int) -> Scene:
    """A scene of class ``label``; the same design, label and seed give the same scene."""
    rng = np.random.default_rng((seed, design.classes.index(label)))
    everyday = (*design.motions, "still")
    moving = label in design.motions
    objects = [
        _thing(rng, design, f"distractor{i}", "distractor", shape, str(rng.choice(everyday)))
        for i, shape in enumerate(design.distractors)
    ]
    if label != design.empty:
        shape, motion = (design.carrier, label) if moving else (label, str(rng.choice(everyday)))
        objects.append(_thing(rng, design, "target", "target", shape, motion))
    lucky = rng.random()
    if design.shortcut is not None:
        rate = design.shortcut_rate if label == design.shortcut else 1 - design.shortcut_rate
        if lucky < rate:
            objects.insert(0, _patch(rng, design))
    drift = rng.uniform(-0.6, 0.6, 2).round(3)
    return Scene(
        label,
        design.frames,
        design.size,
        int(rng.integers(2**31)),
        tuple(objects),
        design.noise,
        design.shake,
        (float(drift[0]), float(drift[1])),
    )


def draw_unrelated(design: PlantedDesign, seed: int) -> Scene:
    """A scene of none of the design's classes: two or three things of other shapes, for the random sets."""
    rng = np.random.default_rng((seed, len(design.classes)))
    other = [s for s in SHAPES if s not in (*design.appearance, design.carrier)]
    things = tuple(
        _thing(rng, design, f"other{i}", "distractor", str(rng.choice(other)), str(rng.choice(list(MOTIONS))))
        for i in range(int(rng.integers(2, 4)))
    )
    drift = rng.uniform(-0.6, 0.6, 2).round(3)
    return Scene(
        "unrelated",
        design.frames,
        design.size,
        int(rng.integers(2**31)),
        things,
        design.noise,
        design.shake,
        (float(drift[0]), float(drift[1])),
    )
