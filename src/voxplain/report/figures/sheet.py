"""A printed sheet: pictures, outlines and text at places in centimetres, written as PDF, PNG, GIF or MP4.

The figure carries its own canvas: no pyplot, no global state. Places count from the upper left corner.
"""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from voxplain.report.draw import enlarge
from voxplain.video.encode import encode_video

__all__ = [
    "CM",
    "COLOURS",
    "GREY",
    "INK",
    "SMALL",
    "TEXT",
    "Sheet",
    "Spot",
    "edges",
    "file_of_figure",
    "file_of_frames",
    "printable",
    "raster",
    "shorten",
]

CM = 1 / 2.54  # inches
TEXT, SMALL = 7.5, 6.5  # points
INK, GREY = "#1f2328", "#656d76"
DPI, SCREEN_DPI = 300, 150  # of PNG, of moving pictures
FONT = "DejaVu Sans"  # comes with matplotlib, so the same on every machine
YELLOW = "#ffe100"
# Okabe and Ito's colours, which colour-blind readers can distinguish.
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#f0e442", "#0072b2")
PURE = (*COLOURS, YELLOW, "black", "white")


@dataclass(frozen=True)
class Spot:
    """Where a picture of ``rows`` × ``columns`` pixels lies, in cm."""

    x: float
    y: float
    width: float
    height: float
    rows: int
    columns: int


class Sheet:
    """A white page of ``width`` × ``height`` cm to put things on."""

    def __init__(self, width: float, height: float) -> None:
        """An empty sheet."""
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width * CM, height * CM), facecolor="white", dpi=DPI)
        self.figure.suppressComposite = True  # each picture goes into a PDF by itself, with its own pixels
        FigureCanvasAgg(self.figure)
        # One frame for all pictures: matplotlib takes 50 ms for each frame of its own.
        self.page = self.axes(0, 0, width, height)
        self.page.set_axis_off()
        self.page.set_xlim(0, width)
        self.page.set_ylim(height, 0)

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """An empty frame with its upper left corner at (x, y)."""
        w, h = self.width, self.height
        return self.figure.add_axes((x / w, 1 - (y + height) / h, width / w, height / h))

    def picture(self, x: float, y: float, width: float, height: float, pixels: np.ndarray) -> Spot:
        """Pixels uint8 [H,W,3] at a place, enlarged by repeating them."""
        rows, columns = pixels.shape[:2]
        # Viewers smooth what they enlarge; an image of print resolution leaves them nothing to enlarge.
        factor = max(1, round(width * CM * DPI / columns))
        extent = (x, x + width, y + height, y)
        self.page.imshow(enlarge(pixels, factor), interpolation="nearest", aspect="auto", extent=extent)
        return Spot(x, y, width, height, rows, columns)

    def box(self, x: float, y: float, width: float, height: float, *, fill: str = "none", line: str = INK) -> None:
        """A rectangle with a thin line."""
        self.page.add_patch(Rectangle((x, y), width, height, facecolor=fill, edgecolor=line, linewidth=0.6))

    def outline(self, spot: Spot, mask: np.ndarray, *, color: str = YELLOW, width: float = 0.8) -> None:
        """A line of so many points around a mask bool [H,W] of a picture, with a dark rim; drawn, not pixels."""
        scale = np.array([spot.width / spot.columns, spot.height / spot.rows])
        lines = edges(mask) * scale + (spot.x, spot.y)
        clip = Rectangle((spot.x, spot.y), spot.width, spot.height, transform=self.page.transData)
        for shade, points in (("black", width + 0.7), (color, width)):
            drawn = LineCollection(lines, colors=shade, linewidths=points, capstyle="projecting")
            self.page.add_collection(drawn, autolim=False)
            drawn.set_clip_path(clip)

    def text(self, x: float, y: float, words: str, *, size: float = TEXT, color: str = INK, **how: Any) -> Text:
        """Words at a place; by default their upper left corner is there."""
        how = {"va": "top", "ha": "left", **how}
        return self.figure.text(
            x / self.width,
            1 - y / self.height,
            printable(words),
            fontsize=size,
            color=color,
            fontfamily=FONT,
            parse_math=False,
            **how,
        )

    def fitted(self, x: float, y: float, words: Sequence[str], room: float, **how: Any) -> Text:
        """The first of some wordings that fits into ``room`` cm; the last one smaller where none does."""
        for wording in words:
            drawn = self.text(x, y, wording, **how)
            wide = drawn.get_window_extent().width / self.figure.dpi / CM
            if wide <= room:
                break
            if wording == words[-1]:
                drawn.set_fontsize(
                    how.get("size", TEXT) * 0.97 * room / wide
                )  # a little wider on screens than in print
            else:
                drawn.remove()
        return drawn

    def line(
        self, x: float, y: float, wordings: Sequence[Sequence[tuple[str, str]]], room: float, size: float = SMALL
    ) -> None:
        """The first wording that fits into ``room`` cm: words in colours of their own, one after the other."""
        for words in wordings:
            drawn = [self.text(0, y, word, color=color, size=size) for word, color in words]
            wide = [text.get_window_extent().width / self.figure.dpi / CM + 0.08 for text in drawn]
            if sum(wide) <= room or words is wordings[-1]:
                break
            for text in drawn:
                text.remove()
        shrink = min(1.0, room / sum(wide))
        for text, before in zip(drawn, np.cumsum([0, *wide]), strict=False):
            text.set_fontsize(size * shrink)
            text.set_x((x + before * shrink) / self.width)


