"""Defects of the recording that go with a class, and every scene with and without its defect.

The defect is a part of the scene: the same scene is drawn with it and without it, and nothing else differs.
"""

from dataclasses import replace

import numpy as np

from voxplain.datasets.planted.design import PlantedDesign
from voxplain.datasets.planted.scene import PlantedObject, Scene
from voxplain.errors import DataError

__all__ = ["has_defect", "patch", "with_defect", "without_defect"]

STRIPES = 14.0  # grey levels
COLOUR = (60.0, 235.0, 90.0)
PAN = 1.5  # pixels a frame, to the right
GLYPHS = ("ell", "tee", "ell", "tee")


def patch(rng: np.random.Generator, design: PlantedDesign) -> PlantedObject:
    """A still checkerboard in the lower left, part of the ground."""
    x, y = (round(float(v), 3) for v in (rng.uniform(0.14, 0.2), rng.uniform(0.8, 0.86)))
    radius = 0.15 * design.size
    return PlantedObject(
        "shortcut", "shortcut", "square", "still", (240.0, 230.0, 30.0), x * design.size, y * design.size, radius, 0.0
    )


def _caption(design: PlantedDesign) -> list[PlantedObject]:
    """White glyphs in a row, in the upper right."""
    step, radius = 0.095 * design.size, 0.045 * design.size
    places = [(design.size * 0.62 + i * step, design.size * 0.08) for i in range(len(GLYPHS))]
    return [
        PlantedObject(f"caption{i}", "caption", shape, "still", (250.0, 250.0, 250.0), x, y, radius, 0.0)
        for i, (shape, (x, y)) in enumerate(zip(GLYPHS, places, strict=True))
    ]


def _first_distractor(scene: Scene) -> PlantedObject:
    for thing in scene.objects:
        if thing.role == "distractor":
            return thing
    raise DataError("expected a scene with a distractor, got none; draw it from a design with distractors")


def _recoloured(scene: Scene, colour: tuple[float, float, float]) -> Scene:
    first = _first_distractor(scene)
    return replace(scene, objects=tuple(replace(o, colour=colour) if o is first else o for o in scene.objects))


def has_defect(design: PlantedDesign, scene: Scene) -> bool:
    """Whether the scene has the design's defect.

    Parameters
    ----------
    design : PlantedDesign
    scene : Scene

    Returns
    -------
    bool
    """
    kind = design.shortcut_kind
    if kind in ("patch", "caption"):
        return any(o.role == ("shortcut" if kind == "patch" else "caption") for o in scene.objects)
    if kind == "ground":
        return scene.stripes > 0
    return _first_distractor(scene).colour == COLOUR if kind == "colour" else scene.pan == (0.0, PAN)


def with_defect(design: PlantedDesign, scene: Scene) -> Scene:
    """The same scene with the design's defect.

    Parameters
    ----------
    design : PlantedDesign
    scene : Scene

    Returns
    -------
    Scene

    Examples
    --------
    >>> from voxplain.datasets.planted import draw_scene
    >>> design = PlantedDesign(shortcut="ring", shortcut_kind="ground")
    >>> scene = without_defect(design, draw_scene(design, "ring", 0))
    >>> has_defect(design, with_defect(design, scene)), has_defect(design, scene)
    (True, False)
    """
    kind = design.shortcut_kind
    if has_defect(design, scene):
        return scene
    if kind == "patch":
        return replace(scene, objects=(patch(np.random.default_rng((scene.seed, 5)), design), *scene.objects))
    if kind == "caption":
        return replace(scene, objects=(*scene.objects, *_caption(design)))
    if kind == "ground":
        return replace(scene, stripes=STRIPES)
    return _recoloured(scene, COLOUR) if kind == "colour" else replace(scene, pan=(0.0, PAN))


def without_defect(design: PlantedDesign, scene: Scene) -> Scene:
    """The same scene without the design's defect; a distractor gets another colour, drawn from the scene's seed.

    Parameters
    ----------
    design : PlantedDesign
    scene : Scene

    Returns
    -------
    Scene
    """
    kind = design.shortcut_kind
    if not has_defect(design, scene):
        return scene
    if kind in ("patch", "caption"):
        return replace(scene, objects=tuple(o for o in scene.objects if o.role not in ("shortcut", "caption")))
    if kind == "ground":
        return replace(scene, stripes=0.0)
    if kind == "camera":
        return replace(scene, pan=(0.0, 0.0))
    rng = np.random.default_rng((scene.seed, 6))
    red, green, blue = (round(float(v), 2) for v in rng.uniform(60, 250, 3))
    return _recoloured(scene, (red, green, blue))
