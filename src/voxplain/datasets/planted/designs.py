"""The named designs: one to choose defaults on and harder ones of its shapes, each with a held-out counterpart."""

from dataclasses import replace
from typing import Any

from voxplain.datasets.planted.design import PlantedDesign
from voxplain.errors import DataError

__all__ = ["DESIGNS", "design_of"]

STANDARD = PlantedDesign()
# Other shapes and motions, not used for choosing defaults; the truth benchmark reports on these.
HELD_OUT = PlantedDesign(
    appearance=("bars", "crescent", "saltire"),
    motions=("counter", "left", "shuttle"),
    carrier="hexagon",
    distractors=("disk", "square"),
)
SMALLER: dict[str, Any] = {"radius": (0.14, 0.17), "reach": (0.1, 0.12)}  # room for two targets

# What each harder design changes, apart from its shapes and motions.
HARDER: dict[str, dict[str, Any]] = {
    "textured": {"textures": ("stripes", "checks", "noise"), "contrast": 0.7},
    "camera": {"radius": (0.15, 0.18), "reach": (0.11, 0.14), "pan": 1.6, "drift": 1.5},
    "occluded": {"occluder": 0.3},
    "growing": {"radius": (0.15, 0.18), "growth": (0.6, 1.4)},
    "same-colour": {"same_colour": True},
}
# Two pairs whose shapes mean nothing alone or mixed.
CONJUNCTIONS = {
    "standard": (("cross", "ring"), ("triangle", "star")),
    "held-out": (("bars", "crescent"), ("saltire", "tee")),
}


def _pairs(base: PlantedDesign) -> PlantedDesign:
    """Three shapes and all pairs of them: without one of its two objects, a clip of a pair is of another class."""
    a, b, c = base.appearance
    return replace(base, pairs=((a, b), (b, c), (c, a)), motions=(), free_motions=base.motions, **SMALLER)


def _family(base: PlantedDesign, name: str, prefix: str) -> dict[str, PlantedDesign]:
    return {
        name: base,
        **{f"{prefix}{harder}": replace(base, **changes) for harder, changes in HARDER.items()},
        f"{prefix}pair": _pairs(base),
        f"{prefix}conjunction": replace(base, appearance=(), pairs=CONJUNCTIONS[name], alone=0.75, **SMALLER),
    }


DESIGNS = {**_family(STANDARD, "standard", ""), **_family(HELD_OUT, "held-out", "held-out-")}

# Shapes and motions in the order in which `design_of` takes them.
SUPPLY = {
    False: (("cross", "ring", "triangle", "star", "ell"), ("bounce", "orbit", "right", "up")),
    True: (("bars", "crescent", "saltire", "tee"), ("counter", "left", "shuttle", "down", "pulse")),
}


def design_of(classes: int, *, held_out: bool = False) -> PlantedDesign:
    """Design with a given number of classes: about half of them decided by shape, half by motion, and the empty one.

    Below five classes all are decided by shape, because one motion class alone is told by the shape of its carrier.

    Parameters
    ----------
    classes : int
        2 to 10, with the empty class.
    held_out : bool
        With the shapes of the design ``held-out``, on which no default is chosen, in place of those of ``standard``.

    Returns
    -------
    PlantedDesign

    Raises
    ------
    DataError
        For another number of classes.

    Examples
    --------
    >>> design_of(6).classes
    ('bounce', 'cross', 'nothing', 'orbit', 'ring', 'triangle')
    """
    if not 2 <= classes <= 10:
        raise DataError(f"expected 2 to 10 classes, got {classes}; choose a number in this range")
    shapes, motions = SUPPLY[held_out]
    moving = max((classes - 1) // 2, classes - 1 - len(shapes)) if classes > 4 else 0
    base = HELD_OUT if held_out else STANDARD
    return replace(
        base,
        appearance=shapes[: classes - 1 - moving],
        motions=motions[:moving],
        free_motions=() if moving else base.motions,
    )
