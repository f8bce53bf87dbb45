"""One planted clip as data, and its rendering: the same scene can be drawn again without one of its objects.

A `Scene` holds every number that the picture depends on (no generator state), so a *counterfactual* — the same
clip without one object, or with its motion frozen — differs from the clip in that object and nothing else.
"""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from voxplain.datasets.planted.shapes import MOTIONS, SHAPES
from voxplain.errors import DataError
from voxplain.video.encode import encode_video

__all__ = ["PlantedObject", "Scene", "freeze", "masks", "render", "scene_from_record", "scene_record", "without"]


@dataclass(frozen=True)
class PlantedObject:
    """One object in a scene; lengths in pixels, colour RGB 0–255.

    ``role``: ``target`` (decides the class), ``distractor`` (independent of it) or ``shortcut`` (correlated with it).
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


@dataclass(frozen=True)
class Scene:
    """All parameters of a planted clip; objects are painted in order, the last on top."""

    label: str
    frames: int
    size: int
    seed: int
    objects: tuple[PlantedObject, ...]
    noise: float
    shake: float
    drift: tuple[float, float]


def scene_record(scene: Scene) -> dict:
    """The scene as a JSON-ready dict."""
    return asdict(scene)


def scene_from_record(record: Mapping) -> Scene:
    """The scene written by `scene_record`."""
    objects = tuple(PlantedObject(**{**o, "colour": tuple(o["colour"])}) for o in record["objects"])
    return Scene(**{**record, "objects": objects, "drift": tuple(record["drift"])})


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


def _background(scene: Scene, shake: np.ndarray) -> np.ndarray:
    """A textured drifting ground, float [T,H,W,3]: low-pass noise on a torus, moved by drift and shake."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng((scene.seed, 1))
    n = scene.size
    texture = sum(
        w * gaussian_filter(rng.standard_normal((n, n, 3)), (s, s, 0), mode="wrap") * s
        for s, w in ((1.5, 0.6), (4.0, 1.0))
    )
    ground = 85 + 20 * rng.uniform(-1, 1, 3) + 20 * texture / texture.std()
    t = np.arange(scene.frames)[:, None]
    moved = np.rint(shake + t * np.asarray(scene.drift)).astype(int)
    return np.stack([np.roll(ground, tuple(m), (0, 1)) for m in moved])


def _shake(scene: Scene) -> np.ndarray:
    """Camera offsets in pixels [T,2] = (dy, dx): a smoothed random walk around zero."""
    from scipy.ndimage import gaussian_filter

    walk = np.random.default_rng((scene.seed, 2)).standard_normal((scene.frames, 2))
    return scene.shake * gaussian_filter(walk, (1.5, 0)) * 2


def _coverage(scene: Scene, thing: PlantedObject, shake: np.ndarray) -> np.ndarray:
    """Share of each pixel that the object covers, float [T,H,W], with soft edges one pixel wide."""
    t = (np.arange(scene.frames) + 0.5) / scene.frames
    if thing.frozen:
        t = np.full_like(t, t[scene.frames // 2])
    dx, dy, scale = MOTIONS[thing.motion](t, thing.phase)
    x = np.arange(scene.size) - thing.x - (thing.reach * dx + shake[:, 1])[:, None]
    y = np.arange(scene.size) - thing.y - (thing.reach * dy + shake[:, 0])[:, None]
    radius = (thing.radius * scale)[:, None, None]
    distance = SHAPES[thing.shape](x[:, None, :] / radius, y[:, :, None] / radius) * radius
    return np.clip(0.5 - distance, 0, 1)


def _paint(thing: PlantedObject, size: int) -> np.ndarray:
    """The object's surface, float [size,size,3]: plain colour, or a checkerboard for a shortcut patch."""
    colour = np.broadcast_to(np.asarray(thing.colour, dtype=float), (size, size, 3))
    if thing.role != "shortcut":
        return colour
    yy, xx = np.indices((size, size)) // 3
    return np.where(((yy + xx) % 2)[..., None] == 0, colour, 255 - colour)


def _layers(scene: Scene) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The picture before noise, float [T,H,W,3], and each object's visible coverage."""
    shake = _shake(scene)
    picture = _background(scene, shake)
    visible: dict[str, np.ndarray] = {}
    for thing in scene.objects:
        cover = _coverage(scene, thing, shake)
        picture = picture + cover[..., None] * (_paint(thing, scene.size) - picture)
        visible = {name: share * (1 - cover) for name, share in visible.items()} | {thing.name: cover}
    return picture, visible


def masks(scene: Scene) -> dict[str, np.ndarray]:
    """Visible voxels of each object, bool [T,H,W] by name (covered by more than half)."""
    return {name: share > 0.5 for name, share in _layers(scene)[1].items()}


def render(scene: Scene, *, codec: bool = True) -> np.ndarray:
    """Frames uint8 [T,H,W,3] of a scene; ``codec`` passes them through H.264 as the files on disk are."""
    import av

    noise = np.random.default_rng((scene.seed, 3)).standard_normal((scene.frames, scene.size, scene.size, 3))
    frames = np.clip(np.rint(_layers(scene)[0] + scene.noise * noise), 0, 255).astype(np.uint8)
    if not codec:
        return frames
    with av.open(io.BytesIO(encode_video(frames)), "r") as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
