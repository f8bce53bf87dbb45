"""What `voxplain attribute` reads from its options, writes and prints."""

import io
import math
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from rich.table import Table

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.attribution.overlay import Scale, frame_grid, overlay, spread
from voxplain.cli.attribute import Format
from voxplain.cli.console import Console
from voxplain.cli.printed import BEST
from voxplain.explain import to_original
from voxplain.explain.attribution import map_metrics_by_name
from voxplain.explain.session import Progress
from voxplain.large import forget, rows
from voxplain.metrics import MapMetric
from voxplain.model import Target, VideoModel, narrow
from voxplain.model.tasks import ASSUMED
from voxplain.plain_text import safe_name
from voxplain.progress import quiet
from voxplain.report.tables import plain
from voxplain.store import save_run, write_whole
from voxplain.video import Clip, Excerpt, FrameGeometry, OwnGeometry, iterate_frames
from voxplain.video.encode import encode_stream
from voxplain.video.geometry import resize_frame

__all__ = [
    "attribution_record",
    "map_metrics",
    "print_attribution",
    "print_map_answer",
    "result_folder",
    "target_classes",
    "write_attribution",
]

MAX_MAP_PIXELS = 2**29  # pixels of a map at the size of the video: 2 GiB before packing
MAX_GIF_PIXELS = 2**27  # pixels of all frames of a GIF, which are packed together
MAX_STRIP_PIXELS = 2**26  # pixels of a strip of frames, from which on they are made smaller: 200 MB


def map_metrics(names: str) -> dict[str, MapMetric]:
    """Metrics by name, joined by commas, that need a map only; empty for "none". Raises DataError for others."""
    return {} if names == "none" else map_metrics_by_name(names)


def target_classes(
    model: VideoModel, path: Path, target: str, label: str, excerpt: Excerpt | None = None
) -> list[Target | None]:
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
        # One, or those of the model's sampler, over which scores are averaged.
        clips = reader.windows(path, excerpt=excerpt)
        logits = model.logits(clips, finite=False).mean(0)
        return list(logits.topk(min(max(int(top[1]), 1), len(logits))).indices.tolist())
    named = target if target in model.classes or not target.isdigit() else int(target)
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
    place: Path,
    run: AttributionRun,
    model: VideoModel,
    path: Path,
    size: tuple[int, int],
    formats: Sequence[Format],
    *,
    excerpt: Excerpt | None = None,
    progress: Progress = quiet,
) -> list[str]:
    """Write maps.npz at the original time and size, overlays, and the run itself for `voxplain report`.

    Frames are read again for each overlay and written as they come, so that memory does not grow with the video. Of an
    `OwnGeometry`, whose inverse is not known, the maps lie on the network's own frames.

    Parameters
    ----------
    place : Path
        Folder to write.
    run : AttributionRun
        Maps of the video.
    model : VideoModel
        Its geometry places the maps in the video.
    path : Path
        The video.
    size : (height, width)
        Of the video, or of the excerpt's rectangle.
    formats : sequence of {"mp4", "gif", "png"}
        Overlays to write.
    excerpt : Excerpt, optional
        The part of the video that was explained.
    progress : callable
        Called with a description and the number of frames.

    Returns
    -------
    list of str
        What was left out or written otherwise, in a sentence each.
    """
    said = []
    geometry, frames = model.reader().geometry, len(run.clip)
    video: Path | Clip = path
    if isinstance(geometry, OwnGeometry):
        video, size = run.clip, run.clip.frames.shape[1:3]
    pixels = frames * size[0] * size[1]
    fps, seconds = tempo(run.clip.seconds)
    whole = pixels <= MAX_MAP_PIXELS
    if not whole:
        said.append(
            f"maps.npz of {path.name} has the network's {run.clip.frames.shape[1]}×{run.clip.frames.shape[2]} pixels: "
            f"{frames} frames of {size[1]}×{size[0]} are more than {MAX_MAP_PIXELS:,} pixels"
        )
    _write_maps(place / "maps.npz", run, geometry, size if whole else None)
    gif = "gif" in formats and pixels <= MAX_GIF_PIXELS
    if "gif" in formats and not gif:
        said.append(f"no gif of {path.name}: its frames are more than {MAX_GIF_PIXELS:,} pixels; use mp4 or png")
    drawn = Drawing(video, run, geometry, size, excerpt)
    count = len(run.maps) * (("mp4" in formats) + gif) * frames + ("png" in formats) * min(frames, 8)
    with progress(f"{path.name}: overlays", count) as advance:
        for name in run.maps:
            if "mp4" in formats:
                with tempfile.TemporaryFile() as file:
                    encode_stream(counted(drawn.frames(name), advance), file, fps=fps, seconds=seconds)
                    write_whole(place / f"{name}.mp4", file)
            if gif:
                write_whole(place / f"{name}.gif", _gif(counted(drawn.frames(name), advance), fps, seconds))
        if "png" in formats:
            sheet = io.BytesIO()
            Image.fromarray(drawn.strip(advance)).save(sheet, format="png")
            write_whole(place / "strip.png", sheet.getvalue())
    save_run(place, run)
    return said


