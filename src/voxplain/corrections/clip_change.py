"""What a correction changes in single test clips: the probabilities, and where the evidence for the class is.

Letters: T×H×W the network's grid, C classes, M clips.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.attribution import GradCAM
from voxplain.corrections.examples import Examples
from voxplain.errors import ModelError
from voxplain.explain.central_window import central_window
from voxplain.model import VideoModel
from voxplain.record_html import fields_table
from voxplain.video import Clip

__all__ = ["ClipChange", "Maps", "clip_changes", "contradicting"]

Maps = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class ClipChange:
    """One test clip before the correction and after it.

    Parameters
    ----------
    frames : uint8 [T,H,W,3]
    seconds : float64 [T]
    source : str
        The video.
    label : int
        Index of its class.
    mask : bool [T,H,W]
        Voxels of the removed concept; none where the clip counts as without it.
    before, after : float64 [C]
        Probabilities of the classes.
    maps : tuple of two float32 [T,H,W], optional
        Grad-CAM for the run's class before and after; None for networks without a layer that has one.
    """

    frames: NDArray[np.uint8]
    seconds: NDArray[np.float64]
    source: str
    label: int
    mask: NDArray[np.bool_]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    maps: Maps | None = None

    _repr_html_ = fields_table

    def __repr__(self) -> str:
        """The source and the two answers."""
        return f"ClipChange({self.source!r}, class {self.label}, {self.before.argmax()} → {self.after.argmax()})"


def contradicting(examples: Examples, target: int) -> NDArray[np.bool_]:
    """Clips of the class without the concept, and of other classes with it, bool [N].

    Parameters
    ----------
    examples : Examples
    target : int
        Index of the class.

    Returns
    -------
    ndarray
    """
    against: NDArray[np.bool_] = (examples.labels == target) != examples.present
    return against


def clip_changes(
    original: VideoModel, corrected: VideoModel, test: Examples, clips: list[Clip], target: int, *, count: int = 6
) -> tuple[ClipChange, ...]:
    """Test clips that contradict the concept, those whose predicted class changed first, then by their order.

    Parameters
    ----------
    original, corrected : VideoModel
    test : Examples
        N test clips.
    clips : list of Clip
        The same clips, for their sources and times.
    target : int
        Index of the run's class.
    count : int
        Clips at most.

    Returns
    -------
    tuple of ClipChange
    """
    against = np.flatnonzero(contradicting(test, target))
    if not len(against):
        return ()
    both = [m.logits(test.frames[against]).cpu().double().softmax(1).numpy() for m in (original, corrected)]
    changed = both[0].argmax(1) != both[1].argmax(1)
    found = []
    for j in np.argsort(~changed, kind="stable")[:count]:
        i, clip = int(against[j]), clips[int(against[j])]
        seconds = central_window(corrected, clip).seconds
        maps = _maps((original, corrected), Clip(test.frames[i], seconds, clip.source), target)
        found.append(
            ClipChange(
                test.frames[i],
                seconds,
                clip.source,
                int(test.labels[i]),
                test.unwanted[i] & bool(test.present[i]),
                both[0][j],
                both[1][j],
                maps,
            )
        )
    return tuple(found)


def _maps(models: tuple[VideoModel, VideoModel], clip: Clip, target: int) -> Maps | None:
    try:
        first, second = (np.asarray(GradCAM()(m, clip, target), np.float32) for m in models)
    except ModelError:  # no layer with a map
        return None
    return first, second
