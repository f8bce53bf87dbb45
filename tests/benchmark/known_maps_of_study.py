"""A planted clip with the mask of its object."""

from pathlib import Path

import numpy as np
import torch

from voxplain.benchmark.study_clips import QUICK, study_design
from voxplain.datasets.planted import draw_scene
from voxplain.datasets.planted.scene import draw
from voxplain.video import Clip


def planted_clip(seed: int = 5) -> tuple[Clip, np.ndarray]:
    """A clip of the first class that a shape decides, and the voxels of that shape."""
    design = study_design("standard", QUICK)
    scene = draw_scene(design, design.appearance[0], seed)
    frames, masks = draw(scene)
    name = next(o.name for o in scene.objects if o.role == "target")
    return Clip.from_array(frames, source=f"{seed}"), masks[name]


def leave_the_number_of_threads(folder: Path, networks: list[str]) -> None:
    """Used in place of a network's study: writes the threads of its process to a file."""
    (folder / networks[0]).write_text(str(torch.get_num_threads()))
