"""Videos that are skipped or damaged are told by the commands that read them in the library, with exit code 3."""

import csv
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from command_line import TINY, voxplain

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


def mostly_lost(path: Path) -> Path:
    """An AVI of which a quarter of the frames is left."""
    frames = np.random.default_rng(1).integers(0, 256, (40, 64, 64, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuvj420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    path.write_bytes(path.read_bytes()[: places[10] - 8])
    assert vx.read_video(path).damaged == 30
    return path


def lost_videos(folder: Path) -> dict[str, tuple[str, str]]:
    """Lost frames and reason by name of the video, of lost_videos.csv."""
    with (folder / "lost_videos.csv").open() as file:
        return {Path(row["video"]).name: (row["lost_frames"], row["skipped"]) for row in csv.DictReader(file)}


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
    for again in (False, True):  # the second time the frames are not decoded
        done = voxplain(*words)
        assert done.code == 3, done.err
        assert told(done.out), f"again: {again}"
        assert (tmp_path / "net" / "weights.safetensors").is_file()
        found = lost_videos(tmp_path / "net")
        assert list(found) == ["bad.mp4", "cut.gif"]
        assert found["bad.mp4"][0] == ""
        assert "bad.mp4" in found["bad.mp4"][1]
        assert found["cut.gif"] == (str(vx.read_video(lossy / "train" / "orbit" / "cut.gif").damaged), "")
    assert voxplain(*words, "--strict").code == 1
    failed = voxplain(*words, "--damaged", "fail")
    assert failed.code == 2
    assert "frames are lost" in failed.sentence
    (lossy / "train" / "cross" / "bad.mp4").unlink()
    (lossy / "train" / "orbit" / "cut.gif").unlink()
    done = voxplain(*words[:-1], tmp_path / "other", "--cache", tmp_path / "net" / "clips")
    assert done.code == 0, done.err
    assert not (tmp_path / "other" / "lost_videos.csv").exists()


def test_training_uses_what_is_left_where_it_is_asked_to(small_set: Path, tmp_path: Path):
    data = tmp_path / "data"
    shutil.copytree(small_set, data)
    mostly_lost(data / "train" / "orbit" / "most.avi")
    words = ("train", data, "--net", "tiny", "--device", "cpu", "--epochs", "1", "--cache", tmp_path / "clips")
    done = voxplain(*words, "-o", tmp_path / "skip")
    assert done.code == 3, done.err
    assert "30 of 40 frames are lost" in lost_videos(tmp_path / "skip")["most.avi"][1]
    for name in ("use", "again"):  # decoded, and then from the stored frames
        done = voxplain(*words, "-o", tmp_path / name, "--damaged", "use")
        assert done.code == 3, done.err
        assert lost_videos(tmp_path / name) == {"most.avi": ("30", "")}
    done = voxplain(*words, "-o", tmp_path / "skip-again")
    assert done.code == 3, done.err
    assert "30 of 40 frames are lost" in lost_videos(tmp_path / "skip-again")["most.avi"][1]


def test_an_audit_tells_what_is_lost(lossy: Path, tmp_path: Path):
    mostly_lost(lossy / "train" / "orbit" / "most.avi")
    shutil.rmtree(lossy / "test")
    words = ("audit", lossy / "train", "--random", lossy / "unrelated", "--net", "planted", *TINY)
    out = tmp_path / "audit"
    failed = voxplain(*words, "-o", out, "--damaged", "fail")
    assert failed.code == 2
    assert "frames are lost" in failed.sentence
    done = voxplain(*words, "-o", out, "--damaged", "use")
    assert done.code == 3, done.err
    assert "skipped: " in done.out
    assert "2 of " in " ".join(done.out.split())
    record = json.loads((out / "audit.json").read_text())
    hurt = [lossy / "train" / "orbit" / name for name in ("cut.gif", "most.avi")]
    assert record["damaged"] == [[str(path), vx.read_video(path).damaged] for path in hurt]
    assert [Path(path).name for path, _ in record["skipped"]] == ["bad.mp4"]
    assert [list(pair) for pair in vx.load_audit(out).damaged] == record["damaged"]
    page = " ".join((out / "audit.html").read_text().split())
    assert "2 damaged videos, of which what is left is used" in page
    assert "most.avi</bdi>: 30 frames lost" in page


def test_an_audit_tells_what_is_lost_where_it_ends_with_an_error(
    lossy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    given: list[object] = []

    def read_only(model: vx.VideoModel, data: Path, **options: object) -> None:
        given.append(options["damaged"])
        vx.read_clips(data / "train", model.reader())
        raise DataError("expected the end of the test, got it; stop")

    monkeypatch.setattr("voxplain.explain.audit", read_only)
    done = voxplain("audit", lossy, "--net", "planted", "--device", "cpu", "-o", tmp_path / "audit")
    assert (done.code, done.sentence) == (2, "expected the end of the test, got it; stop")
    assert told(done.out)
    assert given == ["skip"]


def test_a_correction_tells_what_is_lost(lossy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mostly_lost(lossy / "train" / "orbit" / "most.avi")
    made = voxplain(
        *("concepts", lossy, "--class", "cross", "--net", "planted", "--random", lossy / "unrelated"),
        *(*TINY, "-o", tmp_path / "run"),
    )
    assert made.code == 3, made.err
    monkeypatch.setattr("voxplain.explain.concept_map.ConceptMap.locate", in_the_corner)
    words = ("improve", tmp_path / "run" / "cross", lossy, "--net", "planted", "--device", "cpu", "--remove", "0")
    words += ("--method", "p_clarc", "--seeds", "1")
    failed = voxplain(*words, "-o", tmp_path / "failed", "--damaged", "fail")
    assert failed.code == 2
    assert "frames are lost" in failed.sentence
    for option, skipped, used in (
        ("skip", ["bad.mp4", "most.avi"], ["cut.gif"]),
        ("use", ["bad.mp4"], ["cut.gif", "most.avi"]),
    ):
        done = voxplain(*words, "-o", tmp_path / option, "--damaged", option)
        assert done.code == 3, done.err
        assert done.out.count("skipped: ") == len(skipped)
        record = json.loads((tmp_path / option / "improved.json").read_text())["provenance"]
        assert [Path(path).name for path in record["skipped_videos"]] == skipped
        assert [Path(path).name for path in record["damaged_videos"]] == used
        page = " ".join((tmp_path / option / "improved.html").read_text().split())
        assert f"{len(used)} of " in page
        assert all(name in page for name in (*skipped, *used))


def in_the_corner(self: object, model: vx.VideoModel, clip: vx.Clip) -> dict[int, np.ndarray]:
    """Concept 0 in about every second video, in a corner; concept 1 elsewhere."""
    corner = np.zeros(model.grid, bool)
    corner[:, -40:, :40] = True
    return {0: corner, 1: ~corner} if sum(clip.source.encode()) % 2 else {1: ~corner}


@pytest.mark.parametrize("command", ["benchmark", "roar"])
def test_tables_of_methods_stand_beside_what_is_lost(command: str, lossy: Path, tmp_path: Path):
    mostly_lost(lossy / "train" / "orbit" / "most.avi")
    words = (command, lossy, "--net", "planted", "--device", "cpu", "--methods", "random")
    if command == "benchmark":
        shutil.rmtree(lossy / "test")
        words = (command, lossy / "train", *words[2:], "--metrics", "insertion", "--limit", "100")
    else:
        words += ("--metrics", "kar", "--epochs", "1", "--set", "kar.ratios=[0.3]")
    done = voxplain(*words, "-o", tmp_path / "skip")
    assert done.code == 3, done.err
    assert told(done.out)
    cut = str(vx.read_video(lossy / "train" / "orbit" / "cut.gif").damaged)
    found = lost_videos(tmp_path / "skip")
    assert {name: lost for name, (lost, _) in found.items()} == {"bad.mp4": "", "cut.gif": cut, "most.avi": ""}
    done = voxplain(*words, "-o", tmp_path / "use", "--damaged", "use")
    assert done.code == 3, done.err
    found = lost_videos(tmp_path / "use")
    assert {name: lost for name, (lost, _) in found.items()} == {"bad.mp4": "", "cut.gif": cut, "most.avi": "30"}
    assert voxplain(*words, "-o", tmp_path / "fail", "--damaged", "fail").code == 2


def test_losses_are_in_the_record_of_a_run(lossy: Path, tmp_path: Path):
    out = tmp_path / "out"
    videos = (lossy / "train" / "orbit" / "cut.gif", lossy / "train" / "cross" / "bad.mp4")
    words = ("--net", "planted", "--device", "cpu", "--method", "gradient", "--metric", "none", "--format", "png")
    done = voxplain("attribute", *videos, *words, "-o", out)
    assert done.code == 3, done.err
    (record,) = out.glob("*/*/run.json")
    clip = json.loads(record.read_text())["run"]["$AttributionRun"]["clip"]
    assert clip["$Clip"]["damaged"] == vx.read_video(videos[0]).damaged
