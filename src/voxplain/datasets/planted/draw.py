"""Scenes of a planted design, drawn from a seed."""

import colorsys
from dataclasses import replace

import numpy as np

from voxplain.datasets.planted.defects import patch, with_defect
from voxplain.datasets.planted.design import PlantedDesign
from voxplain.datasets.planted.scene import Occluder, PlantedObject, Scene
from voxplain.datasets.planted.shapes import MOTIONS, SHAPES

__all__ = ["draw_scene", "draw_unrelated"]

GREY = 85.0  # mean of the ground
RGB = tuple[float, float, float]


def _colour(rng: np.random.Generator) -> RGB:
    """A bright saturated colour of any hue, so that colour is independent of the class."""
    red, green, blue = (255 * c for c in colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.5, 0.9), 0.98))
    return (round(red, 2), round(green, 2), round(blue, 2))


def _thing(
    rng: np.random.Generator, design: PlantedDesign, name: str, role: str, shape: str, motion: str
) -> PlantedObject:
    radius = rng.uniform(*design.radius) * design.size * (0.7 if role == "distractor" else 1.0)
    reach = rng.uniform(*design.reach) * design.size
    # A pan may move a part of the object out of the picture at the ends of the clip, but not its centre.
    margin = radius * max(design.growth) + (0.5 * reach if role == "distractor" else reach)
    margin = min(margin + 0.3 * design.pan * design.frames, 0.45 * design.size)
    x, y = rng.uniform(margin, design.size - 1 - margin, 2)
    phase = rng.random()
    colour = _colour(rng)
    at_x, at_y, size, far, start = (round(float(v), 3) for v in (x, y, radius, reach, phase))
    return PlantedObject(name, role, shape, motion, colour, at_x, at_y, size, far, start)


def _deciding(design: PlantedDesign, label: str, rng: np.random.Generator) -> list[tuple[str, str, str]]:
    """Name, role and shape of the objects that decide the class; none for most clips of the empty class."""
    if label in design.pair_of:
        first, second = design.pair_of[label]
        return [("partner", "target", second), ("target", "target", first)]
    if label != design.empty:
        return [("target", "target", design.carrier if label in design.motions else label)]
    if rng.random() >= design.alone:
        return []
    count = min(len(design.pairs), int(rng.integers(1, 3)))
    chosen = rng.choice(len(design.pairs), count, replace=False)
    return [(f"alone{i}", "alone", design.pairs[k][rng.integers(2)]) for i, k in enumerate(chosen)]


def _apart(rng: np.random.Generator, design: PlantedDesign, things: list[PlantedObject]) -> list[PlantedObject]:
    """Two objects on opposite sides of the centre, so that neither hides the other for long."""
    if len(things) < 2:
        return things
    angle, half = rng.uniform(0, 2 * np.pi), rng.uniform(0.17, 0.2) * design.size
    shift, middle = half * np.array([np.cos(angle), np.sin(angle)]), (design.size - 1) / 2
    return [
        replace(o, x=round(float(middle + sign * shift[0]), 3), y=round(float(middle + sign * shift[1]), 3))
        for o, sign in zip(things, (1, -1), strict=True)
    ]


def _surface(rng: np.random.Generator, design: PlantedDesign, thing: PlantedObject) -> PlantedObject:
    """The object with the design's texture, contrast and growth."""
    texture, second = str(rng.choice(design.textures)), _colour(rng)
    angle, (start, stop) = round(float(rng.uniform(0, np.pi)), 3), design.growth
    growth = (start, stop) if rng.random() < 0.5 else (stop, start)
    thing = replace(thing, growth=growth, colour=_nearer(thing.colour, design.contrast))
    if texture == "plain":
        return thing
    return replace(thing, texture=texture, second=_nearer(second, design.contrast), angle=angle)


def _nearer(colour: RGB, contrast: float) -> RGB:
    """The colour with its difference to the ground's mean grey multiplied."""
    red, green, blue = (round(GREY + contrast * (c - GREY), 2) for c in colour)
    return red, green, blue


def _scene(
    rng: np.random.Generator,
    extra: np.random.Generator,
    design: PlantedDesign,
    label: str,
    objects: list[PlantedObject],
) -> Scene:
    """The scene of these objects; what only harder designs have is drawn from ``extra``."""
    if design.same_colour and objects:
        objects = [o if o.role == "shortcut" else replace(o, colour=objects[-1].colour) for o in objects]
    dressed = tuple(o if o.role == "shortcut" else _surface(extra, design, o) for o in objects)
    drift = rng.uniform(-design.drift, design.drift, 2).round(3)
    seed = int(rng.integers(2**31))
    speed, angle = design.pan * extra.uniform(0.7, 1), extra.uniform(0, 2 * np.pi)
    width = design.occluder * design.size
    ends = (-width / 2, design.size - 1 + width / 2)[:: 1 if extra.random() < 0.5 else -1]
    return Scene(
        label,
        design.frames,
        design.size,
        seed,
        dressed,
        design.noise,
        design.shake,
        (float(drift[0]), float(drift[1])),
        (round(float(speed * np.sin(angle)), 3), round(float(speed * np.cos(angle)), 3)),
        Occluder(int(extra.integers(2)), ends[0], ends[1], width) if width else None,
    )


def draw_scene(design: PlantedDesign, label: str, seed: int) -> Scene:
    """A scene of class ``label``; the same design, label and seed give the same scene."""
    scene, defective = _drawn(design, label, seed)
    if design.shortcut is not None and design.shortcut_kind != "patch" and defective:
        return with_defect(design, scene)
    return scene


def _drawn(design: PlantedDesign, label: str, seed: int) -> tuple[Scene, bool]:
    """The scene, with its defect where that is a patch, and whether it has the defect."""
    rng, extra = (np.random.default_rng((seed, design.classes.index(label), *more)) for more in ((), (1,)))
    everyday = (*design.motions, *design.free_motions, "still")
    objects = [
        _thing(rng, design, f"distractor{i}", "distractor", shape, str(rng.choice(everyday)))
        for i, shape in enumerate(design.distractors)
    ]
    deciding = [
        _thing(rng, design, name, role, shape, label if label in design.motions else str(rng.choice(everyday)))
        for name, role, shape in _deciding(design, label, extra)
    ]
    objects += _apart(extra, design, deciding)
    lucky = rng.random()
    rate = design.shortcut_rate if label == design.shortcut else 1 - design.shortcut_rate
    defective = design.shortcut is not None and lucky < rate
    if defective and design.shortcut_kind == "patch":
        objects.insert(0, patch(rng, design))
    return _scene(rng, extra, design, label, objects), defective


def draw_unrelated(design: PlantedDesign, seed: int) -> Scene:
    """A scene of none of the design's classes: two or three things of other shapes, for the random sets."""
    rng, extra = (np.random.default_rng((seed, len(design.classes), *more)) for more in ((), (1,)))
    other = [s for s in SHAPES if s not in design.shapes]
    things = [
        _thing(rng, design, f"other{i}", "distractor", str(rng.choice(other)), str(rng.choice(list(MOTIONS))))
        for i in range(int(rng.integers(2, 4)))
    ]
    return _scene(rng, extra, design, "unrelated", things)
