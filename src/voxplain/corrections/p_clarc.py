"""P-ClArC: the concept's direction is set to its value in clips without the concept; no training.

Letters: a [D] input of the head, V [r,D] orthonormal directions of the concept, z̄⁻ [D] mean input of clips without
it, W [C,D] and b [C] the head.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxplain.corrections.examples import Examples
from voxplain.corrections.head import concept_directions, head_weights, with_head
from voxplain.errors import DataError
from voxplain.model import VideoModel

__all__ = ["ProjectConcept"]


@dataclass(frozen=True)
class ProjectConcept:
    """Projection of the concept's directions out of the input of the head, a′ = a − VᵀV(a − z̄⁻).

    The projection is linear, so it is written into the head: W′ = W − WVᵀV, b′ = b + WVᵀV z̄⁻.

    Parameters
    ----------
    directions : int
        Number r of directions.

    Raises
    ------
    DataError
        For fewer than 1 direction.

    References
    ----------
    Anders et al., Finding and removing Clever Hans, Information Fusion 2022. There the direction is a classifier's
    (SpRAy's clusters against the rest); here it is of the same clips with and without the concept.
    """

    directions: int = 1

    def __post_init__(self) -> None:
        """Check the count."""
        if self.directions < 1:
            raise DataError(f"expected 1 direction or more, got {self.directions}; choose a positive number")

    @property
    def uncorrected(self) -> None:
        """None: there is no training to compare with."""
        return None

    def __call__(
        self, model: VideoModel, examples: Examples, *, seed: int = 0, checkpoint: Path | None = None
    ) -> VideoModel:
        """A corrected copy of the model."""
        v, absent = concept_directions(model, examples, self.directions, np.random.default_rng(seed))
        w, b = head_weights(model)
        along = w @ v.T @ v
        return with_head(model, w - along, b + along @ absent.mean(0))
