"""`voxplain improve`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from voxplain.cli.held_out import HeldOut
from voxplain.cli.losses import Losses, printed_losses
from voxplain.cli.network import Network
from voxplain.cli.options import Output
from voxplain.cli.printed import Printed
from voxplain.errors import DataError

__all__ = ["improve_command"]

Concepts = Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative="")]


def improve_command(
    run: Path,
    data: Path | None = None,
    *,
    network: Network = Network(),  # noqa: B008 - frozen
    held: HeldOut = HeldOut(),  # noqa: B008 - frozen
    remove: Concepts = (),
    keep: Concepts = (),
    auto: Annotated[bool, Parameter(negative="")] = False,
    test: Path | None = None,
    method: str | None = None,
    seeds: int = 3,
    clips: int | None = None,
    losses: Losses = Losses(),  # noqa: B008 - frozen
    output: Output,
    printed: Printed = Printed(),  # noqa: B008 - frozen
) -> int:
    """Correct a network with the concepts of a run, and measure whether it is better.

    The corrected network is compared with the original, with the same training without correction, and with the
    correction of a random concept of the same volume. The original weights are never changed; the corrected ones load
    like any others. The same command continues a killed run.

    Examples:

        voxplain improve runs/bend data --net r3d --weights w.safetensors --remove 3 -o runs/better
        voxplain improve runs/bend data --net r3d --weights w.safetensors --auto --method dfr -o runs/better

    Parameters
    ----------
    run
        Folder of a run of `voxplain concepts`, of the same network.
    data
        Labelled videos of all classes: a folder of class folders, or one with train/ and test/; with --list the folder
        of its paths.
    remove
        Concepts that the network shall not rely on.
    keep
        Concepts that it shall rely on.
    auto
        Remove what the audit that the run is a part of calls suspected; for a run without an audit, the significant
        concepts that are at one place in all clips, as captions and logos are, and that make the class likelier in
        other clips.
    test
        Folder, or list, of held-out videos; default: test/ of the data, or else every fourth video of each class.
    method
        p_clarc, dfr, concept_swap, camera_swap (for a motion of the camera), attribution_penalty, rr_clarc, a_clarc,
        concept_whitening or keep_concepts; default: concept_swap, or keep_concepts where there is nothing to remove.
    seeds
        Corrections with other random numbers; the first one's weights are written.
    clips
        Training videos a class at most; default: all.
    output
        Folder for weights.safetensors, improved.json, the page improved.html, and what has been computed.
    """
    from voxplain.cli.estimate_improve import improvement_estimate
    from voxplain.cli.file_list import data_folder, folder_or_list, print_list
    from voxplain.cli.held_out import named_videos, split_videos
    from voxplain.cli.network import open_model
    from voxplain.cli.sources import short_command
    from voxplain.cli.work_estimate import begun
    from voxplain.corrections import improve
    from voxplain.corrections.improve import audited_suspects, chosen_correction, suspected
    from voxplain.corrections.page import write_improved_report
    from voxplain.corrections.relied_on import relied_on
    from voxplain.files import in_use
    from voxplain.report import Origin
    from voxplain.store import find_run, load_run

    if auto and (remove or keep):
        raise DataError("expected --auto alone, got concepts beside it; leave one out")
    place, console = find_run(run), printed.console()
    found = load_run(place)
    train, tests = split_videos(data, held)
    print_list(train, tests)
    if test is not None:
        tests = folder_or_list(test, data_folder(data, held.files), held.files, part="test", images=held.images)
    model = open_model(network, found.classes, layer=found.layer)
    train, tests = named_videos(model, train, held), tests and named_videos(model, tests, held)
    if auto:
        remove = audited_suspects(place, found)
        if not remove:
            with in_use(output):
                remove = relied_on(
                    model,
                    found,
                    suspected(found),
                    data=train,
                    test=tests,
                    clips=clips,
                    damaged=losses.damaged,
                    output=output,
                    progress=printed.progress(),
                )
        console.print(f"removing {', '.join(f'concept {k}' for k in remove)}", markup=False, highlight=False)
    correction, _ = chosen_correction(method, remove, keep)
    watch = begun(
        console,
        lambda: improvement_estimate(
            model, found, train, tests, correction, seeds=seeds, clips=clips, removes=bool(remove)
        ),
    )
    with in_use(output):
        with printed_losses(console) as lost:
            better = improve(
                model,
                found,
                data=train,
                remove=remove,
                keep=keep,
                test=tests,
                method=method,
                seeds=seeds,
                clips=clips,
                damaged=losses.damaged,
                output=output,
                progress=printed.progress(),
            )
        shown = better.table() if printed.verbose else better.sentence()
        console.print(shown, markup=False, highlight=False, soft_wrap=True)
        origin = Origin(shlex.join(["voxplain", *short_command(sys.argv[1:])]))
        page = write_improved_report(better, output / "improved.html", run=found, origin=origin)
        console.print(f"before and after: {page}", markup=False, highlight=False, soft_wrap=True)
        watch.write(output)
        text = f"weights: {better.weights} ({watch.sentence()})"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        printed.answers(better.record() | {"weights": str(better.weights), "report": str(page)})
        return losses.exit_code(bool(lost))
