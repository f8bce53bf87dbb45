"""Which classes a planted set has, and what its scenes contain."""

from dataclasses import dataclass

from voxplain.datasets.planted.shapes import MOTIONS, SHAPES
from voxplain.datasets.planted.textures import TEXTURES
from voxplain.errors import DataError

__all__ = ["DEFECTS", "PlantedDesign"]

DEFECTS = ("patch", "caption", "ground", "colour", "camera")  # drawn in `defects`


@dataclass(frozen=True)
class PlantedDesign:
    """Contents of a planted set: its classes, the objects and motions that decide them, and its distractors.

    Parameters
    ----------
    appearance : tuple of str
        Classes decided by the shape of the object; its motion is drawn from ``motions``,
        ``free_motions`` and "still".
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
        A class whose clips carry a defect at ``shortcut_rate``; other clips carry it at 1 − that rate.
    shortcut_rate : float
        Share of clips.
    shortcut_kind : str
        The defect, a key of `DEFECTS`: "patch", a checkerboard; "caption", small white glyphs in a corner; "ground",
        stripes in the background; "colour", one colour of the first distractor; "camera", a steady pan.
    pairs : tuple of (str, str)
        Classes decided by two shapes shown together, named ``first_second``.
    alone : float
        Share of the empty class's clips that show one shape of a pair without the other, so that neither shape alone
        means the pair's class. With two pairs or more, half of these clips show one shape of each of two pairs.
    radius, reach : (float, float)
        Smallest and largest radius of a target, and length of its motion's path, as shares of ``size``.
    growth : (float, float)
        Factor of an object's radius at the start and at the end of the clip; reversed in half of the objects.
    textures : tuple of str
        Surfaces of the objects, keys of `TEXTURES`; drawn for each object.
    contrast : float
        Factor of the difference between an object's colours and the ground's mean grey.
    same_colour : bool
        All objects of a clip have one colour, so that colour does not separate distractors from targets.
    free_motions : tuple of str
        Motions, besides ``motions`` and none, of the objects whose motion does not decide the class.
    drift : float
        Largest movement of the ground alone along each axis in pixels a frame.
    pan : float
        Largest speed of the camera in pixels a frame; each clip's is between 0.7 and 1 of it, in any direction.
    occluder : float
        Width of a bar that crosses the picture in front of the objects, as a share of ``size``; 0 for none.

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
    shortcut_kind: str = "patch"
    pairs: tuple[tuple[str, str], ...] = ()
    alone: float = 0.0
    radius: tuple[float, float] = (0.17, 0.21)
    reach: tuple[float, float] = (0.15, 0.19)
    growth: tuple[float, float] = (1.0, 1.0)
    textures: tuple[str, ...] = ("plain",)
    contrast: float = 1.0
    same_colour: bool = False
    free_motions: tuple[str, ...] = ()
    drift: float = 0.6
    pan: float = 0.0
    occluder: float = 0.0

    def __post_init__(self) -> None:
        """Check that shapes, motions, names and sizes exist and agree."""
        for kind, names, known in (
            ("shape", (*self.shapes, *self.distractors), SHAPES),
            ("motion", (*self.motions, *self.free_motions), MOTIONS),
            ("texture", self.textures, TEXTURES),
        ):
            for name in names:
                if name not in known:
                    raise DataError(f"expected one of {sorted(known)}, got {name!r}; choose a listed {kind}")
        if self.carrier in self.shapes[:-1]:
            raise DataError(
                f"expected a carrier shape that is no appearance class, got {self.carrier!r} as both; change one"
            )
        if set(self.distractors) & set(self.shapes):
            raise DataError(
                f"expected distractors of other shapes than the classes', got {self.distractors}; change them, "
                "because a distractor must be independent of the class"
            )
        if self.alone and not self.pairs:
            raise DataError(f"expected pairs with alone={self.alone}, got none; name the shapes that form pairs")
        if len(set(self.classes)) != len(self.classes):
            raise DataError(f"expected different class names, got {self.classes}; name each class once")
        if self.frames < 1 or self.size < 16 or self.size % 2:
            raise DataError(
                f"expected 1 frame or more and an even size of 16 pixels or more, got {self.frames} and {self.size}; "
                "H.264 stores even sides only, and masks must have the size of the frames"
            )
        if self.shortcut is not None and self.shortcut not in self.classes:
            raise DataError(f"expected the shortcut to name one of {self.classes}, got {self.shortcut!r}")
        if self.shortcut_kind not in DEFECTS:
            raise DataError(f"expected a shortcut_kind of {DEFECTS}, got {self.shortcut_kind!r}; choose one")
        if self.shortcut_kind == "colour" and not self.distractors:
            raise DataError("expected distractors for a shortcut_kind of colour, got none; name a shape")

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, sorted as a folder of classes is read."""
        return tuple(sorted((*self.appearance, *self.motions, *self.pair_of, self.empty)))

    @property
    def pair_of(self) -> dict[str, tuple[str, str]]:
        """The two shapes of each class that two shapes decide, by the name of the class."""
        return {f"{first}_{second}": (first, second) for first, second in self.pairs}

    @property
    def shapes(self) -> tuple[str, ...]:
        """Shapes that decide classes, each once; the carrier is the last."""
        return (*dict.fromkeys((*self.appearance, *(s for pair in self.pairs for s in pair))), self.carrier)

    @property
    def decided(self) -> tuple[str, ...]:
        """The classes that an object or its motion decides: all but the empty one."""
        return tuple(name for name in self.classes if name != self.empty)
