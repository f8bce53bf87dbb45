"""The methods, the metrics and the clips that the options of `voxplain benchmark` and `voxplain roar` name."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from voxplain.attribution import AttributionMethod
from voxplain.benchmark.run import BenchmarkClip
from voxplain.cli.console import Console
from voxplain.concepts.settings import override
from voxplain.datasets import ClipSet, VideoSet, read_clips
from voxplain.datasets.ground_truth import TRUTHS, truth_mask
from voxplain.errors import DataError
from voxplain.large import forget, large_zeros
from voxplain.metrics import METRICS
from voxplain.model import VideoModel
from voxplain.plain_text import one_line
from voxplain.progress import progress_bar, quiet
from voxplain.reading import Unreadable, parse_yaml
from voxplain.video import Clip, Damaged, damage_sentence
from voxplain.video.lost_videos import LostVideos, noted_losses

__all__ = [
    "benchmark_clips",
    "choose_metrics",
    "configured",
    "print_skipped",
    "reference_methods",
    "repeat_on",
    "spread_clips",
]


def choose_metrics(names: str, kinds: Sequence[str], elsewhere: str) -> dict[str, Any]:
    """Make metrics by name, joined by commas, or all of some kinds.

    Parameters
    ----------
    names : str
        Keys of `METRICS` joined by commas, or "all".
    kinds : sequence of str
        What the metrics may need: "map", "mask", "time", "method", "training", "networks".
    elsewhere : str
        The error for metrics of other kinds, with {} for their names.

    Returns
    -------
    dict of str to metric
        Metrics with their defaults.

    Raises
    ------
    DataError
        For unknown names and for metrics of other kinds.
    """
    known = {n: make() for n, make in METRICS.items()}
    wanted = [n for n, m in known.items() if m.needs in kinds] if names == "all" else names.split(",")
    wanted = [n.strip() for n in wanted if n.strip()]
    if unknown := [n for n in wanted if n not in known]:
        raise DataError(f"expected metrics among {', '.join(known)} or all, got {', '.join(unknown)}; choose others")
    if other := [n for n in wanted if known[n].needs not in kinds]:
        raise DataError(elsewhere.format(", ".join(other)))
    return {n: known[n] for n in wanted}


def configured(
    methods: dict[str, AttributionMethod], metrics: dict[str, Any], assignments: Sequence[str]
) -> tuple[dict[str, AttributionMethod], dict[str, Any]]:
    """Change fields of methods and metrics by "name.field=value"; DataError for names and values that do not fit."""
    for text in assignments:
        place, equals, value = text.partition("=")
        name, dot, field = place.partition(".")
        group: dict[str, Any] = methods if name in methods else metrics
        known = [f.name for f in fields(group[name])] if name in group else []
        if not equals or not dot or field.partition(".")[0] not in known:
            what = f"a field of {name} ({', '.join(known)})" if known else "a method or metric of this benchmark"
            raise DataError(f"expected --set name.field=value with {what}, got {text!r}; correct it")
        group[name] = _changed(group[name], field, value)
    return methods, metrics


def _changed(method: Any, field: str, text: str) -> Any:
    if "." in field or getattr(method, field) is not None:
        return override(method, field, text)
    try:  # where the default is None, the type is unknown
        value = parse_yaml(text)
    except Unreadable:
        raise DataError(f"expected {field} to be a value in YAML, got {text!r}; correct it") from None
    return replace(method, **{field: tuple(value) if isinstance(value, list) else value})


def reference_methods(against: Sequence[str], methods: dict[str, AttributionMethod]) -> dict[str, tuple[str, ...]]:
    """The methods tested against each reference of "METHOD" or "METHOD:OTHER,OTHER"; an empty tuple is all of them.

    Raises DataError for names that are not among ``methods``.
    """
    references: dict[str, tuple[str, ...]] = {}
    for word in against:
        name, _, others = word.partition(":")
        references[name] = (*references.get(name, ()), *(n.strip() for n in others.split(",") if n.strip()))
    if lost := [n for name, others in references.items() for n in (name, *others) if n not in methods]:
        raise DataError(
            f"expected --against METHOD or METHOD:OTHER,OTHER of this benchmark ({', '.join(methods)}), got "
            f"{', '.join(lost)}; correct it"
        )
    return references


def benchmark_clips(
    model: VideoModel,
    videos: VideoSet,
    only: Sequence[str],
    truth: str | None,
    root: Path,
    limit: int,
    console: Console,
    damaged: Damaged = "skip",
) -> tuple[list[BenchmarkClip], LostVideos]:
    """Read clips spread over the classes, with true masks, each with the next clip of another class beside it.

    Parameters
    ----------
    model : VideoModel
        The network, whose input size the clips get.
    videos : VideoSet
        The videos.
    only : sequence of str
        Classes; empty: all.
    truth : str or None
        A key of `TRUTHS`; None: no masks.
    root : Path
        The data folder, in which the masks lie.
    limit : int
        Videos, spread evenly over the classes.
    console : Console
        Prints videos that cannot be read or have no mask, which are left out.
    damaged : {"skip", "use", "fail"}
        What is done with videos of which frames are lost, see `ClipReader`.

    Returns
    -------
    list of BenchmarkClip, LostVideos
        The clips, and the videos that were left out or are damaged.

    Raises
    ------
    DataError
        For an unknown truth or class, and where no clip is left.
    """
    if truth is not None and truth not in TRUTHS:
        raise DataError(f"expected --truth {', '.join(TRUTHS)}, got {truth!r}; choose one, or leave it out")
    reader = model.reader()
    read, lost = spread_clips(model, videos, only, limit, console, damaged)
    cases: list[BenchmarkClip] = []
    masks = large_zeros((len(read) if truth is not None else 0, *model.grid), bool)
    for i, (name, clip) in enumerate(read):
        mask = None
        if truth is not None:
            try:
                mask = truth_mask(truth, root, Path(clip.source), name, reader)
            except DataError as error:
                print_skipped(console, str(error))
                lost.skipped[clip.source] = str(error)
                continue
            masks[i] = mask
            mask = masks[i] if mask.any() else None
            forget(masks)
        others = [c for n, c in read[i + 1 :] + read[:i] if n != name]
        cases.append(BenchmarkClip(clip, model.class_index(name), mask, others[0] if others else None))
    if not cases:
        raise DataError(f"expected videos with a truth in {root}, got none; name another --truth or leave it out")
    return cases, lost


def repeat_on(count: int, cases: Sequence[BenchmarkClip]) -> list[BenchmarkClip]:
    """Mark ``count`` cases, spread evenly, on which metrics may call a method again: the same ones in every shard."""
    chosen = set(np.linspace(0, len(cases) - 1, min(max(count, 0), len(cases))).round().astype(int).tolist())
    return [replace(case, again=i in chosen) for i, case in enumerate(cases)]


def spread_clips(
    model: VideoModel,
    videos: VideoSet,
    only: Sequence[str],
    limit: int | None,
    console: Console,
    damaged: Damaged = "skip",
) -> tuple[list[tuple[str, Clip]], LostVideos]:
    """Read clips spread evenly over the classes.

    Parameters
    ----------
    model : VideoModel
        The network, whose input size and class numbers the clips get.
    videos : VideoSet
        The videos.
    only : sequence of str
        Classes; empty: all that the network has.
    limit : int or None
        The most clips; None: all.
    console : Console
        Prints videos that cannot be read, which are left out, and those that are damaged.
    damaged : {"skip", "use", "fail"}
        What is done with videos of which frames are lost, see `ClipReader`.

    Returns
    -------
    list of (str, Clip), LostVideos
        The class and the clip of each video, and the videos that were left out or are damaged.

    Raises
    ------
    DataError
        For an unknown class, no classes, or a limit below 1.
    """
    for name in only:
        videos.of_class(name)  # its error lists the classes there are
    classes = [c for c in videos.classes if (c in only if only else c in model.classes or not model.classes)]
    if not classes or (limit is not None and limit < 1):
        raise DataError(
            f"expected classes of the network with videos, and a limit of 1 or more, got {classes}, {limit}"
        )
    each, rest = (None, 0) if limit is None else divmod(limit, len(classes))
    reader = replace(model.reader(), damaged=damaged)
    asked = [len(videos.of_class(name)) for name in classes]
    asked = asked if each is None else [min(n, each + (i < rest)) for i, n in enumerate(asked)]
    room = large_zeros((sum(asked), *model.grid, 3), np.uint8)  # many clips are not kept in memory
    read: list[tuple[str, Clip]] = []
    show = quiet if console.quiet else progress_bar
    with show("reading videos", len(classes)) as advance, noted_losses() as noted:
        for i, name in enumerate(classes):
            count = None if each is None else each + (i < rest)
            clips = ClipSet(()) if count == 0 else read_clips(videos.of_class(name), reader, limit=count)
            for skipped in clips.skipped:
                print_skipped(console, skipped.reason)
            for clip in clips:
                room[len(read)] = clip.frames
                read.append((name, replace(clip, frames=room[len(read)], label=model.class_index(name))))
                forget(room)
            advance()
    if sentence := noted.short_sentence():
        console.print(f"note: {sentence}", markup=False, highlight=False, soft_wrap=True)
    if sentence := damage_sentence(noted.used(), len(read)):
        console.print(sentence, style="yellow", markup=False, highlight=False, soft_wrap=True)
    return read, noted


def print_skipped(console: Console, reason: str) -> None:
    """Print what is left out, and why."""
    console.print(f"skipped: {one_line(reason)}", style="yellow", markup=False, highlight=False, soft_wrap=True)
