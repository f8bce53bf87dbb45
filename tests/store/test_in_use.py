"""A folder that a run uses is kept from other runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from voxplain.errors import VoxplainError
from voxplain.files import in_use

HOLD = "import sys; from pathlib import Path; from voxplain.files import in_use\n"
HOLD += (
    "with in_use(Path(sys.argv[1]), shared=sys.argv[2] == 'shared'):\n    print('in', flush=True)\n    sys.stdin.read()"
)


@pytest.fixture
def holder(tmp_path: Path, request: pytest.FixtureRequest):
    """Another process that uses the folder; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run"), request.param],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "in\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("holder", ["alone", "shared"], indirect=True)
def test_a_second_run_is_refused_until_the_first_has_ended_even_by_a_kill(holder: subprocess.Popen, tmp_path: Path):
    refused = pytest.raises(
        VoxplainError, match=r"expected a folder that no other run uses, got .*, where one is running"
    )
    with refused, in_use(tmp_path / "run"):
        raise AssertionError("used at the same time")
    holder.kill()
    holder.communicate()
    with in_use(tmp_path / "run"):
        pass


@pytest.mark.parametrize("holder", ["shared"], indirect=True)
def test_shards_use_one_folder(holder: subprocess.Popen, tmp_path: Path):
    with in_use(tmp_path / "run", shared=True):
        pass


@pytest.mark.parametrize("holder", ["alone"], indirect=True)
def test_a_shard_does_not_join_a_whole_run(holder: subprocess.Popen, tmp_path: Path):
    with pytest.raises(VoxplainError, match="where one is running"), in_use(tmp_path / "run", shared=True):
        raise AssertionError("used at the same time")


def test_a_folder_that_was_made_and_stayed_empty_goes(tmp_path: Path):
    with in_use(tmp_path / "new"):
        assert (tmp_path / "new").is_dir()
    assert not (tmp_path / "new").exists()
    with in_use(tmp_path / "new"):
        (tmp_path / "new" / "result").write_text("x")
    with in_use(tmp_path / "new"):
        pass
    assert (tmp_path / "new" / "result").read_text() == "x"
