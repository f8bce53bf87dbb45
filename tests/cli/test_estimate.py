"""What a dry run says beside what the run then does: passes of the network are counted, not believed."""

from dataclasses import replace
from pathlib import Path

import pytest

import voxplain as vx
from voxplain.cli import estimate
from voxplain.cli.estimate import Calibration, calibrate, forwards_of, readable_clip
from voxplain.cli.job import Job
from voxplain.cli.network import Network
from voxplain.concepts.cluster import KMeans
from voxplain.concepts.context import ContextFeatures
from voxplain.concepts.effect import HideConcepts
from voxplain.concepts.embedders import EMBEDDERS
from voxplain.datasets import VideoSet, read_clips, scan_folder
from voxplain.inference import Inference, metered
from voxplain.segment import SLIC

CHECK = 2 * 2 * 3 + 1  # passes in which the fast copy is checked on two supervoxels of three clips, and the embedder
SETTINGS = vx.ConceptSettings(
    segmenter=SLIC(segments=(4, 8)),
    clusterer=KMeans(clusters=4),
    keep=3,
    unrelated_crops=12,
    random_sets=4,
    effect=HideConcepts(),
    inference=Inference(precision="fp32", sample=4),
)


def counted_and_guessed(small_set: Path, store: Path, settings: vx.ConceptSettings) -> tuple[vx.ConceptRun, int, int]:
    """The run of a class of four clips, its forward passes, and the estimate of its passes."""
    model = vx.load_model("planted")
    job = Job(small_set, small_set / "unrelated", store, ("cross",), Network(net="planted"), settings, "default")
    own = scan_folder(small_set).of_class("cross")
    clip, read = readable_clip(job, model, own)
    steps = forwards_of(settings, calibrate(settings, model, clip, read=read), 4, 8)
    assert all(seconds >= 0 for _, seconds in steps.values())
    clips = read_clips(own, model.reader()).clips
    random = read_clips(scan_folder(small_set / "unrelated"), model.reader()).clips
    with metered(model.net) as meter:
        run = vx.explain_concepts(model, clips, random=random, target="cross", settings=settings, store=store)
    return run, sum(meter.clips.values()), int(sum(passes for passes, _ in steps.values()))


@pytest.mark.parametrize("examples", ["matched", "raw"])
@pytest.mark.parametrize("embedder", EMBEDDERS)
def test_passes_of_a_run_are_as_estimated(small_set: Path, tmp_path: Path, embedder: str, examples: str) -> None:
    settings = replace(SETTINGS, embedder=EMBEDDERS[embedder], unrelated_examples=examples)
    run, counted, guessed = counted_and_guessed(small_set, tmp_path, settings)
    counted += len(run.clips) * (1 + (ContextFeatures().steps if embedder == "context" else 0))  # backward passes
    # Concepts that a clip lacks are not hidden in it; clips differ in their number of supervoxels.
    absent = int(3 * (run.effects.volume == 0).sum())
    spare = 0 if embedder == "context" else len(run.clips) * 4
    assert guessed - absent - spare <= counted <= guessed - absent + spare + CHECK


def test_passes_of_the_default_are_within_a_factor_of_those_estimated(small_set: Path, tmp_path: Path) -> None:
    run, counted, guessed = counted_and_guessed(small_set, tmp_path, replace(vx.ConceptSettings(), keep=3))
    counted += len(run.clips) * (1 + ContextFeatures().steps) - CHECK
    assert guessed / 1.5 <= counted <= guessed * 1.5


@pytest.mark.parametrize(
    ("embedder", "examples", "features", "others"),
    [
        ("context", "matched", 10 * 200 + 100, 0),  # one and the four of its contributions, forward and backward
        ("context", "raw", 10 * 200 + 100, 50),
        ("crops", "matched", 200 * 87 + 100 * 12, 2 * 200 + 100),
        ("crops", "raw", 200 * 87 + 50 * 12 + 50, 2 * 200 + 100),  # half of the unrelated clips whole
    ],
)
def test_passes_of_large_classes(embedder: str, examples: str, features: int, others: int) -> None:
    settings = replace(SETTINGS, embedder=EMBEDDERS[embedder], unrelated_examples=examples)
    steps = forwards_of(settings, Calibration(1.0, 1.0, 1.0, 87, 512, 1), 200, 100)
    passes = {step: count for step, (count, _) in steps.items()}
    hidden = SETTINGS.effect.forwards(200, 4)
    free = {"reading": 0, "supervoxels": 0, "pages": 0}
    assert passes == {**free, "features": features, "gradients and logits": others, "direct effects": hidden}


def test_a_plan_of_1000_classes_reads_few_clips(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tuple(f"class{i:03}" for i in range(1000))
    for name in names:
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "0.mp4").symlink_to(small_set / "train" / "cross" / "0.mp4")
    measured, read = [], []

    def calibrated(
        settings: vx.ConceptSettings, model: vx.VideoModel, clip: vx.Clip, *, workers: int, read: float
    ) -> Calibration:
        measured.append(clip)
        return Calibration(1.0, 0.1, 0.1, 9, 512, 1000, read, frame_bytes=1 << 20, memory=50 << 20)

    def readable(job: Job, model: vx.VideoModel, own: VideoSet) -> tuple[vx.Clip, float]:
        read.append(own)
        return readable_clip(job, model, own)

    monkeypatch.setattr(estimate, "calibrate", calibrated)
    monkeypatch.setattr(estimate, "readable_clip", readable)
    job = Job(tmp_path / "data", small_set / "unrelated", tmp_path, names, Network(net="planted"), SETTINGS, "default")
    estimate.print_estimate(job, vx.load_model("planted"), scan_folder(tmp_path / "data"), 2)
    said = capsys.readouterr().out
    assert len(measured) == len(read) == estimate.CALIBRATED
    assert all(f"“{name}”: 1 videos" in said for name in names)
    assert "memory: about " in said
    assert "with 2 workers" in said
    assert "50 MiB a worker" in said
