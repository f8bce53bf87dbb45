"""Run by `test_processes.py` in one process or by torchrun in two: trains a net without BatchNorm on made videos.

Arguments: output folder, then the words of a `voxplain train` command to run afterwards.
"""

import atexit
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from voxplain.cli import main
from voxplain.model import VideoModel
from voxplain.train import Recipe, TrainingVideos, launched, train
from voxplain.video import Geometry


def videos(count: int) -> TrainingVideos:
    rng = np.random.default_rng(count)
    made = tuple(rng.integers(0, 255, (6 + i % 3, 10, 12, 3)).astype(np.uint8) for i in range(count))
    return TrainingVideos(made, np.arange(count) % 3)


def run(output: Path) -> None:
    processes = launched("cpu")
    torch.manual_seed(processes.rank)  # another start in each process: the first one's must reach all
    net = nn.Sequential(nn.Conv3d(3, 6, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(6, 3))
    model = VideoModel(net=net, layer="0", grid=(4, 8, 8), classes=("a", "b", "c"))
    recipe = Recipe(epochs=3, batch=5, micro_batch=2, lr=0.1, lr_step=2, weight_decay=0.01)
    logs = train(
        model,
        videos(14),
        geometry=Geometry((10, 12), (8, 8)),
        recipe=recipe,
        test=videos(7),
        processes=processes,
        checkpoint=output / "state.safetensors",
        on_epoch=lambda log: print(f"epoch {log.epoch} of {processes.count}", flush=True),
    )
    save_file(net.state_dict(), output / f"rank{processes.rank}.safetensors")
    (output / f"rank{processes.rank}.json").write_text(json.dumps([asdict(log) for log in logs]))


def told_at_exit(file: Path) -> None:
    """Whether the connections are closed, and their threads gone, when the interpreter begins to end."""
    tasks = Path("/proc/self/task")
    file.write_text(str(sum(1 for _ in tasks.iterdir()) if tasks.is_dir() else 1))


if __name__ == "__main__":
    atexit.register(told_at_exit, Path(sys.argv[1]) / f"threads{os.environ.get('RANK', 0)}")  # first in, last out
    torch.set_num_threads(1)
    run(Path(sys.argv[1]))
    if sys.argv[2:]:
        sys.argv = ["voxplain", *sys.argv[2:]]
        main()
