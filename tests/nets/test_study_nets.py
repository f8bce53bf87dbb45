"""R(2+1)D, ResNet-LSTM, TSM, ConvLSTM and video transformers: counts, second implementations, and that they learn."""

import importlib.util

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from voxplain.model import VideoModel
from voxplain.nets import NETS, build_net
from voxplain.nets.convlstm import ConvLSTMLayer
from voxplain.nets.tsm import TemporalShift
from voxplain.nets.vit import Attention, VideoTransformer
from voxplain.train import Recipe, TrainingVideos, train
from voxplain.video import Geometry

SMALL = ("r2plus1d_compact", "resnet_lstm_compact", "tsm_compact", "convlstm", "vit", "vit_divided")


def shaken(net: nn.Module) -> nn.Module:
    """The network with biases, gains and running statistics away from 0 and 1, so that each one shows."""
    g = torch.Generator().manual_seed(5)
    for name, tensor in net.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            tensor.normal_(0, 0.2, generator=g)
        elif tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5, generator=g)
    return net.eval()


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def split_block(inputs: int, outputs: int) -> int:
    middle = inputs * outputs * 27 // (inputs * 9 + 3 * outputs)
    first = inputs * middle * 9 + 2 * middle + middle * outputs * 3 + 2 * outputs
    second = outputs * middle * 9 + 2 * middle + middle * outputs * 3 + 2 * outputs
    return first + second + (inputs * outputs + 2 * outputs if inputs != outputs else 0)


def residual(width: int, blocks: tuple[int, ...]) -> int:
    """Weights of a ResNet of bottlenecks without its head."""
    total, inputs = 3 * width * 49 + 2 * width, width
    for i, count in enumerate(blocks):
        w = width * 2**i
        for j in range(count):
            total += inputs * w + 9 * w * w + 4 * w * w + 2 * (w + w + 4 * w)
            total += inputs * 4 * w + 8 * w if j == 0 else 0
            inputs = 4 * w
    return total


def lstm_head(width: int) -> int:
    dense = 32 * width * 16 * width + 16 * width + 16 * width * 8 * width + 8 * width
    return dense + 4 * 4 * width * (8 * width + 4 * width) + 8 * 4 * width


def transformer(width: int, depth: int, extra: int) -> int:
    attention = 2 * width + 4 * width * width + 4 * width
    mlp = 2 * width + 8 * width * width + 5 * width
    return 3 * 128 * width + width + depth * (attention * extra + mlp) + 2 * width


PARAMETERS = {  # of K classes, constant and for each class
    "r2plus1d": (31_505_325 - 400 * 513, 513),  # torchvision states 31,505,325 for 400 classes
    "r2plus1d_compact": (
        3 * 11 * 49 + 22 + 3 * 11 * 16 + 32 + sum(map(split_block, (16, 16, 32, 64), (16, 32, 64, 128))),
        129,
    ),
    "tsm": (23_508_032, 2049),  # torchvision states 25,557,032 for resnet50 with 1,000 classes
    "tsm_compact": (residual(16, (1, 1, 1, 1)), 513),
    "resnet_lstm": (residual(64, (3, 4, 6, 3)) + lstm_head(64), 257),
    "resnet_lstm_compact": (residual(16, (1, 1, 1, 1)) + lstm_head(16), 65),
    "convlstm": (3 * 32 * 25 + 64 + (32 + 64) * 64 * 9 + 256 + 2 * (128 * 256 * 9 + 256), 65),
    "vit": (transformer(96, 4, 1), 97),
    "vit_divided": (transformer(96, 4, 2), 97),
}


@pytest.mark.parametrize("classes", [3, 400])
@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_count(name: str, classes: int) -> None:
    constant, each = PARAMETERS[name]
    with torch.device("meta"):
        net = build_net(name, classes)
    assert sum(p.numel() for p in net.parameters()) == constant + classes * each
    assert residual(64, (3, 4, 6, 3)) == 25_557_032 - 1000 * 2049


