"""Clips with the voxels of the concepts that are to be removed or kept, and the swap of voxels between clips.

Letters: N clips, T×H×W the network's grid.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError

__all__ = ["LEAST", "Examples", "removed", "swap"]

LEAST = 0.002  # of a clip's voxels: what is smaller is not there

Frames = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled clips of the network's grid, and where concepts are in them.

    Parameters
    ----------
    frames : ndarray, uint8 [N,T,H,W,3]
    labels : ndarray, int64 [N]
        Class index of each clip.
    unwanted : ndarray, bool [N,T,H,W]
        Voxels of the concepts to remove.
    wanted : ndarray, bool [N,T,H,W], optional
        Voxels of the concepts to keep; none by default.
    smallest : float
        Share of a clip's voxels from which on a concept counts as present.
    holding, lacking : ndarray, bool [N], optional
        Clips that are known to have the concepts to remove, and those that are known to lack them, see
        `voxplain.corrections.content_effect.with_presence`. By default those with and without enough voxels.
    target : int, optional
        Index of the class that the concepts were found for.

    Raises
    ------
    DataError
        Shapes that do not belong together.
    """

    frames: Frames
    labels: NDArray[np.int64]
    unwanted: Mask
    wanted: Mask | None = None
    smallest: float = LEAST
    holding: Bools | None = None
    lacking: Bools | None = None
    target: int | None = None

    def __post_init__(self) -> None:
        """Check the shapes."""
        n = self.frames.shape[:4]
        shapes = [m.shape for m in (self.unwanted, self.wanted) if m is not None]
        if self.frames.ndim != 5 or len(self.labels) != n[0] or any(shape != n for shape in shapes):
            raise DataError(
                f"expected frames [N,T,H,W,3], a label a clip and masks [N,T,H,W], got {self.frames.shape}, "
                f"{self.labels.shape} and {shapes}; give one label and one mask for each clip"
            )
        known = [b.shape for b in (self.holding, self.lacking) if b is not None]
        if any(shape != n[:1] for shape in known):
            raise DataError(
                f"expected a value a clip in holding and lacking, got {known} for {n[0]} clips; give one for each clip"
            )

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.frames)

    def __repr__(self) -> str:
        """Counts, not frames."""
        return f"Examples(clips={len(self)}, with_unwanted={int(self.present.sum())})"

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether a concept to remove is in each clip, bool [N]."""
        return self.unwanted.mean((1, 2, 3)) >= self.smallest if self.holding is None else self.holding

    @property
    def absent(self) -> NDArray[np.bool_]:
        """Whether each clip lacks the concepts to remove, bool [N]; some clips may be neither present nor absent."""
        return ~self.present if self.lacking is None else self.lacking

    def some(self, chosen: NDArray) -> "Examples":
        """The chosen clips, by index or by a bool mask."""

        def of(values: NDArray | None) -> NDArray | None:
            return None if values is None else values[chosen]

        return replace(
            self,
            frames=self.frames[chosen],
            labels=self.labels[chosen],
            unwanted=self.unwanted[chosen],
            wanted=of(self.wanted),
            holding=of(self.holding),
            lacking=of(self.lacking),
        )

    def random_concept(self, rng: np.random.Generator) -> "Examples":
        """The same clips with a concept that means nothing, of the same number of clips and voxels.

        Each clip gets the masks of another one, moved round the picture by at least a quarter of its height and width,
        and counts as having the concept or lacking it as that one does.

        Parameters
        ----------
        rng : Generator

        Returns
        -------
        Examples
        """
        order, (h, w) = rng.permutation(len(self)), self.frames.shape[2:4]
        moves = [(int(rng.integers(h // 4, h - h // 4)), int(rng.integers(w // 4, w - w // 4))) for _ in order]

        def moved(mask: Mask) -> Mask:
            return np.stack([np.roll(mask[i], move, (1, 2)) for i, move in zip(order, moves, strict=True)])

        def of(values: NDArray | None) -> NDArray | None:
            return None if values is None else values[order]

        wanted = None if self.wanted is None else moved(self.wanted)
        return replace(
            self, unwanted=moved(self.unwanted), wanted=wanted, holding=of(self.holding), lacking=of(self.lacking)
        )


def swap(frames: Frames, masks: Mask, donors: Frames) -> Frames:
    """The clips with the voxels of the masks replaced by the voxels of the donors at the same place.

    Parameters
    ----------
    frames, donors : ndarray, uint8 [B,T,H,W,3]
    masks : ndarray, bool [B,T,H,W]

    Returns
    -------
    ndarray, uint8 [B,T,H,W,3]
    """
    swapped: Frames = np.where(masks[..., None], donors, frames)
    return swapped


def removed(examples: Examples, rng: np.random.Generator, *, donors: Examples | None = None) -> Frames:
    """All clips with their unwanted voxels replaced by those of clips without the concept.

    Parameters
    ----------
    examples : Examples
        N clips.
    rng : Generator
        Chooses the donors.
    donors : Examples, optional
        Where donors are taken from; by default the examples.

    Returns
    -------
    ndarray, uint8 [N,T,H,W,3]

    Raises
    ------
    DataError
        Where every clip has the concept.
    """
    given = examples if donors is None else donors
    free = np.flatnonzero(given.absent)
    if not len(free):
        raise DataError(
            "expected clips without the concept, got the concept in every clip; give training clips of other classes, "
            "or another concept"
        )
    return swap(examples.frames, examples.unwanted, given.frames[rng.choice(free, len(examples))])
