"""Pictures of concepts: the supervoxel kept, the rest of the frame dimmed, the raw frame below.

Letters: T frames, H rows, W columns, s the integer factor by which small frames are enlarged. Everything here takes
arrays and returns arrays; the network's input is enlarged by repeating pixels, never smoothed.
"""

from collections import defaultdict
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np
from matplotlib import colormaps
from scipy import ndimage

from voxplain.concepts.concept_run import ConceptRun
from voxplain.errors import DataError

__all__ = [
    "GAP",
    "Example",
    "choose_examples",
    "enlarge",
    "heat",
    "highlight",
    "montage",
    "partly_shown",
    "scale_of",
    "stacked",
    "stacked_mask",
    "tiles",
]

GAP = 4  # white pixels between the tiles of a montage
DIM = 0.25  # brightness left outside the segment
TILE = 160  # pixels that the longer side of an enlarged tile stays below
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
YELLOW, BLACK = (255, 225, 0), (0, 0, 0)


@dataclass(frozen=True)
class Example:
    """A member of a concept and the moment at which to show it."""

    place: int  # among the concept's members, 0 = nearest its centre
    clip: int  # index of the source clip in the run
    frame: int  # index in the clip
    source: str
    seconds: float  # of the frame


def choose_examples(run: ConceptRun, concept: int, count: int = 8) -> list[Example]:
    """Members to show: one of each source video in turn, nearest first, each where its mask is largest.

    Gives fewer than ``count`` when the concept has fewer members. Of equally large masks the one nearest the middle
    of the segment counts. Raises DataError on an unknown concept or a count below 1.
    """
    if not 0 <= concept < len(run.bank) or count < 1:
        raise DataError(
            f"expected a concept from 0 to {len(run.bank) - 1} and at least 1 example, got concept {concept} and "
            f"{count} examples; choose others"
        )
    of_clip: dict[int, list[int]] = defaultdict(list)
    for place, row in enumerate(run.bank.members[concept]):
        of_clip[int(run.origin[row, 0])].append(place)
    turns = chain.from_iterable(zip_longest(*of_clip.values()))
    places = [place for place in turns if place is not None][:count]
    return [_example(run, concept, place) for place in places]


def _example(run: ConceptRun, concept: int, place: int) -> Example:
    clip, mask = run.member(concept, place)
    area = mask.sum((1, 2))
    shown = np.flatnonzero(area)
    largest = np.flatnonzero(area == area.max())
    frame = int(largest[np.abs(largest - shown.mean()).argmin()])
    owner = int(run.origin[run.bank.members[concept][place], 0])
    return Example(place, owner, frame, clip.source, float(clip.seconds[frame]))


def scale_of(height: int, width: int) -> int:
    """The integer factor that makes a small frame at most 160 pixels a side; 1 for larger ones."""
    return max(1, TILE // max(height, width))


def enlarge(frames: np.ndarray, factor: int) -> np.ndarray:
    """Repeat every pixel ``factor`` times a side; frames uint8 [...,H,W,3]."""
    return frames.repeat(factor, axis=-3).repeat(factor, axis=-2)


def highlight(frames: np.ndarray, mask: np.ndarray, *, factor: int = 1) -> np.ndarray:
    """Frames with the masked voxels kept and the rest grey and dimmed to a quarter.

    A yellow line and a black one outside it, one pixel each, surround the segment and cover none of it.

    Parameters
    ----------
    frames : ndarray, uint8 [T,H,W,3]
    mask : ndarray, bool [T,H,W]
    factor : int
        Enlargement s.

    Returns
    -------
    ndarray, uint8 [T,s·H,s·W,3]

    Raises
    ------
    DataError
        When the grids differ.
    """
    if frames.ndim != 4 or frames.shape[:3] != mask.shape or mask.dtype != np.bool_:
        raise DataError(
            f"expected frames [T,H,W,3] and a bool mask [T,H,W] of one grid, got {frames.shape} and {mask.dtype} "
            f"{mask.shape}"
        )
    grey = np.rint(frames.astype(np.float32) @ LUMA * DIM).astype(np.uint8)
    shown = enlarge(np.where(mask[..., None], frames, grey[..., None]), factor)
    inside = mask.repeat(factor, axis=1).repeat(factor, axis=2)
    ring = np.ones((1, 3, 3), bool)  # in the picture plane only: a segment's end in time is no edge
    near = ndimage.binary_dilation(inside, ring)
    shown[ndimage.binary_dilation(near, ring) & ~near] = BLACK
    shown[near & ~inside] = YELLOW
    return shown


def tiles(run: ConceptRun, concept: int, example: Example) -> tuple[np.ndarray, np.ndarray]:
    """(highlighted, raw) frame of an example, both enlarged, uint8 [s·H,s·W,3]."""
    clip, mask = run.member(concept, example.place)
    at = slice(example.frame, example.frame + 1)
    factor = scale_of(*mask.shape[1:])
    return highlight(clip.frames[at], mask[at], factor=factor)[0], enlarge(clip.frames[example.frame], factor)


def stacked(run: ConceptRun, concept: int, example: Example, *, longest: int = 48) -> tuple[np.ndarray, int]:
    """(frames uint8 [T',2·s·H,s·W,3], index of the example's frame): highlighted above, as it is below."""
    clip, mask = run.member(concept, example.place)
    return stacked_mask(clip.frames, mask, example.frame, longest=longest)


def stacked_mask(frames: np.ndarray, mask: np.ndarray, frame: int, *, longest: int = 48) -> tuple[np.ndarray, int]:
    """As `stacked`, for any mask bool [T,H,W] of frames uint8 [T,H,W,3]; ``frame`` is shown first."""
    start = int(np.clip(frame - longest // 2, 0, max(0, len(mask) - longest)))
    span, factor = slice(start, start + longest), scale_of(*mask.shape[1:])
    shown = highlight(frames[span], mask[span], factor=factor)
    return np.concatenate([shown, enlarge(frames[span], factor)], axis=1), frame - start


def partly_shown(frames: np.ndarray, shown: np.ndarray, base: np.ndarray) -> np.ndarray:
    """The network's input at a step, enlarged: frames where ``shown``, the base elsewhere; uint8 [T,s·H,s·W,3]."""
    return enlarge(np.where(shown[..., None], frames, base), scale_of(*shown.shape[1:]))


def heat(values: np.ndarray) -> np.ndarray:
    """A map [H,W] as colours of viridis from 0 to its largest value, uint8 [H,W,3]; perceptually uniform."""
    peak = float(values.max())
    scaled = values / peak if peak > 0 else np.zeros_like(values)
    return np.asarray(np.rint(255 * colormaps["viridis"](scaled)[..., :3]), dtype=np.uint8)


def montage(run: ConceptRun, concept: int, examples: int = 8) -> np.ndarray:
    """Examples of a concept side by side: highlighted above, the raw frame below, as in the figures of STCE.

    Parameters
    ----------
    run : ConceptRun
    concept : int
    examples : int
        Most examples; different videos come first, then members nearer the centre.

    Returns
    -------
    ndarray, uint8 [H,W,3]
        Tiles 4 white pixels apart; narrower where there are fewer members.
    """
    columns = [tiles(run, concept, example) for example in choose_examples(run, concept, examples)]
    height, width = columns[0][0].shape[:2]
    sheet = np.full((2 * height + GAP, len(columns) * (width + GAP) - GAP, 3), 255, np.uint8)
    for i, (upper, lower) in enumerate(columns):
        x = slice(i * (width + GAP), i * (width + GAP) + width)
        sheet[:height, x], sheet[height + GAP :, x] = upper, lower
    return sheet
