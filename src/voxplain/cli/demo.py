"""`voxplain demo`: the main job on planted videos, with the network that ships."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from voxplain.cli.concept_job import run_job
from voxplain.cli.job import Job
from voxplain.cli.network import Network
from voxplain.cli.planted import planted_command
from voxplain.concepts.cluster import KMeans
from voxplain.concepts.evaluate import AddRemove
from voxplain.concepts.settings import ConceptSettings

__all__ = ["DEMO", "demo_command"]

CLASSES = ("cross", "orbit")

# Smaller than the defaults so that it ends in a minute and a half on two cores.
DEMO = replace(
    ConceptSettings(),
    clusterer=KMeans(clusters=12),
    videos=12,
    unrelated_videos=20,
    unrelated_crops=15,
    evaluation=AddRemove(steps=4, draws=20, matched=3),
)


def demo_command(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("demo-run"),
    class_: Annotated[tuple[str, ...], Parameter(name="--class", consume_multiple=True, negative="")] = (
        "cross",
        "orbit",
    ),
) -> None:
    """Explain the shipped network on planted videos: one class decided by a shape, one by a motion.

    Draws the videos, finds and tests the concepts, proves the ranking on held-out videos, and ends with the path of
    a report.

    Examples:
        voxplain demo

    Parameters
    ----------
    output
        Folder for the videos and the results.
    class_
        The planted classes to explain.
    """
    planted_command(output / "videos", train=12, test=8, unrelated=20, seed=2)
    data = output / "videos"
    job = Job(data, data / "unrelated", output, tuple(class_), Network(net="planted"), DEMO, "demo")
    Console().print("The planted truth: “cross” is decided by the cross, “orbit” by the square and its motion.")
    run_job(job, evaluate=True)
