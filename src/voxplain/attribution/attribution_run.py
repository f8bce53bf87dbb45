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
    """Maps of one video by method, over all its frames, on the part of the picture that the network saw.

    ``clip`` those frames uint8 [T,h,w,3]; ``maps`` float32 [T,h,w] by method; ``logits`` [C] of the middle window,
    which ``measured`` speaks of: value, chance and whether higher is better, by method and metric; ``parameters`` and
    ``details`` of the methods; ``seconds`` of each method a window.
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
    skipped: tuple[tuple[str, str], ...] = ()  # methods that refused this network, and why
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that clip and maps share one grid."""
        wrong = {name: m.shape for name, m in self.maps.items() if m.shape != self.clip.frames.shape[:3]}
        if wrong:
            raise DataError(f"expected maps on the clip's grid {self.clip.frames.shape[:3]}, got {wrong}")

    def __repr__(self) -> str:
        """What was explained, by how many methods."""
        return f"AttributionRun({self.clip.source!r}, target={self.target!r}, methods={len(self.maps)})"

    @property
    def probability(self) -> float:
        """The class's probability on the middle window."""
        z = np.asarray(self.logits, np.float64)
        z = np.exp(z - z.max())
        return float(z[self.target_index] / z.sum())

    def importance(self, method: str) -> np.ndarray:
        """Share of the map's absolute sum that each frame has, float64 [T]; zeros for a map of zeros."""
        total = np.abs(self.maps[method]).sum((1, 2), dtype=np.float64)
        return total / total.sum() if total.sum() > 0 else total
