"""What every step of a run shares: the model, the settings, the store, and the cached work on single clips."""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from voxplain.concepts.settings import ConceptSettings
from voxplain.errors import VideoError
from voxplain.model import VideoModel
from voxplain.nets import weights_digest
from voxplain.segment import Supervoxels
from voxplain.store import Store, content_hash, key
from voxplain.video import Clip

__all__ = ["Progress", "Session", "cut", "embed", "fit_grid", "middle", "nearest_centre", "segment", "then"]

Progress = Callable[[str, int], AbstractContextManager[Callable[..., object]]]


@dataclass(frozen=True, eq=False)
class Session:
    """What every step of one run needs: the model, the settings, and where results are kept."""

    model: VideoModel
    settings: ConceptSettings
    store: Store
    progress: Progress

    @property
    def network(self) -> dict:
        """Everything of the model that a result depends on, for cache keys."""
        m = self.model
        # Strides, kinds of pooling and activations have no weights: the printed structure tells them apart, less the
        # addresses in it that change from run to run.
        return {
            "weights": weights_digest(m.net), "structure": re.sub(r"0x[0-9a-fA-F]+", "", repr(m.net)), "layer": m.layer,
            "mean": m.mean, "std": m.std, "layout": m.layout, "grid": m.grid, "pool": m.pool,
            "channel_axis": m.channel_axis,
        }  # fmt: skip

    def supervoxels(self, clip: Clip, *, unite: bool) -> Supervoxels:
        """A clip's supervoxels, near copies dropped where ``unite``."""
        s = self.settings
        near = s.unite if unite else None
        name = key("supervoxels", 1, frames=clip.frames, segmenter=s.segmenter, unite=near)

        def make() -> np.ndarray:
            found = s.segmenter(clip)
            return (near(found) if near else found).labels

        return Supervoxels(self.store.labels("supervoxels", name, make))

    def features(self, clip: Clip, supervoxels: Supervoxels, network: dict, *, most: int | None = None) -> np.ndarray:
        """Features of a clip's supervoxels, or of ``most`` of them drawn by the seed."""
        s = self.settings
        ids = np.arange(supervoxels.count)
        if most is not None and most < len(ids):
            # Ids follow place and level: one draw for all clips would show the same places of each.
            own = int(content_hash(clip.frames)[:16], 16)
            ids = np.sort(np.random.default_rng((s.seed, own)).choice(ids, most, replace=False))
        name = key("features", 1, frames=clip.frames, labels=supervoxels.labels, ids=ids, crops=s.crops, **network)
        make = lambda: {"values": s.crops(self.model, clip, supervoxels, ids=ids)}  # noqa: E731
        return self.store.arrays("features", name, make)["values"]


def segment(session: Session, clips: Sequence[Clip], what: str, *, unite: bool) -> list[Supervoxels]:
    """Supervoxels of every clip; ``what`` is shown while it works."""
    with session.progress(f"supervoxels of {what}", len(clips)) as advance:
        return [then(session.supervoxels(clip, unite=unite), advance) for clip in clips]


def embed(
    session: Session, clips: Sequence[Clip], parts: Sequence[Supervoxels], what: str, *, most: int | None = None
) -> list[np.ndarray]:
    """Features float32 [N_i,D] of every clip's supervoxels, or of ``most`` of them a clip."""
    network = session.network
    with session.progress(f"features of {what}", len(clips)) as advance:
        return [then(session.features(c, p, network, most=most), advance) for c, p in zip(clips, parts, strict=True)]


def then(value: Any, advance: Callable[..., object]) -> Any:
    """Hand a value on and move the progress bar."""
    advance()
    return value


def nearest_centre(values: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Index of the nearest concept centre of each row, int64 [N] (Euclidean)."""
    x, c = values.astype(np.float64), centers.astype(np.float64)
    return np.argmin((c**2).sum(1) - 2 * x @ c.T, axis=1).astype(np.int64)


def middle(model: VideoModel, clips: Sequence[Clip]) -> list[Clip]:
    """Clips cut to the network's length around their middle; clips of that length stay as they are."""
    return [cut(clip, *window(model, clip)) for clip in clips]


def window(model: VideoModel, clip: Clip) -> tuple[int, int]:
    """First frame and the one after the last of the middle window. VideoError when the clip is too short."""
    if len(clip.frames) < model.grid[0]:
        raise VideoError(
            f"expected a clip of at least {model.grid[0]} frames, got {len(clip.frames)} of {clip.source}; "
            "read it with the model's reader, which loops short videos"
        )
    start = (len(clip.frames) - model.grid[0]) // 2
    return start, start + model.grid[0]


def cut(clip: Clip, start: int, stop: int) -> Clip:
    """Frames ``start`` to ``stop`` of a clip."""
    return replace(clip, frames=clip.frames[start:stop], seconds=clip.seconds[start:stop])


def fit_grid(
    model: VideoModel, clips: Sequence[Clip], parts: Sequence[Supervoxels], assigned: Sequence[np.ndarray]
) -> tuple[list[Clip], list[Supervoxels], list[np.ndarray]]:
    """Clips, supervoxels and assignments of the middle window, where the network decides."""
    middle, shown, given = [], [], []
    for clip, part, concept in zip(clips, parts, assigned, strict=False):
        start, stop = window(model, clip)
        labels = part.labels[:, start:stop]
        middle.append(cut(clip, start, stop))
        shown.append(Supervoxels.from_levels(list(labels)))
        kept = np.concatenate([np.unique(level[level >= 0]) for level in labels])
        given.append(concept[kept])
    return middle, shown, given
