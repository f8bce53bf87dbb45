"""One planted clip as data, and its rendering: the same scene can be drawn again without one of its objects.

A `Scene` holds every number that the picture depends on (no generator state), so a *counterfactual* — the same
clip without one object, or with its motion frozen — differs from the clip in that object and nothing else.

Letters: T frames, H×W pixels; a point on an object is (x, y), pixels from its centre divided by its radius.
"""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from voxplain.datasets.planted.shapes import MOTIONS, SHAPES
from voxplain.datasets.planted.textures import TEXTURES
from voxplain.errors import DataError
from voxplain.video.encode import encode_video

__all__ = [
    "Occluder",
    "PlantedObject",
    "Scene",
    "draw",
    "freeze",
    "masks",
    "render",
    "scene_from_record",
    "scene_record",
    "without",
]


@dataclass(frozen=True)
class PlantedObject:
    """One object in a scene; lengths in pixels, colour RGB 0–255.

    ``role``: ``target`` (decides the class, alone or with another target), ``alone`` (a target of a pair without the
    other one), ``distractor`` (independent of the class) or ``shortcut`` (correlated with it). ``texture``: a key of
    `TEXTURES`, in ``colour`` and ``second``, turned by ``angle`` in radians. ``growth``: factor of the radius at the
    start and at the end of the clip.
    """

    name: str
    role: str
    shape: str
    motion: str
    colour: tuple[float, float, float]
    x: float
    y: float
    radius: float
    reach: float
    phase: float = 0.0
    frozen: bool = False
    texture: str = "plain"
    second: tuple[float, float, float] = (0.0, 0.0, 0.0)
    angle: float = 0.0
    growth: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class Occluder:
    """A bar with a texture like the ground's that moves across the whole picture in front of every object.

    ``axis``: 0 for a horizontal bar that moves vertically, 1 for a vertical bar that moves horizontally; ``start``,
    ``stop`` (its centre line in the first and last frame) and ``width`` in pixels.
    """

    axis: int
    start: float
    stop: float
    width: float


@dataclass(frozen=True)
class Scene:
    """All parameters of a planted clip; objects are painted in order, the last on top, and the occluder over them.

    ``drift`` moves the ground alone, ``pan`` the camera, that is ground, objects and occluder: both (y, x) in pixels a
    frame. ``stripes``: how far bright and dark stripes in the ground are from it, in grey levels; 0 for none.
    """

    label: str
    frames: int
    size: int
    seed: int
    objects: tuple[PlantedObject, ...]
    noise: float
    shake: float
    drift: tuple[float, float]
    pan: tuple[float, float] = (0.0, 0.0)
    occluder: Occluder | None = None
    stripes: float = 0.0


def scene_record(scene: Scene) -> dict:
    """The scene as a JSON-ready dict."""
    return asdict(scene)


def scene_from_record(record: Mapping) -> Scene:
    """The scene written by `scene_record`."""
    objects = tuple(PlantedObject(**_tuples(o)) for o in record["objects"])
    bar = record.get("occluder")
    return Scene(**{**_tuples(record), "objects": objects, "occluder": None if bar is None else Occluder(**bar)})


def _tuples(record: Mapping) -> dict[str, Any]:
    """The record with tuples in place of JSON's lists."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}


def _find(scene: Scene, name: str) -> PlantedObject:
    for thing in scene.objects:
        if thing.name == name:
            return thing
    raise DataError(
        f"expected one of the scene's objects {[o.name for o in scene.objects]}, got {name!r}; "
        "use a name from the manifest"
    )


def without(scene: Scene, name: str) -> Scene:
    """The same scene without one object; everything else stays as it is."""
    gone = _find(scene, name)
    return replace(scene, objects=tuple(o for o in scene.objects if o is not gone))


def freeze(scene: Scene, name: str) -> Scene:
    """The same scene with one object held still where it is in the middle of the clip."""
    held = _find(scene, name)
    return replace(scene, objects=tuple(replace(o, frozen=True) if o is held else o for o in scene.objects))


def _texture(scene: Scene, stream: int) -> np.ndarray:
    """The ground's texture, float [H,W,3]: low-pass noise on a torus around a random dark grey."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng((scene.seed, stream))
    n = scene.size
    texture = sum(
        w * gaussian_filter(rng.standard_normal((n, n, 3)), (s, s, 0), mode="wrap") * s
        for s, w in ((1.5, 0.6), (4.0, 1.0))
    )
    ground: np.ndarray = 85 + 20 * rng.uniform(-1, 1, 3) + 20 * texture / texture.std()
    if scene.stripes and stream == 1:  # whole periods, because the texture is a torus
        ground = ground + scene.stripes * np.sign(np.sin(2 * np.pi * (np.arange(n) + 0.5) * 8 / n))[:, None, None]
    return ground


