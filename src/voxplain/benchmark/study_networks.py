"""The networks of the study, trained on planted clips; what is trained is kept in a folder and found again."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from voxplain.benchmark.study_clips import FULL, StudyClips, StudySize
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.nets import load_weights, save_weights
from voxplain.nets.study import STUDY_NETS
from voxplain.video import Geometry
from voxplain.zoo.load import load_model

__all__ = ["ENOUGH", "NETWORKS", "RATES", "SHIPPED", "TrainedNetwork", "own_size", "study_network", "train_on_clips"]

# The network that comes with voxplain, a 3D ConvNet with batch norm; trained on the standard design at the full size.
SHIPPED = "planted"
NETWORKS = (SHIPPED, *STUDY_NETS)

# Largest learning rate of AdamW; networks not named take the first.
RATES = {"r3d": 5e-3, "c3d": 1e-3, "cnn_lstm": 3e-3, "convlstm": 4e-3, "transformer": 1.5e-3}
BATCH = 32
ENOUGH = 0.985  # accuracy on the clips of an epoch that ends the training
SHIFT = 1 / 8  # clips are moved by at most this share of a frame


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network of the study and its share of right answers on clips that were not in its training."""

    model: VideoModel
    accuracy: float


def study_network(
    name: str,
    clips: StudyClips,
    size: StudySize,
    folder: Path,
    *,
    seed: int = 1,
    tell: Callable[[str], object] = lambda text: None,
) -> TrainedNetwork:
    """Train a network, or find it in the folder.

    Parameters
    ----------
    name : str
        A name in `NETWORKS`.
    clips : StudyClips
        The set that it is trained and tested on.
    size : StudySize
        Clips and epochs.
    folder : Path
        Where weights and accuracy are kept.
    seed : int
        Of weights and order.
    tell : callable
        Is given a line for each epoch.

    Returns
    -------
    TrainedNetwork

    Raises
    ------
    DataError
        An unknown network.
    """
    if name not in NETWORKS:
        raise DataError(f"expected a network among {', '.join(NETWORKS)}, got {name!r}; choose one")
    if name == SHIPPED:
        model = load_model(SHIPPED, device="cpu")
        seen, truth = clips.part(own_size(name, size), "test")
        return TrainedNetwork(model, _right(model, seen, truth))
    torch.manual_seed(seed)
    classes, side = clips.classes(size), (size.side, size.side)
    net = STUDY_NETS[name](len(classes)).eval()
    whole = Geometry(side, side)
    model = VideoModel(
        net, grid=(size.frames, *side), classes=classes, geometry=whole, batch_size=32, name=name, layout="BCTHW"
    )
    weights, figures = folder / "weights.safetensors", folder / "accuracy.json"
    if not figures.exists():  # written last
        frames, labels = clips.part(size, "train")
        train_on_clips(model, frames, labels, RATES.get(name, RATES["r3d"]), size.epochs, seed=seed, tell=tell)
        seen, truth = clips.part(size, "test")
        right = _right(model, seen, truth)
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(net, weights, {})
        figures.write_text(json.dumps(right))
    load_weights(net, weights)
    return TrainedNetwork(model, float(json.loads(figures.read_text())))


def own_size(name: str, size: StudySize) -> StudySize:
    """The sizes of a network's clips: those of the study, but the full grid and few training clips for the shipped one.

    The shipped network is trained on the standard design.
    """
    if name != SHIPPED:
        return size
    return replace(FULL, clips=size.clips, test=min(size.test, 10), train=min(size.train, 20))


def _right(model: VideoModel, frames: np.ndarray, labels: np.ndarray) -> float:
    """Share of clips whose class is predicted."""
    z = np.concatenate([np.asarray(model.logits(part)) for part in np.array_split(frames, -(-len(frames) // BATCH))])
    return float((z.argmax(1) == labels).mean())


def train_on_clips(
    model: VideoModel,
    frames: np.ndarray,
    labels: np.ndarray,
    rate: float,
    epochs: int,
    *,
    seed: int = 0,
    change: Callable[[torch.Tensor, np.random.Generator], torch.Tensor] = lambda x, rng: x,
    enough: float = ENOUGH,
    tell: Callable[[str], object] = lambda text: None,
) -> None:
    """Train in place by AdamW with one cycle of the rate, on clips moved by a few pixels with permuted colours.

    Both changes keep a planted clip's class. ``change`` is applied to each batch of inputs [B,3,T,H,W]; the training
    ends when an epoch's accuracy reaches ``enough``, so that the rate may not have come down.
    """
    torch.manual_seed(seed)
    rng, truth = np.random.default_rng(seed), torch.from_numpy(labels)
    steps, reach = -(-len(frames) // BATCH), int(frames.shape[2] * SHIFT)
    optimiser = torch.optim.AdamW(model.net.parameters(), lr=rate, weight_decay=0.02)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * steps)
    flat = any(p.ndim == 4 for p in model.net.parameters())  # 2D convolutions have no such order
    order = torch.contiguous_format if flat else torch.channels_last_3d  # twice as fast in 3D
    model.net.to(memory_format=order).train()  # type: ignore[call-overload]
    try:
        for epoch in range(epochs):
            right, losses = 0, []
            for index in np.array_split(rng.permutation(len(frames)), steps):
                moved = [
                    np.roll(frames[i], rng.integers(-reach, reach + 1, 2), (1, 2))[..., rng.permutation(3)]
                    for i in index
                ]
                x = change(model.prepare(np.stack(moved)), rng).contiguous(memory_format=order)
                z, y = model.forward(x), truth[index]
                loss = nn.functional.cross_entropy(z, y, label_smoothing=0.05)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(model.net.parameters(), 5.0)
                optimiser.step()
                cycle.step()
                right += int((z.argmax(1) == y).sum())
                losses.append(loss.item())
            tell(f"epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.3f}, right {right / len(frames):.3f}")
            if right >= enough * len(frames):
                break
    finally:
        model.net.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
