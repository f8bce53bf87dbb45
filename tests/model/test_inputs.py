"""Every form of a clip gives the same frames, logits and targets; what is no clip is one sentence."""

import numpy as np
import pytest
import torch

from small_nets import GRID, ConvNet, clips
from voxplain.errors import DataError, ModelError
from voxplain.model import VideoModel, as_clips, as_frames, as_model, is_one_clip, resolve_targets
from voxplain.video import Clip

NAMES = ("bend", "jump", "run", "sit", "walk")
TENSOR = clips(3)
ARRAY = TENSOR.numpy()
RECORDS = [Clip.from_array(frames) for frames in ARRAY]


@pytest.fixture
def model() -> VideoModel:
    torch.manual_seed(0)
    return VideoModel(ConvNet().eval(), layer="pool", grid=GRID, classes=NAMES)


@pytest.mark.parametrize("one", [RECORDS[0], ARRAY[0], TENSOR[0], [RECORDS[0]], (ARRAY[0],), [TENSOR[0]], ARRAY[:1]])
def test_one_clip_in_every_form(model, one):
    assert np.array_equal(np.asarray(as_frames(one, grid=GRID)), ARRAY[:1])
    assert [np.array_equal(clip.frames, ARRAY[0]) for clip in as_clips(one)] == [True]
    truth = model.logits(TENSOR[:1])
    for logits in (model(one), model.logits(one), model.outputs(one).logits):
        assert torch.equal(logits, truth)
    assert torch.equal(model.gradient(one, "run"), model.gradient(TENSOR[:1], 2))
    assert torch.equal(model.embed(one), model.embed(TENSOR[:1]))


@pytest.mark.parametrize(
    "many", [RECORDS, ARRAY, TENSOR, list(ARRAY), tuple(TENSOR), [RECORDS[0], ARRAY[1], TENSOR[2]]]
)
def test_many_clips_in_every_form(model, many):
    assert np.array_equal(np.asarray(as_frames(many)), ARRAY)
    assert np.array_equal(np.stack([clip.frames for clip in as_clips(many)]), ARRAY)
    assert not is_one_clip(many)
    assert torch.equal(model(many), model.logits(TENSOR))


def test_arrays_and_tensors_are_not_copied():
    assert np.shares_memory(as_frames(ARRAY), ARRAY)
    assert as_frames(TENSOR).data_ptr() == TENSOR.data_ptr()
    assert [is_one_clip(x) for x in (RECORDS[0], ARRAY[0], TENSOR[0], ARRAY)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (torch.zeros(3, *GRID), r"got torch.float32 \(3, 4, 8, 8\); the model scales and normalises frames itself"),
        (torch.zeros(2, 3, *GRID), r"got torch.float32 \(2, 3, 4, 8, 8\); the model scales and normalises"),
        (ARRAY[0] / 255, r"got float64 \(4, 8, 8, 3\); the model scales and normalises frames itself"),
        (ARRAY[0].transpose(3, 0, 1, 2), "move the three colour channels to the end"),
        (ARRAY[0, 0], r"got uint8 \(8, 8, 3\)"),
        ([ARRAY[0] / 255], r"a list with float64 \(4, 8, 8, 3\); the model scales"),
        ("clip.mp4", "got str"),
        ([1, 2], "got a list with int"),
        (None, "got NoneType"),
    ],
)
def test_what_is_no_clip(model, given, said):
    wrap = (lambda x: as_model(model.net, x),) if given is not None else ()
    predict = () if isinstance(given, str) else (model.predict,)  # which reads files
    for call in (as_clips, as_frames, model, *predict, *wrap):
        with pytest.raises(ModelError, match=said):
            call(given)


def test_other_sizes_and_none(model):
    with pytest.raises(ModelError, match=r"uint8 \[N,4,8,8,3\], got uint8 \(1, 2, 8, 8, 3\)"):
        model(RECORDS[0].frames[None, :2])
    with pytest.raises(ModelError, match="clips of one size, got 2×8×8, 4×8×8"):
        model([ARRAY[0], ARRAY[0, :2]])
    for none in ([], ARRAY[:0]):
        with pytest.raises(ModelError, match="at least one clip, got none"):
            model(none)


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("run", (2, 2, 2)),
        (1, (1, 1, 1)),
        (np.int64(1), (1, 1, 1)),
        (torch.tensor(4), (4, 4, 4)),
        (np.array("sit"), (3, 3, 3)),
        (["run", 0, np.int32(1)], (2, 0, 1)),
        (("run", torch.tensor(3), "run"), (2, 3, 2)),
        (torch.tensor([2, 0, 1]), (2, 0, 1)),
        (np.array([2, 0, 1], np.uint8), (2, 0, 1)),
        (np.array(["run", "bend", "jump"]), (2, 0, 1)),
    ],
)
def test_targets_in_every_form(model, target, found):
    resolved = resolve_targets(model, RECORDS, target)
    assert all(m is model for m, _ in resolved)
    got = tuple(y for _, y in resolved)
    assert got == found
    assert {type(y) for y in got} == {int}


def test_without_a_target_it_is_the_class_each_clip_is_predicted_as(model):
    noise = clips(40, seed=3)
    found = resolve_targets(model, noise)
    assert tuple(y for _, y in found) == tuple(model.logits(noise).argmax(1).tolist())
    assert resolve_targets(model, noise[5]) == found[5:6]


def test_wrong_targets(model):
    for wrong in (torch.tensor([0.0, 1.0, 2.0]), np.float32(1), [1.5, 2, 3], [[1], [2], [3]]):
        with pytest.raises(DataError, match="class names or whole numbers as targets"):
            resolve_targets(model, ARRAY, wrong)
    with pytest.raises(DataError, match="one for each of 3 clips, got 2"):
        resolve_targets(model, ARRAY, [0, 1])
    with pytest.raises(ModelError, match="did you mean jump"):
        resolve_targets(model, ARRAY, "jmup")
    with pytest.raises(ModelError, match="class index from 0 to 4, got 5"):
        resolve_targets(model, ARRAY, torch.tensor([0, 1, 5]))


def test_a_bare_network_takes_the_size_of_the_clips():
    net = ConvNet()
    found = as_model(net, RECORDS)
    assert (found.net, found.grid, found.layer) == (net, GRID, "act")
    assert as_model(found) is found
    with pytest.raises(ModelError, match=r"VideoModel or a torch\.nn\.Module, got str"):
        as_model("r3d")
