"""Networks with known truth for `truth.py`: a planted set and a network trained on it, per case; resumable.

A case is (kind, design, seed, network, number of classes). Kinds: `trained`; `shortcut`, a patch goes with one shape
class at rate 0.95; `shuffled`, the training labels are permuted; `random`, fresh weights. Each lives in WORK/<case>/
and is made once. To save hours, a `trained` tiny net of a harder design or of another number of classes, and the stem
of a transformer, start from the weights of a tiny net of the plain design, and the transformer for clips of 112×112
from that for 64×64; all layers are trained on.

    python benchmarks/truth_nets.py WORK [--cases tuning|report|deep] [--jobs 2]
"""

import argparse
import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from truth_architectures import Architecture, ResidualNet, Stage, VideoTransformer, fit
from voxplain.datasets import scan_folder
from voxplain.datasets.planted import DESIGNS, PlantedDesign, PlantedSet, design_of, read_planted, write_planted
from voxplain.errors import DataError
from voxplain.model import Tokens, VideoModel
from voxplain.nets import load_weights, r3d, save_weights, tiny
from voxplain.train import TrainingVideos, accuracy, load_videos
from voxplain.train.measure import overall_accuracy
from voxplain.video import Geometry
from voxplain.zoo.load import PLANTED

__all__ = ["CASES", "DEEP", "REPORT", "TUNING", "Case", "make"]

FULL, SHORT, BLIND = 200, 80, 40  # training clips a class: from fresh weights, from trained ones, for no training
TEST, UNRELATED = 40, 100


NETWORKS = {
    "tiny": Architecture(tiny, "pool", (Stage(12, 5e-3),)),
    "residual": Architecture(ResidualNet, "pool", (Stage(9, 4e-3),)),
    "transformer": Architecture(VideoTransformer, "norm", (Stage(6, 1.5e-3),)),
    # 41 GFLOP a clip: most of what there is to learn is learnt from small clips.
    "r3d18": Architecture(
        r3d,
        "avgpool",
        (
            Stage(8, 5e-4, frames=2, size=56, batch=16, enough=0.95),
            Stage(1, 2e-4, frames=4, clips=200, batch=8),
            Stage(1, 1e-4, clips=40, batch=4),
        ),
        size=112,
    ),
    "vit112": Architecture(
        partial(VideoTransformer, positions=4 * 14 * 14),
        "norm",
        (Stage(4, 1e-3, enough=0.97),),
        size=112,
        tokens=Tokens((4, 14, 14)),  # not inferred: a change of a corner changes another token of the stem most
    ),
}
# A class whose shape resembles that of the distractors, which are in every clip.
LOOK_ALIKE = "look-alike"
DRAWN = {**DESIGNS, LOOK_ALIKE: replace(DESIGNS["standard"], appearance=("square", "star", "triangle"), carrier="ring")}
FURTHER = Architecture(tiny, "pool", (Stage(8, 3e-3),))  # a tiny net from trained weights


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
    def continues(self) -> bool:
        """Whether the whole network is trained on from one of the plain design."""
        fresh = self.design in ("held-out", LOOK_ALIKE) and self.classes is None
        return (self.kind, self.net) == ("trained", "tiny") and not fresh

    @property
    def planted_design(self) -> PlantedDesign:
        base = DRAWN[self.design]
        if self.classes is not None:
            base = design_of(self.classes, held_out=self.design == "held-out")
        # A class by shape: a network learns motions so well that it has no need of a patch (seen at rate 0.95).
        base = replace(base, shortcut=base.appearance[1]) if self.kind == "shortcut" else base
        return replace(base, size=NETWORKS[self.net].size)

    @property
    def geometry(self) -> Geometry:
        """The whole picture as it was drawn."""
        side = NETWORKS[self.net].size
        return Geometry((side, side), (side, side))


def start_of(case: Case, work: Path) -> Path | None:
    """Weights that the training starts from; None for fresh ones."""
    if case.net == "vit112":
        first = next(c for c in TUNING if c.net == "transformer")
    elif case.continues or (case.kind, case.net) == ("trained", "transformer"):
        if not case.design.startswith("held-out"):
            return PLANTED
        first = FIRST
    else:
        return None
    make(first, work)
    return work / first.name / "weights.safetensors"


def _planted_set(case: Case, home: Path) -> PlantedSet:
    """The case's set; only read where the case is complete, so that several processes may share it."""
    if (home / "accuracy.json").exists():
        there = read_planted(home / "videos")
        if there.design != case.planted_design:
            raise DataError(f"expected the design of {case.name} in {home}, got another one; delete the folder")
        return there
    train = {"random": BLIND, "trained": SHORT if case.continues else FULL}.get(case.kind, FULL)
    return write_planted(
        home / "videos", design=case.planted_design, train=train, test=TEST, unrelated=UNRELATED, seed=case.seed
    )


