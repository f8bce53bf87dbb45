"""Camera swap: training on pairs of clips that differ in the steady motion of the camera alone, with the label kept.

Letters: x a clip, x′ its counterpart, y the label, z(x) [C] the logits, CE the cross-entropy, T×H×W the grid.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain.corrections.examples import Examples
from voxplain.corrections.fine_tune import RECIPE
from voxplain.corrections.further import FurtherTraining
from voxplain.corrections.pairs import check_consistency, train_on_pairs
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.train.recipe import Recipe

__all__ = ["CameraSwap", "steady_motion", "with_motion"]

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class CameraSwap:
    """Short training on each clip and its counterpart, ½·(CE(x, y) + CE(x′, y)) + λ·mean_c (z_c(x) − z_c(x′))².

    The counterpart is the clip itself, moved so that its steady motion is that of another clip: of another class for
    clips of the class of the concepts, and of that class for the others. A motion of the camera has no voxels of its
    own, and objects move with it, so that the swap of a background does not remove it. No masks are used, so that the
    correction of a random concept is no control; ``transposed`` is.

    Parameters
    ----------
    consistency : float
        λ, 0 or more.
    transposed : bool
        Exchange rows and columns of the added motion, so that a horizontal motion becomes a vertical one. A control: it
        teaches to ignore motion in a direction that goes with no class.
    recipe : Recipe
        Of the training.

    Raises
    ------
    DataError
        For a negative λ; when called, for clips of one class.
    """

    consistency: float = 0.3
    transposed: bool = False
    recipe: Recipe = RECIPE

    def __post_init__(self) -> None:
        """Check the weight."""
        check_consistency(self.consistency)

    @property
    def uncorrected(self) -> FurtherTraining:
        """The same training without counterparts."""
        return FurtherTraining(recipe=self.recipe)

    def __call__(
        self, model: VideoModel, examples: Examples, *, seed: int = 0, checkpoint: Path | None = None
    ) -> VideoModel:
        """A corrected copy of the model."""
        own = examples.labels == (examples.labels[0] if examples.target is None else examples.target)
        inside, outside = np.flatnonzero(own), np.flatnonzero(~own)
        if not len(inside) or not len(outside):
            raise DataError(
                f"expected clips of the class and of others, got {len(inside)} and {len(outside)}; give training clips "
                "of several classes"
            )
        motions = np.stack([steady_motion(frames) for frames in examples.frames])

        def counterparts(frames: Frames, index: NDArray[np.intp], rng: np.random.Generator) -> Frames:
            donors = np.where(own[index], rng.choice(outside, len(index)), rng.choice(inside, len(index)))
            added = motions[donors] - motions[index]
            if self.transposed:
                added = added[:, ::-1]
            return np.stack([with_motion(f, v) for f, v in zip(frames, added, strict=True)])

        return train_on_pairs(
            model,
            examples,
            counterparts,
            consistency=self.consistency,
            recipe=self.recipe,
            seed=seed,
            checkpoint=checkpoint,
            purpose=f"camera {self.consistency} {self.transposed}",
        )


def steady_motion(frames: Frames) -> NDArray[np.float64]:
    """Steady motion of the whole picture, [rows, columns] in pixels a frame, down and to the right.

    The median over pairs of neighbouring frames of the shift that registers them, by phase correlation in grey.

    Parameters
    ----------
    frames : ndarray, uint8 [T,H,W,3]

    Returns
    -------
    ndarray, float64 [2]
        0 for a single frame.
    """
    from skimage.registration import phase_cross_correlation

    grey = frames.astype(np.float64).mean(-1)
    if len(grey) < 2:
        return np.zeros(2)
    shifts = [phase_cross_correlation(a, b, upsample_factor=10)[0] for a, b in pairwise(grey)]
    motion: NDArray[np.float64] = -np.median(shifts, axis=0)
    return motion


def with_motion(frames: Frames, motion: NDArray[np.float64]) -> Frames:
    """The clip with a steady motion added; the middle of the clip stays in place, the rims are mirrored.

    Parameters
    ----------
    frames : ndarray, uint8 [T,H,W,3]
    motion : ndarray, float64 [2]
        Rows and columns in pixels a frame.

    Returns
    -------
    ndarray, uint8 [T,H,W,3]
    """
    from scipy.ndimage import shift

    moved, middle = np.empty_like(frames), (len(frames) - 1) / 2
    for t, frame in enumerate(frames):
        down, right = (t - middle) * motion
        values = shift(frame.astype(np.float32), (down, right, 0), order=1, mode="reflect")
        moved[t] = values.clip(0, 255).round().astype(np.uint8)
    return moved
