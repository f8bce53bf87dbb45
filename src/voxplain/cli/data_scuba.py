"""`voxplain data scuba`."""

from pathlib import Path
from typing import TYPE_CHECKING

from voxplain.cli.held_out import HeldOut
from voxplain.cli.options import Classes, Output

if TYPE_CHECKING:
    from voxplain.cli.console import Console
    from voxplain.datasets import VideoSet
    from voxplain.datasets.backgrounds import Background, MaskOf
    from voxplain.datasets.composed import ComposedSet

__all__ = ["print_composed", "scuba_command"]


def scuba_command(
    data: Path,
    *,
    truth: str,
    output: Output,
    held: HeldOut = HeldOut(),  # noqa: B008 - frozen
    classes: Classes = (),
    background: str = "stripes",
    copies: int = 1,
    seed: int = 0,
) -> int:
    """Write test videos with the person in front of unrelated backgrounds (SCUBA), and one frame repeated (SCUFO).

    A network that relies on the background is wrong in scuba/; one that is right in scufo/ needs no motion. Both are
    folders of classes. The test part of the data is used, or all videos where there is none. The same command continues
    an interrupted one. The exit code is 3 where videos were left out.

    Examples:

        voxplain data scuba data/jhmdb --dataset jhmdb --truth jhmdb -o data/jhmdb_scuba
        voxplain data scuba data/jhmdb --dataset jhmdb --truth jhmdb --background others -o data/jhmdb_others
        voxplain audit data/jhmdb_scuba/scuba --net r3d --weights w.safetensors -o runs/audit_scuba

    Parameters
    ----------
    data
        Labelled videos: a folder of class folders, or one with train/ and test/, or a published data set.
    truth
        Where the masks of the person are: jhmdb (puppet masks, or masks/CLASS/NAME.npz with mask [T,H,W] in DATA),
        silhouette (depth videos: all but the black background), planted (the object that decides the class).
    output
        Folder to write.
    classes
        Only these classes.
    background
        stripes (sinusoidal, of random direction, width and colours), others (of videos of other classes, without their
        person), or a folder of pictures or videos.
    copies
        Videos with different backgrounds for each test video.
    seed
        The same seed gives the same bytes.
    """
    from voxplain.cli.console import Console
    from voxplain.cli.held_out import split_videos
    from voxplain.datasets.ground_truth import person_mask
    from voxplain.datasets.scuba import write_scuba
    from voxplain.progress import progress_bar

    train, test = split_videos(data, held)
    videos = train if test is None else test
    videos = videos.only(classes) if classes else videos
    mask = person_mask(truth, data)
    drawn = _background(background, videos, mask)
    with progress_bar("writing videos", copies * len(videos)) as advance:
        written = write_scuba(output, videos, mask, background=drawn, copies=copies, seed=seed, advance=advance)
    return print_composed(Console(), written)


def _background(name: str, videos: "VideoSet", mask: "MaskOf") -> "Background":
    from voxplain.datasets.backgrounds import OtherVideos, Pictures
    from voxplain.datasets.stripes import Stripes
    from voxplain.errors import DataError

    if name == "stripes":
        return Stripes()
    if name == "others":
        return OtherVideos(videos, mask)
    if not Path(name).is_dir():
        raise DataError(f"expected --background stripes, others or a folder, got {name!r}; check the name")
    return Pictures.below(Path(name))


def print_composed(console: "Console", written: "ComposedSet") -> int:
    """Print what was left out and how many videos each part has; returns the exit code."""
    from voxplain.cli.losses import Losses
    from voxplain.plain_text import one_line

    for lost in written.skipped:
        console.print(
            f"skipped: {one_line(lost.reason)}", style="yellow", markup=False, highlight=False, soft_wrap=True
        )
    parts = [place.partition("/")[0] for place in written.places]
    counts = ", ".join(f"{part}/: {parts.count(part)} videos" for part in dict.fromkeys(parts))
    console.print(f"{counts}, in {written.root}", highlight=False, markup=False, soft_wrap=True)
    return Losses().exit_code(lost=bool(written.skipped))