def _train(model: VideoModel, case: Case, planted: PlantedSet, work: Path, tell: Callable[[str], object]) -> None:
    found, start = scan_folder(planted.root, part="train"), start_of(case, work)
    data = load_videos(found.paths, found.labels, case.geometry)
    how = FURTHER if case.continues else NETWORKS[case.net]
    if case.kind == "shuffled":
        data = TrainingVideos(data.frames, np.random.default_rng(case.seed).permutation(data.labels))
        how = replace(how, stages=(replace(how.stages[-1], epochs=6),))
    if start:
        own, state = model.net.state_dict(), load_file(start)
        known = {k: v for k, v in state.items() if k in own and not k.startswith("head.")}
        if "position" in known:
            known["position"] = _resized(known["position"], own["position"].shape[1])
        model.net.load_state_dict(known, strict=False)
    fit(model, data, how, case.seed, tell)


def _resized(position: torch.Tensor, count: int) -> torch.Tensor:
    """Embeddings [1,4·n·n,C] of positions, interpolated to [1,count,C]."""
    old, new = (int((n / 4) ** 0.5) for n in (position.shape[1], count))
    grid = position.transpose(1, 2).unflatten(2, (4, old, old))
    return torch.nn.functional.interpolate(grid, (4, new, new), mode="trilinear").flatten(2).transpose(1, 2)


def make(case: Case, work: Path, *, tell: bool = False) -> tuple[VideoModel, PlantedSet, float]:
    """The case's model, planted set and held-out accuracy; trains what is not yet trained."""
    home, how = work / case.name, NETWORKS[case.net]
    planted = _planted_set(case, home)
    torch.manual_seed(case.seed)
    model = VideoModel(
        net=how.build(len(planted.design.classes)),
        layer=how.layer,
        grid=(16, how.size, how.size),
        classes=planted.design.classes,
        geometry=case.geometry,
        tokens=how.tokens,
        batch_size=32 if how.size == 64 else 8,
        name=case.name,
    )
    model.net.eval()
    weights, figures = home / "weights.safetensors", home / "accuracy.json"
    if figures.exists():  # written last
        load_weights(model.net, weights)
        return model, planted, float(json.loads(figures.read_text()))
    if case.kind != "random":
        _train(model, case, planted, work, lambda text: print(case.name, text, flush=True) if tell else None)
    test = scan_folder(planted.root, part="test")
    matrix = accuracy(model, load_videos(test.paths, test.labels, case.geometry), case.geometry)
    save_weights(model.net, weights, {})
    figures.write_text(json.dumps(overall_accuracy(matrix)))
    return model, planted, overall_accuracy(matrix)


FIRST = Case("trained", "held-out", 101)  # others of the report start from it
SMALL = ("tiny", "residual", "transformer")  # for clips of 64×64
HARDER = ("textured", "same-colour", "camera", "pair", "conjunction", "occluded", "growing")
# Defaults are chosen on these, never on those of the report.
TUNING = (
    *(Case("trained", "standard", 1, net) for net in SMALL),
    *(Case("trained", design, 2 + i) for i, design in enumerate(HARDER)),
    Case("trained", LOOK_ALIKE, 21),
    Case("shuffled", "standard", 9),
    Case("random", "standard", 9),
    Case("shortcut", "standard", 10),
)
# Wide receptive fields at the networks' own size; layers are chosen on them as on those of TUNING.
DEEP = tuple(Case("trained", "standard", 1, net, classes=4) for net in ("r3d18", "vit112"))
REPORT = (
    FIRST,
    Case("trained", "held-out", 102),
    Case("trained", "held-out", 103, "residual"),
    Case("trained", "held-out", 104, "transformer"),
    *(Case("trained", f"held-out-{design}", 111 + i) for i, design in enumerate(HARDER)),
    *(Case("trained", "held-out", 120 + n, classes=n) for n in (2, 3, 6, 10)),
    Case("shortcut", "held-out", 203),
    Case("shortcut", "held-out", 204, "residual"),
    Case("shuffled", "held-out", 301),
    Case("shuffled", "held-out", 302, classes=3),
    *(Case("random", "held-out", 401 + i, net) for i, net in enumerate(SMALL)),
    Case("random", "held-out", 404, classes=3),
)
CASES = REPORT


def run(case: Case, work: Path) -> None:
    torch.set_num_threads(1)
    print(case.name, "held-out accuracy", make(case, work, tell=True)[2], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--cases", choices=("tuning", "report", "deep"), default="report")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    cases = {"tuning": TUNING, "report": REPORT, "deep": DEEP}[asked.cases]
    run(cases[0], asked.work)
    with ProcessPoolExecutor(asked.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(run, cases[1:], [asked.work] * len(cases[1:])))


if __name__ == "__main__":
    main()
