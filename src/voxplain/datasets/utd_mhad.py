"""UTD-MHAD (Chen, Jafari and Kehtarnavaz, ICIP 2015): 27 actions, 8 subjects, 4 trials, colour and depth.

From https://personal.utdallas.edu/~kehtar/UTD-MHAD.html, for research. Read as downloaded
(``RGB/a1_s1_t1_color.avi``) or with a folder an action (``wave/s1_t1.mp4``), which is how depth written as grey video
is kept; the ``.mat`` files of the Depth folder are no videos and are not read. Three trials were withdrawn: 861 videos.
The split is the data set's own: odd subjects train, even test. Some classes are mirror images of each other
(swipe_left and swipe_right): train without flips.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain.datasets.folder import VideoSet
from voxplain.datasets.listing import Listing, first_folder, two_parts, videos_below

__all__ = ["ACTIONS", "silhouettes", "utd_mhad", "utd_mhad_listing"]

ACTIONS = (
    "swipe_left",
    "swipe_right",
    "wave",
    "clap",
    "throw",
    "arm_cross",
    "basketball_shoot",
    "draw_x",
    "draw_circle_cw",
    "draw_circle_ccw",
    "draw_triangle",
    "bowling",
    "boxing",
    "baseball_swing",
    "tennis_swing",
    "arm_curl",
    "tennis_serve",
    "push",
    "knock",
    "catch",
    "pickup_throw",
    "jog",
    "walk",
    "sit_to_stand",
    "stand_to_sit",
    "lunge",
    "squat",
)
WITHDRAWN = {("draw_x", 1, 4), ("walk", 6, 4), ("squat", 8, 4)}  # a8_s1_t4, a23_s6_t4, a27_s8_t4


def utd_mhad_listing(root: Path) -> Listing:
    """All 861 videos, ``s1_t1`` of each action, and where they are."""
    found = videos_below(first_folder(root, "RGB"))
    videos: dict[str, dict[str, Path | None]] = {}
    for number, action in enumerate(ACTIONS, 1):
        trials = [(s, t) for s in range(1, 9) for t in range(1, 5) if (action, s, t) not in WITHDRAWN]
        videos[action] = {
            f"s{s}_t{t}": found.get(f"{action}/s{s}_t{t}", found.get(f"a{number}_s{s}_t{t}_color")) for s, t in trials
        }
    return Listing(videos, {}, 861)


def utd_mhad(root: Path) -> tuple[VideoSet, VideoSet]:
    """Training (subjects 1, 3, 5, 7) and test videos (2, 4, 6, 8)."""
    return two_parts(root, utd_mhad_listing(root), lambda _, name: "train" if int(name[1]) % 2 else "test")


def silhouettes(frames: NDArray[np.uint8], *, above: int = 30) -> NDArray[np.bool_]:
    """The acting person, bool [T,H,W], in depth video whose background is 0: pixels brighter than ``above``.

    ``above`` is what video compression leaves of a black background.
    """
    return np.asarray(frames[..., 0] > above)
