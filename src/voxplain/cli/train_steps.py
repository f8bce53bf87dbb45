"""The steps of `voxplain train`: reading, training, writing."""

import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.table import Table
from rich.text import Text

from voxplain.cli.console import Console
from voxplain.datasets import VideoSet
from voxplain.model import VideoModel
from voxplain.nets import NETS, NetSpec, build_net, save_weights
from voxplain.progress import ShowProgress
from voxplain.report import training_curves
from voxplain.store import remove_abandoned, write_csv, write_whole
from voxplain.train import (
    EpochLog,
    Processes,
    Recipe,
    TrainingVideos,
    check_classes_filled,
    load_videos,
    per_class,
    train,
)
from voxplain.video import Damaged, Geometry

__all__ = ["accuracy_sentence", "accuracy_table", "net_spec", "read_training_videos", "train_network", "write_training"]

MOST_CLASSES = 12  # of a confusion matrix that fits a terminal


def net_spec(name: str) -> NetSpec:
    """The specification of a network by name. Raises ModelError, with near names, for an unknown one."""
    if name not in NETS:
        build_net(name, 2)
    return NETS[name]


def read_training_videos(
    videos: VideoSet,
    geometry: Geometry,
    cache: Path,
    processes: Processes,
    console: Console,
    progress: ShowProgress,
    damaged: Damaged,
) -> TrainingVideos:
    """Decode, resize and cache every video, so that damaged ones are known before the first epoch."""
    first = processes.rank * len(videos) // processes.count
    remove_abandoned(cache)
    with progress("reading videos", len(videos)) as advance:
        loaded = load_videos(
            videos.paths,
            videos.labels,
            geometry,
            spans=videos.spans,
            cache=cache,
            first=first,
            damaged=damaged,
            advance=advance,
        )
    if loaded.skipped:
        console.print(f"read {len(loaded.frames)} of {len(videos)} videos", highlight=False)
    check_classes_filled(loaded, videos.labels, videos.classes)
    return loaded


def train_network(
    model: VideoModel,
    videos: TrainingVideos,
    test: TrainingVideos | None,
    recipe: Recipe,
    output: Path,
    processes: Processes,
    *,
    console: Console,
    progress: ShowProgress,
    every: bool,
) -> list[EpochLog]:
    """Train the network, printing a line for the last epoch, or for each; returns the log of every epoch."""
    assert isinstance(model.geometry, Geometry)
    steps, done = max(1, round(len(videos.frames) / recipe.batch)), 0
    with progress(f"training {model.name}, steps", recipe.epochs * steps) as advance:

        def count(items: int = 1) -> None:
            nonlocal done
            done += items
            advance(items)

        def show_epoch(log: EpochLog) -> None:
            count(log.epoch * steps - done)  # epochs that an interrupted run had finished
            if not every and log.epoch < recipe.epochs:
                return
            test_part = "" if log.test_accuracy is None else f", test {100 * log.test_accuracy:.1f} %"
            console.print(
                f"epoch {log.epoch}: loss {log.loss:.4f}, train {100 * log.train_accuracy:.1f} %{test_part}",
                highlight=False,
            )

        return train(
            model,
            videos,
            geometry=model.geometry,
            recipe=recipe,
            test=test,
            processes=processes,
            checkpoint=output / "checkpoint.safetensors",
            advance=count,
            on_epoch=show_epoch,
            on_log=lambda logs: write_csv(output / "log.csv", [asdict(log) for log in logs]),
        )


def write_training(
    model: VideoModel, logs: list[EpochLog], matrix: np.ndarray | None, recipe: Recipe, output: Path
) -> None:
    """Write the weights, the log, the curves, and for test videos the confusion matrix and the accuracy by class."""
    assert isinstance(model.geometry, Geometry)
    metadata = {
        "net": model.name,
        "classes": json.dumps(list(model.classes)),
        "recipe": json.dumps(asdict(recipe)),
        "resize": json.dumps(model.geometry.resize),
    }
    save_weights(model.net, output / "weights.safetensors", metadata)
    write_csv(output / "log.csv", [asdict(log) for log in logs])
    image = io.BytesIO()
    training_curves(logs, classes=len(model.classes)).savefig(image, format="png", dpi=120)
    write_whole(output / "curves.png", image.getvalue())
    if matrix is not None:
        rows = [
            {"truth": name, **dict(zip(model.classes, map(int, row), strict=True))}
            for name, row in zip(model.classes, matrix, strict=True)
        ]
        write_csv(output / "confusion.csv", rows)
        write_csv(output / "per_class.csv", per_class(matrix, model.classes))


def accuracy_sentence(matrix: np.ndarray, classes: tuple[str, ...]) -> Text:
    """The accuracy on test videos, and that of the class with the lowest."""
    known = [row for row in per_class(matrix, classes) if row["accuracy"] is not None]
    worst = min(known, key=lambda row: float(row["accuracy"]))  # type: ignore[arg-type]
    return Text(
        f"test accuracy {100 * np.trace(matrix) / max(matrix.sum(), 1):.2f} % of {int(matrix.sum())} videos; lowest of "
        f"“{worst['class']}”: {worst['right']} of {worst['videos']}"
    )


def accuracy_table(matrix: np.ndarray, classes: tuple[str, ...]) -> Table:
    """The confusion matrix, or for more than 12 classes a line for each class."""
    title = f"test accuracy {100 * np.trace(matrix) / max(matrix.sum(), 1):.2f} %"
    rows = per_class(matrix, classes)
    if len(classes) > MOST_CLASSES:
        table = Table("class", "right", "of", "most called else", title=title)
        for row in rows:
            table.add_row(str(row["class"]), str(row["right"]), str(row["videos"]), str(row["most_called_else"] or ""))
        return table
    table = Table(title=f"{title}, rows are the truth")
    for column in ("class", *classes, "right"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for row, counts in zip(rows, matrix, strict=True):
        part = "" if row["accuracy"] is None else f"{100 * row['right'] / row['videos']:.0f} %"  # type: ignore[operator]
        table.add_row(str(row["class"]), *map(str, counts), part)
    return table
