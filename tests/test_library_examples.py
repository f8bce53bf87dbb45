"""The examples in docstrings give what they show; those of methods and metrics are in attribution/."""

import doctest
import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import voxplain as vx
from voxplain.video import Clip

SOURCE = Path(str(vx.__file__)).parent
MODULES = [
    ".".join(("voxplain", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>> " in path.read_text() and not {"attribution", "metrics"} & set(path.parent.relative_to(SOURCE).parts)
]


def test_modules_with_examples_are_found() -> None:
    assert {"voxplain.concepts.cav", "voxplain.nets", "voxplain.segment.slic"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_run(name: str, tmp_path: Path) -> None:
    module = importlib.import_module(name)
    clip = Clip.from_array(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8), source="clip")
    model = replace(vx.load_model("planted"), grid=(8, 32, 32), geometry=None)
    given = {"np": np, "torch": torch, "nn": torch.nn, "vx": vx, "model": model, "clip": clip, "folder": tmp_path}
    result = doctest.testmod(module, extraglobs={k: v for k, v in given.items() if k not in vars(module)})
    assert result.attempted > 0
    assert result.failed == 0
