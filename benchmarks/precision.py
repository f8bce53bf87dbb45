"""Ways to run a network side by side: seconds a clip, and how far features and gradients move.

    python benchmarks/precision.py [tiny compact r3d c3d i3d] [--clips 8] [--batch 4] [--repeats 3] [--no-compile]

Ways: fp32 as the network is; fp32 with batch norm folded and channels last; bf16 weights of that; the bf16 network
through torch.compile, whole and frozen (as fast as it gets here, and not a way of the library: its layers can no longer
be watched); int8, every convolution static and per channel, calibrated on other clips than it is judged on (networks of
convolutions, ReLU, additions and pooling: tiny, compact, r3d). Clips are planted ones, each masked but for one box, as
crops of supervoxels are; the weights are fresh, with batch norm statistics from such clips. One thread, one process,
the ways in turn; the least processor time of the repeats counts. Prints one line a way; the last line is one JSON
object.
"""

import argparse
import copy
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from voxplain.datasets.planted import DESIGNS, draw_scene, render
from voxplain.inference import fidelity, flops, fold, sample_outputs
from voxplain.model import VideoModel
from voxplain.nets import NETS, build_net
from voxplain.nets.r3d import Add

WIDE = torch.channels_last_3d
VNNI = getattr(torch.cpu, "_is_vnni_supported", lambda: False)()
STEPS = 255 if VNNI else 127
INT8 = ("tiny", "compact", "r3d")


