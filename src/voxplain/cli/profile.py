"""The table of `--profile`: seconds of each step, and the speed of the forwards beside the measured peak."""

from collections.abc import Mapping

from rich.table import Table

from voxplain.cli.console import Console
from voxplain.inference import Meter, rates
from voxplain.model import VideoModel

__all__ = ["print_profile"]


def print_profile(
    console: Console, seconds: Mapping[str, float], meter: Meter, model: VideoModel, threads: int
) -> None:
    """Print the seconds of each step and the speed of the forwards.

    Parameters
    ----------
    console : Console
        Where to print.
    seconds : mapping of str to float
        Seconds by step.
    meter : Meter
        The forwards that were counted.
    model : VideoModel
        The network, for measuring the peak.
    threads : int
        Threads that computed forwards at the same time.
    """
    table, total = Table(box=None, title="seconds of each step", title_justify="left"), sum(seconds.values())
    for column in ("step", "seconds", "share"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for step, took in seconds.items():
        table.add_row(step, f"{took:.1f}", f"{100 * took / total:.0f} %")
    console.print(table)
    if not meter.clips:
        console.print(
            "no forwards in this process: all results were stored, or Ray's actors computed them", highlight=False
        )
    for rate in rates(meter, model, threads):
        shape = "×".join(map(str, rate.kind.shape))
        console.print(
            f"forwards of {shape} in {str(rate.kind.dtype).removeprefix('torch.')}: {rate.clips} clips in "
            f"{rate.seconds:.1f} s of {threads} threads, {rate.gflop:.2f} GFLOP each: {rate.reached:.0f} GFLOP/s, "
            f"{100 * rate.share:.0f} % of the {rate.peak:.0f} measured here",
            markup=False,
            highlight=False,
        )
