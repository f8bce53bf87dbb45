"""`voxplain train`."""

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from voxplain.cli.held_out import HeldOut, split_videos
from voxplain.datasets import VideoSet
from voxplain.model import VideoModel
from voxplain.nets import NETS, NetSpec, build_net, save_weights
from voxplain.progress import progress_bar, quiet
from voxplain.report import training_curves
from voxplain.store import remove_abandoned, write_csv, write_whole
from voxplain.train import (
    EpochLog,
    Processes,
    Recipe,
    TrainingVideos,
    accuracy,
    check_classes_filled,
    launched,
    load_videos,
    per_class,
    train,
)
from voxplain.video import Geometry

__all__ = ["train_command"]

WIDE = 12  # classes of a confusion matrix that fits a terminal


def train_command(
    data: Path,
    *,
    net: str = "tiny",
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    resize: tuple[int, int] | None = None,
    cache: Path | None = None,
    held: HeldOut = HeldOut(),  # noqa: B008 - frozen
    recipe: Annotated[Recipe, Parameter(name="*")] = Recipe(),  # noqa: B008 - frozen
    device: str | None = None,
) -> None:
    """Train a network from scratch on a folder with one sub-folder of videos per class.

    Resumable: the same command goes on from the last finished epoch. Writes weights.safetensors (with the class
    names), log.csv, curves.png, and with test videos confusion.csv and per_class.csv into the output folder.

    On several GPUs, or CPU processes with --device cpu, with the extra `train`:
        torchrun --nproc_per_node 2 -m voxplain train data --net r3d -o runs/r3d

    Examples:
        voxplain train data --net r3d -o runs/r3d
        voxplain train weizmann --net tiny --hold-out ido lena moshe --epochs 60 --lr 0.05 --lr-step 45 -o runs/w

    Parameters
    ----------
    data
        Folder of class folders, or one with train/ and test/.
    net
        tiny, compact, c3d, r3d or i3d.
    output
        Folder for the weights and the log.
    resize
        Height and width of the videos before the crop; larger than the crop, training clips are cut at random places.
        Default: the network's own. Kept in the weights file, so that explanations read videos alike.
    cache
        Folder where decoded and resized videos are kept, as large as their pixels, for this and later runs; it may be
        removed at any time between runs. Default: clips in the output folder.
    device
        cpu, cuda …; default: cuda when there is one.
    """
    spec = NETS.get(net) or _unknown(net)
    geometry = Geometry(resize or spec.resize, spec.crop)
    sets = split_videos(data, held)
    processes = launched(device)
    console = Console(quiet=not processes.first)
    output.mkdir(parents=True, exist_ok=True)
    loaded = [_load(v, geometry, cache or output / "clips", processes, console) for v in sets if v is not None]
    torch.manual_seed(recipe.seed)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    network = build_net(net, len(sets[0].classes)).to(processes.device or device)
    model = VideoModel(
        net=network,
        layer=spec.feature_layer,
        mean=spec.mean,
        std=spec.std,
        grid=(spec.frames, *spec.crop),
        classes=sets[0].classes,
        geometry=geometry,
        batch_size=recipe.micro_batch or recipe.batch,
        channels_last=True,
        name=net,
    )
    if processes.count > 1:
        console.print(f"{processes.count} processes share each batch of {recipe.batch}", highlight=False)
    test = loaded[1] if len(loaded) > 1 else None
    logs = _train(model, loaded[0], test, recipe, output, console, processes)
    # Every process takes part in measuring; what follows is for the first alone.
    matrix = None if test is None else accuracy(model, test, geometry, stride=recipe.stride, processes=processes)
    if processes.first:
        _write(model, logs, matrix, recipe, output)
        if matrix is not None:
            console.print(_table(matrix, model.classes))
        console.print(f"weights: {output / 'weights.safetensors'}", highlight=False)


def _load(videos: VideoSet, geometry: Geometry, cache: Path, processes: Processes, console: Console) -> TrainingVideos:
    """Every video through the cache, so that a bad one shows before the first epoch."""
    show = progress_bar if processes.first else quiet
    first = processes.rank * len(videos) // processes.count
    remove_abandoned(cache)
    with show("reading videos", len(videos)) as advance:
        loaded = load_videos(
            videos.paths, videos.labels, geometry, spans=videos.spans, cache=cache, first=first, advance=advance
        )
    for path, why in loaded.skipped:
        console.print(f"skipped {path}: {why}", markup=False)
    if loaded.skipped:
        console.print(f"read {len(loaded.frames)} of {len(videos)} videos", highlight=False)
    check_classes_filled(loaded, videos.labels, videos.classes)
    return loaded


def _train(
    model: VideoModel,
    videos: TrainingVideos,
    test: TrainingVideos | None,
    recipe: Recipe,
    output: Path,
    console: Console,
    processes: Processes,
) -> list[EpochLog]:
    """The training loop, showing each epoch as it ends."""
    assert model.geometry is not None
    with (progress_bar if processes.first else quiet)(f"training {model.name}", recipe.epochs) as advance:

        def tell(log: EpochLog) -> None:
            advance()
            seen = "" if log.test_accuracy is None else f", test {100 * log.test_accuracy:.1f} %"
            console.print(
                f"epoch {log.epoch}: loss {log.loss:.4f}, train {100 * log.train_accuracy:.1f} %{seen}", highlight=False
            )

        return train(
            model,
            videos,
            geometry=model.geometry,
            recipe=recipe,
            test=test,
            processes=processes,
            checkpoint=output / "checkpoint.safetensors",
            tell=tell,
            record=lambda logs: write_csv(output / "log.csv", [asdict(log) for log in logs]),
        )


def _unknown(net: str) -> NetSpec:
    build_net(net, 2)  # raises the sentence with near names
    raise AssertionError


def _write(model: VideoModel, logs: list[EpochLog], matrix: np.ndarray | None, recipe: Recipe, output: Path) -> None:
    """Weights, log, curves, and what the test videos show."""
    assert model.geometry is not None
    facts = {
        "net": model.name,
        "classes": json.dumps(list(model.classes)),
        "recipe": json.dumps(asdict(recipe)),
        "resize": json.dumps(model.geometry.resize),
    }
    save_weights(model.net, output / "weights.safetensors", facts)
    write_csv(output / "log.csv", [asdict(log) for log in logs])
    picture = io.BytesIO()
    training_curves(logs, classes=len(model.classes)).savefig(picture, format="png", dpi=120)
    write_whole(output / "curves.png", picture.getvalue())
    if matrix is not None:
        rows = [
            {"truth": name, **dict(zip(model.classes, map(int, row), strict=True))}
            for name, row in zip(model.classes, matrix, strict=True)
        ]
        write_csv(output / "confusion.csv", rows)
        write_csv(output / "per_class.csv", per_class(matrix, model.classes))


def _table(matrix: np.ndarray, classes: tuple[str, ...]) -> Table:
    """The confusion matrix, or for many classes, which no terminal is wide enough for, a line a class."""
    title = f"test accuracy {100 * np.trace(matrix) / max(matrix.sum(), 1):.2f} %"
    rows = per_class(matrix, classes)
    if len(classes) > WIDE:
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
