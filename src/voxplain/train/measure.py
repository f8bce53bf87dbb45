"""Confusion matrix and accuracy of a network on videos."""

import numpy as np
import torch

from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.train.processes import ALONE, Processes
from voxplain.train.training_clips import TrainingVideos, test_clips
from voxplain.video import Geometry

__all__ = ["accuracy", "check_labels", "overall_accuracy", "per_class"]


def accuracy(
    model: VideoModel, videos: TrainingVideos, geometry: Geometry, *, stride: int = 1, processes: Processes = ALONE
) -> np.ndarray:
    """Confusion matrix on the middle clip and centre crop of each video.

    Parameters
    ----------
    model : VideoModel
        The network.
    videos : TrainingVideos
        Videos with labels.
    geometry : Geometry
        Resize and crop.
    stride : int
        Frames of the video from one frame of the clip to the next.
    processes : Processes, optional
        The processes that share the videos.

    Returns
    -------
    ndarray
        int64 [K,K]; rows are the true classes, columns the predicted ones.

    Raises
    ------
    DataError
        For labels outside the network's classes.
    """
    numbers, rows = processes.part(np.arange(len(videos.frames))), []
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
    """Raise DataError for labels outside 0 … ``classes`` - 1."""
    if len(videos.labels) and not 0 <= videos.labels.min() <= videos.labels.max() < classes:
        raise DataError(
            f"expected labels from 0 to {classes - 1} for {classes} classes, got {videos.labels.min()} to "
            f"{videos.labels.max()}; build the network with a class for each label"
        )


def overall_accuracy(matrix: np.ndarray) -> float:
    """Accuracy 0–1 of a confusion matrix [K,K]; higher is better, chance is about 1/K."""
    return float(np.trace(matrix) / max(matrix.sum(), 1))


def per_class(matrix: np.ndarray, classes: tuple[str, ...]) -> list[dict[str, object]]:
    """Accuracy of each class of a confusion matrix.

    Parameters
    ----------
    matrix : ndarray
        int [K,K]; rows are the true classes.
    classes : tuple of str
        Names of the classes.

    Returns
    -------
    list of dict
        For each class its name ("class"), "videos", "right", "accuracy" (0–1, None without videos), and the other class
        that is predicted most often ("most_called_else", None if there is none).

    Examples
    --------
    >>> per_class(np.array([[3, 1], [0, 0]]), ("bend", "run"))[0]
    {'class': 'bend', 'videos': 4, 'right': 3, 'accuracy': 0.75, 'most_called_else': 'run'}
    """
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
