import math

import pytest
import torch
import torch.nn.functional as F
from net_references import reference_c3d, reference_i3d, reference_r3d
from torch import Tensor, nn

from voxplain.errors import ModelError
from voxplain.nets import NETS, build_net
from voxplain.nets.c3d import c3d
from voxplain.nets.i3d import Unit, i3d, pad_same
from voxplain.nets.r3d import r3d

BUILD = {"c3d": c3d, "r3d": r3d, "i3d": i3d}
PARAMETERS = {
    "c3d": {487: 79_991_015, 400: 79_634_576, 10: 78_036_746, 6: 78_020_358},
    "r3d": {400: 33_371_472, 10: 33_171_402, 6: 33_169_350},
    "i3d": {400: 12_697_264, 10: 12_297_514, 6: 12_293_414},
}
GMAC = {"c3d": 38.55, "r3d": 40.70, "i3d": 6.98}
ENDPOINTS = {
    "c3d": {
        "conv1": (64, 16, 112, 112),
        "pool1": (64, 16, 56, 56),
        "conv2": (128, 16, 56, 56),
        "pool2": (128, 8, 28, 28),
        "conv3b": (256, 8, 28, 28),
        "pool3": (256, 4, 14, 14),
        "conv4b": (512, 4, 14, 14),
        "pool4": (512, 2, 7, 7),
        "relu5b": (512, 2, 7, 7),
        "pool5": (512, 1, 4, 4),
        "fc6": (4096,),
        "relu7": (4096,),
        "fc8": (10,),
    },
    "r3d": {
        "stem": (64, 16, 56, 56),
        "layer1": (64, 16, 56, 56),
        "layer2": (128, 8, 28, 28),
        "layer3": (256, 4, 14, 14),
        "layer4": (512, 2, 7, 7),
        "avgpool": (512, 1, 1, 1),
        "fc": (10,),
    },
    "i3d": {
        "Conv3d_1a_7x7": (64, 8, 56, 56),
        "MaxPool3d_2a_3x3": (64, 8, 28, 28),
        "Conv3d_2b_1x1": (64, 8, 28, 28),
        "Conv3d_2c_3x3": (192, 8, 28, 28),
        "MaxPool3d_3a_3x3": (192, 8, 14, 14),
        "Mixed_3b": (256, 8, 14, 14),
        "Mixed_3c": (480, 8, 14, 14),
        "MaxPool3d_4a_3x3": (480, 4, 7, 7),
        "Mixed_4b": (512, 4, 7, 7),
        "Mixed_4d": (512, 4, 7, 7),
        "Mixed_4e": (528, 4, 7, 7),
        "Mixed_4f": (832, 4, 7, 7),
        "MaxPool3d_5a_2x2": (832, 2, 4, 4),
        "Mixed_5b": (832, 2, 4, 4),
        "Mixed_5c": (1024, 2, 4, 4),
        "avgpool": (1024, 1, 1, 1),
        "logits": (10, 1, 1, 1),
    },
}


def on_meta(name: str, classes: int = 10) -> nn.Module:
    """The network without memory or arithmetic: shapes and counts only."""
    with torch.device("meta"):
        return BUILD[name](classes).eval()


def watch(net: nn.Module, clips: Tensor) -> tuple[dict[str, list[Tensor]], Tensor]:
    """Every output of every submodule during one forward, and the logits."""
    seen: dict[str, list[Tensor]] = {name: [] for name, _ in net.named_modules() if name}
    hooks = [
        net.get_submodule(name).register_forward_hook(lambda m, i, out, name=name: seen[name].append(out))
        for name in seen
    ]
    with torch.no_grad():
        logits = net(clips)
    for hook in hooks:
        hook.remove()
    return seen, logits


def clips(*shape: int, device: str = "meta") -> Tensor:
    if device == "meta":
        return torch.empty(shape, device="meta")
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(("name", "classes"), [(n, k) for n, counts in PARAMETERS.items() for k in counts])
def test_parameter_count(name: str, classes: int) -> None:
    assert sum(p.numel() for p in on_meta(name, classes).parameters()) == PARAMETERS[name][classes]


