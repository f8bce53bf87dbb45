"""Concept swap: training on pairs of clips that differ in the concept alone, with the label kept.

Letters: x a clip, x′ its counterpart, y the label, z(x) [C] the logits, CE the cross-entropy.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain.corrections.examples import Examples, swap
from voxplain.corrections.fine_tune import RECIPE
from voxplain.corrections.further import FurtherTraining
from voxplain.corrections.pairs import check_consistency, train_on_pairs
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.train.recipe import Recipe

__all__ = ["ConceptSwap", "pasted_masks"]


@dataclass(frozen=True)
class ConceptSwap:
    """Short training on each clip and its counterpart, ½·(CE(x, y) + CE(x′, y)) + λ·mean_c (z_c(x) − z_c(x′))².

    In the counterpart of a clip with the concept, its voxels are replaced by those of a clip without it at the same
    place. Into another clip the concept of a clip that has it, of whatever class, is pasted: at the place where that
    clip has it; or, where both have voxels of it at one place, as of a background, there alone, so that what stands
    before a background stays. The second term asks for the same answer, which the labels alone do not: a class can be
    predicted rightly and still be made likelier by the concept.

    Parameters
    ----------
    consistency : float
        λ, 0 or more.
    recipe : Recipe
        Of the training.

    Raises
    ------
    DataError
        For a negative λ; when called, for clips that all have the concept, or none.

    References
    ----------
    In the line of background swaps: Choi et al., Why can't I dance in the mall?, NeurIPS 2019; Zou et al., ActorCutMix,
    2021; Li et al., StillMix, CVPR 2023. Pasting a concept is the intervention of Goyal et al., CaCE, 2019; the second
    term is the logit pairing of Kannan et al., 2018, with counterfactuals in place of adversarial examples.
    """

    consistency: float = 0.3
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
        present, having, free = examples.present, np.flatnonzero(examples.present), np.flatnonzero(examples.absent)
        if not len(having) or not len(free):
            raise DataError(
                f"expected clips with and without the concept, got {len(having)} and {len(free)}; give training clips "
                "of several classes, or another concept"
            )

        def counterparts(
            frames: NDArray[np.uint8], index: NDArray[np.intp], rng: np.random.Generator
        ) -> NDArray[np.uint8]:
            there = present[index]
            donors = np.where(there, rng.choice(free, len(index)), rng.choice(having, len(index)))
            pasted = pasted_masks(examples.unwanted[index], examples.unwanted[donors])
            masks = np.where(there[:, None, None, None], examples.unwanted[index], pasted)
            return swap(frames, masks, examples.frames[donors])

        return train_on_pairs(
            model,
            examples,
            counterparts,
            consistency=self.consistency,
            recipe=self.recipe,
            seed=seed,
            checkpoint=checkpoint,
            purpose=f"swap {self.consistency}",
        )


def pasted_masks(own: NDArray[np.bool_], donors: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the donors' concept is pasted: the donors' voxels, or those that are the clips' own, too, if half are.

    Parameters
    ----------
    own, donors : ndarray, bool [B,T,H,W]
        Voxels of the concept in the clips and in the donors.

    Returns
    -------
    ndarray, bool [B,T,H,W]

    Examples
    --------
    >>> own, donors = np.array([[1, 1, 0, 0], [0, 0, 0, 1]], bool), np.array([[1, 1, 1, 0], [1, 1, 1, 1]], bool)
    >>> pasted_masks(own.reshape(2, 1, 1, 4), donors.reshape(2, 1, 1, 4)).reshape(2, 4).astype(int).tolist()
    [[1, 1, 0, 0], [1, 1, 1, 1]]
    """
    both = own & donors
    most = both.sum((1, 2, 3)) >= 0.5 * donors.sum((1, 2, 3))
    masks: NDArray[np.bool_] = np.where(most[:, None, None, None], both, donors)
    return masks
