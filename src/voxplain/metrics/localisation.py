"""Does the map lie on the object? Pointing game, energy inside, rank accuracy, overlap.

Letters: T×H×W the grid, p the share of the mask in the frames that count. All take (attribution, mask bool [T,H,W],
known bool [T]). Frames without ground truth do not count; unless ``known`` says otherwise these are the frames with
an empty mask. Equal values of a map are never ordered by their place: what cannot be told apart counts by its share,
so that a uniform map gets the chance level exactly.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from scipy import ndimage

from voxplain.attribution.record import Attribution
from voxplain.errors import DataError
from voxplain.metrics.record import MetricValue, Needs
from voxplain.metrics.units import smoothed

__all__ = ["EnergyInside", "Overlap", "PointingGame", "RankAccuracy"]

NOTHING = MetricValue(float("nan"), None, {"frames": 0})


@dataclass(frozen=True)
class PointingGame:
    """Share of frames whose highest value lies inside the mask, enlarged on all sides by a tolerance.

    Higher is better; chance: the share of the enlarged mask. With ``over`` "volume" one voxel, the highest of all
    frames that count, hits or misses. ``details``: hits and frames, for accuracies over clips or classes. Zhang et
    al. 2016 (arXiv 1608.00507); in video as S-PT of arXiv 2005.00375.
    """

    over: Literal["frames", "volume"] = "frames"
    tolerance: float = 7 / 112  # in frame heights: 7 pixels at 112, 14 at 224 (the study: 15)
    smooth: float = 0.0  # standard deviation of a Gaussian over each frame of the map before, in frame heights

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Needs] = "mask"

    def __call__(self, attribution: Attribution, mask: np.ndarray, known: np.ndarray | None = None) -> MetricValue:
        """Measure one clip. Raises DataError when map and mask differ in shape or type."""
        if self.over not in ("frames", "volume") or self.tolerance < 0:
            raise DataError(f"expected over frames or volume, and a tolerance of 0 or more, got {self}; correct them")
        values, inside = _counted(attribution, mask, known)
        if not len(values):
            return NOTHING
        reach = 2 * round(self.tolerance * values.shape[1]) + 1
        target = ndimage.maximum_filter(inside, (1, reach, reach), mode="constant", cval=False)
        shape = (len(values), -1) if self.over == "frames" else (1, -1)
        v, t = smoothed(values, self.smooth).reshape(shape), target.reshape(shape)
        top = v == v.max(1, keepdims=True)
        hits = (top & t).sum(1) / top.sum(1)
        return MetricValue(float(hits.mean()), float(t.mean()), {"hits": float(hits.sum()), "frames": len(hits)})


@dataclass(frozen=True)
class EnergyInside:
    """Sum of the map inside the mask over its sum everywhere: energy-based pointing, or relevance mass accuracy.

    Higher is better; chance p; NaN for a map that is 0 in all frames that count. Wang et al. 2020, Score-CAM (arXiv
    1910.01279); Arras, Osman and Samek 2022, CLEVR-XAI (arXiv 2003.07258).
    """

    part: Literal["positive", "absolute"] = "positive"  # of a signed map

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Needs] = "mask"

    def __call__(self, attribution: Attribution, mask: np.ndarray, known: np.ndarray | None = None) -> MetricValue:
        """Measure one clip. Raises DataError when map and mask differ in shape or type."""
        if self.part not in ("positive", "absolute"):
            raise DataError(f"expected part positive or absolute, got {self.part!r}; choose one")
        values, inside = _counted(attribution, mask, known)
        if not len(values):
            return NOTHING
        energy = np.maximum(values, 0) if self.part == "positive" else np.abs(values)
        total = float(energy.sum(dtype=np.float64))
        value = float(energy[inside].sum(dtype=np.float64)) / total if total else float("nan")
        return MetricValue(value, float(inside.mean()), {"frames": len(values)})


@dataclass(frozen=True)
class RankAccuracy:
    """Share of the n highest voxels that lie inside a mask of n voxels: relevance rank accuracy.

    Higher is better; chance p. Arras, Osman and Samek 2022, CLEVR-XAI (arXiv 2003.07258).
    """

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Needs] = "mask"

    def __call__(self, attribution: Attribution, mask: np.ndarray, known: np.ndarray | None = None) -> MetricValue:
        """Measure one clip. Raises DataError when map and mask differ in shape or type."""
        values, inside = _counted(attribution, mask, known)
        n = int(inside.sum())
        if not n:
            return NOTHING
        v, m = values.ravel(), inside.ravel()
        last = np.partition(v, -n)[-n]  # the n-th highest value, of which only some may have a place left
        above, tied = v > last, v == last
        hits = float(m[above].sum()) + float(m[tied].mean()) * (n - int(above.sum()))
        return MetricValue(hits / n, float(inside.mean()), {"frames": len(values), "voxels": n})


@dataclass(frozen=True)
class Overlap:
    """Intersection over union of the mask and the part of the map that reaches a threshold.

    Higher is better. ``over`` "frames": mean of the overlap in each frame; "tube": overlap in space and time. The
    threshold is a share of the way from the map's least to its greatest value in the frames that count (one for all
    frames); None: the one that does best, an upper bound that knows the truth. Chance: the mask against a random
    selection as large as this one, or, at the best threshold, against everything, which no random selection beats.
    ``details``: threshold (in the map's values), selected (share of voxels), frames.
    """

    over: Literal["frames", "tube"] = "tube"
    threshold: float | None = None

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Needs] = "mask"

    def __call__(self, attribution: Attribution, mask: np.ndarray, known: np.ndarray | None = None) -> MetricValue:
        """Measure one clip. Raises DataError when map and mask differ in shape or type."""
        if self.over not in ("frames", "tube") or not 0 <= (self.threshold or 0) <= 1:
            raise DataError(
                f"expected over frames or tube, and a threshold from 0 to 1 or None, got {self}; correct it"
            )
        values, inside = _counted(attribution, mask, known)
        if not len(values):
            return NOTHING
        shape = (len(values), -1) if self.over == "frames" else (1, -1)
        v, m = values.reshape(shape).astype(np.float64), inside.reshape(shape)
        at = self._best(v, m) if self.threshold is None else min(v.min() + self.threshold * np.ptp(v), v.max())
        selected = v >= at
        share, own = float(selected.mean()), m.mean(1)
        q = 1.0 if self.threshold is None else share
        chance = float((q * own / (q + own - q * own)).mean()) if q else 0.0
        details = {"threshold": float(at), "selected": share, "frames": len(values)}
        return MetricValue(float(_iou(selected, m).mean()), chance, details)

    def _best(self, v: np.ndarray, m: np.ndarray) -> float:
        """The threshold with the greatest mean overlap over the rows, among all values of the map."""
        order = np.argsort(-v, axis=None, kind="stable")
        row, hit, size = order // v.shape[1], m.ravel()[order], m.sum(1)
        total = np.zeros(len(order))
        for i in range(len(v)):
            mine = row == i
            both = np.cumsum(hit & mine)
            total += both / np.maximum(np.cumsum(mine) + size[i] - both, 1)
        highest = v.ravel()[order]
        last = np.append(highest[1:] != highest[:-1], True)  # a threshold takes all of the voxels that share its value
        return float(highest[np.flatnonzero(last)[total[last].argmax()]])


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of each row; 0 where both are empty."""
    return np.asarray((a & b).sum(1) / np.maximum((a | b).sum(1), 1))


def _counted(attribution: Attribution, mask: np.ndarray, known: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Map and mask of the frames that count."""
    v: Any = attribution.values
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != v.shape:
        got = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise DataError(f"expected a mask bool {v.shape}, as the map, got {got}; convert it")
    counts = mask.any((1, 2)) if known is None else np.asarray(known)
    if counts.dtype != np.bool_ or counts.shape != v.shape[:1]:
        raise DataError(
            f"expected known as bool [{len(v)}], a frame each, got {counts.dtype} {counts.shape}; convert it"
        )
    return v[counts], mask[counts]
