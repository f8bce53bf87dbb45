"""SCUBA and SCUFO: does a network tell actions by the person's motion, by the background, or by the person's looks?

In SCUBA the person of each video is in front of an unrelated still background: a network that relies on the
background is wrong there. In SCUFO one frame of that is repeated: a network that is still right knows the class from
the person's looks, without motion. Contrasted accuracy counts the videos that are right in SCUBA and wrong in SCUFO.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain.datasets.backgrounds import Background, MaskOf
from voxplain.datasets.composed import ComposedSet, Composition, write_composed
from voxplain.datasets.folder import VideoSet
from voxplain.datasets.stripes import Stripes
from voxplain.errors import DataError

__all__ = ["repeated", "write_scuba"]


def write_scuba(
    root: Path | str,
    videos: VideoSet,
    mask: MaskOf,
    *,
    background: Background | None = None,
    copies: int = 1,
    seed: int = 0,
    advance: Callable[[], object] = lambda: None,
) -> ComposedSet:
    """Write the test sets SCUBA and SCUFO of labelled videos with masks of the person.

    ``root/scuba/<class>/`` and ``root/scufo/<class>/`` hold a video of the same name for each of ``videos`` (and
    copy). The same arguments give the same bytes, and an interrupted call is continued by the same call. Videos without
    a mask or a person, and those that cannot be read, are left out.

    Parameters
    ----------
    root : str or Path
        Folder to write.
    videos : VideoSet
        Test videos.
    mask : callable
        (video, class) → the person, bool [F,H,W]; for instance ``lambda video, _: puppet_mask(folder, video)``.
    background : callable, optional
        Draws a background for a video of a class. Default: `Stripes`.
    copies : int
        Videos with different backgrounds for each of ``videos``.
    seed : int
        Of the backgrounds.
    advance : callable
        Called without arguments after each pair of videos.

    Returns
    -------
    ComposedSet

    Raises
    ------
    DataError
        For less than one copy, a folder that holds another set, and where no video could be written.

    References
    ----------
    Li et al., Mitigating and Evaluating Static Bias of Action Representations in the Background and the Foreground,
    ICCV 2023.

    Examples
    --------
    >>> (folder / "wave").mkdir()
    >>> np.save(folder / "wave/1.npy", np.full((6, 16, 16, 3), 200, np.uint8))
    >>> person = np.zeros((6, 16, 16), bool)
    >>> person[:, 4:12, 6:10] = True
    >>> videos = VideoSet(("wave",), (folder / "wave/1.npy",), np.array([0]))
    >>> write_scuba(folder / "test", videos, lambda video, label: person).places
    ('scuba/wave/1.mp4', 'scufo/wave/1.mp4')
    """
    if copies < 1:
        raise DataError(f"expected 1 copy of each video or more, got {copies}; give a positive whole number")
    drawn, compositions = background or Stripes(), []
    for i, path in enumerate(videos.paths):
        label, name = videos.classes[videos.labels[i]], path.name if path.is_dir() else path.stem
        for copy in range(copies):
            # By its name, so that a video keeps its background when others are added.
            rng = np.random.default_rng([seed, zlib.crc32(os.fsencode(f"{label}/{name}")), copy])
            own = name if copies == 1 else f"{name}_{copy + 1}"
            span = None if videos.spans is None else videos.spans[i]
            compositions.append(Composition(("scuba", "scufo"), path, label, drawn(label, rng), own, span))
    plan = {"kind": "scuba", "background": type(drawn).__name__, "copies": copies, "seed": seed}
    return write_composed(Path(root), plan, compositions, mask, make=_both, advance=advance)


def _both(frames: NDArray[np.uint8], person: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return frames, repeated(frames, person)


def repeated(frames: NDArray[np.uint8], person: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The middle one of the frames with a person, as often as there are frames.

    Parameters
    ----------
    frames : uint8 [F,H,W,3]
    person : bool [F,H,W]

    Returns
    -------
    uint8 [F,H,W,3]
    """
    shown = np.flatnonzero(person.any((1, 2)))
    return np.repeat(frames[shown[len(shown) // 2]][None], len(frames), axis=0)
