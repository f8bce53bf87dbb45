"""`voxplain demo`."""

from pathlib import Path
from typing import TYPE_CHECKING

from voxplain.cli.options import Classes, Output
from voxplain.cli.printed import Printed

if TYPE_CHECKING:
    from voxplain.concepts.settings import ConceptSettings

__all__ = ["demo_command", "demo_settings"]


def demo_settings() -> "ConceptSettings":
    """Settings that are smaller than the defaults: a minute and a half on two cores."""
    from voxplain.concepts.evaluate import AddRemove
    from voxplain.concepts.settings import ConceptSettings

    return ConceptSettings(
        videos=12, unrelated_videos=20, unrelated_crops=15, evaluation=AddRemove(steps=4, draws=20, matched=3)
    )


def demo_command(
    *,
    output: Output = Path("demo-run"),
    class_: Classes = ("cross", "orbit"),
    printed: Printed = Printed(),  # noqa: B008 - frozen
) -> None:
    """Explain the shipped network on planted videos: one class decided by a shape, one by a motion.

    Draws the videos, finds and tests the concepts, evaluates the ranking on held-out videos, and ends with the path of
    a report.

    Examples:

        voxplain demo
        voxplain demo --class cross -o runs/demo

    Parameters
    ----------
    output
        Folder for the videos and the results.
    class_
        The planted classes to explain.
    """
    from voxplain.cli.concept_job import run_job
    from voxplain.cli.job import Job
    from voxplain.cli.network import Network
    from voxplain.cli.planted import planted_command
    from voxplain.files import in_use

    data = output / "videos"
    with in_use(output):
        planted_command(data, train=12, test=8, unrelated=20, seed=2)
        job = Job(data, data / "unrelated", output, tuple(class_), Network(net="planted"), demo_settings(), "demo")
        printed.console().print(
            "The planted truth: “cross” is decided by the cross, “orbit” by the square and its motion."
        )
        run_job(job, evaluate=True, printed=printed)
