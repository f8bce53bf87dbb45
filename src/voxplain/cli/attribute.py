"""`voxplain attribute`."""

import json
import shlex
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from voxplain.cli.file_list import FileList
from voxplain.cli.losses import Losses
from voxplain.cli.memory_limit import MemoryLimit
from voxplain.cli.network import Network
from voxplain.cli.options import Output
from voxplain.cli.part import Part
from voxplain.cli.printed import Printed
from voxplain.errors import DataError, ModelError, VideoError

__all__ = ["Format", "attribute_command"]

Format = Literal["mp4", "gif", "png"]


def attribute_command(
    clips: Annotated[tuple[Path, ...], Parameter(negative="")] = (),
    *,
    method: str = "grad_cam,integrated_gradients,occlusion",
    target: str = "top1",
    files: FileList = FileList(),  # noqa: B008 - frozen
    network: Network = Network(),  # noqa: B008 - frozen
    metric: str = "comprehensiveness,sufficiency,insertion",
    output: Output,
    format_: Annotated[tuple[Format, ...], Parameter(name="--format", consume_multiple=True, negative="")] = (
        "mp4",
        "png",
    ),
    overlap: float = 0.5,
    streams: Annotated[bool, Parameter(negative="")] = False,
    part: Part = Part(),  # noqa: B008 - frozen
    losses: Losses = Losses(),  # noqa: B008 - frozen
    printed: Printed = Printed(),  # noqa: B008 - frozen
    memory: MemoryLimit = MemoryLimit(),  # noqa: B008 - frozen
) -> int:
    """Compute attribution maps of videos: where and when the evidence for a class lies.

    Writes for each video its maps at the original size (maps.npz; of the network's size for very large videos),
    overlays, and one report page for all. Long videos are explained in overlapping windows.

    Examples:

        voxplain attribute clip.mp4 --net planted -o out
        voxplain attribute clip.mp4 --net r3d --weights r3d.pt --method grad_cam,step --target bend -o out
        voxplain attribute data/test/bend/*.avi --net r3d --weights r3d.pt --target truth --format gif -o out
        voxplain attribute match.mp4 --net planted --from 12.5 --to 20 --crop 640,200,320,480 -o out

    Parameters
    ----------
    clips
        Video files or folders of frames; --list names more.
    method
        Attribution methods joined by commas, or all; `voxplain methods` lists them.
    target
        A class by name or index; top1, top3 …: the classes with the highest logits; truth: the name of the folder that
        holds the video, or its label in the list. Also "X vs Y", "not X" of a label, "rise of X" or "fall of X" of a
        quantity.
    metric
        Faithfulness metrics joined by commas, measured on the middle window; none: no metric. The first one says which
        methods are best.
    output
        Folder for results.
    format_
        Overlays as mp4, gif, or png (a strip of frames of all methods).
    overlap
        Part of a window that the next one repeats, for videos longer than the network's clip.
    streams
        Maps of each stream of a network whose pathways give several, such as SlowFast; the map of a method is their
        sum.
    """
    from voxplain.cli.attribute_memory import within_memory
    from voxplain.cli.attribute_output import (
        attribution_record,
        map_metrics,
        print_attribution,
        print_map_answer,
        result_folder,
        target_classes,
        write_attribution,
    )
    from voxplain.cli.file_list import listed_videos
    from voxplain.cli.network import open_model
    from voxplain.cli.sources import place_in, short_command
    from voxplain.explain import explain_clip, methods_by_name
    from voxplain.files import in_use
    from voxplain.report import AttributionPage, Origin
    from voxplain.store import write_whole
    from voxplain.video import damage_sentence, read_cropped

    methods, metrics = methods_by_name(method), map_metrics(metric)
    if not clips and files.list_ is None:
        raise DataError("expected at least one video, got none; name files or folders of frames, or give --list FILE")
    model = open_model(network, (), layer=network.layer[0] if network.layer else "")  # maps need none
    videos, parts = listed_videos(model, clips, files), part.excerpts()
    console, progress, skipped = printed.console(), printed.progress(), 0
    records = list[dict[str, object]]()
    if memory.asked:
        model, lines = within_memory(memory, model, videos, methods, target, format_, parts, losses.damaged)
        for line in lines:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if memory.dry_run:
            return 0
    page, times, incomplete = AttributionPage(), dict[str, dict[str, float]](), False
    used, failed, damaged = set[str](), list[str](), list[tuple[str, int]]()
    with in_use(output):
        for path, label in videos:
            try:
                cut = parts(path)
                video, size = read_cropped(path, model.reader().geometry, damaged=losses.damaged, excerpt=cut)
                targets = target_classes(model, path, target, label, cut)
            except VideoError as error:
                skipped += 1
                console.print(f"skipped: {error}", style="yellow", markup=False, highlight=False, soft_wrap=True)
                continue
            damaged += [(str(path), video.damaged)] if video.damaged else []
            for y in targets:
                try:
                    run = explain_clip(
                        model,
                        video if cut is None else path,
                        methods,
                        target=y,
                        metrics=metrics,
                        overlap=overlap,
                        damaged=losses.damaged,
                        streams=streams,
                        excerpt=cut,
                        progress=progress,
                    )
                except ModelError as error:  # of this video, such as NaN for a blank one: the others do not need it
                    failed.append(str(error))  # not the error itself, whose traceback holds the frames of the video
                    console.print(
                        f"skipped: {path}: {error}", style="yellow", markup=False, highlight=False, soft_wrap=True
                    )
                    continue
                (print_attribution if printed.verbose else print_map_answer)(console, run)
                folder = result_folder(run, used)
                records.append(attribution_record(run, output / folder))
                times[folder] = dict(run.seconds)
                source = place_in(run.clip.source, path.absolute().parents[1])
                run = replace(run, clip=replace(run.clip, source=source), seconds={})
                written = write_attribution(
                    output / folder, run, model, path, size, format_, excerpt=cut, progress=progress
                )
                for said in written:
                    console.print(f"note: {said}", markup=False, highlight=False, soft_wrap=True)
                unmeasured = any("was not computed" in note for note in chain(*run.notes.values()))
                incomplete = incomplete or unmeasured or bool(run.failed)
                page.add(run)
        if not len(page) and failed:
            raise ModelError(failed[0])
        if not len(page):
            raise VideoError(
                f"expected a video that can be read, got none among {len(videos)}; see what was skipped above"
            )
        origin = Origin(shlex.join(["voxplain", *short_command(sys.argv[1:])]))
        write_whole(output / "origin.json", json.dumps({"command": origin.command}, indent=1).encode())
        write_whole(output / "times.json", json.dumps(times, indent=1).encode("ascii"))
        write_whole(output / "report.html", page.render(origin))
        if page.left_out:
            console.print(
                f"note: {page.left_out} of {len(page)} maps are not on the page, which would be too large; "
                "`voxplain report` of a folder of theirs makes a page of it",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        skipped += len(failed)
        if skipped:
            console.print(f"{skipped} of {len(videos)} videos skipped", highlight=False)
        if sentence := damage_sentence(damaged, len(videos)):
            console.print(sentence, style="yellow", markup=False, highlight=False, soft_wrap=True)
        console.print(f"report: {output / 'report.html'}", markup=False, highlight=False, soft_wrap=True)
        printed.answers({"videos": records, "report": str(output / "report.html")})
        return losses.exit_code(bool(skipped or damaged or incomplete))
