import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from weight_files import (
    CLIP,
    blank,
    c3d_plain,
    c3d_sequential,
    i3d_imagenet,
    i3d_lower,
    numbered,
    r3d_torchvision,
    tiny_net,
)

from voxplain.errors import ModelError
from voxplain.nets import c3d, i3d, load_weights, r3d, reverse_input_channels, save_weights, weights_digest

PUBLIC = {
    "c3d.pickle": (c3d, 487, c3d_plain(), 22, "exact"),
    "r3d_18-b3b3357e.pth": (r3d, 400, r3d_torchvision(), 122, "exact"),
    "rgb_imagenet.pt": (i3d, 400, i3d_imagenet(False), 287, "exact"),
    "rgb_imagenet_counters.pt": (i3d, 400, i3d_imagenet(True), 344, "exact"),
    "kinetics400_rgb_i3d.pth": (i3d, 400, i3d_lower(), 287, "i3d-lower"),
    "kinetics400_rgb_i3d_counters.pth": (i3d, 400, i3d_lower(True), 344, "i3d-lower"),
}


@pytest.mark.parametrize("file", PUBLIC)
def test_public_files_land_in_the_right_places(file: str, tmp_path: Path) -> None:
    build, classes, pairs, count, naming = PUBLIC[file]
    assert len(pairs) == count
    net = blank(build, classes)
    state = numbered(net, pairs)
    torch.save(state, tmp_path / file, _use_new_zipfile_serialization=file != "c3d.pickle")
    report = load_weights(net, tmp_path / file)
    assert (report.naming, report.loaded) == (naming, count)
    own = net.state_dict()
    wrong = [b for a, b in pairs if not bool((own[b] == state[a]).all())]
    assert wrong == []
    untouched = set(own) - {b for _, b in pairs}
    assert set(report.fresh) == untouched
    assert all(name.endswith("num_batches_tracked") for name in untouched)


def test_c3d_pretrained_has_no_head(tmp_path: Path) -> None:
    net, pairs = blank(c3d, 6), c3d_sequential()
    state = numbered(net, pairs)
    torch.save(state, tmp_path / "c3d-pretrained.pth")
    with pytest.raises(ModelError, match=r"no head for C3D: fc8.weight, fc8.bias absent; pass head='drop'"):
        load_weights(net, tmp_path / "c3d-pretrained.pth")
    nn.init.constant_(net.fc8.weight, 0.5)
    report = load_weights(net, tmp_path / "c3d-pretrained.pth", head="drop")
    assert (report.naming, report.loaded, report.fresh) == ("c3d-sequential", 20, ("fc8.weight", "fc8.bias"))
    assert all(bool((net.state_dict()[b] == state[a]).all()) for a, b in pairs)
    assert bool((net.fc8.weight == 0.5).all())


def test_half_precision_files_load_into_float_networks(tmp_path: Path) -> None:
    source, net = tiny_net(), tiny_net(seed=1)
    save_file(
        {k: v.half() if v.is_floating_point() else v for k, v in source.state_dict().items()},
        tmp_path / "h.safetensors",
    )
    load_weights(net, tmp_path / "h.safetensors")
    weight, want = net.block1.conv.weight, source.block1.conv.weight
    assert weight.dtype == torch.float32
    assert torch.equal(weight, want.half().float())


def test_own_files_come_back_whole(tmp_path: Path) -> None:
    source, net, path = tiny_net(), tiny_net(seed=1), tmp_path / "run.safetensors"
    facts = {"classes": "bend\nwalk", "net": "tiny", "ä": "ünïcode ✓", "z": ""}
    save_weights(source, path, facts)
    report = load_weights(net, path)
    assert report.metadata == facts
    assert (report.naming, report.loaded, report.fresh) == ("exact", len(net.state_dict()), ())
    assert weights_digest(net) == weights_digest(source)
    with torch.no_grad():
        assert torch.equal(net(CLIP), source(CLIP))
    with safe_open(path, framework="pt") as file:  # the format's own reader agrees
        assert file.metadata() == facts
        assert torch.equal(file.get_tensor("head.bias"), source.head.bias)


def test_same_network_same_bytes(tmp_path: Path) -> None:
    facts = {f"key{i}": str(i) for i in range(12)}
    files = [tmp_path / f"{i}.safetensors" for i in range(4)]
    for i, file in enumerate(files):  # neither the order of metadata nor memory layout shows
        net = tiny_net().to(memory_format=torch.channels_last_3d) if i % 2 else tiny_net()
        save_weights(net, file, dict(sorted(facts.items(), reverse=bool(i % 2))))
    assert len({f.read_bytes() for f in files}) == 1
    raw = files[0].read_bytes()
    size = int.from_bytes(raw[:8], "little")
    assert size % 8 == 0
    assert list(json.loads(raw[8 : 8 + size])["__metadata__"]) == sorted(facts)


