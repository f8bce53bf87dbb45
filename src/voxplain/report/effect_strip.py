"""One clip as rows of frames: the clip, its concepts in colours, and the log-odds that each voxel's concept costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from voxplain.concepts.concept_run import ConceptRun
from voxplain.report.cards import short_name
from voxplain.report.draw import LUMA, enlarge, scale_of
from voxplain.report.embed import jpeg, shrink
from voxplain.report.figures.effect_map import drops
from voxplain.report.figures.sheet import COLOURS
from voxplain.report.tables import number, places_for
from voxplain.segment import Supervoxels
from voxplain.video import Clip

__all__ = ["effect_strip"]

FRAMES, CONCEPTS = 8, 5
MAP = "viridis"
DIMMED = 0.55


@dataclass(frozen=True, eq=False)
class _Shown:
    """The clip that is shown: a held-out one where there is one, else one of those explained."""

    clip: Clip
    supervoxels: Supervoxels
    assigned: np.ndarray
    lost: np.ndarray  # [K], NaN where the clip lacks the concept
    held_out: bool


def effect_strip(run: ConceptRun, names: Mapping[int, str]) -> dict[str, Any] | None:
    """Frames, concepts and effects of one clip as pictures; None where no effect was measured in any clip.

    Parameters
    ----------
    run : ConceptRun
    names : mapping of int to str
        Names of concepts.

    Returns
    -------
    dict or None
        "rows" of (name, alternative text, pictures), the "legend" of the first concepts, the clip's "name", whether it
        is "held_out", and the largest effect as "most".
    """
    shown = _shown(run)
    if shown is None:
        return None
    clip, lost = shown.clip, shown.lost
    length = len(clip)
    at = [int((i + 0.5) * length / min(FRAMES, length)) for i in range(min(FRAMES, length))]
    chosen = [int(k) for k in run.order if np.isfinite(lost[k])][:CONCEPTS]
    labels = shown.supervoxels.labels[:, at]
    most, digits = float(np.nanmax(lost)), min(2, places_for(lost[np.isfinite(lost)]))
    unit = "output" if run.quantity else "log-odds"
    concepts = ", ".join(_named(k, names) for k in chosen)
    rows = (
        ("clip", "Frames of the clip, from start to end", clip.frames[at]),
        ("concepts", f"The same frames in grey, with {concepts} in colours", _painted(shown, at, labels, chosen)),
        (
            "effect",
            f"The same frames coloured by the {unit} lost when the concept of a voxel is hidden, brighter is more",
            _heat(lost, labels, shown.assigned, most),
        ),
    )
    return {
        "rows": [(name, words, [jpeg(frame) for frame in _sized(frames)]) for name, words, frames in rows],
        "times": [f"{clip.seconds[t]:.2f} s" for t in at],
        "legend": [(COLOURS[i], _named(k, names), number(float(lost[k]), digits)) for i, k in enumerate(chosen)],
        "name": short_name(clip.source),
        "held_out": shown.held_out,
        "most": number(most, digits),
        "unit": unit,
        "ratio": f"{clip.frames.shape[2]}/{clip.frames.shape[1]}",
    }


def _shown(run: ConceptRun) -> _Shown | None:
    y = run.target_index
    if run.evaluation is not None and run.evaluation.explored:
        first = run.evaluation.explored[0]
        lost = drops(run, first)
        return _Shown(first.clip, first.supervoxels, first.assigned, lost, True) if np.isfinite(lost).any() else None
    lost = run.effects.drop(y)
    top = int(run.order[0])
    measured = np.flatnonzero(np.isfinite(lost).any(1))
    if not len(measured):
        return None
    # The clip whose effect of the first concept is the median one: neither the best example nor the worst.
    ranked = sorted(measured.tolist(), key=lambda i: float(np.nan_to_num(lost[i, top])))
    row = ranked[len(ranked) // 2]
    i = row if run.effects.clips is None else int(run.effects.clips[row])
    return _Shown(run.clips[i], run.supervoxels[i], run.assigned[i], lost[row], False)


def _heat(lost: np.ndarray, labels: np.ndarray, assigned: np.ndarray, most: float) -> np.ndarray:
    """The drop of each voxel's concept in colours, mean over the levels of supervoxels, uint8 [T,H,W,3]."""
    own = np.where(assigned >= 0, np.nan_to_num(lost)[assigned], 0.0)
    there = labels >= 0
    values = np.where(there, own[labels], 0).sum(0) / np.maximum(there.sum(0), 1)
    low = min(0.0, float(values.min()))
    scaled = (values - low) / max(most - low, 1e-9)
    return np.asarray(np.rint(255 * colormaps[MAP](scaled.clip(0, 1))[..., :3]), np.uint8)


def _painted(shown: _Shown, at: list[int], labels: np.ndarray, chosen: list[int]) -> np.ndarray:
    """Grey frames with the chosen concepts in their colours, the best on top, uint8 [T,H,W,3]."""
    grey = shown.clip.frames[at] @ LUMA
    out = np.repeat((255 * (1 - DIMMED) + grey * DIMMED)[..., None], 3, axis=-1)
    for i, k in reversed(list(enumerate(chosen))):
        mask = (np.isin(labels, np.flatnonzero(shown.assigned == k)) & (labels >= 0)).any(0)
        shade = (0.75 + 0.25 * grey[mask] / 255)[:, None]  # some of the frame's light stays: the object can be seen
        out[mask] = shade * np.array(to_rgb(COLOURS[i])) * 255
    return np.rint(out).astype(np.uint8)


def _sized(frames: np.ndarray) -> np.ndarray:
    return shrink(enlarge(frames, scale_of(*frames.shape[1:3])))


def _named(k: int, names: Mapping[int, str]) -> str:
    return names.get(k) or f"concept {k}"
