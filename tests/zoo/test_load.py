"""Loading: the networks of the house by name, weights with their class names, and a user's own function."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from small_nets import GRID, clips
from voxplain.errors import ModelError
from voxplain.nets import NETS, build_net, save_weights
from voxplain.video import Geometry, Middle
from voxplain.zoo.load import PLANTED, load_model, model_from_function

CLASSES = ("bend", "jump", "run")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def saved(tmp_path):
    """A tiny net and its file, with facts in the metadata."""

    def save(**facts: str):
        net = build_net("tiny", 3).eval()
        save_weights(net, tmp_path / "tiny.safetensors", {"net": "tiny", "classes": json.dumps(CLASSES)} | facts)
        return net, tmp_path / "tiny.safetensors"

    return save


# --- networks of the house ---


def test_weights_bring_their_class_names(saved):
    net, path = saved()
    m = load_model("tiny", weights=path)
    spec = NETS["tiny"]
    assert (m.classes, m.layer, m.name, m.batch_size) == (CLASSES, spec.feature_layer, "tiny", 16)
    assert (m.mean, m.std, m.grid) == (spec.mean, spec.std, (16, 64, 64))
    assert not any(part.training for part in m.net.modules())
    frames = clips(2, grid=(16, 64, 64))
    x = ((frames.float() / 255 - 0.5) / 0.25).permute(0, 4, 1, 2, 3)
    with torch.no_grad():
        torch.testing.assert_close(m.logits(frames), net(x), rtol=1e-4, atol=1e-5)


def test_own_classes_layer_and_batch_size(saved):
    _, path = saved()
    m = load_model("tiny", weights=str(path), classes=["a", "b", "c"], layer="block3", batch_size=2, device="cpu")
    assert (m.classes, m.layer, m.batch_size) == (("a", "b", "c"), "block3", 2)
    assert m.device.type == "cpu"


def test_torch_files_need_the_class_names(saved, tmp_path):
    net, _ = saved()
    torch.save(net.state_dict(), tmp_path / "tiny.pt")
    with pytest.raises(ModelError, match=r"classes of 'tiny', because tiny.pt does not name them; pass classes"):
        load_model("tiny", weights=tmp_path / "tiny.pt")
    m = load_model("tiny", weights=tmp_path / "tiny.pt", classes=CLASSES)
    assert torch.equal(m.net.head.weight, net.head.weight)


@pytest.mark.parametrize("name", list(NETS))
def test_every_network_loads_fresh_with_the_input_of_its_spec(name):
    m, spec = load_model(name, classes=CLASSES), NETS[name]
    assert m.grid == (spec.frames, *spec.crop)
    reader = m.reader()
    assert (reader.geometry, reader.sampler) == (Geometry(spec.resize, spec.crop), Middle(spec.frames))
    black, white = np.zeros((1, *m.grid, 3), np.uint8), np.full((1, *m.grid, 3), 255, np.uint8)
    for frames, value in ((black, 0.0), (white, 255 / spec.scale)):
        x = m.prepare(frames)[0, :, 0, 0, 0]
        truth = (value - torch.tensor(spec.mean)) / torch.tensor(spec.std)
        torch.testing.assert_close(x, truth, rtol=1e-5, atol=1e-5)


def test_a_network_with_another_scale_gets_its_own_input(monkeypatch):
    monkeypatch.setitem(
        NETS, "tiny", replace(NETS["tiny"], mean=(100.0, 90.0, 80.0), std=(50.0, 60.0, 70.0), scale=1.0)
    )
    m = load_model("tiny", classes=CLASSES)
    x = m.prepare(np.full((1, *m.grid, 3), 150, np.uint8))[0, :, 0, 0, 0]
    torch.testing.assert_close(x, torch.tensor([1.0, 1.0, 1.0]))
    assert m.mean_colour.tolist() == [100, 90, 80]


def test_errors(saved, tmp_path):
    _, path = saved()
    with pytest.raises(ModelError, match="no network is called 'tini'; did you mean 'tiny'"):
        load_model("tini", classes=CLASSES)
    with pytest.raises(ModelError, match="fresh weights have none; pass classes"):
        load_model("tiny")
    with pytest.raises(ModelError, match=r"weights for 'r3d', got .* made for 'tiny'"):
        load_model("r3d", weights=path)
    with pytest.raises(ModelError, match="head for 3 classes, the network expects 2"):
        load_model("tiny", weights=path, classes=["a", "b"])
    with pytest.raises(ModelError, match="different class names"):
        load_model("tiny", classes=["a", "b", "a"])
    with pytest.raises(ModelError, match="list of different class names, got 'abc'"):
        load_model("tiny", classes="abc")
    with pytest.raises(ModelError, match="no weights file at"):
        load_model("tiny", weights=tmp_path / "absent.pt")
    with pytest.raises(ModelError, match="did you mean 'block1'"):
        load_model("tiny", weights=path, layer="blok1")
    with pytest.raises(ModelError, match="a device of this machine, got 'nowhere'"):
        load_model("tiny", weights=path, device="nowhere")


@pytest.mark.parametrize("text", ["bend,jump", '{"0": "bend"}', "[1, 2, 3]"])
def test_metadata_that_names_classes_wrongly(saved, text):
    _, path = saved(classes=text)
    with pytest.raises(ModelError, match="JSON list of names as 'classes'"):
        load_model("tiny", weights=path)


def test_planted():
    if not PLANTED.is_file():
        pytest.skip("nets/planted.safetensors is not there yet")
    m = load_model("planted")
    assert m.name == "tiny"
    assert len(m.classes) == m.logits(clips(1, grid=m.grid)).shape[1] > 1


# --- a user's own function ---

SOURCE = """
import torch
from torch import nn
from small_nets import ConvNet
from voxplain.model import VideoModel