def masked_clips(count: int, grid: tuple[int, int, int], seed: int) -> np.ndarray:
    """Planted clips at the grid's size, grey but for a random box, uint8 [N,T,H,W,3]."""
    t, h, w = grid
    design, rng, made = DESIGNS["standard"], np.random.default_rng(seed), []
    for i in range(count):
        scene = draw_scene(design, design.classes[i % len(design.classes)], seed + i)
        clip = np.stack([np.asarray(Image.fromarray(f).resize((w, h))) for f in render(scene, codec=False)[:t]])
        y, x = rng.integers(0, h // 2), rng.integers(0, w // 2)
        masked = np.full_like(clip, 127)
        masked[:, y : y + h // 2, x : x + w // 2] = clip[:, y : y + h // 2, x : x + w // 2]
        made.append(masked)
    return np.stack(made)


def fresh(name: str, batch: int, calibration: int = 8) -> tuple[VideoModel, np.ndarray]:
    """A network with fresh weights whose batch norms have seen masked clips; and those clips."""
    torch.manual_seed(0)
    spec, net = NETS[name], build_net(name, 10)
    grid = (spec.frames, *spec.crop)
    model = VideoModel(net=net, layer=spec.feature_layer, mean=spec.mean, std=spec.std, grid=grid, batch_size=batch)
    clips = masked_clips(calibration, grid, 1000)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm3d):
            m.momentum = None  # the mean of all batches
    if any(isinstance(m, nn.BatchNorm3d) for m in net.modules()):
        with torch.no_grad():
            for i in range(0, calibration, batch):
                net.train()(model.prepare(clips[i : i + batch]))
    net.eval()
    return model, clips


class QuantConv(nn.Module):
    """A convolution in 8 bits: input and output are quantised tensors."""

    def __init__(self, conv: nn.Conv3d, relu: bool, source: tuple[float, int], scale: float, zero: int) -> None:
        super().__init__()
        self.run = torch.ops.quantized.conv3d_relu if relu else torch.ops.quantized.conv3d
        weight = conv.weight.detach().contiguous(memory_format=WIDE)
        steps = weight.abs().amax((1, 2, 3, 4)).clamp_min(1e-12) / 127
        packed = torch.quantize_per_channel(
            weight, steps.double(), torch.zeros(len(steps), dtype=torch.long), 0, torch.qint8
        )
        self.packed = torch.ops.quantized.conv3d_prepack(
            packed, conv.bias, list(conv.stride), list(conv.padding), list(conv.dilation), conv.groups
        )
        self.source, self.scale, self.zero = source, scale, zero

    def forward(self, x: Tensor) -> Tensor:
        if not x.is_quantized:
            x = torch.quantize_per_tensor(x.contiguous(memory_format=WIDE), *self.source, torch.quint8)
        return self.run(x, self.packed, self.scale, self.zero)


class QuantAdd(nn.Module):
    def __init__(self, scale: float, zero: int) -> None:
        super().__init__()
        self.scale, self.zero = scale, zero

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.ops.quantized.add(a, b, self.scale, self.zero)


class Back(nn.Module):
    """The pool at the end, back in float32 before it."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x.dequantize())


def affine(low: float, high: float) -> tuple[float, int]:
    """Scale and zero of the steps over a range; a bit less where sums of products overflow 16 bits (no VNNI)."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, 1e-8) / STEPS
    return scale, round(-low / scale)


def quantised(model: VideoModel, clips: np.ndarray) -> VideoModel:
    """The network, batch norm folded, with all convolutions and additions in 8 bits; ranges are least and largest."""
    net = copy.deepcopy(model.net)
    ranges: dict[str, list[float]] = {}

    def note(key: str, x: Tensor) -> None:
        old = ranges.get(key, [0.0, 0.0])
        ranges[key] = [min(old[0], float(x.min())), max(old[1], float(x.max()))]

    def watched(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            note(f"{name}<", inputs[0])
            # Only what a ReLU lets through needs steps.
            note(name, output.relu() if name in rectified else output)

        return hook

    parts = {n: m for n, m in net.named_modules() if isinstance(m, nn.Conv3d | Add)}
    rectified = set()
    for name, block in net.named_modules():
        children = [(c, m) for c, m in block.named_children() if not isinstance(m, nn.Identity)]
        pairs = pairwise(children) if isinstance(block, nn.Sequential) else ()
        rectified |= {
            f"{name}.{c}".lstrip(".") for (c, m), (_, n) in pairs if isinstance(m, nn.Conv3d) and isinstance(n, nn.ReLU)
        }
    for name, part in parts.items():
        part.register_forward_hook(watched(name))
    replace(model, net=net).logits(clips)
    for name, part in parts.items():
        parent, _, child = name.rpartition(".")
        out, source = affine(*ranges[name]), affine(*ranges[f"{name}<"])
        new = QuantConv(part, name in rectified, source, *out) if isinstance(part, nn.Conv3d) else QuantAdd(*out)
        setattr(net.get_submodule(parent), child, new)
    setattr(net, model.layer, Back(net.get_submodule(model.layer)))
    return replace(model, net=net, channels_last=True)


def compiled(model: VideoModel, clips: np.ndarray) -> Callable[[], object]:
    """One pass of the whole network, compiled and frozen; no feature is seen."""
    import torch._inductor.config as inductor

    inductor.freezing = True
    net = torch.compile(copy.deepcopy(model.net), dynamic=False)

    @torch.no_grad()
    def run() -> Tensor:
        return torch.cat(
            [net(model.prepare(clips[i : i + model.batch_size])) for i in range(0, len(clips), model.batch_size)]
        )

    run()
    return run


def rewrites(name: str, batch: int, clips: int) -> tuple[VideoModel, dict[str, VideoModel], np.ndarray]:
    model, calibration = fresh(name, batch)
    shown = masked_clips(clips, model.grid, 0)
    folded = fold(model, shown)[0]
    exact = replace(model, net=copy.deepcopy(folded).to(memory_format=WIDE), channels_last=True)
    made = {"fp32": model, "fp32-folded": exact, "bf16": replace(exact, net=copy.deepcopy(exact.net).bfloat16())}
    if name in INT8 and torch.backends.quantized.supported_engines:
        made["int8"] = quantised(replace(model, net=folded), calibration)
    return model, made, shown


def compare(name: str, args: argparse.Namespace) -> dict[str, Any]:
    model, made, shown = rewrites(name, args.batch, args.clips)
    runs: dict[str, Callable[[], object]] = {k: lambda m=m: m.embed(shown) for k, m in made.items()}
    if args.compile:
        try:
            runs["bf16-compiled"] = compiled(made["bf16"], shown)
        except Exception as error:
            print(f"{name}: bf16-compiled does not run ({type(error).__name__})")
    least: dict[str, float] = {}
    for _ in range(args.repeats + 1):  # the first prepares
        for way, run in runs.items():
            start = time.process_time()
            run()
            least[way] = min(least.get(way, float("inf")), time.process_time() - start)
    truth, count = sample_outputs(model, shown), flops(model)
    figures: dict[str, Any] = {}
    for way, seconds in least.items():
        a_clip = seconds / len(shown)
        row = {"ms": a_clip * 1e3, "faster": least["fp32"] / seconds, "gflops": count / a_clip / 1e9}
        if way in made:
            close = fidelity(truth, sample_outputs(made[way], shown, truth.target))
            row |= {"cosine": close.cosine, "centred_cosine": close.centred_cosine, "relative_gap": close.relative_gap}
        figures[way] = {k: round(v, 6) for k, v in row.items()}
        words = "".join(f"  {k} {v:.5g}" for k, v in figures[way].items())
        print(f"{name:8}{way:15}{words}", flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nets", nargs="*", default=list(NETS))
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", message="torch.quantize_per|.*quantized.*deprecated|torch.ao")
    torch.set_num_threads(1)
    print(json.dumps({name: compare(name, args) for name in args.nets}))


if __name__ == "__main__":
    main()