def _rolled(ground: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """The texture moved by (y, x) in each frame, float [T,H,W,3]."""
    return np.stack([np.roll(ground, tuple(m), (0, 1)) for m in np.rint(moved).astype(int)])


def _camera(scene: Scene) -> np.ndarray:
    """Offsets of the picture in pixels [T,2] = (y, x): a smoothed random walk around zero, and the pan."""
    from scipy.ndimage import gaussian_filter

    walk = np.random.default_rng((scene.seed, 2)).standard_normal((scene.frames, 2))
    t = np.arange(scene.frames)[:, None] - (scene.frames - 1) / 2
    offsets: np.ndarray = scene.shake * gaussian_filter(walk, (1.5, 0)) * 2 + t * np.asarray(scene.pan)
    return offsets


def _place(scene: Scene, thing: PlantedObject, camera: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(x [T,1,W], y [T,H,1], radius [T,1,1]): every pixel on the object, and its radius in pixels."""
    t = (np.arange(scene.frames) + 0.5) / scene.frames
    if thing.frozen:
        t = np.full_like(t, t[scene.frames // 2])
    dx, dy, scale = MOTIONS[thing.motion](t, thing.phase)
    x = np.arange(scene.size) - thing.x - (thing.reach * dx + camera[:, 1])[:, None]
    y = np.arange(scene.size) - thing.y - (thing.reach * dy + camera[:, 0])[:, None]
    start, stop = thing.growth
    radius = (thing.radius * scale * (start + (stop - start) * t))[:, None, None]
    return x[:, None, :] / radius, y[:, :, None] / radius, radius


def _paint(thing: PlantedObject, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The object's surface, float [T,H,W,3] or less where it is the same for all: plain, textured, or a shortcut's."""
    colour = np.asarray(thing.colour, dtype=float)
    if thing.role == "shortcut":  # a checkerboard fixed to the picture, not to the patch
        yy, xx = np.indices((y.shape[1], x.shape[2])) // 3
        return np.where(((yy + xx) % 2)[..., None] == 0, colour, 255 - colour)
    if thing.texture == "plain":
        return colour
    share = TEXTURES[thing.texture](x, y, thing.angle)[..., None]
    surface: np.ndarray = colour + share * (np.asarray(thing.second) - colour)
    return surface


def _layers(scene: Scene) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The picture before noise, float [T,H,W,3], and each object's visible coverage, with edges one pixel wide."""
    camera = _camera(scene)
    t = np.arange(scene.frames)[:, None]
    picture = _rolled(_texture(scene, 1), camera + t * np.asarray(scene.drift))
    visible: dict[str, np.ndarray] = {}
    for thing in scene.objects:
        x, y, radius = _place(scene, thing, camera)
        cover = np.clip(0.5 - SHAPES[thing.shape](x, y) * radius, 0, 1)
        picture = picture + cover[..., None] * (_paint(thing, x, y) - picture)
        visible = {name: share * (1 - cover) for name, share in visible.items()} | {thing.name: cover}
    if scene.occluder is not None:
        bar = scene.occluder
        moved = np.zeros((scene.frames, 2))
        moved[:, bar.axis] = np.linspace(bar.start, bar.stop, scene.frames)
        moved = moved + camera
        line = np.abs(np.arange(scene.size) - moved[:, bar.axis, None]) - bar.width / 2
        cover = np.expand_dims(np.clip(0.5 - line, 0, 1), 2 - bar.axis)
        picture = picture + cover[..., None] * (_rolled(_texture(scene, 4), moved) - picture)
        visible = {name: share * (1 - cover) for name, share in visible.items()}
    return picture, visible


def draw(scene: Scene) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Frames uint8 [T,H,W,3] before the codec, and the visible voxels of each object, bool [T,H,W] by name."""
    picture, visible = _layers(scene)
    noise = np.random.default_rng((scene.seed, 3)).standard_normal((scene.frames, scene.size, scene.size, 3))
    frames = np.clip(np.rint(picture + scene.noise * noise), 0, 255).astype(np.uint8)
    return frames, {name: share > 0.5 for name, share in visible.items()}


def masks(scene: Scene) -> dict[str, np.ndarray]:
    """Visible voxels of each object, bool [T,H,W] by name (covered by more than half)."""
    return draw(scene)[1]


def render(scene: Scene, *, codec: bool = True) -> np.ndarray:
    """Frames uint8 [T,H,W,3] of a scene; ``codec`` passes them through H.264 as the files on disk are."""
    import av

    frames = draw(scene)[0]
    if not codec:
        return frames
    with av.open(io.BytesIO(encode_video(frames)), "r") as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
