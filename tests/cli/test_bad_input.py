"""Every kind of bad input through the command line: one sentence, an exit code, nothing half-written."""

import errno
import json
import os
import re
import shutil
import signal
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from command_line import Outcome, concepts, contents, voxplain
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from voxplain.nets import build_net
from voxplain.video.encode import write_video
from voxplain.zoo.load import PLANTED

WRONG = (
    r"[Ee]xpect|there is no|no (video|module|weights)|cannot|[Uu]nknown|[Ii]nvalid|(is|has|holds) |needs|weights files"
)
ADVICE = (
    r"[;:,] .*\b(did you mean|for example|choose|give|check|correct|name|use|write|run|load|try|make|train|copy|leave|"
    r"lists|free|pass|known|shows|save|rename|return|raise|wrap|download)\b"
)


def refused(outcome: Outcome, *parts: str, code: int = 2) -> None:
    """The command ended with this code and one sentence that says what was expected, what came and what to do."""
    sentence = outcome.sentence
    assert outcome.code == code, sentence
    assert re.search(WRONG, sentence), sentence
    assert re.search(ADVICE, sentence), sentence
    assert "Errno" not in sentence
    for part in parts:
        assert part in sentence, f"{part!r} not in {sentence!r}"


@pytest.fixture(autouse=True)
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs in its own folder, from which `--model` imports."""
    monkeypatch.chdir(tmp_path)


# Settings, names and paths: refused before anything is written.


def text(name: str, content: str | bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def nothing(folder: Path) -> None:
    """Prepare nothing."""


OPTIONS: list[tuple[str, tuple[str, ...], tuple[str, ...], Callable[[Path], object]]] = [
    ("class", ("--class", "corss"), ("'corss'", "did you mean 'cross'"), nothing),
    ("layer", ("--layer", "block9"), ("block9",), nothing),
    ("second layer", ("--layer", "pool", "block9"), ("block9",), nothing),
    ("preset", ("--preset", "papper"), ("'papper'", "paper-small"), nothing),
    ("setting name", ("--set", "segmentr=grid"), ("'segmentr'", "segmenter"), nothing),
    ("part of a setting", ("--set", "segmenter.segment=3"), ("'segment'", "segments"), nothing),
    ("setting value", ("--keep", "many"), ("keep", "'many'"), nothing),
    ("setting of another kind", ("--segmenter.segments", "a", "b"), ("segments", "'a'"), nothing),
    ("setting too small", ("--keep", "0"), ("keep", "0"), nothing),
    ("method", ("--segmenter", "quickshift"), ("'quickshift'", "slic"), nothing),
    ("assignment", ("--set", "keep"), ("name=value", "'keep'"), nothing),
    ("value that is no YAML", ("--set", "keep=[1"), ("keep", "'[1'"), nothing),
    ("negative seed", ("--seed", "-1"), ("seed", "-1"), nothing),
    ("seed that is no number", ("--seed", "one"), ("--seed", '"one"'), nothing),
    ("option", ("--sed", "1"), ("--sed",), nothing),
    ("no random folder", ("--random", "nowhere"), ("nowhere", "--random DIR"), nothing),
    ("no YAML file", ("--config", "no.yaml"), ("no.yaml",), nothing),
    ("broken YAML", ("--config", "c.yaml"), ("c.yaml", "YAML"), text("c.yaml", "keep: [1, 2\nseed: 3")),
    ("YAML of a list", ("--config", "c.yaml"), ("c.yaml", "keep: 30"), text("c.yaml", "- keep\n- seed\n")),
    ("YAML of numbers", ("--config", "c.yaml"), ("c.yaml", "keep: 30"), text("c.yaml", "1: 2\n")),
    ("YAML of bytes", ("--config", "c.yaml"), ("c.yaml", "YAML"), text("c.yaml", b"\xff\xfe\x00keep")),
    ("YAML with a wrong name", ("--config", "c.yaml"), ("'kep'", "keep"), text("c.yaml", "kep: 3\n")),
    ("split and words", ("--split", "s.txt", "--hold-out", "0"), ("got both",), nothing),
    ("network twice", ("--model", "a:b"), ("--net", "--model"), nothing),
    ("device", ("--device", "quantum"), ("'quantum'",), nothing),
]


@pytest.mark.parametrize(("words", "parts", "prepare"), [row[1:] for row in OPTIONS], ids=[row[0] for row in OPTIONS])
def test_wrong_options(
    small_set: Path, tmp_path: Path, words: tuple[str, ...], parts: tuple[str, ...], prepare: Callable[[Path], object]
) -> None:
    prepare(tmp_path)
    pool = () if "--random" in words else ("--random", small_set / "unrelated")
    refused(concepts(small_set, tmp_path / "run", *pool, *words), *parts)
    assert not (tmp_path / "run").exists()


def test_no_data_folder_and_an_empty_class(small_set: Path, tmp_path: Path) -> None:
    refused(concepts(tmp_path / "none", tmp_path / "run", "--random", small_set / "unrelated"), "none", "exist")
    shutil.copytree(small_set / "train" / "orbit", tmp_path / "data" / "orbit")
    (tmp_path / "data" / "cross").mkdir()
    refused(concepts(tmp_path / "data", tmp_path / "run", "--random", small_set / "unrelated"), "'cross'", "orbit")
    assert not (tmp_path / "run").exists()


def test_the_output_is_a_file_or_inside_one(small_set: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    for output in (tmp_path / "run", tmp_path / "run" / "inner"):
        refused(concepts(small_set, output, "--random", small_set / "unrelated"), str(tmp_path / "run"))
    refused(voxplain("train", small_set, "-o", tmp_path / "run", "--epochs", 1), str(tmp_path / "run"))
    assert (tmp_path / "run").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_evaluate_of_a_folder_that_is_no_run(tmp_path: Path) -> None:
    refused(voxplain("evaluate", tmp_path), "job.json")
    (tmp_path / "job.json").write_text(json.dumps({"preset": "default"}))
    refused(voxplain("evaluate", tmp_path), "job.json")


# Networks.


def tiny(*words: object, data: Path, output: Path) -> Outcome:
    return voxplain("concepts", data, "--class", "cross", "--random", data / "unrelated", "-o", output, *words)


def nan_weights(path: Path) -> Path:
    tensors = load_file(PLANTED)
    tensors["head.bias"][0] = float("nan")
    with safe_open(PLANTED, "pt") as file:
        save_file(tensors, path, file.metadata())
    return path


def of_another_network(path: Path) -> Path:
    save_file({k: v.contiguous() for k, v in build_net("c3d", 2).state_dict().items()}, path)
    return path


def pickled(path: Path) -> Path:
    torch.save(build_net("tiny", 2), path.with_suffix(".pt"))
    return path.with_suffix(".pt")


def no_weights(path: Path) -> Path:
    path.write_text("These are no weights.\n" * 9)
    return path


def other_suffix(path: Path) -> Path:
    path.with_suffix(".h5").write_bytes(b"\0" * 64)
    return path.with_suffix(".h5")


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda path: path, "no weights file"),
        (nan_weights, "NaN"),
        (of_another_network, "not for Tiny"),
        (pickled, "pickle"),
        (no_weights, "no whole .safetensors"),
        (other_suffix, ".safetensors"),
    ],
)
def test_wrong_weights(small_set: Path, tmp_path: Path, make: Callable[[Path], Path], part: str) -> None:
    weights = make(tmp_path / "w.safetensors")
    # The planted network's own class names, so that nothing but the weights is wrong.
    refused(tiny("--net", "planted", "--weights", weights, data=small_set, output=tmp_path / "run"), part)
    assert not (tmp_path / "run").exists()


def test_a_network_without_weights_and_an_unknown_one(small_set: Path, tmp_path: Path) -> None:
    refused(tiny("--net", "tiny", data=small_set, output=tmp_path / "run"), "--weights", "voxplain train")
    refused(tiny("--net", "resnet", "--weights", PLANTED, data=small_set, output=tmp_path / "run"), "resnet")
    refused(tiny(data=small_set, output=tmp_path / "run"), "--net", "--model")


OWN = """
import torch
from torch import nn
from voxplain import VideoModel


