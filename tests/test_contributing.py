"""The worked examples of CONTRIBUTING.md, followed step by step in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import voxplain

ROOT = Path(__file__).parents[1]
PACKAGE = Path(voxplain.__file__).parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
# Every block that names a file in its first line: the file, and its content or what is added to it.
STEPS: list[tuple[str, str]] = re.findall(
    r"^```python3\n# ((?:src|tests)/\S+\.py)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL
)
CHECK = """
import sys
from pathlib import Path

import numpy as np

import voxplain as vx
from voxplain.cli import main

assert Path(vx.__file__).is_relative_to(Path.cwd()), vx.__file__
model = vx.load_model("two_layers", classes=("a", "b"))
assert tuple(model.grid) == (16, 64, 64)
frames = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3), np.uint8)
assert vx.GradCAM()(model, frames).shape == (16, 64, 64)
(heat,) = vx.explain_clip(model, frames, ["difference_x_gradient"]).maps.values()
assert heat.shape == (16, 64, 64)
train, test = vx.load_named("hand_signs", Path("signs"))
assert train.classes == ("hello", "stop")
assert [p.name for p in test.paths] == ["p3_hello.mp4", "p3_stop.mp4"]
assert len(train) == 4
names = {}
exec(Path(TEST).read_text(), names)
(known,) = (value for name, value in names.items() if name.startswith("test_"))
known()
sys.argv = ["voxplain", "data", "hand_signs", "--check", "signs"]
main()
"""


def test_each_kind_is_one_new_file_and_one_entry() -> None:
    paths = [path for path, _ in STEPS]
    new = [path for path in paths if path.startswith("src/") and not (ROOT / path).exists()]
    assert [path.split("/")[2] for path in new] == ["attribution", "nets", "datasets"]
    assert len(paths) == len(set(paths)) == 7


def test_the_examples_work_in_a_copy(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "src" / "voxplain")  # with its byte code, or all of it is compiled again
    for path, code in STEPS:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{file.read_text('utf-8')}\n{code}" if file.exists() else code, "utf-8")
    (tmp_path / "signs").mkdir()
    for person in ("p1", "p2", "p3"):
        for sign in ("hello", "stop"):
            (tmp_path / "signs" / f"{person}_{sign}.mp4").touch()
    (test,) = (path for path, _ in STEPS if path.startswith("tests/"))
    done = subprocess.run(
        [sys.executable, "-c", f"TEST = {test!r}\n{CHECK}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "complete, 6 of 6 videos" in done.stdout
