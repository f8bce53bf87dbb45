"""The networks, the targets and the tables of `voxplain roar`."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from voxplain.attribution import AttributionMethod
from voxplain.benchmark.retraining import FixedTarget, NetworkFactory
from voxplain.benchmark.retraining_tables import (
    accuracies,
    accuracy_markdown,
    accuracy_rows,
    label_pair_markdown,
    label_pair_rows,
)
from voxplain.cli.network import Network, open_model
from voxplain.cli.printed import BEST
from voxplain.metrics import Retrain
from voxplain.model import VideoModel
from voxplain.nets import build_net
from voxplain.report.tables import plain
from voxplain.store import write_csv, write_whole
from voxplain.train import Recipe
from voxplain.version import __version__
from voxplain.video import Clip

__all__ = ["RetrainingResults", "evenly", "fixed_targets", "new_networks"]


def evenly(clips: Sequence[Clip], count: int) -> list[Clip]:
    """``count`` clips, evenly from all, which are sorted by class."""
    count = min(max(count, 1), len(clips))
    return [clips[i * len(clips) // count] for i in range(count)]


def fixed_targets(
    model: VideoModel, methods: Mapping[str, AttributionMethod], target: str
) -> Mapping[str, AttributionMethod]:
    """Methods whose maps are of ``target``: "own" (the clip's label), "predicted", or one class for all clips."""
    if target == "own":
        return methods
    if target != "predicted":
        model.class_index(target)  # its error lists the classes
    return {n: FixedTarget(m, target) for n, m in methods.items()}


def new_networks(network: Network, model: VideoModel) -> NetworkFactory:
    """A function from a seed to a network with new random weights, or with those that the user's function gives."""

    def new_network(seed: int) -> torch.nn.Module:
        torch.manual_seed(seed)
        if network.model is not None:
            return open_model(network, model.classes).net
        return build_net(model.name, len(model.classes))

    return new_network


@dataclass
class RetrainingResults:
    """The results of `voxplain roar` so far, as text and as plain values.

    Parameters
    ----------
    model : VideoModel
        The network that is explained.
    methods, metrics : mapping of str to method or metric
        What is evaluated.
    recipe : Recipe
        How networks are trained.
    target : str
        The class of the maps.
    """

    model: VideoModel
    methods: Mapping[str, AttributionMethod]
    metrics: Mapping[str, Any]
    recipe: Recipe
    target: str
    without_maps: dict[str, str] = field(default_factory=dict)  # method → why it gave none
    text: list[str] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)

    def add_accuracies(
        self, trainings: Sequence[Any], metrics: Mapping[str, Retrain], chance: float, output: Path
    ) -> None:
        """Add the accuracies of ``trainings``, and write them to retrained.csv."""
        rows = accuracies(trainings, metrics, chance)
        if rows:
            self.text.append(accuracy_markdown(rows, metrics))
            write_csv(output / "retrained.csv", accuracy_rows(rows))
        self.record |= {"retrained": rows, "trainings": trainings}

    def add_label_pair(
        self, similarity: Mapping[str, Sequence[tuple[float, float]]], accuracy: tuple[float, float]
    ) -> None:
        """Add the similarity of maps to those of the networks with shuffled and with true labels."""
        rows = label_pair_rows(similarity)
        clips, percent = max(map(len, similarity.values()), default=0), [f"{100 * a:.1f} %" for a in accuracy]
        self.text += [
            label_pair_markdown(rows),
            f"Accuracy on the training labels: shuffled {percent[0]}, true {percent[1]}; {clips} clips compared.\n",
        ]
        self.record["label_pair"] = {
            "rows": rows,
            "accuracy": {"shuffled": accuracy[0], "true": accuracy[1]},
            "similarity": similarity,
        }

    def tables(self) -> str:
        """All tables, and the methods without maps, as Markdown."""
        if self.without_maps:
            lines = [f"- {method}: {reason}" for method, reason in self.without_maps.items()]
            return "\n".join([*self.text, "\n".join(["Methods without maps:", "", *lines]) + "\n"])
        return "\n".join(self.text)

    def answer(self) -> str:
        """The best methods of each metric and ratio, a line each."""
        lines, rows = [], [row for row in self.record.get("retrained", ()) if row.method]
        for metric, ratio in dict.fromkeys((row.metric, row.ratio) for row in rows):
            own = [row for row in rows if (row.metric, row.ratio) == (metric, ratio)]
            own.sort(key=lambda row: row.mean.value, reverse=bool(self.metrics[metric].higher_is_better))
            said = ", ".join(f"{row.method} {100 * row.mean.value:.1f} %" for row in own[:BEST])
            lines.append(f"{metric}, {100 * ratio:g} % of the voxels, best first: {said}")
        if pair := self.record.get("label_pair"):
            known = [row for row in pair["rows"] if math.isfinite(row.difference)]
            known.sort(key=lambda row: -row.difference)
            said = ", ".join(f"{row.method} {row.difference:.2f}" for row in known[:BEST])
            lines.append(f"label_randomisation, similarity lost with shuffled labels, best first: {said}")
        lines += [f"without maps: {', '.join(self.without_maps)}"] if self.without_maps else []
        return "\n".join(lines)

    def values(self) -> dict[str, Any]:
        """Everything that was measured, as plain values."""
        record = {
            "voxplain": __version__,
            "network": self.model.name,
            "recipe": self.recipe,
            "methods": self.methods,
            "metrics": self.metrics,
            "errors": self.without_maps,
            "target": self.target,
            **self.record,
        }
        return dict(plain(record))

    def write(self, output: Path) -> None:
        """Write retrained.md and retrained.json."""
        write_whole(output / "retrained.md", self.tables().encode())
        write_whole(output / "retrained.json", json.dumps(self.values(), indent=1).encode())
