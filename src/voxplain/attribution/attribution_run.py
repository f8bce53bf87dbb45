"""`AttributionRun`: one video explained by several methods for one class."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from voxplain.errors import DataError
from voxplain.video import Clip

__all__ = ["AttributionRun"]


@dataclass(frozen=True, eq=False)
class AttributionRun:
    """Maps of one video by several methods, over all its frames, on the part of the picture that the network takes.

    Parameters
    ----------
    clip : Clip
        Those frames, uint8 [T,h,w,3].
    network, target : str
        Name of the network and of the class.
    target_index : int
        Logit index of the class.
    classes : tuple of str
    logits : float32 [K]
        Of the middle window.
    windows : int
        How many clips of the network's length the maps were merged from.
    maps : mapping of str to float32 [T,h,w]
        By method.
    parameters, details : mapping
        Of each method.
    measured : mapping
        By method and metric: value, chance level and whether higher is better, on the middle window.
    seconds : mapping of str to float
        Of each method for a window.
    skipped : tuple of (method, reason)
        Methods that cannot explain this network.
    provenance : mapping
        Version, device, and identities of weights and video.

    Raises
    ------
    DataError
        A map on another grid than the clip.
    """

    clip: Clip
    network: str
    target: str
    target_index: int
    classes: tuple[str, ...]
    logits: np.ndarray
    windows: int
    maps: Mapping[str, np.ndarray]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Mapping[str, tuple[float, float | None, bool | None]]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    skipped: tuple[tuple[str, str], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that clip and maps share one grid."""
        wrong = {name: m.shape for name, m in self.maps.items() if m.shape != self.clip.frames.shape[:3]}
        if wrong:
            raise DataError(f"expected maps on the clip's grid {self.clip.frames.shape[:3]}, got {wrong}")

    def __repr__(self) -> str:
        """Source, class and number of methods."""
        return f"AttributionRun({self.clip.source!r}, target={self.target!r}, methods={len(self.maps)})"

    @property
    def probability(self) -> float:
        """The class's probability on the middle window."""
        z = np.asarray(self.logits, np.float64)
        z = np.exp(z - z.max())
        return float(z[self.target_index] / z.sum())

    def importance(self, method: str) -> np.ndarray:
        """Share of each frame in the map's absolute sum, float64 [T]; zeros for a map of zeros."""
        total = np.abs(self.maps[method]).sum((1, 2), dtype=np.float64)
        return total / total.sum() if total.sum() > 0 else total
