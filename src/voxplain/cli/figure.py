"""`voxplain figure`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from voxplain.cli.options import Output
from voxplain.errors import DataError

if TYPE_CHECKING:
    from voxplain.concepts.concept_run import ConceptRun

__all__ = ["figure_command"]


def figure_command(
    run: Path,
    *,
    kind: Literal["concepts", "curves", "adding", "removing", "map"],
    output: Output,
    class_: Annotated[str | None, Parameter(name="--class")] = None,
    layer: str | None = None,
    concepts: int = 5,
    clip: int = 0,
    frames: Annotated[
        tuple[int, ...], Parameter(name=["--frames", "--frame"], consume_multiple=True, negative="")
    ] = (),
    width: float = 17.0,
) -> None:
    """Draw a figure for a paper from a run's files; needs neither network nor videos.

    The file's suffix chooses the format: .pdf (fonts embedded), .png (300 dpi), .gif or .mp4 (moving, at half speed;
    not for curves). concepts: members of each concept, highlighted, above the frames. curves: accuracy while concepts
    are added and removed. adding, removing: a test clip step by step, with the class's probability. map: where the
    concepts are in a test clip, and the log-odds lost when each is hidden.

    Examples:

        voxplain figure runs/bend --kind concepts -o concepts.pdf
        voxplain figure runs/bend --kind curves --width 8.5 -o curves.pdf
        voxplain figure runs/bend --kind adding --class bend --clip 1 --frames 2 8 14 -o adding.png
        voxplain figure runs/bend --kind map --concepts 3 -o map.mp4

    Parameters
    ----------
    run
        The output folder of `voxplain concepts`, `demo` or of one setting of `reproduce`, or the folder of one class.
    kind
        concepts, curves, adding, removing or map; all but concepts need an evaluated run.
    output
        The file to write.
    class_
        The class, where there are several; curves without it are over all of them.
    layer
        The layer, where there are several.
    concepts
        How many concepts, best first; adding and removing show as many as were measured.
    clip
        Which of the explored test clips: 0 has the highest log-odds of its class.
    frames
        The frames of the clip to show; default: evenly spread.
    width
        Width in cm: 17 fills two columns of a page, 8.5 one.
    """
    from voxplain.cli.console import Console
    from voxplain.cli.report import consistent, read_runs
    from voxplain.report.figures import FigureOptions, figure_file
    from voxplain.store import write_whole

    options = FigureOptions(concepts, clip, frames, width)
    chosen = _chosen(read_runs(run), class_, layer, together=kind == "curves")
    if output.is_dir():
        raise DataError(f"expected a file to write the figure to, got the folder {output}; name a file in it")
    with consistent(run):
        drawn = figure_file(chosen, kind, output.suffix, options)
    write_whole(output, drawn)
    Console().print(f"figure: {output}", markup=False, highlight=False, soft_wrap=True)


def _chosen(runs: "list[ConceptRun]", class_: str | None, layer: str | None, *, together: bool) -> "list[ConceptRun]":
    """The one run of a class at a layer; of all classes where the figure shows them ``together``."""
    layers, classes = (list(dict.fromkeys(names)) for names in ([r.layer for r in runs], [r.target for r in runs]))
    for what, names, name, several in (("layer", layers, layer, False), ("class", classes, class_, together)):
        if name not in names and not (name is None and (several or len(names) == 1)):
            raise DataError(
                f"expected one {what} of {', '.join(names)}, got {name or 'none'}; choose one with --{what}"
            )
    return [r for r in runs if layer in (None, r.layer) and class_ in (None, r.target)]