def edges(mask: np.ndarray) -> np.ndarray:
    """The border of a mask bool [H,W] as straight lines between pixels, float [n,2,2] of (x, y)."""
    padded = np.pad(mask, 1)
    across = padded[1:, 1:-1] != padded[:-1, 1:-1]  # [H+1,W]: a border above row y
    down = padded[1:-1, 1:] != padded[1:-1, :-1]  # [H,W+1]: a border left of column x
    y, start, stop = _runs(across)
    flat = np.stack([start, y, stop, y], -1)
    x, start, stop = _runs(down.T)
    upright = np.stack([x, start, x, stop], -1)
    return np.concatenate([flat, upright]).reshape(-1, 2, 2).astype(float)


def _runs(marked: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row, start, stop) of every unbroken run of a bool array [R,C]."""
    change = np.diff(np.pad(marked, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(change == 1)
    return row, start, np.nonzero(change == -1)[1]


def printable(words: str) -> str:
    """Words with a box for every character that the font lacks, undecodable bytes among them."""
    known = _known()
    return "".join(c if c == "\n" or ord(c) in known else "□" for c in words)


def shorten(words: str, most: int = 40) -> str:
    """Words cut in the middle to at most so many characters."""
    words = " ".join(words.split())
    return words if len(words) <= most else f"{words[: most // 2]}…{words[-(most - most // 2 - 1) :]}"


@cache
def _known() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=FONT))).get_charmap())


def file_of_figure(figure: Figure, suffix: str) -> bytes:
    """A figure as the bytes of a .pdf, its fonts embedded whole as outlines (type 42), or of a .png of 300 dpi.

    The same figure gives the same bytes: no date, no name of a program.
    """
    out = io.BytesIO()
    unwanted = {".pdf": ("CreationDate", "Producer", "Creator"), ".png": ("Software",)}[suffix]
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        figure.savefig(out, format=suffix[1:], dpi=DPI, metadata=dict.fromkeys(unwanted))
    return out.getvalue()


def raster(figure: Figure) -> np.ndarray:
    """A figure as uint8 [H,W,3] for moving pictures, both sides even."""
    figure.set_dpi(SCREEN_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    return np.ascontiguousarray(pixels[: len(pixels) // 2 * 2, : pixels.shape[1] // 2 * 2])


def file_of_frames(frames: np.ndarray, suffix: str, fps: int) -> bytes:
    """Frames uint8 [T,H,W,3] as the bytes of an .mp4, or of a .gif that runs without end."""
    if suffix == ".mp4":
        return encode_video(frames, fps=fps, crf=16)
    # One palette for all frames: with one each, colours that do not change flicker.
    sample = np.concatenate(frames[:: max(1, len(frames) // 4)])
    found = Image.fromarray(sample).quantize(256 - len(PURE), method=Image.Quantize.MEDIANCUT).getpalette()
    colours = np.array(found, np.uint8).reshape(-1, 3)[: 256 - len(PURE)]
    colours[colours.min(1) >= 248] = 255  # the page is white, not nearly so
    # Colours that mean something stay as they are, however few their pixels.
    colours = np.concatenate([colours, np.rint([np.multiply(to_rgb(c), 255) for c in PURE]).astype(np.uint8)])
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours.tobytes())
    first, *rest = [Image.fromarray(f).quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first.save(out, format="gif", save_all=True, append_images=rest, duration=round(100 / fps) * 10, loop=0)
    return out.getvalue()
