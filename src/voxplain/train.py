"""Training a network from scratch by the papers' recipe: SGD, step schedule, random crops and flips; resumable.

The defaults are those of the STCE paper (Kinetics): 150 epochs of batch 64, learning rate 0.01 divided by 10 every
50 epochs, momentum 0.9. Training stays in float32: bfloat16 training of 3D convolutions on a CPU gives wrong weight
gradients in current torch without any visible sign.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from voxplain.errors import DataError, ModelError, VideoError
from voxplain.model import VideoModel
from voxplain.video import Geometry, Middle, Random, read_video

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
    workers: int = 2,
    advance: Callable[[], object] = lambda: None,
) -> TrainingVideos:
    """Decode and resize videos once, before the crop; a bad file is skipped and listed, all bad is a DataError."""

    def load(path: Path) -> np.ndarray | str:
        try:
            return geometry.resize_frames(read_video(path, geometry=geometry).frames)
        except VideoError as error:
            return str(error)
        finally:
            advance()

    with ThreadPoolExecutor(workers) as pool:
        loaded = list(pool.map(load, paths))
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
    k = len(model.classes)
    matrix = np.zeros((k, k), np.int64)
    for start in range(0, len(videos.frames), model.batch_size):
        part = slice(start, start + model.batch_size)
        clips = np.stack([_test_clip(f, model.grid[0], geometry, stride) for f in videos.frames[part]])
        np.add.at(matrix, (videos.labels[part], model.logits(clips).argmax(1).cpu().numpy()), 1)
    return matrix


def _share(matrix: np.ndarray) -> float:
    return float(np.trace(matrix) / max(matrix.sum(), 1))


def _save(path: Path, net: nn.Module, optimiser: torch.optim.SGD, logs: list[EpochLog], recipe: Recipe) -> None:
    """Weights, momenta and log in one file, whole or absent."""
    tensors: dict[str, Tensor] = {f"net.{k}": v.contiguous() for k, v in net.state_dict().items()}
    for i, p in enumerate(net.parameters()):
        if "momentum_buffer" in optimiser.state[p]:
            tensors[f"momentum.{i}"] = optimiser.state[p]["momentum_buffer"].contiguous()
    facts = {"recipe": json.dumps(asdict(recipe)), "logs": json.dumps([asdict(x) for x in logs])}
    partial = path.with_suffix(".part")
    save_file(tensors, partial, metadata=facts)
    partial.replace(path)


def _resume(path: Path, net: nn.Module, optimiser: torch.optim.SGD, recipe: Recipe) -> list[EpochLog]:
    """Load a checkpoint of the same recipe into net and optimiser; returns the log so far."""
    with safe_open(path, "pt") as file:
        facts = file.metadata() or {}
        stored = json.loads(facts.get("recipe", "{}"))
        # More epochs of the same recipe is how a run is prolonged; anything else would mix two recipes.
        if {**stored, "epochs": 0} != {**asdict(recipe), "epochs": 0}:
            raise DataError(
                f"expected the checkpoint {path.name} to be of the same recipe, got another; remove it or choose "
                "another output folder"
            )
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - a file, not a dict
    net.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("net.")})
    for i, p in enumerate(net.parameters()):
        if f"momentum.{i}" in tensors:
            optimiser.state[p]["momentum_buffer"] = tensors[f"momentum.{i}"].to(p.device)
    return [EpochLog(**x) for x in json.loads(facts["logs"])]


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
        loss = nn.functional.cross_entropy(z, truth)
        if not torch.isfinite(loss):
            raise ModelError(f"expected a finite loss, got {loss.item()} in epoch {epoch + 1}; lower the learning rate")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss_sum += loss.item() * len(batch)
        right += int((z.argmax(1) == truth).sum())
        advance()
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
    file is continued: the weights are those of an uninterrupted run. ``test`` is only measured, never trained on.
    """
    if geometry.crop != model.grid[1:]:
        raise DataError(f"expected a crop of the model's {model.grid[1:]}, got {geometry.crop}; set one to the other")
    optimiser = torch.optim.SGD(
        model.net.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    logs = _resume(checkpoint, model.net, optimiser, recipe) if checkpoint and checkpoint.exists() else []
    for epoch in range(len(logs), recipe.epochs):
        model.net.train()
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate(epoch)
        loss, right = _epoch(model, videos, geometry, recipe, epoch, optimiser, advance)
        seen = _share(accuracy(model, test, geometry, stride=recipe.stride)) if test else None
        logs.append(EpochLog(epoch + 1, loss, right, seen, recipe.rate(epoch)))
        tell(logs[-1])
        if checkpoint:
            _save(checkpoint, model.net, optimiser, logs, recipe)
    model.net.eval()
    return logs
