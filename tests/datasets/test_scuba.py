"""SCUBA and SCUFO of videos whose person and masks are known."""

import json
from pathlib import Path

import numpy as np
import pytest
from composed_videos import FRAMES, HEIGHT, WIDTH, files, labelled, person

from voxplain.datasets import VideoSet, scan_folder
from voxplain.datasets.backgrounds import Drawn, behind
from voxplain.datasets.scuba import repeated, write_scuba
from voxplain.errors import DataError
from voxplain.video import read_video

CODEC = 6.0  # grey levels that the codec may change on average


def plain(label: str, rng: np.random.Generator) -> Drawn:
    """One colour, which survives the codec."""
    value = int(rng.integers(60, 90))
    return Drawn(f"grey {value}", lambda h, w: np.full((h, w, 3), value, np.uint8))


def test_the_person_is_kept_and_the_background_is_the_drawn_one(tmp_path: Path):
    videos, mask = labelled(tmp_path / "data")
    written = write_scuba(tmp_path / "set", videos, mask, background=plain, seed=3)
    assert written.skipped == ()
    manifest = json.loads((tmp_path / "set/manifest.json").read_text())
    drawn = {place: entry["background"] for entry in manifest["compositions"] for place in entry["videos"]}
    assert len(set(drawn.values())) > 1
    assert sorted(drawn) == sorted(written.places)
    for path, k in zip(videos.paths, videos.labels, strict=True):
        place, seen = f"{videos.classes[k]}/{path.stem}.mp4", person(int(path.stem))
        shown = read_video(tmp_path / "set/scuba" / place).frames.astype(float)
        assert shown.shape == (FRAMES, HEIGHT, WIDTH, 3)
        grey = float(drawn[f"scuba/{place}"].split()[1])
        frames = np.load(path)
        exact = behind(frames, seen, np.full((HEIGHT, WIDTH, 3), grey, np.uint8))
        assert np.abs(shown - exact)[seen].mean() < CODEC, "the person's pixels"
        assert np.abs(shown - exact)[~seen].mean() < CODEC, "the background's pixels"
        assert np.abs(frames.astype(float) - exact)[~seen].mean() > 5 * CODEC, "which was another one before"
        assert np.abs(np.roll(exact, 1, 0).astype(float) - exact)[seen].mean() > 2 * CODEC, "the person moves"


def test_one_frame_with_the_person_is_repeated(tmp_path: Path):
    videos, mask = labelled(tmp_path / "data")
    write_scuba(tmp_path / "set", videos, mask, background=plain)
    scuba, scufo = (scan_folder(tmp_path / "set" / part) for part in ("scuba", "scufo"))
    assert scuba.classes == scufo.classes == videos.classes
    np.testing.assert_array_equal(scuba.labels, scufo.labels)
    for moving, still in zip(scuba.paths, scufo.paths, strict=True):
        frames, same = read_video(moving).frames.astype(float), read_video(still).frames.astype(float)
        assert len(frames) == len(same) == FRAMES
        assert np.abs(same - same[:1]).max() <= 8, "the codec's noise at most"
        assert np.abs(frames - frames[:1]).max() > 25
        assert np.abs(same[0] - frames[FRAMES // 2]).mean() < CODEC
    exact = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), np.uint8)
    seen = np.zeros((5, 4, 4), bool)
    seen[3:] = True
    np.testing.assert_array_equal(repeated(exact, seen), np.stack([exact[4]] * 5))


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_backgrounds(tmp_path: Path):
    videos, mask = labelled(tmp_path / "data")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_scuba(tmp_path / name, videos, mask, seed=seed)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a")["scuba/run/0.mp4"] != files(tmp_path / "c")["scuba/run/0.mp4"]


def test_a_video_keeps_its_background_when_others_are_added(tmp_path: Path):
    videos, mask = labelled(tmp_path / "data")
    write_scuba(tmp_path / "all", videos, mask)
    write_scuba(tmp_path / "some", videos.select([1, 4]), mask)
    for place in ("scuba/run/1.mp4", "scufo/walk/1.mp4"):
        assert (tmp_path / "all" / place).read_bytes() == (tmp_path / "some" / place).read_bytes()