@pytest.mark.parametrize(("name", "count"), [("c3d", 22), ("r3d", 122), ("i3d", 344)])
def test_number_of_tensors_in_a_checkpoint(name: str, count: int) -> None:
    assert len(on_meta(name).state_dict()) == count


@pytest.mark.parametrize("name", GMAC)
def test_multiply_accumulates(name: str) -> None:
    net, total = on_meta(name), 0
    seen, _ = watch(net, clips(1, 3, 16, 112, 112))
    for layer, outputs in seen.items():
        module = net.get_submodule(layer)
        if isinstance(module, (nn.Conv3d, nn.Linear)):
            total += outputs[0].numel() * module.weight[0].numel()
    assert total / 1e9 == pytest.approx(GMAC[name], abs=0.005)


@pytest.mark.parametrize("name", ENDPOINTS)
def test_endpoint_shapes(name: str) -> None:
    seen, logits = watch(on_meta(name), clips(2, 3, 16, 112, 112))
    assert {k: tuple(seen[k][0].shape) for k in ENDPOINTS[name]} == {k: (2, *v) for k, v in ENDPOINTS[name].items()}
    assert logits.shape == (2, 10)


@pytest.mark.parametrize("name", BUILD)
def test_no_module_is_reused_and_no_relu_works_in_place(name: str) -> None:
    net = on_meta(name)
    seen, _ = watch(net, clips(1, 3, 16, 112, 112))
    assert {k: len(v) for k, v in seen.items() if len(v) != 1} == {}
    relus = [m for m in net.modules() if isinstance(m, nn.ReLU)]
    assert len(relus) == {"c3d": 10, "r3d": 17, "i3d": 57}[name]
    assert not any(m.inplace for m in relus)


@pytest.mark.parametrize("shape", [(1, 3, 8, 112, 112), (1, 3, 16, 128, 112), (1, 16, 3, 112, 112), (3, 16, 112, 112)])
def test_c3d_refuses_other_sizes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"needs clips of shape \[B, 3, 16, 112, 112\], got .*; sample 16"):
        on_meta("c3d")(clips(*shape))


@pytest.mark.parametrize("name", ["r3d", "i3d"])
@pytest.mark.parametrize("grid", [(16, 224, 224), (64, 112, 112), (5, 37, 50), (1, 8, 8)])
def test_other_sizes_give_one_row_of_logits(name: str, grid: tuple[int, int, int]) -> None:
    seen, logits = watch(on_meta(name), clips(2, 3, *grid))
    assert logits.shape == (2, 10)
    assert seen["avgpool"][0].shape[2:] == (1, 1, 1)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (7, 1), (2, 2), (3, 2), (7, 2), (7, 3)])
@pytest.mark.parametrize("size", [1, 5, 8, 13, 112])
def test_same_padding_as_tensorflow_defines_it(kernel: int, stride: int, size: int) -> None:
    # the rule in TensorFlow's guide, by cases of size % stride
    total = max(kernel - stride, 0) if size % stride == 0 else max(kernel - size % stride, 0)
    x = torch.arange(1.0, size + 1).reshape(1, 1, size, 1, 1)
    padded = pad_same(x, (kernel, 1, 1), (stride, 1, 1)).flatten()
    expected = [0.0] * (total // 2) + x.flatten().tolist() + [0.0] * (total - total // 2)
    assert padded.tolist() == expected


def test_same_padding_treats_each_axis_by_its_own_size() -> None:
    padded = pad_same(torch.ones(1, 1, 16, 113, 7), (7, 7, 3), (2, 2, 1))
    assert padded.shape == (1, 1, 16 + 5, 113 + 6, 7 + 2)
    assert padded[0, 0, :, 56, 3].tolist() == [0.0] * 2 + [1.0] * 16 + [0.0] * 3


def test_i3d_head_is_the_published_one_where_that_one_fits() -> None:
    maps = clips(2, 1024, 2, 7, 7, device="cpu")  # Mixed_5c at 16×224×224
    assert torch.allclose(i3d(2).avgpool(maps), F.avg_pool3d(maps, (2, 7, 7), (1, 1, 1)), atol=1e-6)


def shaken(net: nn.Module) -> nn.Module:
    """NetworkFactory weights with biases, gains and running statistics away from 0 and 1, so that each one shows."""
    g = torch.Generator().manual_seed(5)
    for name, tensor in net.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            tensor.normal_(0, 0.2, generator=g)
        elif tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5, generator=g)
    return net.eval()


