"""Training a network from scratch by the papers' recipe: SGD, step schedule, random crops and flips; resumable.

The defaults are those of the STCE paper (Kinetics): 150 epochs of batch 64, learning rate 0.01 divided by 10 every
50 epochs, momentum 0.9. Training stays in float32: bfloat16 training of 3D convolutions on a CPU gives wrong weight
gradients in current torch without any visible sign.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.errors import DataError, ModelError, VideoError
from voxplain.model import VideoModel
from voxplain.nets.checkpoint import read_checkpoint, write_checkpoint
from voxplain.video import Geometry, Middle, Random, Span, read_video

__all__ = ["EpochLog", "Recipe", "TrainingVideos", "accuracy", "load_videos", "train"]


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training run; the defaults are the STCE paper's."""

    epochs: int = 150
    batch: int = 64  # clips a step
    lr: float = 0.01
    lr_step: int = 50  # epochs between divisions of the learning rate
    lr_factor: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0  # the paper is silent
    stride: int = 1  # frames of the video from one frame of the clip to the next
    flip: float = 0.5  # probability of a mirrored clip; 0 where left and right are different classes
    seed: int = 0

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch counted from 0."""
        return self.lr * self.lr_factor ** (epoch // self.lr_step)


@dataclass(frozen=True)
class EpochLog:
    """One line of the training log; ``loss`` is the mean cross-entropy of the epoch's steps, in nats."""

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float | None
    lr: float


