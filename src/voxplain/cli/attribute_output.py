"""What `voxplain attribute` reads from its options, writes and prints."""

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.cli.attribute import Format
from voxplain.explain import to_original
from voxplain.explain.attribution import map_metrics_by_name
from voxplain.metrics import MapMetric
from voxplain.model import Target, VideoModel, narrow
from voxplain.report import frame_grid, overlay
from voxplain.store import save_run, write_whole
from voxplain.video import MAX_PIXELS, Clip, Damaged, OwnGeometry, ShortSide, read_video, read_windows
from voxplain.video.encode import encode_video

__all__ = ["drawn_video", "map_metrics", "print_attribution", "result_folder", "target_classes", "write_attribution"]

MOST_DRAWN = 2**27  # pixels, all frames together, of a video that is too large to be drawn at its own size


def map_metrics(names: str) -> dict[str, MapMetric]:
    """Metrics by name, joined by commas, that need a map only; empty for "none". Raises DataError for others."""
    return {} if names == "none" else map_metrics_by_name(names)


def target_classes(model: VideoModel, path: Path, target: str, label: str) -> list[Target | None]:
    """Targets: by name or index, the k highest logits ("top3"), or the true ``label`` ("truth").

    None, the model's own choice, for the highest score where that is no class.
    """
    named: Target
    if target == "truth":
        named = label if label in model.classes or not label.isdigit() else int(label)
        narrow(model, named)  # its error lists the classes
        return [named]
    if top := re.fullmatch(r"top(\d+)", target):
        if target in model.classes:
            return [target]
        if model.settled().task in ("binary", "regression"):
            return [None]
        reader = replace(model.reader(), damaged="use")  # the caller has decided whether the video is used
        clips = reader.windows(path)  # one, or those of the model's sampler, over which scores are averaged
        logits = model.logits(clips, finite=False).mean(0)
        return list(logits.topk(min(max(int(top[1]), 1), len(logits))).indices.tolist())
    named = target if target in model.classes or not target.isdigit() else int(target)
    narrow(model, named)
    return [named]


def result_folder(run: AttributionRun, used: set[str]) -> str:
    """A folder name for a video and class that is not in ``used``; it is added there."""
    stem, target = Path(run.clip.source).stem, re.sub(r"[/\\]", "_", run.target)
    place, count = f"{stem}/{target}", 1
    while place in used:
        count += 1
        place = f"{stem}-{count}/{target}"
    used.add(place)
    return place


def drawn_video(path: Path, *, most: int = MAX_PIXELS, damaged: Damaged = "use") -> Clip:
    """A video at its own size; with more pixels than ``most`` in all frames together smaller, so that maps fit."""
    counted: list[int] = []

    def first(count: int) -> np.ndarray:
        counted.append(count)
        return np.zeros((1, 1), np.int64)

    height, width = read_windows(path, first)[0].frames.shape[1:3]
    share = (min(most, MOST_DRAWN) / (counted[-1] * height * width)) ** 0.5
    if counted[-1] * height * width <= most:
        return read_video(path, damaged=damaged)
    return read_video(path, geometry=ShortSide(max(1, int(min(height, width) * share)), (1, 1)), damaged=damaged)


def write_attribution(
    place: Path, run: AttributionRun, model: VideoModel, video: Clip, formats: Sequence[Format]
) -> None:
    """Write maps.npz at the original time and size, overlays, and the run itself for `voxplain report`."""
    geometry = model.reader().geometry
    if isinstance(geometry, OwnGeometry):  # whose inverse is not known: shown on the network's own frames
        video = run.clip
    t, h, w = video.frames.shape[:3]
    maps = {name: to_original(values, geometry, h, w) for name, values in run.maps.items()}
    out = io.BytesIO()
    members: dict[str, Any] = {"seconds": video.seconds, **maps}
    np.savez_compressed(out, **members)
    write_whole(place / "maps.npz", out.getvalue())
    length = float(video.seconds[-1] - video.seconds[0])
    fps = float(np.clip((t - 1) / length, 0.01, 60)) if length > 0 else 25.0
    fps = float(round(fps)) if abs(fps - round(fps)) < 0.02 else fps
    overlays = {name: overlay(video.frames, values) for name, values in maps.items()}
    for name, frames in overlays.items():
        if "mp4" in formats:
            write_whole(place / f"{name}.mp4", encode_video(frames, fps=fps))
        if "gif" in formats:
            write_whole(place / f"{name}.gif", _gif(frames, fps))
    if "png" in formats:
        sheet = io.BytesIO()
        grid = frame_grid([video.frames, *overlays.values()], names=("clip", *overlays))
        Image.fromarray(grid).save(sheet, format="png")
        write_whole(place / "strip.png", sheet.getvalue())
    save_run(place, run)


def _gif(frames: np.ndarray, fps: float) -> bytes:
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