@pytest.mark.parametrize(
    ("name", "reference", "grid"),
    [
        ("c3d", reference_c3d, (16, 112, 112)),
        ("r3d", reference_r3d, (9, 40, 33)),
        ("i3d", reference_i3d, (16, 56, 50)),
        ("i3d", reference_i3d, (13, 45, 64)),
    ],
)
def test_forward_agrees_with_a_functional_reference(name: str, reference, grid: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    net, x = shaken(BUILD[name](7)), clips(1, 3, *grid, device="cpu")
    seen, logits = watch(net, x)
    assert torch.allclose(logits, reference(net.state_dict(), x), rtol=1e-3, atol=1e-4 * float(logits.std()))
    feature = seen[NETS[name].feature_layer][0].flatten(1)
    head = list(net.state_dict().values())[-2:]
    assert torch.allclose(logits, F.linear(feature, head[0].flatten(1), head[1]), atol=1e-4)  # feature → head


@pytest.mark.parametrize("name", BUILD)
def test_fresh_weights_keep_the_signal_and_start_undecided(name: str) -> None:
    torch.manual_seed(0)
    net = BUILD[name](10)
    batch, grid = (1, (16, 112, 112)) if name == "c3d" else (2, (8, 64, 64))
    net.train(name != "c3d")  # fresh running statistics normalise nothing; C3D has none
    seen, logits = watch(net, clips(batch, 3, *grid, device="cpu"))
    assert 0.1 < float(seen[NETS[name].cam_layer][0].std()) < 10
    loss = F.cross_entropy(logits, torch.zeros(batch, dtype=torch.long))
    assert float(loss) == pytest.approx(math.log(10), abs=0.7)


@pytest.mark.parametrize("name", ["r3d", "i3d"])
def test_weights_follow_the_seed(name: str) -> None:
    def first(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return next(BUILD[name](3).parameters())

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


def test_batch_norm_of_i3d() -> None:
    norms = [m.bn for m in on_meta("i3d").modules() if isinstance(m, Unit)]
    assert {(bn.eps, bn.momentum) for bn in norms} == {(1e-3, 0.01)}
    assert len(norms) == 57


@pytest.mark.parametrize("name", NETS)
def test_every_spec_fits_its_network(name: str) -> None:
    spec = NETS[name]
    with torch.device("meta"):
        net = build_net(name, 6).eval()
    seen, logits = watch(net, clips(2, 3, spec.frames, *spec.crop))
    assert logits.shape == (2, 6)
    assert seen[spec.feature_layer][0].flatten(1).ndim == 2
    assert seen[spec.feature_layer][0].flatten(1).shape[1] >= 64
    maps = seen[spec.cam_layer][0]
    assert maps.ndim == 5 or name.startswith("vit")  # tokens
    assert min(maps.shape[2:] if maps.ndim == 5 else maps.shape[1:2]) > 1
    assert all(c <= r for c, r in zip(spec.crop, spec.resize, strict=True))
    assert all(0 < m < 1 for m in spec.mean)
    assert all(0 < s < 1 for s in spec.std)


def test_unknown_network_gets_a_suggestion() -> None:
    with pytest.raises(ModelError, match=r"'R3D-18'; did you mean 'r3d'\? Known are tiny, compact, c3d"):
        build_net("R3D-18", 3)
    with pytest.raises(ModelError, match=r"'swin'; Known are"):
        build_net("swin", 3)
    with pytest.raises(ModelError, match="2 or more classes, got 1"):
        build_net("r3d", 1)
