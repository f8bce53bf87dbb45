"""`AttributionRun`: one video explained by several methods for one class."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from voxplain.attribution.attribution import Attribution
from voxplain.errors import DataError
from voxplain.large import rows
from voxplain.video import Clip

__all__ = ["AttributionRun"]


@dataclass(frozen=True, eq=False)
class AttributionRun:
    """Maps of one video by method, over all its frames, on the part of the picture that the network takes.

    ``run["grad_cam"]`` is one map as an `Attribution`, with its ``save`` and ``show``; iterating gives the names.
    ``seconds`` are those of each method for one window; they are not saved with the run, whose bytes depend on results
    only.

    Parameters
    ----------
    clip : Clip
        The video, resized and cropped: frames uint8 [T,h,w,3].
    network : str
        The model's name.
    target : str
        The class that is explained, and ``target_index`` its logit.
    target_index : int
    classes : tuple of str
        In the order of the logits.
    logits : float32 [K]
        Of the middle window.
    windows : int
        Windows that were explained.
    maps : mapping of str to float32 [T,h,w]
        By method; where streams are explained, also by method and stream, such as "gradient_stream_1".
    parameters, details : mapping
        Of each method: its fields, and what it computed besides the map.
    measured : mapping
        By method and metric: value, chance level and whether higher is better, on the middle window.
    skipped : tuple of (method, reason)
        Methods that cannot explain the network.
    provenance : mapping
        Version, device, digests of weights and video.
    notes : mapping of str to tuple of str
        What a reader must know, by method: of its map, and of metrics that could not be computed.
    failed : tuple of str
        Methods that failed on this video; ``notes`` has the reason.
    units : str
        Unit of a quantity that is explained instead of a class.

    Raises
    ------
    DataError
        Maps on another grid than the clip.
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
    seconds: Mapping[str, float] = field(default_factory=dict, metadata={"saved": False})
    skipped: tuple[tuple[str, str], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, metadata={"later": True})
    failed: tuple[str, ...] = field(default=(), metadata={"later": True})
    units: str = field(default="", metadata={"later": True})

    def __post_init__(self) -> None:
        """Check that clip and maps share one grid."""
        wrong = {name: m.shape for name, m in self.maps.items() if m.shape != self.clip.frames.shape[:3]}
        if wrong:
            raise DataError(f"expected maps on the clip's grid {self.clip.frames.shape[:3]}, got {wrong}")

    def __repr__(self) -> str:
        """What was explained, by how many methods."""
        return f"AttributionRun({self.clip.source!r}, target={self.target!r}, methods={len(self.maps)})"

    def __len__(self) -> int:
        """Number of maps."""
        return len(self.maps)

    def __iter__(self) -> Iterator[str]:
        """The methods' names."""
        return iter(self.maps)

    def __getitem__(self, method: str) -> Attribution:
        """The map of one method over the whole video. Raises DataError on a method without a map."""
        if method not in self.maps:
            raise DataError(f"expected a method of this run, {', '.join(self.maps)}, got {method!r}; choose one")
        parameters, details = self.parameters.get(method, {}), self.details.get(method, {})
        # Of one score that a model was narrowed to, the index says nothing to the model with all of them.
        opposite = self.classes[1 - self.target_index] if len(self.classes) == 2 else ""
        one = self.quantity or f"not {self.target}" == opposite or self.target == f"not {opposite}"
        target = self.target if one or " vs " in opposite else self.target_index
        notes = tuple(self.notes.get(method, ()))
        return Attribution(self.maps[method], target, method, parameters, details, self.clip, notes)

    def show(self) -> None:
        """Display every map over the video, one after the other; see `Attribution.show`."""
        for method in self:
            self[method].show()

    def _repr_html_(self) -> str:
        """The maps side by side, for a notebook."""
        figures = "".join(self[method]._repr_html_() for method in self)
        return f"<div style='display:flex;flex-wrap:wrap;gap:1em'>{figures}</div>"

    @property
    def quantity(self) -> bool:
        """Whether the target is a quantity in its own unit, which has no probability."""
        return len(self.logits) == 1

    @property
    def answer(self) -> str:
        """What the network gives for the middle window: "probability 0.93", or the output with its unit."""
        if self.quantity:
            return f"output {float(self.logits[self.target_index]):.4g} {self.units}".rstrip()
        return f"probability {self.probability:.2f}"

    @property
    def probability(self) -> float:
        """The class's probability on the middle window."""
        z = np.asarray(self.logits, np.float64)
        z = np.exp(z - z.max())
        return float(z[self.target_index] / z.sum())

    def importance(self, method: str) -> np.ndarray:
        """Share of the map's absolute sum that each frame has, float64 [T]; zeros for a map of zeros."""
        values = self.maps[method]  # frame by frame: a copy of a long map would double its memory
        total = np.array([np.abs(own).sum(dtype=np.float64) for own in rows(values)])
        return total / total.sum() if total.sum() > 0 else total
