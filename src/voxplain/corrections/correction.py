"""What a correction is: a function of a network and of clips with marked concepts that gives a corrected copy."""

from pathlib import Path
from typing import Optional, Protocol

from voxplain.corrections.examples import Examples
from voxplain.model import VideoModel

__all__ = ["Correction"]


class Correction(Protocol):
    """Corrects a copy of a network; frozen dataclasses whose fields are the parameters."""

    @property
    def uncorrected(self) -> Optional["Correction"]:
        """The same training steps without the correction; None where nothing is trained."""

    def __call__(
        self, model: VideoModel, examples: Examples, *, seed: int = 0, checkpoint: Path | None = None
    ) -> VideoModel:
        """A corrected copy of the model; ``checkpoint`` is a file from which a killed training goes on."""
