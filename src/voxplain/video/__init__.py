"""Videos into clips: reading, choosing frames, resizing. Every later array of a clip shares its T×H×W."""

from voxplain.video.aspect import LongSide, OwnGeometry, ShortSide
from voxplain.video.clip import Clip
from voxplain.video.damage import Damaged, damage_sentence
from voxplain.video.decode import MAX_PIXELS, Span, read_video, read_windows
from voxplain.video.excerpt import Excerpt
from voxplain.video.frames import iterate_frames, read_cropped
from voxplain.video.geometry import FrameGeometry, Geometry
from voxplain.video.reader import ClipReader
from voxplain.video.sample import Dense, Middle, RandomFrames, Sampler, Uniform, Windows

__all__ = [
    "MAX_PIXELS",
    "Clip",
    "ClipReader",
    "Damaged",
    "Dense",
    "Excerpt",
    "FrameGeometry",
    "Geometry",
    "LongSide",
    "Middle",
    "OwnGeometry",
    "RandomFrames",
    "Sampler",
    "ShortSide",
    "Span",
    "Uniform",
    "Windows",
    "damage_sentence",
    "iterate_frames",
    "read_cropped",
    "read_video",
    "read_windows",
]
