"""`voxplain train`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from voxplain.cli.data import Held, parts
from voxplain.datasets import VideoSet
from voxplain.model import VideoModel
from voxplain.nets import NETS, NetSpec, build_net, save_weights
from voxplain.progress import progress_bar
from voxplain.store import write_csv
from voxplain.train import EpochLog, Recipe, TrainingVideos, accuracy, load_videos, train
from voxplain.video import Geometry

__all__ = ["train_command"]


def train_command(
    data: Path,
    *,
    net: str = "tiny",
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    resize: tuple[int, int] | None = None,
    held: Held = Held(),  # noqa: B008 - frozen
    recipe: Annotated[Recipe, Parameter(name="*")] = Recipe(),  # noqa: B008 - frozen
    device: str | None = None,
) -> None:
    """Train a network from scratch on a folder with one sub-folder of videos per class.

    Resumable: the same command goes on from the last finished epoch. Writes weights.safetensors (with the class
    names), log.csv and confusion.csv into the output folder.

    Examples:
        voxplain train data --net r3d -o runs/r3d
        voxplain train weizmann --net tiny --hold-out ido lena moshe --epochs 60 --lr 0.05 --lr-step 45 -o runs/w

    Parameters
    ----------
    data
        Folder of class folders, or one with train/ and test/.
    net
        tiny, c3d, r3d or i3d.
    output
        Folder for the weights and the log.
    resize
        Height and width of the videos before the crop; larger than the crop, training clips are cut at random places.
        Default: the network's own. Kept in the weights file, so that explanations read videos alike.
    device
        cpu, cuda …; default: cuda when there is one.
    """
    console = Console()
    spec = NETS.get(net) or _unknown(net)
    geometry = Geometry(resize or spec.resize, spec.crop)
    training, testing = parts(data, held)
    output.mkdir(parents=True, exist_ok=True)
    loaded = [_load(v, geometry, name) for v, name in ((training, "training"), (testing, "test")) if v is not None]
    for videos in loaded:
        for path, why in videos.skipped:
            console.print(f"skipped {path}: {why}", markup=False)
    torch.manual_seed(recipe.seed)
    network = build_net(net, len(training.classes)).to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model = VideoModel(
        net=network, layer=spec.feature_layer, mean=spec.mean, std=spec.std, grid=(spec.frames, *spec.crop),
        classes=training.classes, geometry=geometry, batch_size=recipe.batch, channels_last=True, name=net,
    )  # fmt: skip
    with progress_bar(f"training {net}", recipe.epochs) as advance:

        def tell(log: EpochLog) -> None:
            advance()
            seen = "" if log.test_accuracy is None else f", test {100 * log.test_accuracy:.1f} %"
            console.print(
                f"epoch {log.epoch}: loss {log.loss:.4f}, train {100 * log.train_accuracy:.1f} %{seen}", highlight=False
            )

        logs = train(
            model, loaded[0], geometry=geometry, recipe=recipe, test=loaded[1] if testing is not None else None,
            checkpoint=output / "checkpoint.safetensors", tell=tell,
        )  # fmt: skip
    facts = {
        "net": net, "classes": json.dumps(list(training.classes)), "recipe": json.dumps(asdict(recipe)),
        "resize": json.dumps(geometry.resize),
    }  # fmt: skip
    save_weights(network, output / "weights.safetensors", facts)
    write_csv(output / "log.csv", [asdict(log) for log in logs])
    if testing is not None:
        _confusion(console, model, accuracy(model, loaded[1], geometry, stride=recipe.stride), output)
    console.print(f"weights: {output / 'weights.safetensors'}", highlight=False)


def _unknown(net: str) -> NetSpec:
    build_net(net, 2)  # raises the sentence with near names
    raise AssertionError


def _load(videos: VideoSet, geometry: Geometry, name: str) -> TrainingVideos:
    with progress_bar(f"reading {name} videos", len(videos)) as advance:
        return load_videos(videos.paths, videos.labels, geometry, spans=videos.spans, advance=advance)


def _confusion(console: Console, model: VideoModel, matrix: np.ndarray, output: Path) -> None:
    table = Table(title=f"test accuracy {100 * np.trace(matrix) / max(matrix.sum(), 1):.2f} %, rows are the truth")
    for column in ("class", *model.classes, "right"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for name, row, own in zip(model.classes, matrix, np.diag(matrix), strict=True):
        table.add_row(name, *map(str, row), f"{100 * own / max(row.sum(), 1):.0f} %")
    console.print(table)
    rows = [
        {"truth": name, **dict(zip(model.classes, map(int, row), strict=True))}
        for name, row in zip(model.classes, matrix, strict=True)
    ]
    write_csv(output / "confusion.csv", rows)
