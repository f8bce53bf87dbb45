"""How well a network does on videos: confusion matrix, accuracy a class."""

import numpy as np
import torch

from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.train.clips import TrainingVideos, test_clips
from voxplain.train.processes import ALONE, Processes
from voxplain.video import Geometry

__all__ = ["accuracy", "check_labels", "per_class", "share"]


def accuracy(
    model: VideoModel, videos: TrainingVideos, geometry: Geometry, *, stride: int = 1, processes: Processes = ALONE
) -> np.ndarray:
    """Confusion matrix int64 [K,K] (rows: truth) on the middle clip and centre crop of each video."""
    numbers, rows = processes.share(np.arange(len(videos.frames))), []
    for start in range(0, len(numbers), model.batch_size):
        clips = test_clips(videos, numbers[start : start + model.batch_size], model.grid[0], geometry, stride)
        rows.append(model.logits(clips).cpu())
    z = torch.cat(rows) if rows else torch.zeros(0, len(model.classes))
    if rows:
        check_labels(videos, z.shape[1])
    matrix = np.zeros((z.shape[1], z.shape[1]), np.int64)
    np.add.at(matrix, (videos.labels[numbers], z.argmax(1).numpy()), 1)
    return processes.total([torch.from_numpy(matrix).to(model.device)])[0].cpu().numpy()


def check_labels(videos: TrainingVideos, classes: int) -> None:
    """Raise DataError for labels that no class has."""
    if len(videos.labels) and not 0 <= videos.labels.min() <= videos.labels.max() < classes:
        raise DataError(
            f"expected labels from 0 to {classes - 1} for {classes} classes, got {videos.labels.min()} to "
            f"{videos.labels.max()}; build the network with a class for each label"
        )


def share(matrix: np.ndarray) -> float:
    """The part of the videos that are right; higher is better, chance is about 1/K."""
    return float(np.trace(matrix) / max(matrix.sum(), 1))


def per_class(matrix: np.ndarray, classes: tuple[str, ...]) -> list[dict[str, object]]:
    """A row a class: videos, how many are right, accuracy (None without videos), and what it is called most else."""
    rows: list[dict[str, object]] = []
    for k, name in enumerate(classes):
        others = matrix[k].copy()
        others[k] = 0
        total, right = int(matrix[k].sum()), int(matrix[k, k])
        rows.append(
            {
                "class": name,
                "videos": total,
                "right": right,
                "accuracy": right / total if total else None,
                "most_called_else": classes[int(others.argmax())] if others.any() else None,
            }
        )
    return rows
