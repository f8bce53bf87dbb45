"""`voxplain attribute`."""

import io
import json
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter
from PIL import Image
from rich.console import Console
from rich.table import Table

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.cli.network import Network, open_model
from voxplain.errors import DataError, VideoError
from voxplain.explain import explain_clip, methods_by_name, to_original
from voxplain.metrics import METRICS, MapMetric
from voxplain.model import VideoModel
from voxplain.progress import progress_bar
from voxplain.report import Origin, attribution_page, overlay, strip
from voxplain.store import save_run, write_whole
from voxplain.video import Clip, read_video
from voxplain.video.encode import encode_video

__all__ = ["attribute_command"]

Format = Literal["mp4", "gif", "png"]
_NONE = Network()


def attribute_command(
    clips: tuple[Path, ...],
    *,
    method: str = "grad_cam,integrated_gradients,occlusion",
    target: str = "top1",
    network: Network = _NONE,
    metric: str = "insertion",
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    format_: Annotated[tuple[Format, ...], Parameter(name="--format", consume_multiple=True, negative="")] = (
        "mp4",
        "png",
    ),
    overlap: float = 0.5,
) -> None:
    """Show where and when a network looked in a video.

    Writes for each video its maps at the original size (maps.npz), overlays, and one report page for all. Long videos
    are explained in overlapping windows.

    Examples:
        voxplain attribute clip.mp4 --net planted -o out
        voxplain attribute clip.mp4 --net r3d --weights r3d.pt --method grad_cam,step --target bend -o out
        voxplain attribute data/test/bend/*.avi --net r3d --weights r3d.pt --target truth --format gif -o out

    Parameters
    ----------
    clips
        Video files or folders of pictures.
    method
        Attribution methods joined by commas, or all; `voxplain methods` lists them.
    target
        A class by name or index; top1, top3 …: what the network says; truth: the name of the folder a video lies in.
    metric
        Faithfulness metrics joined by commas, measured on the middle window; none: measure nothing.
    output
        Folder for results.
    format_
        Overlays as mp4, gif, or png (a strip of frames of all methods).
    overlap
        Share of a window that the next one repeats, for videos longer than the network's clip.
    """
    methods, metrics = methods_by_name(method), _metrics(metric)
    if not clips:
        raise DataError("expected at least one video, got none; name files or folders of pictures")
    model = open_model(network, ())
    console, skipped = Console(), 0
    runs: list[AttributionRun] = []
    taken: set[str] = set()
    for path in clips:
        try:
            whole = read_video(path)
            wanted = _targets(model, path, target)
        except VideoError as error:
            skipped += 1
            console.print(f"skipped: {error}", style="yellow", markup=False, highlight=False, soft_wrap=True)
            continue
        for y in wanted:
            run = explain_clip(model, path, methods, target=y, metrics=metrics, overlap=overlap, progress=progress_bar)
            _write(output / _folder(run, taken), run, model, whole, format_)
            _tell(console, run)
            runs.append(run)
    if not runs:
        raise VideoError(f"expected a video that can be read, got none among {len(clips)}; see what was skipped above")
    origin = Origin(shlex.join(["voxplain", *sys.argv[1:]]))
    write_whole(output / "origin.json", json.dumps(asdict(origin), indent=1).encode())
    write_whole(output / "report.html", attribution_page(runs, origin=origin))
    if skipped:
        console.print(f"{skipped} of {len(clips)} videos skipped", highlight=False)
    console.print(f"report: {output / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


def _metrics(names: str) -> dict[str, MapMetric]:
    wanted = [] if names == "none" else [n.strip() for n in names.split(",") if n.strip()]
    fit = {n: m for n, m in ((n, make()) for n, make in METRICS.items()) if m.needs == "map"}
    if unknown := [n for n in wanted if n not in fit]:
        raise DataError(f"expected metrics among {', '.join(fit)} or none, got {', '.join(unknown)}; choose others")
    return {n: fit[n] for n in wanted}


def _targets(model: VideoModel, path: Path, target: str) -> list[int]:
    """Class indices: by name or index, the network's first k on the middle clip, or the folder's name."""
    if target == "truth":
        return [model.class_index(path.absolute().parent.name)]
    if top := re.fullmatch(r"top(\d+)", target):
        if target in model.classes:
            return [model.class_index(target)]
        logits = model.logits(model.reader()(path).frames[None])[0]
        return logits.topk(min(max(int(top[1]), 1), len(logits))).indices.tolist()
    named = target in model.classes or not target.isdigit()
    return [model.class_index(target if named else int(target))]


def _folder(run: AttributionRun, taken: set[str]) -> str:
    """A folder for a video and class that no other video of this call has; it is then taken."""
    stem, target = Path(run.clip.source).stem, re.sub(r"[/\\]", "_", run.target)
    place, again = f"{stem}/{target}", 1
    while place in taken:
        again += 1
        place = f"{stem}-{again}/{target}"
    taken.add(place)
    return place


def _write(place: Path, run: AttributionRun, model: VideoModel, whole: Clip, formats: Sequence[Format]) -> None:
    """maps.npz at the original time and size, overlays, and the run itself for `voxplain report`."""
    t, h, w = whole.frames.shape[:3]
    geometry = model.reader().geometry
    maps = {name: to_original(values, geometry, h, w) for name, values in run.maps.items()}
    out = io.BytesIO()
    members: dict[str, Any] = {"seconds": whole.seconds, **maps}
    np.savez_compressed(out, **members)
    write_whole(place / "maps.npz", out.getvalue())
    span = float(whole.seconds[-1] - whole.seconds[0])
    fps = int(np.clip(round((t - 1) / span), 1, 60)) if span > 0 else 25
    drawn = {name: overlay(whole.frames, values) for name, values in maps.items()}
    for name, frames in drawn.items():
        if "mp4" in formats:
            write_whole(place / f"{name}.mp4", encode_video(frames, fps=fps))
        if "gif" in formats:
            write_whole(place / f"{name}.gif", _gif(frames, fps))
    if "png" in formats:
        sheet = io.BytesIO()
        Image.fromarray(strip([whole.frames, *drawn.values()])).save(sheet, format="png")
        write_whole(place / "strip.png", sheet.getvalue())
    save_run(place, run)


def _gif(frames: np.ndarray, fps: int) -> bytes:
    out = io.BytesIO()
    first, *rest = (Image.fromarray(frame) for frame in frames)
    first.save(out, format="gif", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0)
    return out.getvalue()


def _tell(console: Console, run: AttributionRun) -> None:
    names = list(dict.fromkeys(n for own in run.measured.values() for n in own))
    # Not the table's title: that breaks paths and reads brackets in them as markup.
    title = f"{run.clip.source}: {run.target}, probability {run.probability:.2f}"
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    table = Table()
    for column in ("method", *names, "seconds"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for method in run.maps:
        cells = [f"{run.measured[method][n][0]:.3f}" for n in names]
        table.add_row(method, *cells, f"{run.seconds[method]:.2f}")
    console.print(table)
    for name, reason in run.skipped:
        console.print(f"note: {name} was skipped: {reason}", markup=False, highlight=False, soft_wrap=True)
