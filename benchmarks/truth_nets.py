"""Networks with known truth for `truth.py`: a planted set and a tiny net trained on it, per case; resumable.

A case is (design, seed, kind): `trained`; `shortcut`, a patch goes with one motion class at rate 0.95; `shuffled`,
the training labels are permuted; `random`, fresh weights. Each lives in WORK/<case>/ and is made once.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from voxplain.datasets import scan_folder
from voxplain.datasets.planted import DESIGNS, PlantedDesign, PlantedSet, write_planted
from voxplain.model import VideoModel
from voxplain.nets import NETS, build_net
from voxplain.train import EpochLog, Recipe, TrainingVideos, accuracy, load_videos, train
from voxplain.video import Geometry

RECIPE = Recipe(epochs=24, batch=32, lr=0.1, lr_step=20, flip=0.0)  # no mirrors: left and right are classes


@dataclass(frozen=True)
class Case:
    """One network with known truth."""

    kind: str
    design: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.design}-{self.seed}"

    @property
    def planted_design(self) -> PlantedDesign:
        base = DESIGNS[self.design]
        # A class by shape: a network learns motions so well that it has no need of a patch (seen at rate 0.95).
        return replace(base, shortcut=base.appearance[1]) if self.kind == "shortcut" else base


def make(case: Case, work: Path, *, per_class: int = 200, tell: bool = False) -> tuple[VideoModel, PlantedSet, float]:
    """The case's model, planted set and held-out accuracy; trains what is not yet trained."""
    home = work / case.name
    if case.kind == "random":
        per_class = 40  # none are trained on
    planted = write_planted(
        home / "videos", design=case.planted_design, train=per_class, test=40, unrelated=200, seed=case.seed
    )
    videos, held_out = (scan_folder(home / "videos", part=part) for part in ("train", "test"))
    geometry = Geometry(NETS["tiny"].resize, NETS["tiny"].crop)
    torch.manual_seed(case.seed)
    model = VideoModel(
        net=build_net("tiny", len(videos.classes)),
        layer="pool",
        grid=(16, 64, 64),
        classes=videos.classes,
        geometry=geometry,
        batch_size=32,
        name=case.name,
    )
    test = load_videos(held_out.paths, held_out.labels, geometry)
    if case.kind != "random":
        data = load_videos(videos.paths, videos.labels, geometry)
        recipe = replace(RECIPE, seed=case.seed)
        if case.kind == "shuffled":
            labels = np.random.default_rng(case.seed).permutation(data.labels)
            data, recipe = TrainingVideos(data.frames, labels), replace(recipe, epochs=10, lr_step=8)

        def say(log: EpochLog) -> None:
            if tell:
                print(f"{case.name} epoch {log.epoch}: loss {log.loss:.3f}, train {log.train_accuracy:.3f}", flush=True)

        train(model, data, geometry=geometry, recipe=recipe, checkpoint=home / "net.safetensors", on_epoch=say)
    model.net.eval()
    matrix = accuracy(model, test, geometry)
    return model, planted, float(np.trace(matrix) / matrix.sum())


CASES = (
    *(Case("trained", "held-out", seed) for seed in (101, 102, 103)),
    *(Case("shortcut", "held-out", seed) for seed in (203, 204)),
    *(Case("shuffled", "held-out", seed) for seed in (301, 302)),
    *(Case("random", "held-out", seed) for seed in (401, 402, 403, 404)),
)

if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]) if len(sys.argv) > 2 else 2)
    for wanted in CASES[int(sys.argv[3]) :: int(sys.argv[4])] if len(sys.argv) > 4 else CASES:
        print(wanted.name, "held-out accuracy", make(wanted, Path(sys.argv[1]), tell=True)[2], flush=True)
