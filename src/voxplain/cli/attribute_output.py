"""What `voxplain attribute` reads from its options, writes and prints."""

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.table import Table

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.cli.attribute import Format
from voxplain.cli.console import Console
from voxplain.explain import to_original
from voxplain.explain.attribution import map_metrics_by_name
from voxplain.metrics import MapMetric
from voxplain.model import Target, VideoModel, narrow
from voxplain.plain_text import safe_name
from voxplain.report import frame_grid, overlay
from voxplain.store import save_run, write_whole
from voxplain.video import Clip
from voxplain.video.encode import encode_video

__all__ = ["map_metrics", "print_attribution", "result_folder", "target_classes", "write_attribution"]


def map_metrics(names: str) -> dict[str, MapMetric]:
    """Metrics by name, joined by commas, that need a map only; empty for "none". Raises DataError for others."""
    return {} if names == "none" else map_metrics_by_name(names)


def target_classes(model: VideoModel, path: Path, target: str) -> list[Target | None]:
    """Targets: by name or index, the k highest logits of the middle clip ("top3"), or the folder ("truth").

    None, the model's own choice, for the highest score where that is no class.
    """
    if target == "truth":
        narrow(model, path.absolute().parent.name)  # its error lists the classes
        return [path.absolute().parent.name]
    if top := re.fullmatch(r"top(\d+)", target):
        if target in model.classes:
            return [target]
        if model.settled().task in ("binary", "regression"):
            return [None]
        reader = replace(model.reader(), damaged="use")  # the caller has decided whether the video is used
        logits = model.logits(reader(path).frames[None], finite=False)[0]
        return list(logits.topk(min(max(int(top[1]), 1), len(logits))).indices.tolist())
    named: Target = target if target in model.classes or not target.isdigit() else int(target)
    narrow(model, named)
    return [named]


def result_folder(run: AttributionRun, used: set[str]) -> str:
    """A folder name for a video and class that is not in ``used``; it is added there."""
    stem, target = safe_name(Path(run.clip.source).stem), safe_name(run.target)
    place, count = f"{stem}/{target}", 1
    while place in used:
        count += 1
        place = f"{stem}-{count}/{target}"
    used.add(place)
    return place


def write_attribution(
    place: Path, run: AttributionRun, model: VideoModel, video: Clip, formats: Sequence[Format]
) -> None:
    """Write maps.npz at the original time and size, overlays, and the run itself for `voxplain report`."""
    t, h, w = video.frames.shape[:3]
    geometry = model.reader().geometry
    maps = {name: to_original(values, geometry, h, w) for name, values in run.maps.items()}
    out = io.BytesIO()
    members: dict[str, Any] = {"seconds": video.seconds, **maps}
    np.savez_compressed(out, **members)
    write_whole(place / "maps.npz", out.getvalue())
    length = float(video.seconds[-1] - video.seconds[0])
    fps = int(np.clip(round((t - 1) / length), 1, 60)) if length > 0 else 25
    overlays = {name: overlay(video.frames, values) for name, values in maps.items()}
    for name, frames in overlays.items():
        if "mp4" in formats:
            write_whole(place / f"{name}.mp4", encode_video(frames, fps=fps))
        if "gif" in formats:
            write_whole(place / f"{name}.gif", _gif(frames, fps))
    if "png" in formats:
        sheet = io.BytesIO()
        Image.fromarray(frame_grid([video.frames, *overlays.values()])).save(sheet, format="png")
        write_whole(place / "strip.png", sheet.getvalue())
    save_run(place, run)


def _gif(frames: np.ndarray, fps: int) -> bytes:
    out = io.BytesIO()
    first, *rest = (Image.fromarray(frame) for frame in frames)
    first.save(out, format="gif", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0)
    return out.getvalue()


def print_attribution(console: Console, run: AttributionRun) -> None:
    """Print the metrics and the seconds of each method, and the methods that were skipped."""
    names = list(dict.fromkeys(n for own in run.measured.values() for n in own))
    # Not the table's title: that breaks paths and reads brackets in them as markup.
    title = f"{run.clip.source}: {run.target}, {run.answer}"
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    table = Table()
    for column in ("method", *names, "seconds"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for method in run.maps:
        cells = [f"{run.measured[method][n][0]:.3f}" if n in run.measured[method] else "–" for n in names]
        table.add_row(method, *cells, f"{run.seconds[method]:.2f}")
    console.print(table)
    for name, own in run.notes.items():
        for note in own:
            console.print(f"note: {name}: {note}", markup=False, highlight=False, soft_wrap=True)
    for name, reason in run.skipped:
        console.print(f"note: {name} was skipped: {reason}", markup=False, highlight=False, soft_wrap=True)
