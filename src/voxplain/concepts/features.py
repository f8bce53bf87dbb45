"""Features of supervoxels: each one shown to the network alone, cropped and at full size.

Letters: N supervoxels, D feature dimensions, T×H×W the network's grid. Masked crops are made batch by batch and
forgotten, so memory does not grow with the number of videos.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import interpolate

from voxplain.errors import DataError, VideoError
from voxplain.model import VideoModel
from voxplain.perturb import FILLS, base_clip
from voxplain.segment import Supervoxels
from voxplain.video import Clip, Windows

__all__ = ["CROPS", "Features", "MaskedCrops", "box_crop", "embed_clip", "in_place"]


@dataclass(frozen=True, eq=False)
class Features:
    """Rows of features: ``values`` float32 [N,D]; ``origin`` int64 [N,2] = (clip, supervoxel)."""

    values: np.ndarray
    origin: np.ndarray

    def __post_init__(self) -> None:
        """Check shapes and that every value is finite."""
        if self.values.ndim != 2 or self.origin.shape != (len(self.values), 2):
            raise DataError(
                f"expected values [N,D] and origin [N,2], got {self.values.shape} and {self.origin.shape}; "
                "give one (clip, supervoxel) pair a row"
            )
        if not np.isfinite(self.values).all():
            raise DataError("expected finite features, got NaN or infinity; check the network's weights and its layer")

    def __repr__(self) -> str:
        """Shapes, not data."""
        return f"Features(values={self.values.shape}, clips={len(np.unique(self.origin[:, 0]))})"


def box_crop(frames: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """Cut the segment's fixed box out of every frame and resize it to ``size`` (bicubic): the papers' way.

    One box for all frames (spec: min and max over the segment), so the object's motion inside the box stays.
    Frames uint8 [T,H,W,3] to uint8 tensor [T,h,w,3].
    """
    _, _, y0, y1, x0, x1 = box
    cut = torch.from_numpy(np.ascontiguousarray(frames[:, y0:y1, x0:x1])).permute(0, 3, 1, 2)
    return interpolate(cut, size=size, mode="bicubic", antialias=True).permute(0, 2, 3, 1)


def in_place(frames: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """Leave the segment where and as large as it is, everything else filled."""
    return torch.from_numpy(frames.copy())


CROPS: dict[str, Callable[[np.ndarray, np.ndarray, tuple[int, int]], torch.Tensor]] = {
    "box": box_crop,
    "in-place": in_place,
}


def _starts(extent: tuple[int, int], total: int, length: int, step: int) -> np.ndarray:
    """First frames of the windows of ``length`` that cover an extent of a clip of ``total`` frames."""
    t0, t1 = extent
    if t1 - t0 <= length:
        # A short segment keeps its place in real time: one window around it, inside the clip.
        return np.array([min(max((t0 + t1 - length) // 2, 0), total - length)])
    return t0 + Windows(length, 1, step)(t1 - t0)[:, 0]


@dataclass(frozen=True)
class MaskedCrops:
    """How a supervoxel becomes network input. Called with (model, clip, supervoxels) gives features [N,D].

    The mask's outside is filled, the box is cropped and resized, and the network's feature is taken; a segment
    longer than the network's clip is averaged over windows. Source: STCE §3.1 and its code (spec A.1, A.3).
    """

    fill: str = "mean"  # what hides the outside: mean (zero after normalisation), grey, black, blur
    crop: str = "box"  # box: crop and resize [P]; in-place: keep position and size
    window_step: int = 8  # frames between windows of long segments; 1 is the exact mode of the reference

    def __post_init__(self) -> None:
        """Refuse names that nothing stands for, before hours of work."""
        if self.fill not in FILLS or self.crop not in CROPS or self.window_step < 1:
            raise DataError(
                f"expected a fill of {', '.join(FILLS)}, a crop of {', '.join(CROPS)} and window_step of 1 or more, "
                f"got {self.fill!r}, {self.crop!r} and {self.window_step}; correct them"
            )

    def __call__(
        self, model: VideoModel, clip: Clip, supervoxels: Supervoxels, *, ids: np.ndarray | None = None
    ) -> np.ndarray:
        """Features float32 [N,D] of a clip's supervoxels, all or ``ids``. VideoError when the clip is too short."""
        ids = np.arange(supervoxels.count) if ids is None else ids
        _refuse_short(model, clip)
        if not len(ids):  # every supervoxel may have been dropped; the whole clip tells how wide a row is
            return np.zeros((0, len(embed_clip(model, clip, window_step=len(clip.frames)))), np.float32)
        total: list[np.ndarray | None] = [None] * len(ids)
        seen = np.zeros(len(ids), np.int64)
        batch: list[torch.Tensor] = []
        owners: list[int] = []

        def flush() -> None:
            for owner, row in zip(owners, model.embed(torch.stack(batch)).cpu().numpy(), strict=True):
                kept = total[owner]
                total[owner] = row.copy() if kept is None else kept + row
                seen[owner] += 1
            batch.clear()
            owners.clear()

        for owner, crop in self._crops(model, clip, supervoxels, ids):
            owners.append(owner)
            batch.append(crop)
            if len(batch) == model.batch_size:
                flush()
        if batch:
            flush()
        return np.stack([t for t in total if t is not None]).astype(np.float32) / seen[:, None].astype(np.float32)

    def _crops(
        self, model: VideoModel, clip: Clip, supervoxels: Supervoxels, ids: np.ndarray
    ) -> Iterator[tuple[int, torch.Tensor]]:
        length, height, width = model.grid
        base = base_clip(clip.frames, self.fill, model.mean_colour)
        shown = base.copy()
        for owner, i in enumerate(ids):
            box = supervoxels.boxes[i]
            # Nothing of the segment lies outside its box, and most of a clip does.
            inside = tuple(slice(*ends) for ends in box.reshape(3, 2))
            own = supervoxels.labels[supervoxels.levels[i]][inside] == i
            np.copyto(shown[inside], clip.frames[inside], where=own[..., None])
            for start in _starts((box[0], box[1]), len(shown), length, self.window_step):
                yield owner, CROPS[self.crop](shown[start : start + length], box, (height, width))
            shown[inside] = base[inside]


def _refuse_short(model: VideoModel, clip: Clip) -> None:
    if len(clip.frames) < model.grid[0]:
        raise VideoError(
            f"expected a clip of at least {model.grid[0]} frames, got {len(clip.frames)} of {clip.source}; "
            "read it with the model's reader, which loops short videos"
        )


def embed_clip(model: VideoModel, clip: Clip, *, window_step: int = 8) -> np.ndarray:
    """Feature of a whole clip, float32 [D]: the mean over windows when it is longer than the network's."""
    _refuse_short(model, clip)
    starts = Windows(model.grid[0], 1, window_step)(len(clip.frames))
    return model.embed(clip.frames[starts]).mean(0).cpu().numpy()
