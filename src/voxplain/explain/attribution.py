"""From one video to maps that say where and when the network looked: windows → methods → merged maps → metrics."""

import time
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voxplain.attribution import ATTRIBUTIONS, Attribution, AttributionMethod
from voxplain.attribution.attribution_run import AttributionRun
from voxplain.errors import DataError, ModelError
from voxplain.explain.session import Progress
from voxplain.explain.windows import Sliding, merge, slide
from voxplain.metrics import MapMetric
from voxplain.model import VideoModel
from voxplain.nets import weights_digest
from voxplain.progress import quiet
from voxplain.store import content_hash
from voxplain.version import __version__
from voxplain.video import Clip, read_video

__all__ = ["explain_clip", "methods_by_name"]


def explain_clip(
    model: VideoModel,
    video: Path | str | Clip,
    methods: Mapping[str, AttributionMethod],
    *,
    target: str | int,
    metrics: Mapping[str, MapMetric] | None = None,
    overlap: float = 0.5,
    progress: Progress = quiet,
) -> AttributionRun:
    """Explain one video, of any length, for one class by several methods.

    A video longer than the network's clip is explained in windows that overlap by ``overlap``, and the maps are merged;
    ``metrics`` judge each map on the middle window. A `Clip` must already have the size of the network's picture. A
    method that cannot explain this network is skipped with its reason; ModelError when none can. Raises VideoError for
    a video that cannot be read.
    """
    if not methods:
        raise DataError("expected at least one attribution method, got none; `voxplain methods` lists them")
    y = model.class_index(target)
    sliding = _windows(model, video, overlap)
    windows = list(sliding)
    shown = windows[sliding.middle]
    maps: dict[str, np.ndarray] = {}
    details, measured, seconds, skipped = {}, {}, {}, []
    with progress(f"{Path(sliding.clip.source).name}: {len(methods)} methods", len(methods)) as advance:
        for name, method in methods.items():
            start = time.perf_counter()
            try:
                found = method(model, windows, y)
            except ModelError as error:
                skipped.append((name, str(error)))
                advance()
                continue
            seconds[name] = (time.perf_counter() - start) / len(windows)
            maps[name] = merge([a.values for a in found], sliding.index, len(sliding.clip))
            details[name] = _plain(found[sliding.middle].details)
            measured[name] = _measured(model, shown, found[sliding.middle], metrics or {})
            advance()
    if not maps:
        raise ModelError(f"expected a method that can explain {model.name}, got none that can: {skipped[0][1]}")
    return AttributionRun(
        clip=sliding.clip,
        network=model.name,
        target=model.classes[y] if model.classes else str(y),
        target_index=y,
        classes=model.classes,
        logits=model.logits(shown.frames[None])[0].cpu().numpy(),
        windows=len(windows),
        maps=maps,
        parameters={n: _parameters(m) for n, m in methods.items() if n in maps},
        details=details,
        measured=measured,
        seconds=seconds,
        skipped=tuple(skipped),
        provenance=_provenance(model, sliding.clip),
    )


def methods_by_name(names: str) -> dict[str, AttributionMethod]:
    """Methods with their defaults from names joined by commas; "all" is every one. DataError names what is known."""
    wanted = list(ATTRIBUTIONS) if names == "all" else [n.strip() for n in names.split(",") if n.strip()]
    unknown = [n for n in wanted if n not in ATTRIBUTIONS]
    if unknown or not wanted:
        raise DataError(
            f"expected methods among {', '.join(ATTRIBUTIONS)} (or all), got {', '.join(unknown) or 'none'}; "
            "join several with commas"
        )
    return {name: ATTRIBUTIONS[name]() for name in wanted}


def _windows(model: VideoModel, video: Path | str | Clip, overlap: float) -> Sliding:
    reader = model.reader()
    if not isinstance(video, Clip):
        return slide(model, read_video(video, geometry=reader.geometry), reader.geometry, overlap=overlap)
    if video.frames.shape[1:3] != tuple(model.grid[1:]):
        raise ModelError(
            f"expected frames of {model.grid[1]}×{model.grid[2]}, got {video.frames.shape[1]}×{video.frames.shape[2]} "
            f"of {video.source}; read it with the model's reader, or give the path"
        )
    whole = type(reader.geometry).squash(*model.grid[1:])
    return slide(model, video, whole, overlap=overlap)


def _measured(
    model: VideoModel, clip: Clip, attribution: Attribution, metrics: Mapping[str, MapMetric]
) -> dict[str, tuple[float, float | None, bool | None]]:
    found = {name: metric(model, clip, attribution) for name, metric in metrics.items()}
    return {name: (m.value, m.chance, metrics[name].higher_is_better) for name, m in found.items()}


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
        "video": content_hash(clip.frames),
        "grid": list(model.grid),
        "stride": model.stride,
    }
