"""Code that job.json names is imported for runs of this user only, or where it is named again."""

import json
import shutil
from pathlib import Path

import pytest
from command_line import TINY, voxplain

from voxplain.cli.file_list import FileList
from voxplain.cli.held_out import HeldOut
from voxplain.cli.job import Job, job_record, read_job
from voxplain.cli.network import Network
from voxplain.cli.own_runs import check_code, mark_own
from voxplain.concepts.settings import PRESETS
from voxplain.errors import DataError, ModelError

CODE = """
from pathlib import Path
Path({trace!r}).write_text("imported")
from voxplain.zoo import load_model


def build():
    return load_model("planted")
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that leaves a trace when it is imported; returns the trace's path."""
    trace = tmp_path / "trace"
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "traced_net.py").write_text(CODE.format(trace=str(trace)))
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.delitem(__import__("sys").modules, "traced_net", raising=False)
    return trace


def test_code_of_a_run_from_elsewhere_is_not_imported(
    small_set: Path, tmp_path: Path, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--class", "cross", "--random", small_set / "unrelated", "-o", tmp_path / "run", "--layer", "blocks.3")
    made = voxplain("concepts", small_set, "--model", "traced_net:build", *words[:-2], *TINY)
    assert made.code == 0, made.err
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    code.unlink()
    monkeypatch.delitem(__import__("sys").modules, "traced_net")
    refused = voxplain("evaluate", tmp_path / "copy")
    assert refused.code == 2
    assert "names the code 'traced_net:build'" in refused.sentence
    assert "give --model traced_net:build" in refused.sentence
    assert voxplain("merge", tmp_path / "copy", "-o", tmp_path / "merged").code == 2
    assert not code.exists(), "nothing was imported"
    record = json.loads((tmp_path / "run" / "job.json").read_text())
    kept = (tmp_path / "run" / "job.json").read_text()
    (tmp_path / "run" / "job.json").write_text(json.dumps({**record, "seed": 1}))
    assert voxplain("evaluate", tmp_path / "run").code == 2, "changed by someone else"
    (tmp_path / "run" / "job.json").write_text(kept)
    own = voxplain("evaluate", tmp_path / "run")
    assert own.code == 0, own.err
    again = voxplain("evaluate", tmp_path / "copy", "--model", "traced_net:build")
    assert again.code == 0, again.err
    assert code.exists()


def test_code_of_a_geometry_from_elsewhere_is_not_imported(tmp_path: Path) -> None:
    job = Job(
        tmp_path,
        tmp_path,
        tmp_path,
        ("a",),
        Network(net="planted", geometry="traced_net:cut"),
        PRESETS["paper"],
        "paper",
    )
    (tmp_path / "job.json").write_text(json.dumps(job_record(job, [])))
    with pytest.raises(ModelError, match="the code 'traced_net:cut' of its geometry"):
        check_code(tmp_path, read_job(tmp_path), None)
    mark_own(tmp_path)
    assert check_code(tmp_path, read_job(tmp_path), None).network.geometry == "traced_net:cut"


def test_files_of_a_network_are_found_from_another_folder_and_random_weights_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("saved").mkdir()
    for given, kept in [
        (Network(net="torchvision:r3d_18", weights=Path("random")), {"weights": "random"}),
        (Network(net="r3d", weights=Path("w.pt")), {"weights": str(tmp_path.resolve() / "w.pt")}),
        (Network(net="hf:saved"), {"net": f"hf:{tmp_path.resolve() / 'saved'}", "weights": None}),
        (Network(net="hf:owner/name"), {"net": "hf:owner/name"}),
    ]:
        job = Job(tmp_path, tmp_path, tmp_path, ("a",), given, PRESETS["paper"], "paper")
        (tmp_path / "job.json").write_text(json.dumps(job_record(job, [])))
        network = json.loads((tmp_path / "job.json").read_text())["network"]
        assert {name: network[name] for name in kept} == kept
        assert str(read_job(tmp_path).network.weights) == str(network["weights"])


def test_every_option_of_a_network_is_read_again(tmp_path: Path) -> None:
    network = Network(
        net="planted",
        layer=("pool",),
        task="multilabel",
        grid=(8, 32, 32),
        stride=2,
        sampler="dense",
        mean=(0.5, 0.5, 1),
        std=(0.5, 0.25, 0.5),
        geometry="short-side",
        resize=(40,),
        classes=tmp_path / "names.txt",
        frames_in_batch=True,
    )
    held = HeldOut(images=True, files=FileList(tmp_path / "list.txt", first_label=1))
    job = Job(tmp_path, tmp_path, tmp_path, ("a",), network, PRESETS["paper"], "paper", held, damaged="use")
    (tmp_path / "job.json").write_text(json.dumps(job_record(job, [])))
    assert read_job(tmp_path) == job
    for name, value in {"grid": [8, 32], "mean": [0.5, "x", 1], "sampler": "middling", "stride": 2.5}.items():
        record = job_record(job, [])
        record["network"][name] = value
        (tmp_path / "job.json").write_text(json.dumps(record))
        with pytest.raises(DataError, match=f"{name} of network is"):
            read_job(tmp_path)
