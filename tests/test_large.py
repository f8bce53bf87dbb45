"""Arrays in files hold what arrays in memory hold, and take memory only for what is in use."""

import os
from pathlib import Path

import numpy as np
import pytest

import voxplain as vx
from voxplain import large
from voxplain.attribution.overlay import Scale
from voxplain.errors import VoxplainError
from voxplain.explain import explain_clip
from voxplain.hashing import content_hash
from voxplain.large import LARGE, forget, large_zeros, pieces, rows

MIB = 1 << 20


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every array of 4 KiB or more is in a file, in whatever module."""
    for module in ("large", "explain.windows", "video.frames", "attribution.overlay", "reading"):
        monkeypatch.setattr(f"voxplain.{module}.LARGE", 4096)


def test_values_stay_when_they_are_forgotten():
    array = large_zeros((3, LARGE // 8), np.float64)
    assert not array.any()
    array[1] = np.arange(LARGE // 8)
    view = array[1:].reshape(-1)
    forget(view)
    assert array[1, -1] == LARGE // 8 - 1
    assert not array[2].any()
    assert array.sum() == (LARGE // 8) * (LARGE // 8 - 1) / 2


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read where Linux tells it")
def test_what_is_forgotten_takes_no_memory():
    array = large_zeros((128 * MIB,), np.uint8)
    before = resident()
    array[:] = 1
    assert resident() - before > 100 * MIB
    forget(array)
    assert resident() - before < 20 * MIB
    for part in pieces(array):
        assert part[0] == 1
    for row in rows(array.reshape(128, MIB)):
        assert row[-1] == 1
    assert resident() - before < 20 * MIB + LARGE


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read where Linux tells it")
def test_many_maps_of_a_video_take_the_memory_of_one(tmp_path: Path):
    """40 maps of 15 MiB, each too small to be in a file of its own accord."""
    frames = np.zeros((960, 64, 64, 3), np.uint8)
    frames[:, 20:40, 20:40] = 200
    model = vx.load_model("planted")

    def constant(model: vx.VideoModel, clips: list[vx.Clip], target: object) -> list[vx.Attribution]:
        return [vx.Attribution(np.ones(clip.frames.shape[:3], np.float32), 0, "c", clip=clip) for clip in clips]

    path = vx.Clip.from_array(frames).save(tmp_path / "clip.npy")
    explain_clip(model, path, {"warm": constant})
    before = resident()
    run = explain_clip(model, path, {f"m{i}": constant for i in range(40)})
    assert sum(values.nbytes for values in run.maps.values()) == 40 * 15 * MIB
    assert all(np.all(values[::100] == 1) for values in run.maps.values())
    for values in run.maps.values():
        Scale.of(values)
    assert sum(part.nbytes for values in run.maps.values() for part in pieces(values)) == 40 * 15 * MIB
    assert resident() - before < 150 * MIB
    files = len(os.listdir("/proc/self/fd"))
    few = explain_clip(model, path, {f"m{i}": constant for i in range(4)})
    assert len(few) == 4
    assert len(os.listdir("/proc/self/fd")) == files, "a few maps need no files"


def test_changes_of_an_array_that_the_user_mapped_stay(tmp_path: Path):
    np.save(tmp_path / "mine.npy", np.zeros(10 * MIB, np.uint8))
    mine = np.load(tmp_path / "mine.npy", mmap_mode="c")  # its changes are not written
    mine[:] = 3
    forget(mine)
    assert mine.min() == 3


def test_parts_are_the_whole():
    array = np.arange(1000, dtype=np.int32).reshape(10, 100)
    assert b"".join(pieces(array, 64)) == array.tobytes()
    assert b"".join(pieces(array[:, ::2], 64)) == array[:, ::2].tobytes()
    assert list(pieces(np.zeros((0, 3)))) == []
    np.testing.assert_array_equal(np.stack(list(rows(array))), array)


def test_a_full_disk_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(large.os, "posix_fallocate", full, raising=False)
    with pytest.raises(VoxplainError, match=r"expected 67 MB of free space in .*TMPDIR"):
        large_zeros((LARGE,), np.uint8)


@pytest.mark.parametrize("low", [-3.0, 0.0, 2.0])
@pytest.mark.parametrize("count", [2, 7, 5000, 3_000_000])
def test_the_scale_of_a_large_map_is_that_of_a_small_one(low: float, count: int):
    values = (low + np.random.default_rng(0).gamma(1.0, 1.0, (count, 1, 1))).astype(np.float32)
    found, wanted = Scale._of_large(values), Scale.of(values)
    assert (found.low, found.signed) == (wanted.low, wanted.signed)
    assert found.high == pytest.approx(wanted.high, rel=1e-6)


def test_the_scale_of_a_constant_map():
    for value in (0.0, 2.0, -2.0):
        values = np.full((9, 2, 2), value, np.float32)
        assert Scale._of_large(values) == Scale.of(values)


def test_a_video_is_explained_as_without_files(tmp_path: Path, request: pytest.FixtureRequest):
    frames = np.random.default_rng(0).integers(0, 256, (45, 70, 80, 3), np.uint8)
    path = vx.Clip.from_array(frames).save(tmp_path / "clip.npy")
    model = vx.load_model("planted")
    wanted = explain_clip(model, path, ["gradient", "grad_cam"], overlap=0.25)
    request.getfixturevalue("small_is_large")
    found = explain_clip(model, path, ["gradient", "grad_cam"], overlap=0.25)
    for name in wanted:
        np.testing.assert_array_equal(found.maps[name], wanted.maps[name])
    np.testing.assert_array_equal(found.clip.frames, wanted.clip.frames)
    assert found.provenance == wanted.provenance
    assert content_hash(found.maps["gradient"]) == content_hash(wanted.maps["gradient"])
