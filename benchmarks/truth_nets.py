"""Networks with known truth for `truth.py`: a planted set and a network trained on it, per case; resumable.

A case is (kind, design, seed, network, number of classes). Kinds: `trained`; `shortcut`, a patch goes with one shape
class at rate 0.95; `shuffled`, the training labels are permuted; `random`, fresh weights. Each lives in WORK/<case>/
and is made once. To save hours, a `trained` tiny net of a harder design or of another number of classes, and the stem
of a transformer, start from the weights of a tiny net of the plain design; all layers are trained on.

    python benchmarks/truth_nets.py WORK [tuning|report] [part parts]
"""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from truth_architectures import Architecture, ResidualNet, VideoTransformer, fit
from voxplain.datasets import scan_folder
from voxplain.datasets.planted import DESIGNS, PlantedDesign, PlantedSet, design_of, write_planted
from voxplain.model import VideoModel
from voxplain.nets import load_weights, save_weights, tiny
from voxplain.train import TrainingVideos, accuracy, load_videos
from voxplain.video import Geometry
from voxplain.zoo.load import PLANTED

__all__ = ["CASES", "REPORT", "TUNING", "Case", "make"]

GEOMETRY = Geometry((64, 64), (64, 64))
FULL, SHORT, BLIND = 200, 80, 40  # training clips a class: from fresh weights, from trained ones, for no training
TEST, UNRELATED = 40, 100


NETWORKS = {
    "tiny": Architecture(tiny, "pool", 12, 5e-3),
    "residual": Architecture(ResidualNet, "pool", 9, 4e-3),
    "transformer": Architecture(VideoTransformer, "norm", 6, 1.5e-3),
}
FURTHER = Architecture(tiny, "pool", 8, 3e-3)  # a tiny net from trained weights


@dataclass(frozen=True)
class Case:
    """One network with known truth; ``classes`` replaces the design's classes by that many of its family."""

    kind: str
    design: str
    seed: int
    net: str = "tiny"
    classes: int | None = None

    @property
    def name(self) -> str:
        parts = (self.kind, self.design, self.classes, self.net if self.net != "tiny" else None, self.seed)
        return "-".join(str(p) for p in parts if p is not None)

    @property
    def planted_design(self) -> PlantedDesign:
        base = DESIGNS[self.design]
        if self.classes is not None:
            base = design_of(self.classes, held_out=self.design == "held-out")
        # A class by shape: a network learns motions so well that it has no need of a patch (seen at rate 0.95).
        return replace(base, shortcut=base.appearance[1]) if self.kind == "shortcut" else base


def start_of(case: Case, work: Path) -> Path | None:
    """Weights that the training starts from; None for fresh ones."""
    if case.kind != "trained" or case.net == "residual":
        return None
    if not case.design.startswith("held-out"):
        return PLANTED
    plain = Case("trained", "held-out", 101)
    if (case.design, case.classes, case.net) == (plain.design, None, plain.net):
        return None
    make(plain, work)
    return work / plain.name / "weights.safetensors"


def make(case: Case, work: Path, *, tell: bool = False) -> tuple[VideoModel, PlantedSet, float]:
    """The case's model, planted set and held-out accuracy; trains what is not yet trained."""
    home, how, start = work / case.name, NETWORKS[case.net], start_of(case, work)
    short = start is not None and case.net == "tiny"
    planted = write_planted(
        home / "videos",
        design=case.planted_design,
        train=BLIND if case.kind == "random" else SHORT if short else FULL,
        test=TEST,
        unrelated=UNRELATED,
        seed=case.seed,
    )
    torch.manual_seed(case.seed)
    model = VideoModel(
        net=how.build(len(planted.design.classes)),
        layer=how.layer,
        grid=(16, 64, 64),
        classes=planted.design.classes,
        geometry=GEOMETRY,
        batch_size=32,
        name=case.name,
    )
    model.net.eval()
    weights, figures = home / "weights.safetensors", home / "accuracy.json"
    if figures.exists():  # written last
        load_weights(model.net, weights)
        return model, planted, float(json.loads(figures.read_text()))
    if case.kind != "random":
        train = scan_folder(planted.root, part="train")
        data = load_videos(train.paths, train.labels, GEOMETRY)
        if case.kind == "shuffled":
            data = TrainingVideos(data.frames, np.random.default_rng(case.seed).permutation(data.labels))
        if start:
            own, state = model.net.state_dict(), load_file(start)
            known = {k: v for k, v in state.items() if k in own and not k.startswith("head.")}
            model.net.load_state_dict(known, strict=False)
            how = FURTHER if short else how
        if case.kind == "shuffled":
            how = replace(how, epochs=6)
        fit(model, data, how, case.seed, lambda text: print(case.name, text, flush=True) if tell else None)
    test = scan_folder(planted.root, part="test")
    matrix = accuracy(model, load_videos(test.paths, test.labels, GEOMETRY), GEOMETRY)
    save_weights(model.net, weights, {})
    figures.write_text(json.dumps(float(np.trace(matrix) / matrix.sum())))
    return model, planted, float(np.trace(matrix) / matrix.sum())


HARDER = ("textured", "same-colour", "camera", "pair", "conjunction", "occluded", "growing")
# Defaults are chosen on these, never on those of the report.
TUNING = (
    *(Case("trained", "standard", 1, net) for net in NETWORKS),
    *(Case("trained", design, 2 + i) for i, design in enumerate(HARDER)),
    Case("shuffled", "standard", 9),
    Case("random", "standard", 9),
)
REPORT = (
    *(Case("trained", "held-out", seed) for seed in (101, 102)),
    Case("trained", "held-out", 103, "residual"),
    Case("trained", "held-out", 104, "transformer"),
    *(Case("trained", f"held-out-{design}", 111 + i) for i, design in enumerate(HARDER)),
    *(Case("trained", "held-out", 120 + n, classes=n) for n in (2, 3, 6, 10)),
    Case("shortcut", "held-out", 203),
    Case("shortcut", "held-out", 204, "residual"),
    Case("shuffled", "held-out", 301),
    Case("shuffled", "held-out", 302, classes=3),
    *(Case("random", "held-out", 401 + i, net) for i, net in enumerate(NETWORKS)),
    Case("random", "held-out", 404, classes=3),
)
CASES = REPORT

if __name__ == "__main__":
    torch.set_num_threads(1)
    work, chosen = Path(sys.argv[1]), TUNING if sys.argv[2:3] == ["tuning"] else REPORT
    part, parts = (int(sys.argv[3]), int(sys.argv[4])) if len(sys.argv) > 4 else (0, 1)
    for wanted in chosen[part::parts]:
        print(wanted.name, "held-out accuracy", make(wanted, work, tell=True)[2], flush=True)
