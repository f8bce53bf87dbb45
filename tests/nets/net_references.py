"""The three networks once more, functional and from tensor names alone.

They fix the wiring, the order of joined channels and the normalisation.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from voxplain.nets.i3d import WIDTHS


def reference_c3d(w: dict[str, Tensor], x: Tensor) -> Tensor:
    for block in (["1"], ["2"], ["3a", "3b"], ["4a", "4b"], ["5a", "5b"]):
        for name in block:
            x = F.conv3d(x, w[f"conv{name}.weight"], w[f"conv{name}.bias"], padding=1).clamp(min=0)
        if block == ["5a", "5b"]:
            x = F.pad(x, (1, 1, 1, 1), value=-math.inf)  # 9×9: the last row and column have no window
        x = F.max_pool3d(x, (1, 2, 2) if block == ["1"] else 2)
    x = x.reshape(len(x), -1)
    for name in ("fc6", "fc7"):
        x = (x @ w[f"{name}.weight"].T + w[f"{name}.bias"]).clamp(min=0)
    return x @ w["fc8.weight"].T + w["fc8.bias"]


def reference_bn(w: dict[str, Tensor], name: str, x: Tensor, eps: float) -> Tensor:
    mean, var, gain, bias = (
        w[f"{name}.{part}"].reshape(-1, 1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + eps).sqrt() * gain + bias


def reference_r3d(w: dict[str, Tensor], x: Tensor) -> Tensor:
    def conv(name: str, x: Tensor, **options: object) -> Tensor:
        return reference_bn(w, f"{name}.1", F.conv3d(x, w[f"{name}.0.weight"], **options), 1e-5)

    x = conv("stem", x, stride=(1, 2, 2), padding=(1, 3, 3)).clamp(min=0)
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            name, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            y = conv(f"{name}.conv1", x, stride=stride, padding=1).clamp(min=0)
            y = conv(f"{name}.conv2", y, padding=1)
            x = (y + (conv(f"{name}.downsample", x, stride=2) if stride == 2 else x)).clamp(min=0)
    return x.mean((2, 3, 4)) @ w["fc.weight"].T + w["fc.bias"]


def reference_i3d(w: dict[str, Tensor], x: Tensor) -> Tensor:
    def sides(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> list[int]:
        out: list[int] = []
        for n, k, s in list(zip(x.shape[2:], kernel, stride, strict=True))[::-1]:
            total = max(k - (n % s or s), 0)
            out += [total // 2, total - total // 2]
        return out

    def unit(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = w[f"{name}.conv3d.weight"]
        x = F.conv3d(F.pad(x, sides(x, weight.shape[2:], (stride,) * 3)), weight, stride=stride)
        return reference_bn(w, f"{name}.bn", x, 1e-3).clamp(min=0)

    def pool(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
        return F.max_pool3d(F.pad(x, sides(x, kernel, stride)), kernel, stride)

    x = pool(unit("Conv3d_1a_7x7", x, 2), (1, 3, 3), (1, 2, 2))
    x = pool(unit("Conv3d_2c_3x3", unit("Conv3d_2b_1x1", x)), (1, 3, 3), (1, 2, 2))
    for name in WIDTHS:
        if name == "Mixed_4b":
            x = pool(x, (3, 3, 3), (2, 2, 2))
        if name == "Mixed_5b":
            x = pool(x, (2, 2, 2), (2, 2, 2))
        short = unit(f"{name}.b3b", pool(x, (3, 3, 3), (1, 1, 1)))
        one = unit(f"{name}.b1b", unit(f"{name}.b1a", x))
        two = unit(f"{name}.b2b", unit(f"{name}.b2a", x))
        x = torch.cat([unit(f"{name}.b0", x), one, two, short], 1)
    x = F.conv3d(x, w["logits.conv3d.weight"], w["logits.conv3d.bias"])
    return x.mean((2, 3, 4))
