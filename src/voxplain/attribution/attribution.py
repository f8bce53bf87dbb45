"""`Attribution`, the map that every method returns: an array that can be drawn, saved and loaded.

Letters: T×H×W the network's grid.
"""

import base64
import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from voxplain.attribution.overlay import frame_grid, overlay
from voxplain.errors import DataError
from voxplain.reading import parse_json, read_arrays
from voxplain.video import Clip
from voxplain.video.encode import encode_video
from voxplain.video.notebook import show_html

__all__ = ["Attribution", "MapLike", "as_values", "with_notes"]

FRAME_MS = 100  # of a GIF, milliseconds
FPS = 10  # of an MP4


@dataclass(frozen=True, eq=False)
class Attribution:
    """A map over the voxels of one clip: the higher a value, the more the voxel adds to the evidence for the target.

    Parameters
    ----------
    values : float32 [T,H,W]
        Finite; ``np.asarray(attribution)`` is this array.
    target : int or str
        Logit index of the class that is explained, or the name of another target, such as "not dog".
    method : str
        Name in `ATTRIBUTIONS`.
    parameters : mapping
        The method's fields.
    details : mapping
        What the method computed besides the map: completeness gap, iterations, the layer that it chose.
    clip : Clip, optional
        The clip that is explained, on the same grid; drawings show its frames.
    notes : tuple of str
        What a reader must know of the map: that it is zero or constant, or that values were not finite.

    Raises
    ------
    DataError
        Another type or shape, values that are not finite, or a clip on another grid.

    Examples
    --------
    >>> heat = Attribution(np.ones((2, 4, 4), np.float32), 0, "mine")
    >>> heat, heat.max(), np.asarray(heat).shape
    (Attribution(mine, target=0, 2×4×4), 1.0, (2, 4, 4))
    """

    values: np.ndarray
    target: int | str
    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    clip: Clip | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check shapes, type and that every value is finite."""
        v = self.values
        if not isinstance(v, np.ndarray) or v.dtype != np.float32 or v.ndim != 3:
            got = f"{v.dtype} {v.shape}" if isinstance(v, np.ndarray) else type(v).__name__
            raise DataError(f"expected a map float32 [T,H,W], got {got}; convert it")
        if not np.isfinite(v).all():
            raise DataError(
                f"expected finite values from {self.method}, got NaN or infinity; check the network and the options"
            )
        if self.clip is not None and self.clip.frames.shape[:3] != v.shape:
            raise DataError(f"expected a clip on the map's grid {v.shape}, got {self.clip.frames.shape[:3]}")

    def __repr__(self) -> str:
        """Shape, not data, and the notes."""
        notes = "".join(f"; {note}" for note in self.notes)
        return f"Attribution({self.method}, target={self.target}, {'×'.join(map(str, self.values.shape))}{notes})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The values, for NumPy."""
        if copy or (dtype is not None and np.dtype(dtype) != self.values.dtype):
            return np.array(self.values, dtype)
        return self.values

    @property
    def shape(self) -> tuple[int, int, int]:
        """T, H, W."""
        t, h, w = self.values.shape
        return t, h, w

    @property
    def column(self) -> int:
        """The logit index of the target. Raises DataError for a target that has a name only."""
        if isinstance(self.target, int):
            return self.target
        raise DataError(f"expected the index of a class, got the target {self.target!r}; give the model's own target")

    def max(self) -> float:
        """Greatest value."""
        return float(self.values.max())

    def min(self) -> float:
        """Least value."""
        return float(self.values.min())

    def mean(self) -> float:
        """Mean value."""
        return float(self.values.mean(dtype=np.float64))

    def overlay(self, *, opacity: float = 0.75) -> np.ndarray:
        """The map in colour over the clip's frames (over black without a clip), uint8 [T,H,W,3]."""
        frames = np.zeros((*self.values.shape, 3), np.uint8) if self.clip is None else self.clip.frames
        return overlay(frames, self.values, opacity=opacity)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the map to a file, whose ending gives the format.

        Parameters
        ----------
        path : str or path
            ``.mp4`` or ``.gif``: the map over the clip, frame by frame; ``.png``: eight frames of the clip and below
            them the map over them; ``.npz``: the values with target, method, parameters and details, for `load`.

        Returns
        -------
        Path
            The file, which appears whole or not at all.

        Raises
        ------
        DataError
            Another ending, or a folder that does not exist.
        """
        path = Path(path)
        if path.suffix.lower() not in WRITERS:
            raise DataError(f"expected a file that ends in {', '.join(WRITERS)}, got {path.name!r}; change the ending")
        if not path.parent.is_dir():
            raise DataError(f"expected a folder that exists, got {str(path.parent)!r}; create it first")
        partial = path.with_name(f".{path.name}.part")
        partial.write_bytes(WRITERS[path.suffix.lower()](self))
        partial.replace(path)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str], clip: Clip | None = None) -> "Attribution":
        """The map of a ``.npz`` file that `save` wrote; the clip itself is not in the file.

        Raises
        ------
        DataError
            A file of another kind.
        """
        try:
            with open(path, "rb") as file:
                stored = read_arrays(file, ["values", "attribution"])
            values, about = stored["values"], parse_json(str(stored["attribution"]))
            notes = tuple(about.get("notes", ()))
            return cls(values, about["target"], about["method"], about["parameters"], about["details"], clip, notes)
        except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise DataError(f"expected a .npz file written by Attribution.save, got {str(path)!r}: {error}") from error

    def show(self) -> None:
        """Display the map over the clip: in a notebook as an animation, elsewhere in a window of Matplotlib."""
        if show_html(self._repr_html_()):
            return
        from matplotlib import pyplot as plt

        sheet = self._sheet()
        figure, axes = plt.subplots(figsize=(12, 12 * sheet.shape[0] / sheet.shape[1] + 0.5))
        axes.imshow(sheet)
        axes.set(title=f"{self.method}, target {self.target}", xticks=[], yticks=[])
        plt.show()
        plt.close(figure)

    def _repr_html_(self) -> str:
        """Animation and caption for a notebook."""
        picture = base64.b64encode(_gif(self)).decode("ascii")
        values = f"values {self.min():.3g} to {self.max():.3g}"
        caption = escape("; ".join((f"{self.method}, target {self.target}, {values}", *self.notes)))
        return (
            f"<figure style='margin:0'><img alt='{caption}' src='data:image/gif;base64,{picture}'>"
            f"<figcaption>{caption}</figcaption></figure>"
        )

    def _sheet(self) -> np.ndarray:
        """Frames of the clip above the same frames with the map, uint8 [H',W',3]."""
        rows = [self.overlay()] if self.clip is None else [self.clip.frames, self.overlay()]
        return frame_grid(rows)


def _gif(attribution: Attribution) -> bytes:
    from PIL import Image

    first, *rest = [Image.fromarray(frame) for frame in attribution.overlay()]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=FRAME_MS, loop=0)
    return buffer.getvalue()


def _png(attribution: Attribution) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(attribution._sheet()).save(buffer, "PNG")
    return buffer.getvalue()


def _mp4(attribution: Attribution) -> bytes:
    return encode_video(attribution.overlay(), fps=FPS)


def _npz(attribution: Attribution) -> bytes:
    about = {name: getattr(attribution, name) for name in ("target", "method", "parameters", "details")}
    if attribution.notes:
        about["notes"] = attribution.notes
    buffer = io.BytesIO()
    np.savez_compressed(buffer, values=attribution.values, attribution=json.dumps(about, default=_plain))
    return buffer.getvalue()


def _plain(value: Any) -> Any:
    """Arrays, tensors and scalars as JSON has them; anything else by its text."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic | Tensor) else str(value)


