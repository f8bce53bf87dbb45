"""How fast the network alone can be on this machine: what no pipeline around it can beat."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import nn

from reference_ours import Task, model_of
from voxplain.inference import Inference, one_thread, replicas
from voxplain.model import VideoModel


def floor(task: Task, precision: str, seconds: float) -> dict[str, Any]:
    """Clips a second of the network alone at its best: every way to use all cores, for ``seconds`` each."""
    workers = os.cpu_count() or 1
    frames = np.random.default_rng(0).integers(0, 256, (8, *task.grid, 3), np.uint8)
    plain = model_of(task)
    fast = Inference(precision="bf16" if precision == "bfloat16" else "fp32", min_cosine=-1.0)(plain, frames).model
    model = fast if fast.dtype is getattr(torch, precision) else plain
    rates = {}
    for batch in (2, 4, 8):
        x = model.prepare(np.resize(frames, (batch, *task.grid, 3)))
        rates[f"{workers} threads with batches of {batch}"] = side_by_side(model, x, workers, seconds)
        rates[f"batches of {batch} on all cores"] = rate(model.net, x, seconds)
    best = max(rates, key=lambda k: rates[k])
    return {"clips_per_s": rates[best], "way": best, "rates": rates}


@torch.no_grad()
def rate(net: nn.Module, x: torch.Tensor, seconds: float) -> float:
    """Clips a second of one caller."""
    net(x)
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds or not done:
        net(x)
        done += len(x)
    return done / (time.perf_counter() - start)


def side_by_side(model: VideoModel, x: torch.Tensor, workers: int, seconds: float) -> float:
    """Clips a second of as many callers as there are cores, each on one."""

    def one(net: nn.Module) -> float:
        with one_thread():
            return rate(net, x, seconds)

    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(one, [copy.net for copy in replicas(model, workers)]))
