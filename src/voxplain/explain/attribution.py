"""One video explained by several attribution methods: windows → maps of each → one map over the video → metrics."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.attribution import ALIASES, ATTRIBUTIONS, Attribution, AttributionMethod
from voxplain.attribution.attribution_run import AttributionRun
from voxplain.attribution.streams import SUM, stream_maps
from voxplain.deprecation import warn_deprecated
from voxplain.errors import DataError, ModelError, VoxplainError
from voxplain.explain.session import Progress
from voxplain.explain.windows import RunningMerge, Sliding, slide
from voxplain.large import LARGE, forget
from voxplain.metrics import METRICS, MapMetric
from voxplain.model import ClipLike, Target, VideoModel, as_clips, as_model, resolve_targets
from voxplain.model.tasks import ASSUMED, LIKE_LABELS, like_labels
from voxplain.nets import weights_digest
from voxplain.progress import quiet
from voxplain.store import content_hash
from voxplain.version import __version__
from voxplain.video import Clip, Damaged, Excerpt, Geometry, read_cropped

__all__ = ["explain_clip", "map_metrics_by_name", "methods_by_name"]

IN_MEMORY = 4 * LARGE  # bytes of all maps of a video, from which on each is in a file
_AT_ONCE = 16  # windows that are explained together: bounds memory, and the same for every video


def explain_clip(
    model: VideoModel | nn.Module,
    video: Path | str | ClipLike,
    methods: str | Iterable[str] | Mapping[str, AttributionMethod],
    *,
    target: Target | None = None,
    metrics: str | Iterable[str] | Mapping[str, MapMetric] | None = None,
    overlap: float = 0.5,
    damaged: Damaged = "skip",
    streams: bool = False,
    excerpt: Excerpt | None = None,
    progress: Progress = quiet,
) -> AttributionRun:
    """Explain one video, of any length, for one class by several methods.

    A video longer than the network's clip is cut into overlapping windows, or into the clips of the model's sampler;
    each is explained, and the maps are merged.

    Parameters
    ----------
    model : VideoModel or nn.Module
    video : path, Clip or uint8 frames [T,H,W,3]
        Frames must have the height and width of the network's input.
    methods : str, list of str or mapping
        Names in `ATTRIBUTIONS` (one, several, or one text with commas; "all" for every method), or methods by the
        name that the result has them under.
    target : str, int, Difference or callable, optional
        What is explained, see `voxplain.model.narrow`; by default the class predicted for the middle window.
    metrics : str, list of str or mapping, optional
        Metrics of a single map, which evaluate each map on the middle window: names in `METRICS`, or metrics by name.
    overlap : float
        Share of a window that the next one repeats, 0 up to below 1.
    damaged : {"skip", "use", "fail"}
        For a file of which frames are lost, see `ClipReader`.
    streams : bool
        Explain each stream of a model whose ``pathways`` give several, too: the map of a method is then the sum of
        those of the streams, which are named after method and stream; see `voxplain.attribution.streams`.
    excerpt : Excerpt, optional
        Seconds and rectangle of a file that are explained, as if the video had nothing else; the run's provenance has
        them.
    progress : callable
        Called with a description and the number of methods times windows, as `voxplain.progress.progress_bar`.

    Returns
    -------
    AttributionRun
        A method that cannot explain the network is listed in ``skipped`` with the reason, one that failed on this video
        in ``failed``; ``notes`` has why, and names metrics that could not be computed and maps that are zero or
        constant.

    Raises
    ------
    DataError
        Unknown names, or no method.
    ModelError
        No method that can explain the network, or frames of another size.
    VideoError
        A video that cannot be read.

    Examples
    --------
    >>> import voxplain as vx
    >>> model = vx.load_model("planted")
    >>> frames = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)
    >>> run = explain_clip(model, frames, ["gradient", "grad_cam"])
    >>> list(run.maps), run.maps["gradient"].shape
    (['gradient', 'grad_cam'], (20, 64, 64))
    """
    model = as_model(model)
    methods = dict(methods) if isinstance(methods, Mapping) else methods_by_name(methods)
    metrics = dict(metrics) if isinstance(metrics, Mapping) else map_metrics_by_name(() if metrics is None else metrics)
    if not methods:
        raise DataError("expected at least one attribution method, got none; `voxplain methods` lists them")
    sliding = _windows(model, video, overlap, damaged, excerpt)
    shown = sliding[sliding.middle]
    averaged = model.sampler is not None and len(sliding) > 1  # the scores of a video are means over its clips
    if averaged and target is None and model.settled().task not in ("binary", "regression"):
        target = int(_mean_logits(model, sliding).argmax())
    unsure = (*_unsure(model, shown), *_repeated(sliding))
    ((model, y),) = resolve_targets(model, shown, target)
    maps: dict[str, np.ndarray] = {}
    details, measured, seconds, parameters, skipped = {}, {}, {}, {}, []
    failed: list[str] = []
    notes: dict[str, tuple[str, ...]] = {}
    together = 4 * len(methods) * sliding.clip.frames[..., 0].size
    least = LARGE // len(methods) if together > IN_MEMORY else None  # a file each: only where it saves memory
    title, total = f"{Path(sliding.clip.source).name}: {len(methods)} methods", len(methods) * len(sliding)
    with progress(title + (f" on {len(sliding)} windows" if len(sliding) > 1 else ""), total) as advance:
        for name, method in methods.items():
            start, counted = time.perf_counter(), _Counted(advance, len(sliding))
            try:
                by_stream = _whole_maps(method, model, sliding, y, streams=streams, advance=counted.one, least=least)
            except ModelError as error:
                skipped.append((name, str(error)))
                counted.rest()
                continue
            except Exception as error:  # of one method on one video: the others do not need it
                failed.append(name)
                notes[name] = (f"failed on this video: {_sentence(error)}",)
                counted.rest()
                continue
            took = (time.perf_counter() - start) / len(sliding)
            for stream, (merged, middle, said) in by_stream.items():
                label = name if stream == SUM else f"{name}_{re.sub(r'[^A-Za-z0-9]+', '_', stream)}"
                seconds[label], parameters[label], maps[label] = took, _parameters(method), merged
                details[label] = _plain(middle.details)
                wanted = metrics if stream == SUM else {}  # of the whole network, as the map is
                measured[label], unmeasured = _measured(model, shown, middle, wanted)
                said = (*said, *unmeasured, *unsure)
                notes.update({label: said} if said else {})
    if not maps:
        reason = skipped[0][1] if skipped else f"{failed[0]} {notes[failed[0]][0]}"
        raise ModelError(f"expected a method that can explain {model.name}, got none that can: {reason}")
    return AttributionRun(
        clip=sliding.clip,
        network=model.name,
        target=model.classes[y] if model.classes else str(y),
        target_index=y,
        classes=model.classes,
        logits=_mean_logits(model, sliding if averaged else [shown]),
        windows=len(sliding),
        maps=maps,
        parameters=parameters,
        details=details,
        measured=measured,
        seconds=seconds,
        skipped=tuple(skipped),
        provenance=_provenance(model, sliding.clip) | ({} if excerpt is None else {"excerpt": excerpt.record()}),
        notes=notes,
        failed=tuple(failed),
        units=model.units,
    )


def _unsure(model: VideoModel, clip: Clip) -> tuple[str, ...]:
    """A note where the outputs' meaning is assumed: they may be probabilities of labels, or logits of labels.

    Of labels where all outputs are between 0 and 1, of the clip and of others that differ from it.
    """
    if model.narrowed is not None or not model.exclusive:
        return ()
    assumed = (ASSUMED,) if model.assumed else ()

    def alike(z: Tensor) -> bool:
        return bool(torch.isfinite(z).all()) and like_labels(model.task, model.probabilities, z)

    if not alike(model.logits(clip, finite=False)):
        return assumed
    noise = np.random.default_rng(0).integers(0, 256, clip.frames.shape, np.uint8)
    others = [255 - clip.frames, np.ascontiguousarray(clip.frames[:, ::-1]), noise]
    return (LIKE_LABELS,) if all(alike(model.logits(frames, finite=False)) for frames in others) else assumed


def _repeated(sliding: Sliding) -> tuple[str, ...]:
    """A note where a video has fewer frames than the network is given."""
    frames, given = len(sliding.clip), sliding.index.shape[1]
    if all(len(np.unique(row)) == given for row in sliding.index):
        return ()
    return (f"the video has {frames} frame{'s' * (frames != 1)}, which are repeated: the network is given {given}",)


class _Counted:
    """Counts the windows of one method; those that it does not come to are counted together."""

    def __init__(self, advance: Callable[..., object], windows: int) -> None:
        self._advance, self._left = advance, windows

    def one(self) -> None:
        self._left -= 1
        self._advance()

    def rest(self) -> None:
        self._advance(self._left)


def _whole_maps(
    method: AttributionMethod,
    model: VideoModel,
    sliding: Sliding,
    y: int,
    *,
    streams: bool,
    advance: Callable[[], object],
    least: int | None,
) -> dict[str, tuple[np.ndarray, Attribution, tuple[str, ...]]]:
    """By stream, the sum first: the merged map, the attribution of the middle window, and the notes of all windows."""
    merges: dict[str, RunningMerge] = {}
    middle: dict[str, Attribution] = {}
    notes: dict[str, dict[str, None]] = {}
    wanted = sliding.middle
    for number, by_stream in enumerate(_window_maps(method, model, sliding, y, streams=streams)):
        for stream, found in by_stream.items():
            if number == 0:
                merges[stream], notes[stream] = RunningMerge(len(sliding.clip), sliding.index, least=least), {}
            merges[stream].add(found.values)
            notes[stream] |= dict.fromkeys(found.notes)
            if number == wanted:
                middle[stream] = found
        advance()
    names = (SUM, *(name for name in merges if name != SUM))
    return {name: (merges[name].finish(), middle[name], tuple(notes[name])) for name in names}


def _window_maps(
    method: AttributionMethod, model: VideoModel, sliding: Sliding, y: int, *, streams: bool
) -> Iterator[dict[str, Attribution]]:
    """The maps of each window by stream; without ``streams`` of the whole network only, as the sum."""
    if streams:
        for clip in sliding:
            forget(sliding.clip.frames)
            yield stream_maps(method, model, clip, y)
        return
    for start in range(0, len(sliding), _AT_ONCE):
        forget(sliding.clip.frames)
        windows = [sliding[i] for i in range(start, min(start + _AT_ONCE, len(sliding)))]
        for _, found in zip(windows, method(model, windows, y), strict=True):
            yield {SUM: found}


def methods_by_name(names: str | Iterable[str]) -> dict[str, AttributionMethod]:
    """Attribution methods with their defaults.

    Parameters
    ----------
    names : str or iterable of str
        Names in `ATTRIBUTIONS`; one text may hold several, joined by commas, or be "all".

    Returns
    -------
    dict
        Methods by name, in order.

    Raises
    ------
    DataError
        A name that is not in `ATTRIBUTIONS`, or no name.

    Examples
    --------
    >>> list(methods_by_name("gradient,rise"))
    ['gradient', 'rise']
    """
    wanted = list(ATTRIBUTIONS) if names == "all" else list(map(_current_name, _split(names)))
    unknown = [n for n in wanted if n not in ATTRIBUTIONS]
    if unknown or not wanted:
        raise DataError(
            f"expected methods among {', '.join(ATTRIBUTIONS)} (or all), got {', '.join(map(str, unknown)) or 'none'}; "
            "join several with commas"
        )
    return {name: ATTRIBUTIONS[name]() for name in wanted}


def _current_name(name: str) -> str:
    """The name of a method, which may be given by its earlier one."""
    if name not in ALIASES:
        return name
    warn_deprecated(
        f"method {name!r}", instead=f"method {ALIASES[name]!r}", since="0.2", removed_in="0.3", stacklevel=4
    )
    return ALIASES[name]


def map_metrics_by_name(names: str | Iterable[str]) -> dict[str, MapMetric]:
    """Metrics of a single map with their defaults; DataError on another name."""
    known = {name: m for name, m in ((n, make()) for n, make in METRICS.items()) if m.needs == "map"}
    wanted = _split(names)
    if unknown := [n for n in wanted if n not in known]:
        raise DataError(
            f"expected metrics among {', '.join(known)} or none, got {', '.join(map(str, unknown))}; choose others"
        )
    return {name: known[name] for name in wanted}


def _split(names: str | Iterable[str]) -> list[str]:
    return [n.strip() for n in names.split(",") if n.strip()] if isinstance(names, str) else list(names)


def _windows(
    model: VideoModel, video: Path | str | ClipLike, overlap: float, damaged: Damaged, excerpt: Excerpt | None
) -> Sliding:
    reader = model.reader()
    if isinstance(video, Path | str):
        read, _ = read_cropped(video, reader.geometry, damaged=damaged, excerpt=excerpt)
        return slide(model, read, Geometry.squash(*read.frames.shape[1:3]), overlap=overlap)  # cropped already
    if excerpt is not None:
        raise DataError("expected the path of a video with an excerpt, got frames; cut them yourself")
    given = as_clips(video)
    if len(given) != 1:
        raise ModelError(f"expected one video, got {len(given)} clips; call explain_clip for each")
    clip, size = given[0], tuple(model.grid[1:])
    if clip.frames.shape[1:3] != size:
        height, width = clip.frames.shape[1:3]
        raise ModelError(
            f"expected frames of {size[0]}×{size[1]}, got {height}×{width} of {clip.source}; "
            "read it with the model's reader, or give the path"
        )
    return slide(model, clip, Geometry.squash(*size), overlap=overlap)


def _measured(
    model: VideoModel, clip: Clip, attribution: Attribution, metrics: Mapping[str, MapMetric]
) -> tuple[dict[str, tuple[float, float | None, bool | None]], list[str]]:
    """Value, chance level and direction by metric, and notes of those that could not be computed."""
    found, failed = {}, []
    if not isinstance(attribution.target, int):
        attribution = replace(attribution, target=0)  # the only score that the model was narrowed to
    for name, metric in metrics.items():
        try:
            m = metric(model, clip, attribution)
            found[name] = (m.value, m.chance, metric.higher_is_better)
        except Exception as error:  # of one metric: the map and the other metrics do not need it
            failed.append(f"{name} was not computed: {_sentence(error)}")
    return found, failed


def _mean_logits(model: VideoModel, windows: Iterable[Clip]) -> np.ndarray:
    return np.stack([model.logits(clip)[0].cpu().numpy() for clip in windows]).mean(0)


def _sentence(error: Exception) -> str:
    """One line of an error; with its type where it is not one of voxplain's."""
    text = " ".join(str(error).split())
    return text if isinstance(error, VoxplainError) else f"{type(error).__name__}: {text[:300]}"


def _plain(details: Mapping[str, Any]) -> dict[str, Any]:
    """What a method found, as values that can be kept: numbers, text and lists of them; larger things are left out."""
    kept: dict[str, Any] = {}
    for key, value in details.items():
        value = value.tolist() if isinstance(value, np.ndarray | np.generic) and value.size <= 64 else value
        items = value if isinstance(value, list | tuple) else (value,)
        if all(item is None or isinstance(item, bool | int | float | str) for item in items):
            kept[key] = value
    return kept


def _parameters(method: Any) -> dict[str, Any]:
    return asdict(method) if is_dataclass(method) and not isinstance(method, type) else {}


def _provenance(model: VideoModel, clip: Clip) -> dict[str, Any]:
    return {
        "voxplain": __version__,
        "device": str(model.device),
        "weights": weights_digest(model.net),
        "outputs": model.settled().meaning,
        "video": content_hash(clip.frames),
        "grid": list(model.grid),
        "stride": model.stride,
    }
