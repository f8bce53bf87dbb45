"""A run on real Ray actors gives the bytes of one process, also when actors are killed in the middle."""

import importlib.util
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_shards import alone, run  # noqa: F401 - alone is a fixture

from voxplain.errors import DataError, MissingExtra

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray, the extra `ray`, is not installed"
)


@pytest.fixture(scope="module")
def pool() -> Iterator[object]:
    import ray

    from voxplain.runtime.ray_executor import RayExecutor

    made = RayExecutor("local", workers=2)
    yield made
    made.close()
    ray.shutdown()


def test_actors_give_the_same_bytes(pool: object, small_set: Path, tmp_path: Path, alone: bytes) -> None:  # noqa: F811
    assert run(tmp_path / "run", small_set, tmp_path / "store", {"executor": pool}) == alone


def test_killed_actors_lose_nothing(pool: object, small_set: Path, tmp_path: Path, alone: bytes) -> None:  # noqa: F811
    import ray

    first = [ray.get(a.process.remote()) for a in pool.actors]
    killed = []

    def kill() -> None:
        """Each actor once, when some clips are done and some are not."""
        store = tmp_path / "store" / "features"
        for enough, pid in zip((2, 9), first, strict=True):
            while sum(path.is_file() for path in store.rglob("*")) < enough:
                time.sleep(0.01)
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    found = run(tmp_path / "run", small_set, tmp_path / "store", {"executor": pool})
    killer.join()
    assert killed == first
    assert found == alone
    now = [ray.get(a.process.remote()) for a in pool.actors]
    assert not set(now) & set(first)


def test_work_that_ends_its_process_every_time_ends_the_run_in_one_sentence(pool: object, tmp_path: Path) -> None:
    """As the system does where a task takes too much memory."""
    import voxplain as vx
    from voxplain.errors import VoxplainError
    from voxplain.runtime.ray_executor import RETRIES

    tries = tmp_path / "tries"

    class Deadly:
        uses_network = True

        def compute(self, model: vx.VideoModel) -> None:
            with tries.open("a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(VoxplainError, match=r"expected Ray to finish a task, .* run the same command again"):
        pool(vx.load_model("planted"))(Deadly())
    assert len(tries.read_text()) == 1 + RETRIES

    class Harmless:
        uses_network = True

        def compute(self, model: vx.VideoModel) -> int:
            return 7

    assert [pool(vx.load_model("planted"))(Harmless()) for _ in range(2)] == [7, 7], "the actors work again"


def test_an_error_of_the_work_arrives_as_it_is(pool: object) -> None:
    import voxplain as vx

    class Wrong:
        uses_network = True

        def compute(self, model: vx.VideoModel) -> None:
            raise DataError("expected sense, got none; correct it")

    with pytest.raises(DataError, match="expected sense"):
        pool(vx.load_model("planted"))(Wrong())


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from voxplain.runtime.ray_executor import RayExecutor

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'voxplain\[ray\]'"):
        RayExecutor("local")
