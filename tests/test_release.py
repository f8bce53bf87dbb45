"""What a release consists of: versions that agree, forms that parse, and a wheel that holds the package and runs."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import voxplain

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "voxplain"
YAML = [*sorted((ROOT / ".github").rglob("*.yml")), ROOT / ".pre-commit-config.yaml", ROOT / "CITATION.cff"]


def read(path: Path) -> dict[str, object]:
    loaded = yaml.safe_load(path.read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_yaml(path: Path) -> None:
    assert read(path)


def test_versions_agree() -> None:
    assert read(ROOT / "CITATION.cff")["version"] == voxplain.__version__
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text()


def test_the_citation_names_both_papers() -> None:
    references = read(ROOT / "CITATION.cff")["references"]
    assert isinstance(references, list)
    urls = {entry["url"] for entry in references}
    assert urls == {"https://arxiv.org/abs/2206.05275", "https://arxiv.org/abs/2005.00375"}
    assert all(entry["authors"] and entry["title"] for entry in references)


def test_actions_and_hooks_are_pinned() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        used = re.findall(r"uses: (\S+)", path.read_text())
        assert used
        assert all(re.search(r"@(v\d|release/v\d)", action) for action in used), path.name
    hooks = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert isinstance(hooks, list)
    assert all(re.fullmatch(r"v\d+\.\d+\.\d+", repo["rev"]) for repo in hooks if repo["repo"] != "local")


def test_workflows_call_targets_that_exist() -> None:
    text = "".join(path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml"))
    wanted = set(re.findall(r"run: make (\S+)", text))
    makefile = (ROOT / "Makefile").read_text().replace("$(VENV)", ".venv").replace("$(DEV)", ".venv/.installed")
    assert wanted == {"lint", "docs", "coverage", "test-lowest", ".venv/.installed"}
    for target in wanted:
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target


def built_wheel(folder: Path) -> Path:
    """The wheel of this tree; skipped where its build backend cannot be had."""
    if shutil.which("uv"):
        command = ["uv", "build", "--wheel", "-q", "-o", str(folder), str(ROOT)]
    else:
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and re.search(r"hatchling.*(not found|No solution)|No matching .*hatchling", done.stderr, re.S):
        pytest.skip("the build backend hatchling is not available here")
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.slow
def test_the_wheel(tmp_path: Path) -> None:
    wheel = built_wheel(tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.partition("/")[0].endswith(".dist-info")}
        archive.extractall(tmp_path / "empty")
    expected = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert names == {path.relative_to(PACKAGE.parent).as_posix() for path in expected}
    assert {"voxplain/py.typed", "voxplain/nets/planted.safetensors", "voxplain/report/base.html"} <= names
    assert wheel.name.startswith(f"voxplain-{voxplain.__version__}-py3-none-any")
    assert wheel.stat().st_size < 4 << 20
    code = "import voxplain; print(voxplain.__file__); print(voxplain.load_model('planted').classes[0])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": "empty"},
        check=True,
    )
    where, first_class = done.stdout.split()
    assert Path(where).resolve().is_relative_to(tmp_path.resolve())
    assert first_class
