"""Exports, read back by readers that share no code with their writers."""

import csv
import io
import json
import struct
from dataclasses import replace

import av
import numpy as np
import pytest

from report_runs import TARGET, make_evaluated_run, make_run
from voxplain.attribution.attribution_run import AttributionRun
from voxplain.concepts.effect import concept_mask
from voxplain.errors import DataError
from voxplain.report.exports import EXPORTS
from voxplain.report.exports.coco import rle
from voxplain.report.exports.tensorboard import _masked


@pytest.fixture(scope="module")
def run():
    assigned = tuple(np.array([0, 1, 2, 1]) for _ in range(4))
    return replace(make_evaluated_run(), assigned=assigned, target="bend")


@pytest.fixture(scope="module")
def maps():
    clip = make_run().clips[0]
    values = np.random.default_rng(0).random(clip.frames.shape[:3]).astype(np.float32)
    measured = {"gradient": {"insertion": (0.5, 0.25, True), "lost": (float("nan"), None, None)}}
    return AttributionRun(clip, "tiny", "a", 0, ("a", "b"), np.zeros(2), 1, {"gradient": values}, measured=measured)


def files(name, *runs):
    return dict(EXPORTS[name](runs))


def decoded(text: str, size: list[int]) -> np.ndarray:
    """A mask from COCO's compressed run lengths, written from the description of the format."""
    counts, at = [], 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            bits = ord(text[at]) - 48
            value |= (bits & 31) << shift
            more, at, shift = bool(bits & 32), at + 1, shift + 5
            if not more and bits & 16:
                value |= -1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    flat = np.concatenate([np.full(n, i % 2, bool) for i, n in enumerate(counts)])
    return flat.reshape(size, order="F")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of pycocotools
@pytest.mark.parametrize("seed", range(6))
def test_run_lengths_are_those_of_the_mask(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((int(rng.integers(1, 70)), int(rng.integers(1, 70)))) < rng.random()
    made = rle(mask)
    assert np.array_equal(decoded(made["counts"], made["size"]), mask)
    coco = pytest.importorskip("pycocotools.mask")
    assert np.array_equal(coco.decode({**made, "counts": made["counts"].encode()}).astype(bool), mask)


def test_coco_has_every_mask_of_every_frame(run):
    made = files("coco", run)
    record = json.loads(made.pop("annotations.json"))
    assert len(record["images"]) == len(made) == sum(map(len, run.clips)) + len(run.evaluation.explored[0].clip)
    assert {f"images/{image['file_name']}" for image in record["images"]} == set(made)
    images = {image["id"]: image for image in record["images"]}
    names = {category["id"]: category["name"] for category in record["categories"]}
    first = [a for a in record["annotations"] if images[a["image_id"]]["video"] == record["images"][0]["video"]]
    for k in range(3):
        mask = concept_mask(run.supervoxels[0], run.assigned[0], k)
        own = [a for a in first if names[a["category_id"]] == f"bend: concept {k}"]
        assert [images[a["image_id"]]["frame"] for a in own] == np.flatnonzero(mask.any((1, 2))).tolist()
        for a in own:
            frame = mask[images[a["image_id"]]["frame"]]
            assert np.array_equal(decoded(a["segmentation"]["counts"], a["segmentation"]["size"]), frame)
            x, y, w, h = a["bbox"]
            assert a["area"] == frame.sum() == frame[y : y + h, x : x + w].sum()
    held_out = {image["video"] for image in record["images"] if image["held_out"]}
    assert len(held_out) == 1


def test_fiftyone_spans_are_the_frames_in_which_a_concept_is(run):
    made = files("fiftyone", run)
    record = json.loads(made.pop("labels.json"))
    assert set(made) == {f"data/{name}.mp4" for name in record["labels"]}
    name = next(iter(record["labels"]))
    with av.open(io.BytesIO(made[f"data/{name}.mp4"])) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(run.clips[0])
    for k in range(3):
        there = concept_mask(run.supervoxels[0], run.assigned[0], k).any((1, 2))
        seen = np.zeros(len(there), bool)
        for found in record["labels"][name]:
            if record["classes"][found["label"]] == f"bend: concept {k}":
                first, last = found["support"]
                seen[first - 1 : last] = True
        assert np.array_equal(seen, there)


def test_tables_hold_the_effect_of_each_clip(run):
    made = files("csv", run)
    assert sorted(made) == ["clips.csv", "comparisons.csv", "concepts-01-bend.csv"]
    rows = list(csv.DictReader(io.StringIO(made["clips.csv"].decode())))
    drop = run.effects.drop(run.target_index)
    for row in rows[:12]:
        if row["held_out"] == "0" and row["effect"]:
            assert any(np.isclose(float(row["effect"]), drop[:, int(row["concept"])]))
    assert len(list(csv.DictReader(io.StringIO(made["comparisons.csv"].decode())))) == 3


def test_checksums_are_castagnoli_s():
    # The check value of CRC-32C, rotated and shifted as the record format asks.
    crc = 0xE3069283
    assert _masked(b"123456789") == ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


def records(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack("<Q", data[at : at + 8])
        found.append(data[at + 12 : at + 12 + length])
        at += 16 + length
    assert at == len(data)
    return found


def test_tensorboard_gets_scores_and_moving_pictures(run, maps, tmp_path):
    (name,), data = files("tensorboard", run).keys(), files("tensorboard", run)["events.out.tfevents.0.voxplain"]
    own = records(data)
    assert b"brain.Event:2" in own[0]
    assert sum(b"bend/effect" in record for record in own) == 3
    assert sum(b"GIF89a" in record for record in own) == 5  # two of each concept, the one of a single member
    (tmp_path / name).write_bytes(data)
    assert b"importance of frames" in files("tensorboard", maps)[name]
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    loaded = accumulator.EventAccumulator(str(tmp_path)).Reload()
    scores = loaded.Scalars("bend/effect")
    assert [event.step for event in scores] == [1, 2, 3]
    assert [event.value for event in scores] == pytest.approx([row.score for row in run.rows()])


def test_maps_are_tables_too_and_have_no_masks(maps):
    rows = list(csv.DictReader(io.StringIO(files("csv", maps)["frames.csv"].decode())))
    assert [float(row["importance"]) for row in rows] == pytest.approx(maps.importance("gradient"))
    metrics = list(csv.DictReader(io.StringIO(files("csv", maps)["metrics.csv"].decode())))
    assert [row["value"] for row in metrics] == ["0.5", ""]
    for name in ("coco", "fiftyone"):
        with pytest.raises(DataError, match="expected runs of concepts"):
            files(name, maps)


def test_file_names_are_safe_whatever_the_clips_are_called():
    run = make_evaluated_run()
    for name in EXPORTS:
        for path in files(name, run):
            assert ".." not in path
            assert not path.startswith("/")
            assert set(path) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")
    assert TARGET in json.loads(files("fiftyone", run)["labels.json"])["classes"][0]