def counted(frames: Iterator[np.ndarray], advance: Callable[[], object]) -> Iterator[np.ndarray]:
    """The same frames; counts each."""
    for frame in frames:
        yield frame
        advance()


@dataclass(frozen=True)
class Drawing:
    """The maps of a run drawn over the frames of its video, frame by frame."""

    video: Path | Clip
    run: AttributionRun
    geometry: FrameGeometry
    size: tuple[int, int]
    excerpt: Excerpt | None = None

    def frames(self, method: str) -> Iterator[np.ndarray]:
        """Each frame with the map of a method, uint8 [H,W,3]."""
        values = self.run.maps[method]
        scale = Scale.of(values)
        for own, frame in zip(rows(values), self._plain(), strict=True):
            yield self._over(frame, own, scale)

    def strip(self, advance: Callable[[], object]) -> np.ndarray:
        """Some frames, and below them the same with the map of each method, uint8 [H',W',3]; smaller where large."""
        at = spread(len(self.run.clip))
        side = (MAX_STRIP_PIXELS / ((1 + len(self.run.maps)) * len(at) * self.size[0] * self.size[1])) ** 0.5
        size = (max(1, int(side * self.size[0])), max(1, int(side * self.size[1]))) if side < 1 else self.size
        if isinstance(self.video, Clip):
            frames = iter(self.video.frames[at])
        else:
            frames = counted(iterate_frames(self.video, excerpt=self.excerpt, only=set(at.tolist())), advance)
        shown = [resize_frame(frame, size) for frame in frames]
        sheet = [np.stack(shown)]
        for values in self.run.maps.values():
            scale = Scale.of(values)
            sheet.append(np.stack([self._over(f, values[i], scale) for i, f in zip(at, shown, strict=True)]))
            forget(values)
        return frame_grid(sheet, names=("clip", *self.run.maps))

    def _plain(self) -> Iterator[np.ndarray]:
        if isinstance(self.video, Clip):
            return rows(self.video.frames)
        return iterate_frames(self.video, excerpt=self.excerpt)

    def _over(self, frame: np.ndarray, own: np.ndarray, scale: Scale) -> np.ndarray:
        full = to_original(own[None], self.geometry, *frame.shape[:2])
        drawn: np.ndarray = overlay(frame[None], full, scale=scale)[0]
        return drawn