@dataclass(frozen=True, eq=False)
class TrainingVideos:
    """Whole videos at the size before the crop: frames uint8 [T_i,H,W,3] each, labels int64 [N], what was skipped."""

    frames: tuple[np.ndarray, ...]
    labels: np.ndarray
    skipped: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check that there is a label for each video."""
        if len(self.frames) != len(self.labels):
            raise DataError(f"expected a label a video, got {len(self.labels)} for {len(self.frames)} videos")

    def __repr__(self) -> str:
        """Counts, not frames."""
        return f"TrainingVideos(videos={len(self.frames)}, skipped={len(self.skipped)})"


def load_videos(
    paths: Sequence[Path],
    labels: Sequence[int] | np.ndarray,
    geometry: Geometry,
    *,
    spans: Sequence[Span] | None = None,
    workers: int = 2,
    advance: Callable[[], object] = lambda: None,
) -> TrainingVideos:
    """Decode and resize videos once, before the crop; a bad file is skipped and listed, all bad is a DataError.

    ``spans``: the frames to keep of each video; default: all.
    """

    if len(labels) != len(paths):
        raise DataError(f"expected a label a video, got {len(labels)} for {len(paths)} videos")

    def load(path: Path, span: Span | None) -> np.ndarray | str:
        try:
            return geometry.resize_frames(read_video(path, geometry=geometry, span=span).frames)
        except VideoError as error:
            return str(error)
        finally:
            advance()

    with ThreadPoolExecutor(workers) as pool:
        loaded = list(pool.map(load, paths, spans or [None] * len(paths)))
    good = [(x, y) for x, y in zip(loaded, labels, strict=True) if not isinstance(x, str)]
    skipped = tuple((str(p), x) for p, x in zip(paths, loaded, strict=True) if isinstance(x, str))
    if not good:
        raise DataError(f"expected videos to train on, got none that can be read of {len(paths)}: {skipped[:1]}")
    return TrainingVideos(tuple(x for x, _ in good), np.array([y for _, y in good], np.int64), skipped)


def _train_clip(
    frames: np.ndarray, count: int, geometry: Geometry, recipe: Recipe, rng: np.random.Generator
) -> np.ndarray:
    index = Random(count, recipe.stride)(len(frames), rng)[0]
    flip = bool(rng.random() < recipe.flip)
    return geometry.crop_frames(frames[index], corner=geometry.random_corner(rng), flip=flip)


def _test_clip(frames: np.ndarray, count: int, geometry: Geometry, stride: int) -> np.ndarray:
    return geometry.crop_frames(frames[Middle(count, stride)(len(frames))[0]])


def accuracy(model: VideoModel, videos: TrainingVideos, geometry: Geometry, *, stride: int = 1) -> np.ndarray:
    """Confusion matrix int64 [K,K] (rows: truth) on the middle clip and centre crop of each video."""
    rows = []
    for start in range(0, len(videos.frames), model.batch_size):
        part = videos.frames[start : start + model.batch_size]
        rows.append(model.logits(np.stack([_test_clip(f, model.grid[0], geometry, stride) for f in part])).cpu())
    z = torch.cat(rows) if rows else torch.zeros(0, len(model.classes))
    _check_labels(videos, z.shape[1])
    matrix = np.zeros((z.shape[1], z.shape[1]), np.int64)
    np.add.at(matrix, (videos.labels, z.argmax(1).numpy()), 1)
    return matrix


def _check_labels(videos: TrainingVideos, classes: int) -> None:
    if len(videos.labels) and not 0 <= videos.labels.min() <= videos.labels.max() < classes:
        raise DataError(
            f"expected labels from 0 to {classes - 1} for {classes} classes, got {videos.labels.min()} to "
            f"{videos.labels.max()}; build the network with a class for each label"
        )


def _share(matrix: np.ndarray) -> float:
    return float(np.trace(matrix) / max(matrix.sum(), 1))


def _facts(model: VideoModel, videos: TrainingVideos, geometry: Geometry, recipe: Recipe) -> dict[str, str]:
    """What a run is made of, as a checkpoint says it."""
    # The labels and lengths stand for the videos: hashing all frames would cost more than an epoch saves.
    lengths = np.array([len(f) for f in videos.frames], np.int64)
    return {
        "recipe": json.dumps(asdict(recipe)),
        "classes": json.dumps(list(model.classes)),
        "input": json.dumps([*model.grid, *geometry.resize, *geometry.crop, *model.mean, *model.std]),
        "videos": hashlib.sha256(videos.labels.tobytes() + lengths.tobytes()).hexdigest(),
    }


def _save(path: Path, net: nn.Module, optimiser: torch.optim.SGD, logs: list[EpochLog], facts: dict[str, str]) -> None:
    """Weights, momenta and log in one file, whole or absent; the same run gives the same bytes."""
    tensors: dict[str, Tensor] = {f"net.{k}": v for k, v in net.state_dict().items()}
    for i, p in enumerate(net.parameters()):
        if "momentum_buffer" in optimiser.state[p]:
            tensors[f"momentum.{i}"] = optimiser.state[p]["momentum_buffer"]
    write_checkpoint(path, tensors, {**facts, "logs": json.dumps([asdict(x) for x in logs])})


def _resume(path: Path, net: nn.Module, optimiser: torch.optim.SGD, facts: dict[str, str]) -> list[EpochLog]:
    """Load a checkpoint of the same run into net and optimiser; returns the log so far."""
    tensors, stored = read_checkpoint(path)
    for name, mine in facts.items():
        theirs = json.loads(stored.get("recipe", "{}")) if name == "recipe" else stored.get(name, mine)
        # More epochs of the same recipe is how a run is prolonged; anything else would mix two recipes.
        own = {**json.loads(mine), "epochs": theirs.get("epochs")} if isinstance(theirs, dict) else mine
        if theirs != own:
            raise DataError(
                f"expected the checkpoint {path.name} to be of the same {name}, got another; remove it or choose "
                "another output folder"
            )
    try:
        net.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("net.")})
    except RuntimeError:
        raise ModelError(
            f"expected the checkpoint {path.name} to be of this network, got one with other weights; remove it or "
            "choose another output folder"
        ) from None
    for i, p in enumerate(net.parameters()):
        if f"momentum.{i}" in tensors:
            optimiser.state[p]["momentum_buffer"] = tensors[f"momentum.{i}"].to(p.device)
    return [EpochLog(**x) for x in json.loads(stored["logs"])]


def _epoch(
    model: VideoModel, videos: TrainingVideos, geometry: Geometry, recipe: Recipe, epoch: int,
    optimiser: torch.optim.SGD, advance: Callable[[], object],
) -> tuple[float, float]:  # fmt: skip
    """Mean loss and accuracy over one pass through the training videos."""
    # Everything random of an epoch comes from (seed, epoch): a resumed run draws what an uninterrupted one would.
    rng = np.random.default_rng((recipe.seed, epoch))
    torch.manual_seed(recipe.seed * 100_003 + epoch)
    order = rng.permutation(len(videos.frames))
    steps = max(1, round(len(order) / recipe.batch))
    loss_sum, right = 0.0, 0
    for batch in np.array_split(order, steps):
        clips = np.stack([_train_clip(videos.frames[i], model.grid[0], geometry, recipe, rng) for i in batch])
        truth = torch.as_tensor(videos.labels[batch], device=model.device)
        z = model.net(model.prepare(clips))
        _check_labels(videos, z.shape[1])
        loss = nn.functional.cross_entropy(z, truth)
        if not torch.isfinite(loss):
            raise ModelError(f"expected a finite loss, got {loss.item()} in epoch {epoch + 1}; lower the learning rate")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss_sum += loss.item() * len(batch)
        right += int((z.argmax(1) == truth).sum())
        advance()
    broken = [k for k, v in model.net.state_dict().items() if not bool(torch.isfinite(v).all())]
    if broken:  # the last step may break the weights after a loss that was still finite
        raise ModelError(
            f"expected finite weights, got NaN or infinity in {broken[0]} after epoch {epoch + 1}; lower the learning "
            "rate"
        )
    return loss_sum / len(order), right / len(order)


def train(
    model: VideoModel,
    videos: TrainingVideos,
    *,
    geometry: Geometry,
    recipe: Recipe,
    test: TrainingVideos | None = None,
    checkpoint: Path | None = None,
    advance: Callable[[], object] = lambda: None,
    tell: Callable[[EpochLog], object] = lambda log: None,
) -> list[EpochLog]:
    """Train ``model.net`` in place and leave it in evaluation mode; returns the log of every epoch.

    ``geometry.crop`` must be the model's H×W. With ``checkpoint`` the state is saved after each epoch and an existing
    file (.safetensors) is continued: the weights are those of an uninterrupted run. ``test`` is only measured, never
    trained on. Raises ModelError when loss or weights are no longer finite, DataError when the checkpoint is of
    another run.
    """
    if geometry.crop != model.grid[1:]:
        raise DataError(f"expected a crop of the model's {model.grid[1:]}, got {geometry.crop}; set one to the other")
    if not videos.frames:
        raise DataError("expected videos to train on, got none; give at least one")
    optimiser = torch.optim.SGD(
        model.net.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    for part in (videos, test):
        if part is not None and model.classes:
            _check_labels(part, len(model.classes))
    facts = _facts(model, videos, geometry, recipe)
    logs = _resume(checkpoint, model.net, optimiser, facts) if checkpoint and checkpoint.exists() else []
    try:
        for epoch in range(len(logs), recipe.epochs):
            model.net.train()
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate(epoch)
            loss, right = _epoch(model, videos, geometry, recipe, epoch, optimiser, advance)
            seen = _share(accuracy(model, test, geometry, stride=recipe.stride)) if test else None
            logs.append(EpochLog(epoch + 1, loss, right, seen, recipe.rate(epoch)))
            tell(logs[-1])
            if checkpoint:
                _save(checkpoint, model.net, optimiser, logs, facts)
    finally:
        model.net.eval()
    return logs
