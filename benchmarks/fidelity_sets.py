"""The data sets that `fidelity.py` measures on, with their networks, and the settings of every mode."""

import argparse
from dataclasses import dataclass, replace

import numpy as np
from voxplain.concepts.modes import in_mode

from fidelity_figures import EXACT
from voxplain.cli.held_out import HeldOut, split_videos
from voxplain.concepts.effect import HideConcepts
from voxplain.concepts.evaluate import AddRemove
from voxplain.concepts.settings import ConceptSettings, override
from voxplain.datasets import VideoSet, read_clips, scan_folder
from voxplain.datasets.planted import DESIGNS, PlantedSet, write_planted
from voxplain.inference import Inference
from voxplain.model import VideoModel
from voxplain.video import Clip
from voxplain.zoo.load import load_model

SETTINGS = ConceptSettings(unrelated_videos=60, unrelated_crops=15, evaluation=AddRemove(steps=5, draws=1, matched=1))
MODES = (EXACT, "exact", "medium", "small", "tiny", "two-stage small", "two-stage", "pooled")
NETS = {"weizmann": "compact", "utd": "tiny"}
FOLDERS = {"weizmann": "weizmann", "utd": "utd_mhad_depth"}
HELD = {"weizmann": HeldOut(hold_out=("ido", "lena", "moshe")), "utd": HeldOut(dataset="utd_mhad")}


@dataclass(frozen=True, eq=False)
class Ground:
    """A data set with its network, and what is explained of it."""

    name: str
    model: VideoModel
    train: VideoSet
    test: VideoSet
    random: list[Clip]
    labels: list[str]
    settings: ConceptSettings
    planted: PlantedSet | None = None


def settings_of(mode: str, base: ConceptSettings, height: int) -> ConceptSettings:
    if mode == EXACT:
        return replace(base, inference=Inference(precision="fp32"))
    if mode == "two-stage small":
        return override(in_mode(base, "small", height), "cav_embedder", "crops")
    return in_mode(base, mode, height)


def ground(name: str, asked: argparse.Namespace) -> Ground | None:
    settings, planted = replace(SETTINGS, videos=asked.clips, score_videos=asked.clips), None
    if name == "planted":
        root = asked.output / "videos"
        planted = write_planted(root, design=DESIGNS["standard"], train=20, test=15, unrelated=60, seed=11)
        model, videos, unrelated, held = load_model("planted"), root, root / "unrelated", HeldOut()
        labels = list(planted.design.decided)
    else:
        weights = getattr(asked, f"{name}_weights")
        if asked.data is None or weights is None or not weights.exists() or not (asked.data / FOLDERS[name]).is_dir():
            print(f"{name}: skipped; it needs --data with {FOLDERS[name]} and --{name}-weights", flush=True)
            return None
        model, held = load_model(NETS[name], weights=weights), HELD[name]
        videos, unrelated = asked.data / FOLDERS[name], asked.data / "unrelated"
        labels = sorted(model.classes)
    if name == "utd":
        black = replace(settings.evaluation, fill="black")
        settings = replace(settings, effect=HideConcepts(fill="black"), evaluation=black)
    train, test = split_videos(videos, held)
    assert test is not None  # all three have a part that is held out
    random = list(read_clips(scan_folder(unrelated), model.reader(), limit=settings.unrelated_videos).clips)
    spread = np.unique(np.linspace(0, len(labels) - 1, min(asked.classes, len(labels))).round().astype(int))
    return Ground(name, model, train, test, random, [labels[i] for i in spread], settings, planted)
