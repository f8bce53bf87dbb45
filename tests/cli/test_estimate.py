"""What a dry run says beside what the run then does: forwards are counted, not believed."""

from pathlib import Path

import pytest
from voxplain.concepts.modes import MODES, in_mode

import voxplain as vx
from voxplain.cli.estimate import calibrate, forwards_of
from voxplain.cli.job import Job
from voxplain.cli.network import Network
from voxplain.concepts.cluster import KMeans
from voxplain.datasets import read_clips, scan_folder
from voxplain.inference import Inference, metered
from voxplain.segment import SLIC

SETTINGS = vx.ConceptSettings(
    segmenter=SLIC(segments=(4, 8)),
    clusterer=KMeans(clusters=4),
    keep=3,
    unrelated_crops=12,
    random_sets=4,
    inference=Inference(precision="fp32", sample=4),
)
CHECK = 60  # forwards at most that checking the fast copy takes


@pytest.mark.parametrize("mode", sorted(MODES))
def test_forwards_of_a_run_are_as_estimated(small_set: Path, tmp_path: Path, mode: str) -> None:
    model = vx.load_model("planted")
    settings = in_mode(SETTINGS, mode, 64)
    job = Job(small_set, small_set / "unrelated", tmp_path, ("cross",), Network(net="planted"), settings, "default")
    own = scan_folder(small_set).of_class("cross")
    seen = calibrate(job, model, own)
    guessed = forwards_of(job, seen, 4, 8)
    clips = read_clips(own, model.reader()).clips
    random = read_clips(scan_folder(small_set / "unrelated"), model.reader()).clips
    with metered(model.net) as meter:
        run = vx.explain_concepts(model, clips, random=random, target="cross", settings=settings, store=tmp_path)
    counted = sum(meter.clips.values())
    # concepts that a clip lacks are not hidden in it
    absent = sum(3 * (len(run.bank) - len(set(a))) for a in run.assigned)
    total = sum(forwards for forwards, _ in guessed.values())
    assert counted - CHECK <= total * 1.15
    assert total - absent <= counted * 1.15
    assert all(seconds >= 0 for _, seconds in guessed.values())
