"""`ClipReader`: from a path to the clip that a network takes; the same for training, masking and prediction."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

import numpy as np

from voxplain.errors import DataError
from voxplain.video.clip import Clip
from voxplain.video.damage import Damaged
from voxplain.video.decode import MAX_PIXELS, Span, in_span, read_windows
from voxplain.video.excerpt import Excerpt
from voxplain.video.geometry import FrameGeometry, Geometry
from voxplain.video.sample import Middle, Sampler, middle_window


@dataclass(frozen=True)
class ClipReader:
    """Read chosen frames of a video, resized and cropped.

    The default is the papers' test clip: the middle 16 frames, the centre 112×112. Their training clip is
    ``ClipReader(RandomFrames(), random_crop=True, flip=0.5)``, called with an ``rng``; the same state of the generator
    gives the same clip.

    Parameters
    ----------
    sampler : Sampler
        Which frames.
    geometry : FrameGeometry
        Resize and crop: `Geometry`, `ShortSide`, `LongSide` or `OwnGeometry`.
    random_crop : bool
        Draw the crop's corner instead of taking the centre.
    flip : float
        Probability of mirroring left and right.
    max_pixels : int
        Limit on T·H·W read from one video.
    damaged : {"skip", "use", "fail"}
        For a video of which frames are lost: raise VideoError where less than half of them are left, use what is left,
        or raise DataError.

    Raises
    ------
    DataError
        A probability out of range.
    """

    sampler: Sampler = field(default_factory=Middle)
    geometry: FrameGeometry = field(default_factory=Geometry)
    random_crop: bool = False
    flip: float = 0.0
    max_pixels: int = MAX_PIXELS
    damaged: Damaged = "skip"

    def __post_init__(self) -> None:
        """Check the fields."""
        if not 0 <= self.flip <= 1:
            raise DataError(f"flip is a probability from 0 to 1, got {self.flip}.")
        if self.random_crop and not isinstance(self.geometry, Geometry):
            raise DataError(
                f"expected a Geometry, of a fixed size before the crop, for random crops, got {self.geometry}; give one"
            )

    def __call__(
        self,
        path: str | os.PathLike[str],
        *,
        label: int | None = None,
        rng: np.random.Generator | None = None,
        span: Span | None = None,
    ) -> Clip:
        """The sampler's window of a video; of several the middle one.

        Parameters
        ----------
        path : str or path
            Video file, folder of pictures or `.npy` array.
        label : int, optional
            Stored in the clip.
        rng : numpy Generator, optional
            For random frames, crops and mirrors; by default one with seed 0.
        span : (first, stop), optional
            Frames of the video to choose from, counted from 0.

        Returns
        -------
        Clip

        Raises
        ------
        VideoError
            A video that cannot be read, or of which too few frames are left.
        DataError
            A damaged video, where ``damaged`` is "fail".
        """
        return self._read(path, label, rng, span, one=True)[0]

    def windows(
        self,
        path: str | os.PathLike[str],
        *,
        label: int | None = None,
        rng: np.random.Generator | None = None,
        span: Span | None = None,
        excerpt: Excerpt | None = None,
    ) -> list[Clip]:
        """All windows of the sampler in a video or a part of it, with one crop and one mirror for the whole video.

        Parameters and errors are those of a call.

        Parameters
        ----------
        path : str or path
        label : int, optional
        rng : numpy Generator, optional
        span : (first, stop), optional
            Frames of the video to choose from, counted from 0.
        excerpt : Excerpt, optional
            Seconds and rectangle of the video to choose from.

        Returns
        -------
        list of Clip
        """
        return self._read(path, label, rng, span, one=False, excerpt=excerpt)

    def _read(
        self,
        path: str | os.PathLike[str],
        label: int | None,
        rng: np.random.Generator | None,
        span: Span | None,
        *,
        one: bool,
        excerpt: Excerpt | None = None,
    ) -> list[Clip]:
        rng = np.random.default_rng(0) if rng is None else rng
        seed = int(rng.integers(2**62))  # the sampler may be called twice and must return the same
        corner = self.geometry.random_corner(rng) if self.random_crop and isinstance(self.geometry, Geometry) else None
        mirror = bool(rng.random() < self.flip)

        def choose(count: int) -> np.ndarray:
            index = self.sampler(count, np.random.default_rng(seed))
            return middle_window(index) if one else index

        clips = read_windows(
            path,
            in_span(choose, span),
            max_pixels=self.max_pixels,
            geometry=self.geometry,
            damaged=self.damaged,
            excerpt=excerpt,
        )
        # Parts of one video are different clips and must not share a name.
        place = "" if span is None else f", frames {span[0] + 1} to {span[1]}"
        return [
            replace(
                clip,
                source=clip.source + place,
                frames=self.geometry.crop_frames(clip.frames, corner=corner, flip=mirror),
                label=label,
            )
            for clip in clips
        ]
