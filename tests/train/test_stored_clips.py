"""The clip store: the same frames as decoding, decoded once, whole or absent."""

import errno
import os
import threading
from pathlib import Path

import numpy as np
import pytest

import voxplain.train.training_clips as clips
from voxplain.errors import DataError, VoxplainError
from voxplain.train import TrainingVideos, check_classes_filled, load_videos
from voxplain.train.stored import StoredFrames
from voxplain.video import Geometry
from voxplain.video.encode import write_video

GEOMETRY = Geometry((10, 12), (8, 8))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three videos of noise with 5, 6 and 7 frames, and a file that is no video in the middle."""
    rng = np.random.default_rng(0)
    for i in range(3):
        write_video(tmp_path / f"{i}.mp4", rng.integers(0, 255, (5 + i, 20, 24, 3)).astype(np.uint8))
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    return [tmp_path / name for name in ("0.mp4", "bad.mp4", "1.mp4", "2.mp4")]


def load(files: list[Path], cache: Path | None, **options) -> TrainingVideos:
    return load_videos(files, list(range(len(files))), GEOMETRY, cache=cache, **options)


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch):
    """Call to make every later decoding fail; counts how often it was tried."""
    tried: list[Path] = []

    def close() -> list[Path]:
        def refuse(path: Path, **_: object) -> None:
            tried.append(path)
            raise clips.VideoError(f"{path} was decoded again")

        monkeypatch.setattr(clips, "read_video", refuse)
        return tried

    return close


@pytest.mark.parametrize("first", [0, 2, 3])
def test_stored_frames_are_those_of_decoding(files, tmp_path, first):
    plain, stored = load(files, None), load(files, tmp_path / "clips", first=first)
    assert [f.shape for f in stored.frames] == [(n, 10, 12, 3) for n in (5, 6, 7)]
    assert all(np.array_equal(a, b) for a, b in zip(plain.frames, stored.frames, strict=True))
    assert stored.labels.tolist() == plain.labels.tolist() == [0, 2, 3]
    assert stored.skipped == plain.skipped
    assert len(list((tmp_path / "clips").iterdir())) == 3


def test_a_second_run_decodes_only_what_could_not_be_read(files, tmp_path, no_decoder):
    first = [f.copy() for f in load(files, tmp_path / "clips").frames]
    tried = no_decoder()
    again = load(files, tmp_path / "clips")
    assert tried == [files[1]]
    assert all(np.array_equal(a, b) for a, b in zip(first, again.frames, strict=True))


def test_another_size_or_other_content_is_another_file(files, tmp_path):
    load([files[0]], tmp_path / "clips")
    load_videos([files[0]], [0], Geometry((9, 12), (8, 8)), cache=tmp_path / "clips")
    assert len(list((tmp_path / "clips").iterdir())) == 2
    before = load([files[0]], tmp_path / "clips").frames[0].copy()
    files[0].write_bytes(files[2].read_bytes())
    assert load([files[0]], tmp_path / "clips").frames[0].shape != before.shape


def test_moved_videos_are_found_again(files, tmp_path, no_decoder):
    load([files[0]], tmp_path / "clips")
    no_decoder()
    moved = files[0].rename(tmp_path / "moved.mp4")
    assert len(load([moved], tmp_path / "clips").frames[0]) == 5


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_damaged_files_are_made_again(files, tmp_path, damage):
    good = load([files[0]], tmp_path / "clips").frames[0].copy()
    (file,) = (tmp_path / "clips").iterdir()
    file.write_bytes(file.read_bytes()[:-100] if damage is None else damage)
    assert np.array_equal(load([files[0]], tmp_path / "clips").frames[0], good)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(files, tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(VoxplainError, match=r"needs .* MB more in .*clips.*free some space"):
        load([files[0]], tmp_path / "clips")
    assert list((tmp_path / "clips").iterdir()) == []


def test_two_runs_fill_one_folder_at_once(files, tmp_path):
    got: dict[int, TrainingVideos] = {}
    runs = [
        threading.Thread(target=lambda i=i: got.update({i: load(files * 3, tmp_path / "clips", first=6 * i)}))
        for i in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    plain = load(files * 3, None)
    for i in range(2):
        assert all(np.array_equal(a, b) for a, b in zip(plain.frames, got[i].frames, strict=True))
    assert sorted(path.suffix for path in (tmp_path / "clips").iterdir()) == [".npy"] * 3


def test_stored_frames_keep_no_file_open(files, tmp_path):
    videos = load([files[0]] * 50, tmp_path / "clips")
    assert isinstance(videos.frames, StoredFrames)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    total = sum(int(f[0, 0, 0, 0]) for f in videos.frames)
    assert total == 50 * int(videos.frames[0][0, 0, 0, 0])
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0)
    with pytest.raises(ValueError, match="read-only"):
        videos.frames[0][0] = 0


def test_a_class_without_a_video_that_can_be_read(files, tmp_path):
    labels = np.array([0, 1, 0, 0])
    videos = load_videos(files, labels, GEOMETRY, cache=tmp_path / "clips")
    with pytest.raises(DataError, match=r"got none of 1 of class 'wave' \(.*bad\.mp4.*\); replace the files or remove"):
        check_classes_filled(videos, labels, ("run", "wave"))
    check_classes_filled(videos, np.array([0, 0, 0, 0]), ("run", "wave"))


def test_a_part_of_a_video_is_a_file_of_its_own(files, tmp_path):
    spans = [(0, 2), (1, 4)]
    got = load_videos([files[0]] * 2, [0, 1], GEOMETRY, spans=spans, cache=tmp_path / "clips")
    whole = load([files[0]], tmp_path / "clips").frames[0]
    for frames, (first, stop) in zip(got.frames, spans, strict=True):
        assert np.array_equal(frames, whole[first:stop])
    assert len(list((tmp_path / "clips").iterdir())) == 3
