"""What users pass to a method and what they get: networks, clips and targets in every form, typed records."""

import os
import subprocess
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from every_net import CLASSES, GRID, Small, clips_for, small_model

from voxplain.attribution import ATTRIBUTIONS, Attribution, ExcitationBackpropRNN, GradCAM, Gradient, RandomMap
from voxplain.errors import DataError, ModelError


@pytest.fixture(scope="module")
def model():
    return small_model("plain")


@pytest.fixture(scope="module")
def clips():
    return clips_for(GRID)


def test_a_target_left_out_is_the_predicted_class(model, clips):
    predicted = model.logits(np.stack([c.frames for c in clips])).argmax(1).tolist()
    assert [a.target for a in Gradient()(model, clips)] == predicted
    one = Gradient()(model, clips[1])
    assert one.target == predicted[1]
    np.testing.assert_array_equal(one.values, Gradient()(model, clips[1], predicted[1]).values)


@pytest.mark.parametrize(
    "targets", [[2, 3], ("wave", "clap"), torch.tensor([2, 3]), np.array([2, 3]), ["wave", 3], [np.int64(2), 3]]
)
def test_targets_of_a_batch(model, clips, targets):
    assert [a.target for a in GradCAM()(model, clips, targets)] == [2, 3]


@pytest.mark.parametrize("target", ["wave", 2, np.int64(2), torch.tensor(2), torch.tensor([2]), [2]])
def test_targets_of_one_clip(model, clips, target):
    assert GradCAM()(model, clips[0], target).target == CLASSES.index("wave")


def test_frames_are_clips(model, clips):
    want = Gradient()(model, clips, [0, 1])
    frames = np.stack([c.frames for c in clips])
    for given in (
        frames,
        torch.from_numpy(frames),
        list(frames),
        list(torch.from_numpy(frames)),
        [clips[0], frames[1]],
    ):
        found = Gradient()(model, given, [0, 1])
        assert isinstance(found, list)
        for a, b in zip(found, want, strict=True):
            np.testing.assert_array_equal(a.values, b.values)
    for one in (frames[0], torch.from_numpy(frames[0])):
        found = Gradient()(model, one, 0)
        assert isinstance(found, Attribution)
        np.testing.assert_array_equal(found.values, Gradient()(model, clips[0], 0).values)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (torch.zeros(3, *GRID), "the model scales and normalises frames itself"),
        (torch.zeros(1, 3, *GRID), "the model scales and normalises frames itself"),
        (np.zeros((3, *GRID), np.uint8), "move the three colour channels to the end"),
        ("clip.mp4", "read clips with the model's own reader"),
        (np.zeros((4, 16, 24, 3), np.uint8), "expected clips of the network's grid"),
    ],
)
def test_other_inputs_are_errors_with_the_reason(model, given, reason):
    with pytest.raises(ModelError, match=reason):
        GradCAM()(model, given, 0)


def test_numbers_of_clips_and_targets(model, clips):
    with pytest.raises(DataError, match="at least one clip to explain, got none"):
        Gradient()(model, [], 0)
    with pytest.raises(DataError, match="one target, or one for each of 2 clips, got 3"):
        Gradient()(model, clips, [0, 1, 2])
    with pytest.raises(ModelError, match="did you mean wave"):
        Gradient()(model, clips[0], "waves")


def test_a_bare_network_is_wrapped(clips):
    torch.manual_seed(3)
    net = Small().eval()
    found = GradCAM()(net, clips[0], 0)
    assert found.values.shape == GRID
    with pytest.raises(ModelError, match=r"expected a VideoModel or a torch.nn.Module, got str"):
        GradCAM()("r3d", clips[0], 0)


WITH_LAYER = sorted({type(make()) for make in ATTRIBUTIONS.values() if hasattr(make(), "layer")}, key=str)


@pytest.mark.parametrize("method", WITH_LAYER)
def test_target_layer_is_another_name_for_layer(method):
    assert method(target_layer="conv2") == method(layer="conv2")
    assert repr(method(target_layer="conv2")) == repr(method(layer="conv2"))
    assert "target_layer" not in {*asdict(method()), *(f.name for f in fields(method))}
    assert replace(method(target_layer="conv2"), layer="conv3") == method(layer="conv3")
    with pytest.raises(DataError, match="got both"):
        method(layer="conv1", target_layer="conv2")


def test_the_named_layer_is_taken(model, clips):
    found = GradCAM(target_layer="conv2")(model, clips[0], 0)
    assert found.details["layer"] == "conv2"
    np.testing.assert_array_equal(found.values, GradCAM(layer="conv2")(model, clips[0], 0).values)


def test_every_call_has_its_documentation():
    for make in ATTRIBUTIONS.values():
        said = type(make()).__call__.__doc__
        assert all(part in said for part in ("Parameters", "Returns", "Raises"))


TYPED = """
import numpy as np
from voxplain.attribution import ATTRIBUTIONS, GradCAM, LRP
from voxplain.metrics import METRICS, Insertion, PointingGame, Sensitivity
from voxplain.model import VideoModel
from voxplain.video import Clip

def check(model: VideoModel, clip: Clip, mask: np.ndarray) -> None:
    reveal_type(GradCAM()(model, clip))
    reveal_type(LRP("epsilon")(model.net, clip.frames, "wave"))
    reveal_type(GradCAM(layer="a")(model, [clip, clip.frames], [0, 1]))
    reveal_type(GradCAM(layer="a").layer)
    reveal_type(ATTRIBUTIONS["step"]()(model, clip, 0))
    reveal_type(Insertion()(model, clip, np.zeros((2, 2, 2))))
    reveal_type(PointingGame()(np.zeros((2, 2, 2)), mask))
    reveal_type(Sensitivity()(model, clip, 0, GradCAM()))
    metric = METRICS["insertion"]()
    if metric.needs == "map":
        reveal_type(metric)
    GradCAM(lager="a")
"""


@pytest.mark.slow
def test_a_type_checker_gets_the_records(tmp_path: Path):
    pytest.importorskip("mypy")
    (tmp_path / "use.py").write_text(TYPED)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--ignore-missing-imports", str(tmp_path / "use.py")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(Path(__file__).parents[2] / "src")},
    )
    said = [line.split('"')[1].replace("builtins.", "") for line in done.stdout.splitlines() if "Revealed" in line]
    record, value = "voxplain.attribution.attribution.Attribution", "voxplain.metrics.record.MetricValue"
    metric = "voxplain.metrics.record.MapMetric"
    assert said == [record, record, f"list[{record}]", "str | None", record, value, value, value, metric], done.stdout
    assert 'Unexpected keyword argument "lager"' in done.stdout


def test_a_plain_function_is_a_method_for_metrics(model, clips):
    from voxplain.metrics import Sensitivity

    method = RandomMap()

    def function(model, clip, target):
        return method(model, clip, target)

    assert Sensitivity(draws=2)(model, clips[0], 0, function).value > 0


def test_a_network_that_cannot_be_explained_is_one_sentence(model, clips):
    with pytest.raises(ModelError, match="expected a network with an RNN"):
        ExcitationBackpropRNN()(model, clips[0])
