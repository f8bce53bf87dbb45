"""The methods and metrics that a command needs by, with the fields that --set changes, and the clips they judge."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import yaml
from rich.console import Console

from voxplain.attribution import AttributionMethod
from voxplain.concepts.settings import override
from voxplain.datasets import ClipSet, VideoSet, read_clips
from voxplain.errors import DataError
from voxplain.metrics import METRICS
from voxplain.model import VideoModel
from voxplain.progress import progress_bar
from voxplain.video import Clip

__all__ = ["choose_metrics", "configured", "skipped", "spread_clips"]


def choose_metrics(names: str, judging: Sequence[str], elsewhere: str) -> dict[str, Any]:
    """The metrics named, or all of those that judge what ``judging`` says; others are refused, with a hint."""
    known = {n: make() for n, make in METRICS.items()}
    wanted = [n for n, m in known.items() if m.needs in judging] if names == "all" else names.split(",")
    wanted = [n.strip() for n in wanted if n.strip()]
    if unknown := [n for n in wanted if n not in known]:
        raise DataError(f"expected metrics among {', '.join(known)} or all, got {', '.join(unknown)}; choose others")
    if other := [n for n in wanted if known[n].needs not in judging]:
        raise DataError(elsewhere.format(", ".join(other)))
    return {n: known[n] for n in wanted}


def configured(
    methods: dict[str, AttributionMethod], metrics: dict[str, Any], assignments: Sequence[str]
) -> tuple[dict[str, AttributionMethod], dict[str, Any]]:
    """Methods and metrics with the fields that --set changes."""
    for text in assignments:
        place, equals, value = text.partition("=")
        name, dot, field = place.partition(".")
        home: dict[str, Any] = methods if name in methods else metrics
        known = [f.name for f in fields(home[name])] if name in home else []
        if not equals or not dot or field.partition(".")[0] not in known:
            what = f"a field of {name} ({', '.join(known)})" if known else "a method or metric of this benchmark"
            raise DataError(f"expected --set name.field=value with {what}, got {text!r}; correct it")
        home[name] = _changed(home[name], field, value)
    return methods, metrics


def _changed(method: Any, field: str, text: str) -> Any:
    if "." in field or getattr(method, field) is not None:
        return override(method, field, text)
    try:  # a field without a value tells nothing of the kind it takes
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise DataError(f"expected {field} to be a value in YAML, got {text!r}; correct it") from None
    return replace(method, **{field: tuple(value) if isinstance(value, list) else value})


def spread_clips(
    model: VideoModel, videos: VideoSet, only: Sequence[str], limit: int | None, console: Console
) -> list[tuple[str, Clip]]:
    """At most ``limit`` clips spread evenly over the classes (all, or ``only``), each with its class.

    Labels are the network's. Videos that cannot be read are told and left out.
    """
    for name in only:
        videos.of_class(name)  # says which classes there are
    classes = [c for c in videos.classes if (c in only if only else c in model.classes or not model.classes)]
    if not classes or (limit is not None and limit < 1):
        raise DataError(
            f"expected classes of the network with videos, and a limit of 1 or more, got {classes}, {limit}"
        )
    each, rest = (None, 0) if limit is None else divmod(limit, len(classes))
    reader = model.reader()
    read: list[tuple[str, Clip]] = []
    with progress_bar("reading videos", len(classes)) as advance:
        for i, name in enumerate(classes):
            count = None if each is None else each + (i < rest)
            found = ClipSet(()) if count == 0 else read_clips(videos.of_class(name), reader, limit=count)
            for lost in found.skipped:
                skipped(console, lost.reason)
            read += [(name, replace(clip, label=model.class_index(name))) for clip in found]
            advance()
    return read


def skipped(console: Console, reason: str) -> None:
    """Tell what is left out."""
    console.print(f"skipped: {reason}", style="yellow", markup=False, highlight=False, soft_wrap=True)