def norm(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    p = (state[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, *p)


def test_r2plus1d_agrees_with_a_functional_reference() -> None:
    net, x = shaken(build_net("r2plus1d_compact", 5)), noise(2, 3, 5, 20, 24)
    s = net.state_dict()

    def pair(x: Tensor, at: str, stride: int) -> Tensor:
        x = F.conv3d(x, s[f"{at}.0.weight"], stride=(1, stride, stride), padding=(0, 1, 1))
        return F.conv3d(F.relu(norm(x, s, f"{at}.1")), s[f"{at}.3.weight"], stride=(stride, 1, 1), padding=(1, 0, 0))

    h = F.relu(norm(F.conv3d(x, s["stem.0.weight"], stride=(1, 2, 2), padding=(0, 3, 3)), s, "stem.1"))
    h = F.relu(norm(F.conv3d(h, s["stem.3.weight"], padding=(1, 0, 0)), s, "stem.4"))
    for i in range(1, 5):
        at, stride = f"layer{i}.0", 1 if i == 1 else 2
        out = norm(
            pair(F.relu(norm(pair(h, f"{at}.conv1.0", stride), s, f"{at}.conv1.1")), f"{at}.conv2.0", 1),
            s,
            f"{at}.conv2.1",
        )
        if i > 1:
            h = norm(F.conv3d(h, s[f"{at}.downsample.0.weight"], stride=stride), s, f"{at}.downsample.1")
        h = F.relu(out + h)
    truth = F.linear(h.mean((2, 3, 4)), s["fc.weight"], s["fc.bias"])
    torch.testing.assert_close(net(x), truth, rtol=1e-4, atol=1e-5)


def frames_in_batch(net: nn.Module, x: Tensor, shift: bool) -> Tensor:
    """Maps [B·T,C,h,w] of the trunk by 2D convolutions of frames in the batch, as 2D networks are written."""
    b, t = x.shape[0], x.shape[2]
    s = {k: v.squeeze(2) if v.ndim == 5 else v for k, v in net.trunk.state_dict().items()}
    h = F.conv2d(x.transpose(1, 2).flatten(0, 1), s["conv1.weight"], stride=2, padding=3)
    h = F.max_pool2d(F.relu(norm(h, s, "bn1")), 3, 2, 1)
    for i in range(1, 5):
        at, stride = f"layer{i}.0", 1 if i == 1 else 2
        moved = h
        if shift:  # as in the code of TSM, which writes into a buffer
            v, n = h.view(b, t, *h.shape[1:]), h.shape[1] // 8
            moved = torch.zeros_like(v)
            moved[:, :-1, :n], moved[:, 1:, n : 2 * n] = v[:, 1:, :n], v[:, :-1, n : 2 * n]
            moved[:, :, 2 * n :] = v[:, :, 2 * n :]
            moved = moved.flatten(0, 1)
        out = F.relu(norm(F.conv2d(moved, s[f"{at}.conv1.weight"]), s, f"{at}.bn1"))
        out = F.relu(norm(F.conv2d(out, s[f"{at}.conv2.weight"], stride=stride, padding=1), s, f"{at}.bn2"))
        out = norm(F.conv2d(out, s[f"{at}.conv3.weight"]), s, f"{at}.bn3")
        h = F.relu(out + norm(F.conv2d(h, s[f"{at}.downsample.0.weight"], stride=stride), s, f"{at}.downsample.1"))
    return h


def test_tsm_agrees_with_frames_in_the_batch() -> None:
    net, x = shaken(build_net("tsm_compact", 5)), noise(2, 3, 4, 40, 64)
    logits = net.fc(frames_in_batch(net, x, shift=True).mean((2, 3))).view(2, 4, 5).mean(1)
    torch.testing.assert_close(net(x), logits, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(net(x), net(x.flip(2)), atol=1e-4)


def test_resnet_lstm_agrees_with_frames_in_the_batch_and_an_lstm_by_hand() -> None:
    net, x = shaken(build_net("resnet_lstm_compact", 5)), noise(2, 3, 3, 40, 64)
    rows = frames_in_batch(net, x, shift=False).mean((2, 3)).view(2, 3, -1)
    rows = F.relu(net.fc7(F.relu(net.fc6(rows))))
    h = c = torch.zeros(2, 64)
    logits = []
    for row in rows.unbind(1):
        z = row @ net.lstm.weight_ih_l0.T + net.lstm.bias_ih_l0 + h @ net.lstm.weight_hh_l0.T + net.lstm.bias_hh_l0
        i, f, g, o = z.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        logits.append(net.fc(h))
    torch.testing.assert_close(net(x), torch.stack(logits).mean(0), rtol=1e-4, atol=1e-5)


def test_shift_by_hand() -> None:
    x = torch.arange(1.0, 17).view(1, 8, 2, 1, 1)  # one channel of eight each way
    found = TemporalShift()(x)[0, :, :, 0, 0]
    assert found[0].tolist() == [2, 0]
    assert found[1].tolist() == [0, 3]
    assert torch.equal(found[2:], x[0, 2:, :, 0, 0])


def test_convlstm_at_one_position_is_an_lstm() -> None:
    layer, lstm = ConvLSTMLayer(3, 4), nn.LSTM(3, 4, batch_first=True)
    with torch.no_grad():
        centre = layer.gates.weight[:, :, 1, 1]
        lstm.weight_ih_l0.copy_(centre[:, :3])
        lstm.weight_hh_l0.copy_(centre[:, 3:])
        lstm.bias_ih_l0.copy_(layer.gates.bias)
        lstm.bias_hh_l0.zero_()
    x = noise(2, 3, 6, 1, 1)
    torch.testing.assert_close(layer(x).flatten(2), lstm(x.flatten(2).transpose(1, 2))[0].transpose(1, 2))


def test_attention_is_that_of_torch() -> None:
    own, theirs = Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": own.qkv.weight,
            "in_proj_bias": own.qkv.bias,
            "out_proj.weight": own.out.weight,
            "out_proj.bias": own.out.bias,
        }
    )
    x = noise(2, 5, 12)
    torch.testing.assert_close(own(x), theirs(x, x, x, need_weights=False)[0])


@pytest.mark.parametrize("axis", ["time", "attention"])
def test_divided_attention_compares_within_time_or_within_space(axis: str) -> None:
    net = shaken(VideoTransformer(3, divided=True, width=12, heads=2, depth=1, tubelet=(1, 4, 4)))
    block = net.blocks[0]
    other = block.attention if axis == "time" else block.time
    with torch.no_grad():
        other.out.weight.zero_()
        other.out.bias.zero_()
    tokens = noise(1, 3 * 4, 12).requires_grad_()  # 3 frames of 4 places
    block(tokens, 3)[0, 5].sum().backward()  # frame 1, place 1
    reached = {divmod(i, 4) for i in torch.nonzero(tokens.grad[0].abs().sum(1)).flatten().tolist()}
    assert reached == ({(0, 1), (1, 1), (2, 1)} if axis == "time" else {(1, p) for p in range(4)})


def test_positions_tell_tokens_apart() -> None:
    net = shaken(build_net("vit", 3))
    x = noise(1, 3, 8, 32, 32)
    assert not torch.allclose(net(x), net(x.flip(2)), atol=1e-4)
    assert not torch.allclose(net(x), net(x.flip(4)), atol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_they_learn_by_the_recipe(name: str) -> None:
    """Four videos, dark in the left or the right half: the last losses are far below chance."""
    spec, rng, grid = NETS[name], np.random.default_rng(0), (4, 32, 32)
    videos = rng.integers(0, 256, (4, 5, 32, 32, 3)).astype(np.uint8)
    videos[::2, :, :, :16] //= 16
    videos[1::2, :, :, 16:] //= 16
    torch.manual_seed(0)
    net = build_net(name, 2)
    for part in net.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0
    model = VideoModel(net=net, layer=spec.feature_layer, mean=spec.mean, std=spec.std, grid=grid)
    # flips would swap the classes
    recipe = Recipe(epochs=40, batch=4, lr=0.05 if name == "convlstm" else 0.02, flip=0)
    data = TrainingVideos(tuple(videos), np.array([0, 1, 0, 1]))
    losses = [log.loss for log in train(model, data, geometry=Geometry((32, 32), (32, 32)), recipe=recipe)]
    assert np.mean(losses[-3:]) < 0.5 * np.log(2), losses


def test_r2plus1d_takes_the_weights_of_torchvision() -> None:
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    from voxplain.zoo.libraries import import_library

    theirs = shaken(import_library("torchvision", "torchvision").models.video.r2plus1d_18(weights=None, num_classes=5))
    own = build_net("r2plus1d", 5).eval()
    own.load_state_dict(theirs.state_dict())
    x = noise(1, 3, 4, 32, 32)
    torch.testing.assert_close(own(x), theirs(x), rtol=1e-4, atol=1e-5)
