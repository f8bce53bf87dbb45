"""Localisation of an object: pointing game, energy inside, rank accuracy, overlap.

Letters: T×H×W the grid. Frames without ground truth do not count; by default these are the frames with an empty mask.
Equal values of a map are never ordered by their place: ties count by their share, so that a uniform map gets the chance
level exactly.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from voxplain.attribution.attribution import MapLike, as_values
from voxplain.errors import DataError
from voxplain.metrics.record import MetricValue
from voxplain.metrics.units import smoothed

__all__ = ["EnergyInside", "Overlap", "PointingGame", "RankAccuracy", "boxes_to_mask"]

NOTHING = MetricValue(float("nan"), None, {"frames": 0})


@dataclass(frozen=True)
class PointingGame:
    """Pointing game: share of frames whose highest value lies inside the mask, enlarged by a tolerance.

    Higher is better; chance level: the share of the enlarged mask. ``details``: hits and frames, for accuracies over
    clips or classes.

    Parameters
    ----------
    over : {"frames", "volume"}
        "frames", or "volume": one voxel, the highest of all frames that count, is a hit or a miss.
    tolerance : float
        In frame heights: 7 pixels at 112, 14 at 224 (the video attribution study: 15).
    smooth : float
        Standard deviation of a Gaussian over each frame of the map before, in frame heights.

    References
    ----------
    Zhang et al. 2016, Top-down neural attention by excitation backprop, arXiv 1608.00507
    Li et al. 2020, arXiv 2005.00375 (S-PT in video)

    Examples
    --------
    >>> PointingGame()(heat, mask).details["frames"]
    8
    """

    over: Literal["frames", "volume"] = "frames"
    tolerance: float = 7 / 112
    smooth: float = 0.0

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Literal["mask"]] = "mask"

    def __call__(self, attribution: MapLike, mask: np.ndarray, known: np.ndarray | None = None) -> MetricValue:
        """Evaluate a map of one clip.

        Parameters
        ----------
        attribution : Attribution, or array or tensor [T,H,W]
        mask : bool [T,H,W]
            The object.
        known : bool [T], optional
            Frames that count; by default those with a mask that is not empty.

        Returns
        -------
        MetricValue
            NaN where no frame counts.

        Raises
        ------
        DataError
            Another shape or type of the three.
        """
        from scipy import ndimage

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
    """Energy inside: sum of the map inside the mask over its sum everywhere.

    Also energy-based pointing game, or relevance mass accuracy. Higher is better; chance level: the share of the mask;
    NaN for a map that is 0 in all frames that count.

    Parameters
    ----------
    part : {"positive", "absolute"}
        Of a signed map.

    References
    ----------
    Wang et al. 2020, Score-CAM, arXiv 1910.01279
    Arras, Osman and Samek 2022, CLEVR-XAI, arXiv 2003.07258

    Examples
    --------
    >>> 0 <= EnergyInside()(heat, mask).value <= 1
    True
    """

    part: Literal["positive", "absolute"] = "positive"

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Literal["mask"]] = "mask"

    def __call__(self, attribution: MapLike, mask: np.ndarray, known: np.ndarray | None = None) -> MetricValue:
        """Evaluate a map of one clip.

        Parameters
        ----------
        attribution : Attribution, or array or tensor [T,H,W]
        mask : bool [T,H,W]
            The object.
        known : bool [T], optional
            Frames that count; by default those with a mask that is not empty.

        Returns
        -------
        MetricValue
            NaN where no frame counts.

        Raises
        ------
        DataError
            Another shape or type of the three.
        """
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
    """Relevance rank accuracy: share of the n highest voxels that lie inside a mask of n voxels.

    Higher is better; chance level: the share of the mask.

    References
    ----------
    Arras, Osman and Samek 2022, CLEVR-XAI, arXiv 2003.07258

    Examples
    --------
    >>> 0 <= RankAccuracy()(heat, mask).value <= 1
    True
    """

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Literal["mask"]] = "mask"

    def __call__(self, attribution: MapLike, mask: np.ndarray, known: np.ndarray | None = None) -> MetricValue:
        """Evaluate a map of one clip.

        Parameters
        ----------
        attribution : Attribution, or array or tensor [T,H,W]
        mask : bool [T,H,W]
            The object.
        known : bool [T], optional
            Frames that count; by default those with a mask that is not empty.

        Returns
        -------
        MetricValue
            NaN where no frame counts.

        Raises
        ------
        DataError
            Another shape or type of the three.
        """
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

    Higher is better. Chance level: the mask against a random selection as large as this one, or, at the best threshold,
    against everything, which no random selection exceeds. ``details``: threshold (in the map's values), selected (share
    of voxels), frames.

    Parameters
    ----------
    over : {"frames", "tube"}
        "frames": mean over frames; "tube": in space and time.
    threshold : float, optional
        Share of the way from the map's least to its greatest value in the frames that count, one for all frames; by
        default the one with the highest value, an upper bound that uses the truth.

    Examples
    --------
    >>> 0 <= Overlap()(heat, mask).value <= 1
    True
    """

    over: Literal["frames", "tube"] = "tube"
    threshold: float | None = None

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Literal["mask"]] = "mask"

    def __call__(self, attribution: MapLike, mask: np.ndarray, known: np.ndarray | None = None) -> MetricValue:
        """Evaluate a map of one clip.

        Parameters
        ----------
        attribution : Attribution, or array or tensor [T,H,W]
        mask : bool [T,H,W]
            The object.
        known : bool [T], optional
            Frames that count; by default those with a mask that is not empty.

        Returns
        -------
        MetricValue
            NaN where no frame counts.

        Raises
        ------
        DataError
            Another shape or type of the three.
        """
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


def _counted(attribution: MapLike, mask: np.ndarray, known: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Map and mask of the frames that count."""
    v = as_values(attribution)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != v.shape:
        got = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise DataError(f"expected a mask bool {v.shape}, as the map, got {got}; convert it")
    counts = mask.any((1, 2)) if known is None else np.asarray(known)
    if counts.dtype != np.bool_ or counts.shape != v.shape[:1]:
        raise DataError(
            f"expected known as bool [{len(v)}], a frame each, got {counts.dtype} {counts.shape}; convert it"
        )
    return v[counts], mask[counts]


def boxes_to_mask(boxes: np.ndarray, grid: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(mask bool [T,H,W], known bool [T]) of a box a frame, [T,4]: left, top, right, bottom in pixels of the grid.

    Right and bottom lie outside; corners are rounded, parts outside the frame left out. A row of NaN is a frame
    without ground truth.
    """
    sides = np.asarray(boxes, np.float64)
    if sides.shape != (grid[0], 4):
        raise DataError(f"expected boxes [{grid[0]},4], one a frame, got {sides.shape}; give NaN where there is none")
    known = np.asarray(np.isfinite(sides).all(1))
    mask = np.zeros(grid, bool)
    for t in np.flatnonzero(known):
        left, top, right, bottom = (max(0, round(float(s))) for s in sides[t])
        mask[t, top:bottom, left:right] = True
    return mask, known
