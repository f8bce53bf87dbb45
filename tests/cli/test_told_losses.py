"""Videos that are skipped or damaged are told by the commands that read them in the library, with exit code 3."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from command_line import voxplain

import voxplain as vx
from voxplain.errors import DataError
from voxplain.files import in_use
from voxplain.video.lost_videos import note_damaged, note_skipped, noted_losses


def cut_gif(path: Path) -> Path:
    """A GIF of which about a tenth of the frames is cut off."""
    frames = np.random.default_rng(0).integers(0, 256, (30, 24, 24, 3), np.uint8)
    vx.Clip.from_array(frames).save(path)
    path.write_bytes(path.read_bytes()[: int(0.9 * path.stat().st_size)])
    lost = vx.read_video(path).damaged
    assert 0 < lost < 15
    return path


def test_losses_are_noted_where_videos_are_read(tmp_path: Path):
    good = vx.Clip.from_array(np.zeros((16, 24, 24, 3), np.uint8)).save(tmp_path / "good.npy")
    cut = cut_gif(tmp_path / "cut.gif")
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with noted_losses() as noted:
        vx.read_clips([good, cut, tmp_path / "bad.mp4"])
    assert noted
    assert list(noted.skipped) == [str(tmp_path / "bad.mp4")]
    assert noted.damaged == {str(cut): vx.read_video(cut).damaged}
    assert noted.read == {str(good), str(cut), str(tmp_path / "bad.mp4")}
    with noted_losses() as noted:
        vx.read_clips([good])
    assert not noted
    vx.read_clips([good, cut])  # after the block
    assert not noted


def test_short_videos_are_named_and_are_no_losses(small_set: Path, tmp_path: Path):
    short = vx.Clip.from_array(np.zeros((5, 64, 64, 3), np.uint8)).save(tmp_path / "short.npy")
    model = vx.load_model("planted")
    with noted_losses() as noted:
        vx.read_clips([short, small_set / "train" / "cross" / "0.mp4"], model.reader())
    assert not noted
    assert noted.short_sentence() == (
        f"1 of 2 videos has fewer frames than a clip, which are repeated: {short} (5 frames)"
    )
    words = ("--net", "planted", "--device", "cpu", "--method", "gradient", "--metric", "none", "--format", "png")
    done = voxplain("attribute", short, *words, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    text = "the video has 5 frames, which are repeated: the network is given 16"
    assert f"note: gradient: {text}" in done.out
    assert text in (tmp_path / "out" / "report.html").read_text()
    (record,) = (tmp_path / "out").glob("*/*/run.json")
    assert text in record.read_text()


def test_blocks_inside_each_other_and_threads_note_the_same():
    with noted_losses() as outer, noted_losses() as inner, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: note_damaged(Path(f"{i}"), i), range(500)))
        note_skipped(Path("x"), "why")
    assert outer.read == inner.read
    assert len(outer.read) == 501
    assert outer.damaged == {f"{i}": i for i in range(1, 500)}


@pytest.fixture
def lossy(small_set: Path, tmp_path: Path) -> Path:
    """The small set with one video that cannot be read, and one that is cut."""
    data = tmp_path / "data"
    shutil.copytree(small_set, data)
    (data / "train" / "cross" / "bad.mp4").write_bytes(b"no video")
    cut_gif(data / "train" / "orbit" / "cut.gif")
    return data


def told(out: str) -> bool:
    text = " ".join(out.split())
    return "skipped: " in text and "bad.mp4" in text and "1 of " in text and "cut.gif (" in text


def test_own_concepts_tell_what_is_lost(lossy: Path, tmp_path: Path):
    words = ("own-concepts", lossy, lossy / "train", "--class", "cross", "--net", "planted", "--device", "cpu")
    words += ("--random", lossy / "unrelated", "-o", tmp_path / "table.csv")
    done = voxplain(*words)
    assert done.code == 3, done.err
    assert told(done.out)
    assert voxplain(*words, "--strict").code == 1
    failed = voxplain(*words, "--damaged", "fail")
    assert failed.code == 2
    assert "frames are lost" in failed.sentence


def test_training_tells_what_is_lost_and_one_runs_at_a_time(lossy: Path, tmp_path: Path):
    words = ("train", lossy, "--net", "tiny", "--device", "cpu", "--epochs", "1", "-o", tmp_path / "net")
    with in_use(tmp_path / "net"):
        busy = voxplain(*words)
        assert busy.code == 2
        assert "where one is running" in busy.sentence
    done = voxplain(*words)
    assert done.code == 3, done.err
    assert told(done.out)
    assert (tmp_path / "net" / "weights.safetensors").is_file()


def test_an_audit_tells_what_is_lost(lossy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def read_only(model: vx.VideoModel, data: Path, **_: object) -> None:
        vx.read_clips(data / "train", model.reader())
        raise DataError("expected the end of the test, got it; stop")

    monkeypatch.setattr("voxplain.explain.audit", read_only)
    done = voxplain("audit", lossy, "--net", "planted", "--device", "cpu", "-o", tmp_path / "audit")
    assert (done.code, done.sentence) == (2, "expected the end of the test, got it; stop")
    assert told(done.out), "also where the work ends with an error"


def test_losses_are_in_the_record_of_a_run(lossy: Path, tmp_path: Path):
    out = tmp_path / "out"
    videos = (lossy / "train" / "orbit" / "cut.gif", lossy / "train" / "cross" / "bad.mp4")
    words = ("--net", "planted", "--device", "cpu", "--method", "gradient", "--metric", "none", "--format", "png")
    done = voxplain("attribute", *videos, *words, "-o", out)
    assert done.code == 3, done.err
    (record,) = out.glob("*/*/run.json")
    clip = json.loads(record.read_text())["run"]["$AttributionRun"]["clip"]
    assert clip["$Clip"]["damaged"] == vx.read_video(videos[0]).damaged
