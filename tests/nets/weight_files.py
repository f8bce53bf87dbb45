"""Small nets and state dicts under the names of public files, for the tests of reading weights."""

from collections import OrderedDict
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from voxplain.nets import build_net

# Names as the public files have them, paired with the tensor here that each must land in. Written from the
# description of those files, layer by layer, not from the code under test.
Pairs = list[tuple[str, str]]
BN = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def c3d_plain() -> Pairs:
    layers = ["conv1", "conv2", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b", "fc6", "fc7", "fc8"]
    return [(f"{n}.{part}",) * 2 for n in layers for part in ("weight", "bias")]


def c3d_sequential() -> Pairs:
    layers = {
        "features.0": "conv1",
        "features.3": "conv2",
        "features.6": "conv3a",
        "features.8": "conv3b",
        "features.11": "conv4a",
        "features.13": "conv4b",
        "features.16": "conv5a",
        "features.18": "conv5b",
        "classifier.0": "fc6",
        "classifier.3": "fc7",
    }
    return [(f"{a}.{part}", f"{b}.{part}") for a, b in layers.items() for part in ("weight", "bias")]


def r3d_torchvision() -> Pairs:
    names = ["stem.0.weight", *(f"stem.1.{p}" for p in BN)]
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            for conv in (1, 2):
                at = f"layer{layer}.{block}.conv{conv}"
                names += [f"{at}.0.weight", *(f"{at}.1.{p}" for p in BN)]
            if layer > 1 and block == 0:
                at = f"layer{layer}.0.downsample"
                names += [f"{at}.0.weight", *(f"{at}.1.{p}" for p in BN)]
    return [(n, n) for n in [*names, "fc.weight", "fc.bias"]]


def i3d_units() -> Iterator[tuple[str, str]]:
    for a in ("1a_7x7", "2b_1x1", "2c_3x3"):
        yield f"conv3d_{a}", f"Conv3d_{a}"
    branches = {"0": "b0", "1.0": "b1a", "1.1": "b1b", "2.0": "b2a", "2.1": "b2b", "3.1": "b3b"}
    for block in ["3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c"]:
        for a, b in branches.items():
            yield f"mixed_{block}.branch_{a}", f"Mixed_{block}.{b}"


def i3d_lower(counters: bool = False) -> Pairs:
    parts = BN if counters else BN[:4]
    pairs = []
    for a, b in i3d_units():
        pairs += [(f"{a}.conv3d.weight", f"{b}.conv3d.weight")]
        pairs += [(f"{a}.batch3d.{p}", f"{b}.bn.{p}") for p in parts]
    return pairs + [(f"conv3d_0c_1x1.conv3d.{p}", f"logits.conv3d.{p}") for p in ("weight", "bias")]


def i3d_imagenet(counters: bool) -> Pairs:
    return [(b, b) for _, b in i3d_lower(counters)]


def blank(build: Callable[[int], nn.Module], classes: int) -> nn.Module:
    """The network with memory but without initialisation."""
    with torch.device("meta"):
        net = build(classes)
    net = net.to_empty(device="cpu")
    for tensor in net.state_dict().values():
        if tensor.numel() < 1_000_000:
            tensor.zero_()
    return net


def numbered(net: nn.Module, pairs: Pairs) -> "OrderedDict[str, Tensor]":
    """A state dict under the public names: tensor number i is full of i, and a few bytes on disk."""
    own = net.state_dict()
    return OrderedDict(
        (a, torch.tensor(i + 1, dtype=own[b].dtype).expand(own[b].shape)) for i, (a, b) in enumerate(pairs)
    )


def tiny_net(classes: int = 4, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_net("tiny", classes).eval()


CLIP = torch.randn(1, 3, 8, 16, 16, generator=torch.Generator().manual_seed(1))
