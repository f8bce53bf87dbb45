"""The training loop: SGD on random clips, measured after each epoch, resumable.

Numbers: float32 on a CPU always, because bfloat16 training of 3D convolutions there gives wrong weight gradients in
current torch without any visible sign; bfloat16 autocast on CUDA.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.errors import DataError, ModelError
from voxplain.model import VideoModel
from voxplain.train.checkpoint import read_state, run_facts, write_state
from voxplain.train.measure import accuracy, check_labels, overall_accuracy
from voxplain.train.processes import ALONE, Processes
from voxplain.train.recipe import EpochLog, Recipe
from voxplain.train.training_clips import Cut, TrainingVideos, draw, train_clips
from voxplain.video import Geometry

__all__ = ["autocast_type", "train"]


def autocast_type(device: torch.device) -> torch.dtype | None:
    """The type of autocast in training: bfloat16 on CUDA, elsewhere None."""
    return torch.bfloat16 if device.type == "cuda" else None


def _pieces(batch: list[Cut], recipe: Recipe) -> list[list[Cut]]:
    """Even pieces of at most a micro batch."""
    pieces = 1 if recipe.micro_batch is None else -(-len(batch) // recipe.micro_batch)
    return [[batch[i] for i in index] for index in np.array_split(np.arange(len(batch)), max(pieces, 1))]


def _batches(lengths: np.ndarray, count: int, geometry: Geometry, recipe: Recipe, epoch: int) -> list[list[Cut]]:
    """The clips of every step of an epoch: each video once, in random order."""
    # Everything random of an epoch comes from (seed, epoch): a resumed run draws what an uninterrupted one would, and
    # each of several processes draws the whole epoch, of which it takes its part.
    rng = np.random.default_rng((recipe.seed, epoch))
    order = rng.permutation(len(lengths))
    steps = max(1, round(len(order) / recipe.batch))
    return [
        [draw(int(i), int(lengths[i]), count, geometry, recipe, rng) for i in batch]
        for batch in np.array_split(order, steps)
    ]


def _accumulate(
    model: VideoModel, videos: TrainingVideos, clips: np.ndarray, labels: np.ndarray, part: float
) -> tuple[Tensor, Tensor]:
    """Add the gradient of ``part`` of a batch; returns that part of the loss, and the number of right clips."""
    truth = torch.as_tensor(labels, device=model.device)
    kind = autocast_type(model.device)
    # Disabled explicitly on other devices, because the caller may have enabled it.
    with torch.autocast(model.device.type if kind else "cpu", dtype=kind, enabled=kind is not None):
        z = model.forward(model.prepare(clips))
        z = z if z.dtype == torch.float64 else z.float()
        check_labels(videos, z.shape[1])
        loss = nn.functional.cross_entropy(z, truth) * part
    loss.backward()
    return loss.detach(), (z.argmax(1) == truth).sum()


def _step(
    model: VideoModel,
    videos: TrainingVideos,
    pieces: Iterator[tuple[np.ndarray, np.ndarray]],
    count: int,
    total: int,
    optimiser: torch.optim.SGD,
    processes: Processes,
) -> tuple[float, int]:
    """One update from the next ``count`` pieces of a batch of ``total`` clips; returns its mean loss and hits."""
    optimiser.zero_grad(set_to_none=True)
    loss, right = torch.zeros(2, device=model.device)
    for clips, labels in islice(pieces, count):
        more, hits = _accumulate(model, videos, clips, labels, len(labels) / total)
        loss, right = loss + more, right + hits
    loss, right = processes.total_gradients(model.net, loss, right)
    if not torch.isfinite(loss):
        raise ModelError(f"expected a finite loss, got {loss.item()}; lower the learning rate")
    optimiser.step()
    return loss.item(), int(right)


def _epoch(
    model: VideoModel,
    videos: TrainingVideos,
    lengths: np.ndarray,
    geometry: Geometry,
    recipe: Recipe,
    epoch: int,
    optimiser: torch.optim.SGD,
    processes: Processes,
    advance: Callable[[], object],
) -> tuple[float, float]:
    """Mean loss and accuracy over one pass through the training videos."""
    # Dropout differs from process to process.
    torch.manual_seed(recipe.seed * 100_003 + epoch + 1_000_003 * processes.rank)
    batches = _batches(lengths, model.grid[0], geometry, recipe, epoch)
    normalised = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.net.modules())
    own = [_pieces([batch[i] for i in processes.part(np.arange(len(batch)))], recipe) for batch in batches]
    loss_sum, right = 0.0, 0
    # Closed with this function, also after an error: the iterator holds a thread.
    with closing(train_clips(videos, [piece for parts in own for piece in parts], geometry)) as pieces:
        for number, (batch, parts) in enumerate(zip(batches, own, strict=True)):
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate(epoch) * recipe.rise(epoch * len(batches) + number, normalised)
            try:
                loss, hits = _step(model, videos, pieces, len(parts), len(batch), optimiser, processes)
            except ModelError as error:
                raise ModelError(str(error).replace(";", f" in epoch {epoch + 1};", 1)) from None
            loss_sum, right = loss_sum + loss * len(batch), right + hits
            advance()
    processes.average_statistics(model.net)
    broken = [k for k, v in model.net.state_dict().items() if not bool(torch.isfinite(v).all())]
    if broken:  # the last step may break the weights after a loss that was still finite
        raise ModelError(
            f"expected finite weights, got NaN or infinity in {broken[0]} after epoch {epoch + 1}; lower the learning "
            "rate"
        )
    return loss_sum / len(lengths), right / len(lengths)


def _check_trainable(
    model: VideoModel, videos: TrainingVideos, test: TrainingVideos | None, geometry: Geometry
) -> None:
    """Raise on what cannot be trained, before any computation."""
    if geometry.crop != model.grid[1:]:
        raise DataError(f"expected a crop of the model's {model.grid[1:]}, got {geometry.crop}; set one to the other")
    if not len(videos.frames):
        raise DataError("expected videos to train on, got none; give at least one")
    if autocast_type(model.device) is None and model.dtype in (torch.bfloat16, torch.float16):
        raise ModelError(
            f"expected float32 weights to train on {model.device.type}, got {str(model.dtype).removeprefix('torch.')}, "
            "whose gradients are wrong there; call net.float() first"
        )
    if not model.exclusive or model.narrowed is not None:
        raise ModelError(
            f"expected a network of classes that exclude each other to train, got task {model.task!r}; train it with "
            "the loss of its task, and explain it then"
        )
    for part in (videos, test):
        if part is not None and model.classes:
            check_labels(part, len(model.classes))


def train(
    model: VideoModel,
    videos: TrainingVideos,
    *,
    geometry: Geometry,
    recipe: Recipe,
    test: TrainingVideos | None = None,
    checkpoint: Path | None = None,
    processes: Processes = ALONE,
    advance: Callable[[], object] = lambda: None,
    on_epoch: Callable[[EpochLog], object] = lambda log: None,
    on_log: Callable[[list[EpochLog]], object] = lambda logs: None,
) -> list[EpochLog]:
    """Train ``model.net`` in place and leave it in evaluation mode.

    Parameters
    ----------
    model : VideoModel
        The network; its weights are changed.
    videos : TrainingVideos
        Videos to train on, each once an epoch.
    geometry : Geometry
        Resize and crop; the crop must be the model's H×W.
    recipe : Recipe
        Epochs, batch, learning rate and the rest.
    test : TrainingVideos, optional
        Videos on which the accuracy is measured after each epoch.
    checkpoint : Path, optional
        A .safetensors file that gets the state after each epoch; where it exists, training continues from it, and the
        weights are those of an uninterrupted run.
    processes : Processes, optional
        The processes that train together: each takes its part of every batch, and their gradients are summed. Only the
        first writes the checkpoint and calls ``on_epoch`` and ``on_log``.
    advance : callable, optional
        Called after each step.
    on_epoch : callable, optional
        Called after each epoch with its log.
    on_log : callable, optional
        Called after each epoch with the logs of all epochs so far.

    Returns
    -------
    list of EpochLog
        The log of every epoch.

    Raises
    ------
    ModelError
        When loss or weights are no longer finite.
    DataError
        When the checkpoint is of another run, or the videos do not fit the model.
    """
    _check_trainable(model, videos, test, geometry)
    optimiser = torch.optim.SGD(
        model.net.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    lengths = np.array([len(f) for f in videos.frames], np.int64)
    facts = run_facts(model, lengths, videos.labels, geometry, recipe)
    logs = read_state(checkpoint, model.net, optimiser, facts) if checkpoint and checkpoint.exists() else []
    processes.same_start(model.net)
    try:
        for epoch in range(len(logs), recipe.epochs):
            model.net.train()
            loss, right = _epoch(model, videos, lengths, geometry, recipe, epoch, optimiser, processes, advance)
            tested = accuracy(model, test, geometry, stride=recipe.stride, processes=processes) if test else None
            test_accuracy = None if tested is None else overall_accuracy(tested)
            logs.append(EpochLog(epoch + 1, loss, right, test_accuracy, recipe.rate(epoch)))
            if processes.first:
                on_epoch(logs[-1])
                on_log(logs)
                if checkpoint:
                    write_state(checkpoint, model.net, optimiser, logs, facts)
    finally:
        model.net.eval()
    return logs