class Net(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(3, 2)
        self.change = change

    def forward(self, x):
        return self.change(self.head(self.pool(x).flatten(1)))


def model(change, layer="pool", classes=("cross", "orbit")):
    return VideoModel(net=Net(change).eval(), layer=layer, grid=(16, 64, 64), classes=classes)


def flat(): return model(lambda z: z.flatten())
def many(): return model(lambda z: torch.cat([z, z], 1))
def nan(): return model(lambda z: z * float("nan"))
def breaks(): return model(lambda z: z @ torch.zeros(5, 5))
def fails(): raise ZeroDivisionError("nothing to divide")
def number(): return 7
def bare(): return Net(lambda z: z)
def other(): return model(lambda z: z, classes=("ring", "star"))
"""


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("own_nets:flat", "expected logits"),
        ("own_nets:many", "expected logits"),
        ("own_nets:nan", "finite logits"),
        ("own_nets:breaks", "RuntimeError"),
        ("own_nets:fails", "nothing to divide"),
        ("own_nets:number", "got int"),
        ("own_nets:bare", "expected a layer"),
        ("own_nets:other", "expected a class of the network"),
        ("own_nets:build", "has no 'build'"),
        ("broken_net:build", "line 2"),
        ("no_such_module:build", "no_such_module"),
        ("own_nets.py", "package.module:function"),
    ],
)
def test_a_network_of_the_users_own(small_set: Path, tmp_path: Path, name: str, part: str) -> None:
    (tmp_path / "own_nets.py").write_text(OWN)
    (tmp_path / "broken_net.py").write_text("x = 1\ndef build(:\n")
    refused(tiny("--model", name, data=small_set, output=tmp_path / "run"), part)
    assert not (tmp_path / "run").exists()


def test_a_bare_network_runs_at_the_layer_that_is_named(small_set: Path, tmp_path: Path) -> None:
    (tmp_path / "own_net_bare.py").write_text(OWN)
    words = ("--model", "own_net_bare:bare", "--layer", "pool", "--dry-run")
    refused(tiny(*words, data=small_set, output=tmp_path / "r"), "maps over time and space", "embedder crops")
    named = tiny(*words, "--embedder", "crops", data=small_set, output=tmp_path / "r")
    assert named.code == 0, named.err
    assert "dry run" in named.out


# Videos: a bad one among good ones is outcome and left out, and strange names are no badness.

NASTY = ("动作 é.mp4", "a'b\"c.mp4", "<script>alert(1)</script>.mp4".replace("/", "∕"), "<img src=x onerror=y>.mp4")


def one_frame(path: Path) -> None:
    write_video(path, np.full((1, 64, 64, 3), 120, np.uint8))


def empty(path: Path) -> None:
    path.touch()


def cut(path: Path) -> None:
    path.write_bytes(path.with_name("good.mp4").read_bytes()[:1500])


def words(path: Path) -> None:
    path.write_text("This is no video.\n" * 99)


def no_length(path: Path) -> None:
    with av.open(str(path), "w", format="mov") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        container.start_encoding()


def sound(path: Path) -> None:
    with wave.open(str(path.with_suffix(".wav")), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    path.with_suffix(".wav").rename(path)


def locked(path: Path) -> None:
    shutil.copy(path.with_name("good.mp4"), path)
    path.chmod(0)


def huge(path: Path) -> None:
    """Frames of 40000×40000 by the header, from a file of 100 bytes."""
    path.write_bytes(b"YUV4MPEG2 W40000 H40000 F25:1 Ip A1:1 C420jpeg\nFRAME\n" + bytes(99))


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty.mp4": (empty, "0 bytes"),
    "cut.mp4": (cut, "not a readable video"),
    "words.mp4": (words, "not a readable video"),
    "no_length.mov": (no_length, "no frame|nothing"),
    "sound.mp4": (sound, "only: audio"),
    "locked.mp4": (locked, "no permission"),
    "huge.y4m": (huge, "40000×40000|not a readable video"),
    "link.mp4": (lambda path: path.symlink_to("nowhere.mp4"), "no such file"),
}


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything: let libav answer for locked.mp4 as it does to others."""
    real = av.open

    def opened(file: object, *args: object, **kwargs: object) -> object:
        if "locked.mp4" in str(file) and os.geteuid() == 0:
            raise av.error.PermissionError(13, "Permission denied", str(file))
        return real(file, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(av, "open", opened)


@pytest.mark.usefixtures("as_user")
def test_bad_videos_among_good_ones_are_left_out_and_strange_names_escaped(small_set: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "cross"
    shutil.copytree(small_set / "train" / "cross", folder)
    shutil.copy(folder / "0.mp4", folder / "good.mp4")
    for name, (spoil, _) in BAD.items():
        spoil(folder / name)
    (folder / "good.mp4").unlink()
    one_frame(folder / "one_frame.mp4")  # looped to the network's length
    for i, name in enumerate(NASTY):
        (folder / f"{i}.mp4").rename(folder / name)
    done = concepts(tmp_path / "data", tmp_path / "run", "--random", small_set / "unrelated")
    assert done.code == 3, done.err
    assert f"read 5 of {5 + len(BAD)} videos; {len(BAD)} skipped" in done.out.replace("\n", " ")
    found = json.loads((tmp_path / "run" / "cross" / "concepts.json").read_text())
    assert {Path(source).name for source in found["clips"]} == {*NASTY, "one_frame.mp4"}
    outcome = {Path(row["source"]).name: row["reason"] for row in found["skipped"]}
    assert set(outcome) == set(BAD)
    for name, (_, why) in BAD.items():
        assert re.search(why, outcome[name]), outcome[name]
        assert "\n" not in outcome[name]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    for name in ("动作 é.mp4", "a&#39;b&#34;c.mp4", "&lt;script&gt;alert", "&lt;img src=x", "sound.mp4"):
        assert name in page


def test_a_class_folder_named_as_markup_and_a_file_of_undecodable_bytes(small_set: Path, tmp_path: Path) -> None:
    name = "<b>[red] & 'co'"
    shutil.copytree(small_set / "train" / "cross", tmp_path / "data" / name)
    shutil.copytree(small_set / "train" / "orbit", tmp_path / "data" / "orbit")
    (tmp_path / "data" / name / "0.mp4").rename(tmp_path / "data" / name / os.fsdecode(b"\xff.mp4"))
    (tmp_path / "data" / name / os.fsdecode(b"\xfe.mp4")).touch()
    (tmp_path / "strange_names.py").write_text(
        "from dataclasses import replace\nfrom voxplain import load_model\n"
        f"def build():\n    model = load_model('planted')\n"
        f"    return replace(model, classes=({name!r}, *model.classes[1:]))\n"
    )
    done = voxplain(
        "concepts",
        tmp_path / "data",
        "--class",
        name,
        "--model",
        "strange_names:build",
        "--random",
        small_set / "unrelated",
        "--segmenter",
        "slic",
        "--segmenter.segments",
        4,
        8,
        "--clusterer",
        "kmeans",
        "--clusterer.clusters",
        4,
        "--keep",
        3,
        "--random-sets",
        4,
        "-o",
        tmp_path / "run",
    )
    assert done.code == 3, done.err
    assert name in done.out
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<b>[red]" not in page
    assert "&lt;b&gt;[red]" in page


def test_all_videos_bad(small_set: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "cross"
    folder.mkdir(parents=True)
    for i in range(3):
        (folder / f"{i}.mp4").write_text("no video")
    refused(concepts(tmp_path / "data", tmp_path / "run", "--random", small_set / "unrelated"), "read 0 of 3", "0.mp4")
    assert not list(tmp_path.rglob("*.html"))
    assert not list(tmp_path.rglob(".*"))


# Runs that end early: what had been computed stays, and a second run completes.


@pytest.fixture(scope="module")
def whole(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without any trouble."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert concepts(small_set, run, "--random", small_set / "unrelated").code == 0
    return run


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], pytest.MonkeyPatch]]:
    """Make the disk full after so many files."""

    def fill(count: int) -> pytest.MonkeyPatch:
        left = [count]

        def fsync(descriptor: int) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", fsync)
        return monkeypatch

    yield fill
    monkeypatch.undo()


def test_a_disk_that_is_full_again_and_again(
    small_set: Path, tmp_path: Path, whole: Path, full_disk: Callable[[int], pytest.MonkeyPatch]
) -> None:
    wanted, had = contents(whole), 0
    # Two a file, of it and of its folder; the second ends after six files, the last two files before the whole.
    for syncs in (0, 13, 2 * (len(wanted) - 7)):
        patch = full_disk(syncs)
        refused(concepts(small_set, tmp_path / "run", "--random", small_set / "unrelated"), "MB", "free some space")
        left = contents(tmp_path / "run")
        assert set(left.items()) < set(wanted.items()), "only whole files"
        assert len(left) >= had + syncs // 2 - 1  # job.json is written each time
        had = len(left)
    assert "cross/concepts.csv" in left
    assert "report.html" not in left
    patch.undo()
    assert concepts(small_set, tmp_path / "run", "--random", small_set / "unrelated").code == 0
    assert contents(tmp_path / "run") == wanted


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_other_signals_end_a_command_as_an_interrupt_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    number = getattr(signal, name)

    def end(*args: object, **options: object) -> None:
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    if before is signal.SIG_IGN:
        pytest.skip(f"{name} is ignored here, as under nohup")
    monkeypatch.setattr("voxplain.cli.methods_table.print_methods", end)
    stopped = voxplain("methods")
    assert stopped.code == 130
    assert stopped.sentence == "interrupted; run the same command again to continue"
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_too_little_memory_is_one_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("voxplain.cli.methods_table.print_methods", end)
    stopped = voxplain("methods")
    assert stopped.code == 2
    assert stopped.sentence.startswith("expected enough memory for this work, got none left; give --max-memory")


def test_other_errors_of_the_program_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*args: object, **options: object) -> None:
        raise RuntimeError("a fault of the program")

    monkeypatch.setattr("voxplain.cli.methods_table.print_methods", end)
    with pytest.raises(RuntimeError, match="a fault of the program"):
        voxplain("methods")


def test_an_interrupted_run(small_set: Path, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("voxplain.explain.class_steps.directional_derivatives", interrupt)
    stopped = concepts(small_set, tmp_path / "run", "--random", small_set / "unrelated")
    assert stopped.code == 130
    assert stopped.sentence == "interrupted; run the same command again to continue"
    left = contents(tmp_path / "run")
    assert len(left) > 10
    assert set(left.items()) < set(contents(whole).items())
    monkeypatch.undo()
    assert concepts(small_set, tmp_path / "run", "--random", small_set / "unrelated").code == 0
    assert contents(tmp_path / "run") == contents(whole)