def test_tied_weights_can_be_saved(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    save_weights(net, tmp_path / "tied.safetensors", {})
    assert load_weights(net, tmp_path / "tied.safetensors").loaded == 4


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(tiny_net(), path, {})
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(ModelError, match=r"cannot write weights to .*w.safetensors: No space left"):
        save_weights(tiny_net(seed=1), path, {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_save_refuses_other_suffixes_and_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"written as .safetensors, got 'w.pt'"):
        save_weights(tiny_net(), tmp_path / "w.pt", {})
    with pytest.raises(ModelError, match=r"cannot write weights to .*No such file or directory; check"):
        save_weights(tiny_net(), tmp_path / "absent" / "w.safetensors", {})


def test_head_of_another_class_count(tmp_path: Path) -> None:
    source, net, path = tiny_net(7), tiny_net(4, seed=1), tmp_path / "w.safetensors"
    save_weights(source, path, {})
    with pytest.raises(ModelError, match=r"head for 7 classes, the network expects 4; build it with 7 .*drop"):
        load_weights(net, path)
    head = net.head.weight.clone()
    report = load_weights(net, path, head="drop")
    assert report.fresh == ("head.weight", "head.bias")
    assert torch.equal(net.head.weight, head)
    assert torch.equal(net.block4.conv.weight, source.block4.conv.weight)


def spoil(state: dict[str, Tensor], how: str) -> dict[str, Tensor]:
    state = {k: v.clone() for k, v in state.items()}
    if how == "missing":
        del state["block1.conv.weight"], state["block2.bn.bias"]
    elif how == "unexpected":
        state |= {f"extra{i}.weight": torch.ones(2) for i in range(5)}
    elif how == "shape":
        state["block2.conv.weight"] = state["block2.conv.weight"][:, :5].contiguous()
    elif how == "head input":
        state["head.weight"] = torch.ones(9, 5)
    elif how == "nan":
        state["block3.bn.bias"][1] = float("nan")
    elif how == "inf":
        state["block3.bn.running_var"][0] = float("inf")
    return state


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("missing", r"lacks 2 of \d+ tensors of Tiny: block1.conv.weight, block2.bn.bias; choose"),
        ("unexpected", r"5 tensors without a place in Tiny: extra0.weight, .* and 2 more; choose"),
        ("shape", r"than Tiny: block2.conv.weight is \[32, 5, 3, 3, 3\], expected \[32, 16, 3, 3, 3\]"),
        ("head input", r"another shape than Tiny: head.weight is \[9, 5\], expected \[4, 96\]"),
        ("nan", "NaN or infinite weights in block3.bn.bias: its training diverged"),
        ("inf", "NaN or infinite weights in block3.bn.running_var"),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(how: str, sentence: str, tmp_path: Path) -> None:
    net, path = tiny_net(), tmp_path / "w.safetensors"
    save_file(spoil(tiny_net(seed=1).state_dict(), how), path)
    before = weights_digest(net)
    with pytest.raises(ModelError, match=sentence) as caught:
        load_weights(net, path)
    assert str(path) in str(caught.value)
    assert weights_digest(net) == before


def test_a_file_for_another_network(tmp_path: Path) -> None:
    torch.save(numbered(blank(r3d, 4), r3d_torchvision()), tmp_path / "r3d.pth")
    with pytest.raises(ModelError, match=r"not for Tiny: none of its 122 tensors \(stem.0.weight, .*choose"):
        load_weights(tiny_net(), tmp_path / "r3d.pth")


def test_digest_sees_every_bit_and_nothing_else() -> None:
    net = tiny_net()
    first = weights_digest(net)
    assert first == weights_digest(tiny_net().to(memory_format=torch.channels_last_3d))
    assert first == weights_digest(tiny_net().train())
    assert len(first) == 64
    seen = {first}
    with torch.no_grad():
        net.block2.conv.weight.view(torch.int32)[0, 0, 0, 0, 0] ^= 1  # the last bit of one weight
        seen.add(weights_digest(net))
        net.block3.bn.running_mean[0] += 1
        seen.add(weights_digest(net))
        net.block3.bn.num_batches_tracked += 1
        seen.add(weights_digest(net))
    seen.add(weights_digest(net.double()))
    seen.add(weights_digest(nn.ModuleDict({"wrapped": net})))
    assert len(seen) == 6


def test_reversed_input_channels_answer_to_reversed_colours() -> None:
    net = tiny_net()
    with torch.no_grad():
        bgr = net(CLIP.flip(1))
        reverse_input_channels(net)
        assert torch.allclose(net(CLIP), bgr, atol=1e-5)
        assert not torch.allclose(net(CLIP.flip(1)), bgr, atol=1e-5)
    with pytest.raises(ModelError, match="first Conv3d with 3 input channels, found none"):
        reverse_input_channels(nn.Linear(3, 3))