WRITERS: dict[str, Callable[[Attribution], bytes]] = {".mp4": _mp4, ".gif": _gif, ".png": _png, ".npz": _npz}


def with_notes(values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """A map with finite values, and what is to be noted of it.

    Values that are not finite become 0. A map that is zero or constant says nothing of where the evidence is.
    """
    notes = []
    bad = int((~np.isfinite(values)).sum())
    if bad:
        values = np.where(np.isfinite(values), values, np.float32(0))
        notes.append(f"{bad} of {values.size} values were not finite and are set to 0")
    if not values.any():
        notes.append("the map is zero everywhere")
    elif float(np.ptp(values)) <= 1e-6 * float(np.abs(values).max()):
        notes.append("the map is constant")
    return values, tuple(notes)


MapLike = Attribution | np.ndarray | Tensor


def as_values(given: MapLike) -> np.ndarray:
    """The values float32 [T,H,W] of an attribution, or of an array or tensor with three axes.

    Raises
    ------
    DataError
        Another type or number of axes, or values that are not finite.

    Examples
    --------
    >>> as_values(np.arange(8).reshape(2, 2, 2)).dtype
    dtype('float32')
    """
    if isinstance(given, Attribution):
        return given.values
    array = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if array.ndim != 3 or array.dtype.kind not in "fiub":
        raise DataError(f"expected an Attribution or a map [T,H,W], got {array.dtype} {array.shape}; convert it")
    return Attribution(np.ascontiguousarray(array, np.float32), 0, "array").values