def test_an_interrupted_call_is_continued(tmp_path: Path):
    videos, mask = labelled(tmp_path / "data")
    write_scuba(tmp_path / "whole", videos, mask)
    calls = []

    def until(video: Path, label: str) -> np.ndarray:
        calls.append(video)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return mask(video, label)

    with pytest.raises(KeyboardInterrupt):
        write_scuba(tmp_path / "again", videos, until)
    half = files(tmp_path / "again")
    assert "manifest.json" not in half
    assert not any(name.endswith(".part") for name in half)
    assert len([name for name in half if name.endswith(".mp4")]) == 6
    write_scuba(tmp_path / "again", videos, until)
    assert len(calls) == 4 + 3, "what was written is not made again"
    assert files(tmp_path / "again") == files(tmp_path / "whole")


def test_copies_have_other_backgrounds(tmp_path: Path):
    videos, mask = labelled(tmp_path / "data", each=1)
    written = write_scuba(tmp_path / "set", videos, mask, copies=2)
    assert [p for p in written.places if p.startswith("scuba/run")] == ["scuba/run/0_1.mp4", "scuba/run/0_2.mp4"]
    first, second = (read_video(tmp_path / f"set/scuba/run/0_{i}.mp4").frames.astype(float) for i in (1, 2))
    assert np.abs(first - second)[~person(0)].mean() > CODEC
    inner = np.stack([m & np.roll(m, 2, 1) & np.roll(m, -2, 1) for m in person(0)])  # colour bleeds by a pixel
    assert np.abs(first - second)[inner].mean() < CODEC
    with pytest.raises(DataError, match="expected 1 copy"):
        write_scuba(tmp_path / "none", videos, mask, copies=0)


def test_parts_of_videos_have_parts_of_masks(tmp_path: Path):
    videos, mask = labelled(tmp_path / "data", each=1)
    cut = VideoSet(videos.classes, videos.paths, videos.labels, ((2, 5), None))
    write_scuba(tmp_path / "set", cut, mask, background=plain)
    shown = read_video(tmp_path / "set/scuba/run/0.mp4").frames
    assert len(shown) == 3
    assert shown[0][person(0)[2]].mean() > 110
    assert len(read_video(tmp_path / "set/scuba/walk/0.mp4").frames) == FRAMES


def test_videos_without_a_person_are_left_out(tmp_path: Path):
    videos, mask = labelled(tmp_path / "data")
    (tmp_path / "data/walk/2.npy").write_bytes(b"")

    def some(video: Path, label: str) -> np.ndarray:
        found = mask(video, label)
        if label == "run" and video.stem == "0":
            raise DataError(f"expected a mask of {video}, got none; make one")
        return {"run/1": found & False, "run/2": found[:3]}.get(f"{label}/{video.stem}", found)

    written = write_scuba(tmp_path / "set", videos, some)
    assert [place for place in written.places if place.startswith("scuba/")] == ["scuba/walk/0.mp4", "scuba/walk/1.mp4"]
    reasons = [skipped.reason for skipped in written.skipped]
    assert ["of" in r for r in reasons] == [True] * 4
    for reason, words in zip(reasons, ("a mask of", "an empty mask", "got (3, 32, 48)", "2.npy"), strict=True):
        assert words in reason
    assert len(json.loads((tmp_path / "set/manifest.json").read_text())["skipped"]) == 4
    with pytest.raises(DataError, match="got none: expected a person"):
        write_scuba(tmp_path / "empty", videos.select([0]), lambda video, label: person(0) & False)
    assert not (tmp_path / "empty/manifest.json").exists()


def test_folders_of_others_are_left_alone(tmp_path: Path):
    videos, mask = labelled(tmp_path / "data")
    write_scuba(tmp_path / "set", videos, mask)
    before = files(tmp_path / "set")
    with pytest.raises(DataError, match="choose another folder"):
        write_scuba(tmp_path / "set", videos, mask, seed=1)
    with pytest.raises(DataError, match="got other files there"):
        write_scuba(tmp_path / "data", videos, mask)
    assert files(tmp_path / "set") == before
    twice = VideoSet(videos.classes, (videos.paths[0], videos.paths[0]), np.array([0, 0]))
    with pytest.raises(DataError, match="different names in each class"):
        write_scuba(tmp_path / "twice", twice, mask)
    assert not (tmp_path / "twice").exists()
