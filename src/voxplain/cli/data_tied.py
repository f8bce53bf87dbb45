"""`voxplain data tied`."""

from pathlib import Path

from voxplain.cli.held_out import HeldOut
from voxplain.cli.options import Classes, Output

__all__ = ["tied_command"]


def tied_command(
    data: Path,
    *,
    truth: str,
    output: Output,
    held: HeldOut = HeldOut(),  # noqa: B008 - frozen
    classes: Classes = (),
    rate: float = 0.95,
    seed: int = 0,
) -> int:
    """Write videos with a striped background that goes with the class, to train a network that relies on it.

    train/ has the stripes of the class in a share of the videos, test/ in all of them, and conflicting/ has the test
    videos with the stripes of another class. All are folders of classes. The same command continues an interrupted one.
    The exit code is 3 where videos were left out.

    Examples:

        voxplain data tied data/utd --dataset utd_mhad --truth silhouette -o data/utd_tied
        voxplain train data/utd_tied --net r3d --flip 0 -o runs/tied
        voxplain audit data/utd_tied/conflicting --net r3d --weights runs/tied/weights.safetensors -o runs/audit_tied

    Parameters
    ----------
    data
        Labelled videos with a training and a test part.
    truth
        Where the masks of the person are: jhmdb (puppet masks, or masks/CLASS/NAME.npz with mask [T,H,W] in DATA),
        silhouette (depth videos: all but the black background), planted (the object that decides the class).
    output
        Folder to write.
    classes
        Only these classes.
    rate
        Share of the training videos with the stripes of their class; the others have those of another class.
    seed
        The same seed gives the same bytes.
    """
    from voxplain.cli.console import Console
    from voxplain.cli.data_scuba import print_composed
    from voxplain.cli.held_out import split_videos
    from voxplain.datasets.ground_truth import person_mask
    from voxplain.datasets.tied_backgrounds import write_tied
    from voxplain.errors import DataError
    from voxplain.progress import progress_bar

    train, test = split_videos(data, held)
    if test is None:
        raise DataError(f"expected training and test videos in {data}, got one part; name the split or --hold-out")
    if classes:
        train, test = train.only(classes), test.only(classes)
    mask = person_mask(truth, data)
    with progress_bar("writing videos", len(train) + 2 * len(test)) as advance:
        written = write_tied(output, train, test, mask, rate=rate, seed=seed, advance=advance)
    return print_composed(Console(), written)