def _write_maps(path: Path, run: AttributionRun, geometry: FrameGeometry, size: tuple[int, int] | None) -> None:
    """Write the maps, of ``size`` or else as they are, and the times as an .npz file, frame by frame."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            _member(archive, "seconds", run.clip.seconds.shape, np.float64, [run.clip.seconds])
            for name, values in run.maps.items():
                shape = values.shape if size is None else (len(values), *size)
                parts = (
                    rows(values) if size is None else (to_original(own[None], geometry, *size) for own in rows(values))
                )
                _member(archive, name, shape, np.float32, parts)
        write_whole(path, file)


def _member(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], kind: type, parts: Iterable[np.ndarray]
) -> None:
    """One array of an .npz file from its parts in order."""
    head = io.BytesIO()
    described = {"descr": np.dtype(kind).newbyteorder("<").str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, described)
    info = zipfile.ZipInfo(f"{name}.npy")  # its date is a fixed one
    info.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(info, "w", force_zip64=True) as member:
        member.write(head.getvalue())
        for part in parts:
            member.write(np.ascontiguousarray(part, kind).tobytes())


def tempo(seconds: np.ndarray) -> tuple[float, np.ndarray | None]:
    """Frames a second, and the times of the frames where they are not at one distance from each other.

    Examples
    --------
    >>> tempo(np.array([0.0, 5.0, 10.0]))
    (0.2, None)
    >>> tempo(np.array([1.0, 1.1, 1.5]))[1].tolist()
    [1.0, 1.1, 1.5]
    """
    gaps = np.diff(seconds)
    if not len(gaps) or seconds[-1] <= seconds[0]:
        return 25.0, None
    fps = float(np.clip(len(gaps) / (seconds[-1] - seconds[0]), 0.01, 60))
    fps = float(round(fps)) if abs(fps - round(fps)) < 0.02 else fps
    expected = seconds[0] + np.arange(len(seconds)) / fps
    # Containers round times to their own ticks: up to half a frame is no other tempo, unless it is seen.
    regular = np.abs(seconds - expected).max() < min(0.5 / fps, 0.02)
    return fps, None if regular or (gaps <= 0).any() else seconds


def _gif(frames: Iterator[np.ndarray], fps: float, seconds: np.ndarray | None) -> bytes:
    out = io.BytesIO()
    rest = (Image.fromarray(frame) for frame in frames)  # of each, Pillow keeps a byte a pixel
    first = next(rest)
    shown: int | list[int] = round(1000 / fps)
    if seconds is not None:
        gaps = np.diff(seconds, append=2 * seconds[-1] - seconds[-2])
        shown = [max(20, 10 * round(100 * float(gap))) for gap in gaps]
    first.save(out, format="gif", save_all=True, append_images=rest, duration=shown, loop=0)
    return out.getvalue()


def print_map_answer(console: Console, run: AttributionRun) -> None:
    """Print what the network answers for a video, which methods are best by the first metric, and what failed."""
    console.print(_title(run), markup=False, highlight=False, soft_wrap=True)
    for metric in dict.fromkeys(n for own in run.measured.values() for n in own):
        values = {m: own[metric] for m, own in run.measured.items() if metric in own and math.isfinite(own[metric][0])}
        higher = next((better for _, _, better in values.values()), None)
        if higher is not None and len(values) > 1:
            order = sorted(values, key=lambda m: -values[m][0] if higher else values[m][0])
            said = ", ".join(f"{m} {values[m][0]:.3f}" for m in order[:BEST])
            console.print(f"  best by {metric}: {said}", markup=False, highlight=False, soft_wrap=True)
            break
    _print_notes(console, run)


def attribution_record(run: AttributionRun, folder: Path) -> dict[str, object]:
    """What `voxplain attribute --json` prints of a video and class, as plain values."""
    measured = {m: {n: plain(value[0]) for n, value in own.items()} for m, own in run.measured.items()}
    return {
        "video": run.clip.source,
        "class": run.target,
        "answer": run.answer,
        "methods": {m: measured.get(m, {}) for m in run.maps},
        "skipped": dict(run.skipped),
        "failed": list(run.failed),
        "notes": {name: list(own) for name, own in run.notes.items()},
        "folder": str(folder),
    }


def _title(run: AttributionRun) -> str:
    return f"{run.clip.source}: {run.target}, {run.answer}"


def print_attribution(console: Console, run: AttributionRun) -> None:
    """Print the metrics and the seconds of each method, and the methods that were skipped."""
    names = list(dict.fromkeys(n for own in run.measured.values() for n in own))
    # Not the table's title: that breaks paths and reads brackets in them as markup.
    console.print(_title(run), markup=False, highlight=False, soft_wrap=True)
    table = Table()
    for column in ("method", *names, "seconds"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for method in run.maps:
        cells = [f"{run.measured[method][n][0]:.3f}" if n in run.measured[method] else "–" for n in names]
        table.add_row(method, *cells, f"{run.seconds[method]:.2f}")
    console.print(table)
    _print_notes(console, run)


def _print_notes(console: Console, run: AttributionRun) -> None:
    for name, own in run.notes.items():
        for note in own:
            if note == ASSUMED:  # said when the network was loaded
                continue
            console.print(f"note: {name}: {note}", markup=False, highlight=False, soft_wrap=True)
    for name, reason in run.skipped:
        console.print(f"note: {name} was skipped: {reason}", markup=False, highlight=False, soft_wrap=True)
