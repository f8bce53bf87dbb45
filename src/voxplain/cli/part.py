"""Which part of each video is explained: seconds, and a rectangle of the picture."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from voxplain.errors import DataError

if TYPE_CHECKING:
    from voxplain.video import Excerpt

__all__ = ["Part"]

MOST = 1 << 24  # bytes of a file of regions


@Parameter(name="*")
@dataclass(frozen=True)
class Part:
    """The seconds and the rectangle of a video, which is read as if it had nothing else."""

    from_: Annotated[float | None, Parameter(name="--from")] = None
    "First second of the video to explain."
    to: float | None = None
    "Second of the video to stop before."
    crop: str | None = None
    "x,y,width,height in pixels of the video: for people that are small in the picture."
    region: Path | None = None
    "A CSV file of such rectangles: lines video,x,y,width,height, the video by its name or path."

    def excerpts(self) -> "Callable[[Path], Excerpt | None]":
        """A function from the path of a video to the part of it; None: all of it.

        Raises
        ------
        DataError
            For options that exclude each other, a file that cannot be read, and, when called, a video that the file
            does not have.
        """
        from voxplain.video import Excerpt

        if self.crop is not None and self.region is not None:
            raise DataError("expected --crop or --region, got both; leave one out")
        one = None if self.crop is None else rectangle(self.crop.split(","), f"--crop {self.crop}")
        regions = None if self.region is None else read_regions(self.region)
        Excerpt(self.from_, self.to, one)  # its errors come before any work

        def of(path: Path) -> Excerpt | None:
            crop = one
            if regions is not None:
                named = [name for name in regions if (path.parts[-len(Path(name).parts) :]) == Path(name).parts]
                if not named:
                    raise DataError(f"expected a region of {path} in {self.region}, got none; add a line for it")
                crop = regions[max(named, key=len)]
            return None if (self.from_, self.to, crop) == (None, None, None) else Excerpt(self.from_, self.to, crop)

        return of


def rectangle(words: list[str], given: str) -> tuple[int, int, int, int]:
    """x, y, width and height from their texts. Raises DataError, which shows what was given."""
    try:
        x, y, width, height = (int(word) for word in words)
    except ValueError:
        raise DataError(f"expected x,y,width,height in whole pixels, got {given}; correct it") from None
    return x, y, width, height


def read_regions(path: Path) -> dict[str, tuple[int, int, int, int]]:
    """Rectangles by video from a CSV file, with or without a line of names. Raises DataError where it has others."""
    from voxplain.reading import Unreadable, read_regular

    try:
        lines = list(csv.reader(read_regular(path, MOST).decode().splitlines()))
    except (OSError, UnicodeDecodeError, Unreadable, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"expected a CSV file of regions, got {path}: {reason}; correct it") from None
    found = {}
    for number, line in enumerate(lines, 1):
        if not line or (number == 1 and [word.strip().lower() for word in line[1:3]] == ["x", "y"]):
            continue
        if len(line) != 5:
            raise DataError(
                f"expected video,x,y,width,height in line {number} of {path}, got {len(line)} values; correct it"
            )
        found[line[0].strip()] = rectangle(line[1:], f"{','.join(line[1:])} in line {number} of {path}")
    return found
