"""The memory of `voxplain attribute`: what the first video takes, and the passes of the network that fit a limit."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from voxplain.attribution import AttributionMethod
from voxplain.cli.attribute import Format
from voxplain.cli.attribute_output import MAX_GIF_PIXELS, MAX_STRIP_PIXELS, target_classes
from voxplain.cli.memory_limit import MemoryLimit
from voxplain.errors import VideoError
from voxplain.explain.attribution import IN_MEMORY
from voxplain.explain.windows import slide
from voxplain.large import LARGE
from voxplain.model import VideoModel
from voxplain.video import Damaged, Excerpt, Geometry, read_cropped

__all__ = ["kept_bytes", "within_memory"]

WINDOWS = 16  # that are explained together
DECODED = 105  # bytes a pixel of reading frames and drawing over one: reference frames of a decoder, colours
ENCODED = 135  # and of writing them as a video: the frames that an encoder looks ahead


def within_memory(
    memory: MemoryLimit,
    model: VideoModel,
    videos: Sequence[tuple[Path, str]],
    methods: Mapping[str, AttributionMethod],
    target: str,
    formats: Sequence[Format],
    parts: Callable[[Path], Excerpt | None],
    damaged: Damaged,
) -> tuple[VideoModel, list[str]]:
    """The model with passes that the memory allows, measured on the first video that can be read, and what to print.

    Parameters
    ----------
    memory : MemoryLimit
    model : VideoModel
    videos : sequence of (Path, str)
        With their labels.
    methods : mapping
    target : str
        As the option.
    formats : sequence of {"mp4", "gif", "png"}
    parts : callable
        The part of a video that is explained.
    damaged : {"skip", "use", "fail"}

    Returns
    -------
    (VideoModel, list of str)

    Raises
    ------
    DataError
        Too little memory.
    VideoError
        No video that can be read.
    """
    for path, label in videos:
        try:
            clip, size = read_cropped(path, model.reader().geometry, damaged=damaged, excerpt=parts(path))
            targets = target_classes(model, path, target, label, parts(path))
        except VideoError:  # which the run reports
            continue
        sliding = slide(model, clip, Geometry.squash(*clip.frames.shape[1:3]))
        kept = kept_bytes(model, len(clip), size, len(methods), formats, len(videos) * len(targets))
        lowered, found = memory.within(model, sliding[sliding.middle], methods, kept, targets[0])
        work = (
            f"{len(videos)} videos; {path.name}: {len(clip)} frames of {size[1]}×{size[0]}, {len(sliding)} windows, "
            f"{len(methods)} methods, {len(targets)} targets"
        )
        return lowered, [work, *memory.printed(found, lowered)]
    raise VideoError(f"expected a video that can be read, got none among {len(videos)}; check the paths")


def kept_bytes(
    model: VideoModel, frames: int, size: tuple[int, int], methods: int, formats: Sequence[Format], runs: int
) -> int:
    """Bytes that a video takes besides the program, the network and what a method computes.

    Parameters
    ----------
    model : VideoModel
    frames : int
        Of the video.
    size : (int, int)
        Height and width of the video.
    methods : int
    formats : sequence of {"mp4", "gif", "png"}
    runs : int
        Videos times targets, all of which are on the page.

    Returns
    -------
    int
    """
    t, h, w = model.grid
    pixels = size[0] * size[1]
    arrays = (
        min(LARGE, 3 * frames * h * w) + min(IN_MEMORY, 4 * methods * frames * h * w) + min(LARGE, 4 * frames * h * w)
    )
    windows = min(WINDOWS, -(-2 * frames // t)) * t * h * w * (3 + 4) + 2 * t * h * w * 8
    strip = 2 * 3 * min(MAX_STRIP_PIXELS, (1 + methods) * min(frames, 8) * pixels) if "png" in formats else 0
    gif = min(MAX_GIF_PIXELS, frames * pixels) if "gif" in formats else 0
    page = 4 * min(LARGE, runs * (1 + methods) * min(frames, 64) * h * w // 4)
    return arrays + windows + max(strip, gif, ENCODED * pixels if "mp4" in formats else 0) + DECODED * pixels + page