ready = VideoModel(net=ConvNet(), layer="pool", grid=(4, 8, 8), name="ready")
bare = ConvNet()
number = 3

def net():
    return ConvNet()

def model():
    import {name}_helper
    return ready

def needs(classes):
    return ConvNet()

def text():
    return "net"

def fails():
    return 1 / 0
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of the user's in the current folder, under a name of its own."""
    name = f"own_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(SOURCE.format(name=name))
    (tmp_path / f"{name}_helper.py").write_text("")
    (tmp_path / f"{name}_needy.py").write_text("import a_package_that_is_absent\n")
    monkeypatch.chdir(tmp_path)
    return name


def test_a_function_that_builds_a_network(module):
    path = list(sys.path)
    m = model_from_function(f"{module}:net", layer="conv2", grid=GRID, classes=("a", "b", "c", "d", "e"))
    assert (m.layer, m.grid, m.name) == ("conv2", GRID, f"{module}:net")
    assert m.embed(clips(2)).shape == (2, 6)
    assert model_from_function(f"{module}:bare", layer="pool", grid=GRID).net is sys.modules[module].bare
    assert sys.path == path


def test_a_function_that_builds_a_model(module):
    ready = model_from_function(f"{module}:model")
    assert ready is not None
    assert (ready.layer, ready.name) == ("pool", "ready")
    other = model_from_function(f"{module}:model", layer="conv1", batch_size=3)
    assert (other.layer, other.batch_size, other.name) == ("conv1", 3, "ready")
    assert other.net is ready.net


def test_no_layer_gets_a_suggestion(module):
    with pytest.raises(ModelError, match=r"a layer to explain .*, got none; layer='act' looks right"):
        model_from_function(f"{module}:net", grid=GRID)


def test_errors_of_a_users_function(module):
    path = list(sys.path)
    for where, message in {
        "no_such_module:net": "no module is called 'no_such_module'",
        f"{module}.inner:net": f"no module is called '{module}.inner'",
        f"{module}_needy:net": "needs the module 'a_package_that_is_absent', not installed",
        f"{module}:nett": f"{module} has no 'nett'; did you mean net",
        f"{module}:number": "to be a function, got int",
        f"{module}:needs": "to take no arguments .*classes",
        f"{module}:text": "to return a torch.nn.Module or a VideoModel, got str",
        f"{module}": "expected package.module:function",
        f"./{module}.py:net": "expected package.module:function, got './own_.*no path",
    }.items():
        with pytest.raises(ModelError, match=message):
            model_from_function(where, layer="pool")
    with pytest.raises(ModelError, match="field of VideoModel, got 'layot'; did you mean layout"):
        model_from_function(f"{module}:net", layer="pool", layot="BTCHW")
    with pytest.raises(ZeroDivisionError):  # the user's own error keeps its own traceback
        model_from_function(f"{module}:fails", layer="pool")
    assert sys.path == path


def test_videos_are_read_as_the_weights_were_trained(tmp_path):
    net, path = build_net("tiny", 3), tmp_path / "w.safetensors"
    facts = {"classes": '["a", "b", "c"]', "resize": "[72, 90]", "recipe": '{"stride": 2, "epochs": 1}'}
    save_weights(net, path, facts)
    reader = load_model("tiny", weights=path).reader()
    assert (reader.geometry, reader.sampler) == (Geometry((72, 90), (64, 64)), Middle(16, 2))


@pytest.mark.parametrize("broken", [{"resize": "[72]"}, {"resize": "large"}, {"recipe": "[1]"}])
def test_weights_that_say_nonsense_of_their_videos(tmp_path, broken):
    path = tmp_path / "w.safetensors"
    save_weights(build_net("tiny", 2), path, {"classes": '["a", "b"]', **broken})
    with pytest.raises(ModelError, match=r"expected sizes \[H, W\] of 1 to 8192 pixels as 'resize'"):
        load_model("tiny", weights=path)
