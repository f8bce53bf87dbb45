"""The parameters of a training run, and the log of an epoch."""

from dataclasses import dataclass, fields

from voxplain.errors import DataError

__all__ = ["WARMUP", "EpochLog", "Recipe"]

# Steps, of networks without batch norm. C3D from random weights went to NaN at the papers' rate on its second step, see
# `voxplain.nets.c3d`.
WARMUP = 20


@dataclass(frozen=True)
class Recipe:
    """Parameters of a training run; the defaults are the STCE paper's.

    Parameters
    ----------
    epochs
        Passes through the training videos.
    batch
        Clips a step, over all processes.
    micro_batch
        Clips in memory at once, whose gradients add up to the batch. Default: the whole batch. BatchNorm then takes
        its statistics over the micro batch, so only networks without it train the same as with the whole batch.
    lr
        Learning rate of the first epochs.
    lr_step
        Epochs between two changes of the learning rate.
    lr_factor
        What the learning rate is multiplied by after each ``lr_step`` epochs.
    momentum
        Momentum of SGD.
    weight_decay
        Weight decay of SGD; the paper gives none.
    stride
        Frames of the video from one frame of the clip to the next.
    flip
        Probability of a mirrored clip, 0–1; 0 where left and right are different classes.
    seed
        The same seed gives the same weights.
    warmup
        Steps over which the learning rate rises linearly to its first value. Default: 0 for networks with batch norm,
        `WARMUP` for others, whose first steps at the full rate can break the weights.

    Raises
    ------
    DataError
        For counts below 1 and a probability outside 0–1.

    Examples
    --------
    >>> Recipe(lr_step=50).rate(epoch=50)
    0.001
    """

    epochs: int = 150
    batch: int = 64
    micro_batch: int | None = None
    lr: float = 0.01
    lr_step: int = 50
    lr_factor: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    stride: int = 1
    flip: float = 0.5
    seed: int = 0
    warmup: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        for field in fields(self):
            value = getattr(self, field.name)
            if (
                field.name in ("epochs", "batch", "micro_batch", "lr_step", "stride")
                and value is not None
                and value < 1
            ):
                raise DataError(f"expected {field.name} of 1 or more, got {value}; give a positive whole number")
        if self.warmup is not None and self.warmup < 0:
            raise DataError(f"expected warmup of 0 steps or more, got {self.warmup}; give a whole number")
        if not 0 <= self.flip <= 1:
            raise DataError(f"expected flip as a probability from 0 to 1, got {self.flip}; choose 0.5 or 0")

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch counted from 0."""
        return self.lr * self.lr_factor ** (epoch // self.lr_step)

    def rise(self, step: int, normalised: bool) -> float:
        """Factor of the learning rate at a step of the run counted from 0, of a network with batch norm or without."""
        steps = self.warmup if self.warmup is not None else (0 if normalised else WARMUP)
        return min(1.0, (step + 1) / steps) if steps else 1.0


@dataclass(frozen=True)
class EpochLog:
    """One line of the training log.

    Parameters
    ----------
    epoch : int
        From 1.
    loss : float
        Mean cross-entropy of the epoch's clips, in nats.
    train_accuracy, test_accuracy : float
        0–1; the test accuracy is None without test videos.
    lr : float
        Learning rate of the epoch.
    """

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float | None
    lr: float
