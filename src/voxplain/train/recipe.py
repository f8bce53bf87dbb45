"""`Recipe`: the numbers of a training run, and the line that each epoch adds to its log."""

from dataclasses import dataclass, fields

from voxplain.errors import DataError

__all__ = ["EpochLog", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training run; the defaults are the STCE paper's."""

    epochs: int = 150
    batch: int = 64  # clips a step, over all processes
    micro_batch: int | None = None
    """Clips in memory at once, gradients adding up to the batch. Default: the whole batch. BatchNorm then takes its
    statistics over the micro batch, so only networks without it train the same as with the batch in one piece."""
    lr: float = 0.01
    lr_step: int = 50  # epochs between divisions of the learning rate
    lr_factor: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0  # the paper is silent
    stride: int = 1  # frames of the video from one frame of the clip to the next
    flip: float = 0.5  # probability of a mirrored clip; 0 where left and right are different classes
    seed: int = 0

    def __post_init__(self) -> None:
        """Check that what is counted is at least 1."""
        for field in fields(self):
            value = getattr(self, field.name)
            if (
                field.name in ("epochs", "batch", "micro_batch", "lr_step", "stride")
                and value is not None
                and value < 1
            ):
                raise DataError(f"expected {field.name} of 1 or more, got {value}; give a positive whole number")
        if not 0 <= self.flip <= 1:
            raise DataError(f"expected flip as a probability from 0 to 1, got {self.flip}; choose 0.5 or 0")

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
