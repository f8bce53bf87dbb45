"""`voxplain retrain`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from cyclopts import Parameter
from rich.console import Console

from voxplain.attribution import AttributionMethod
from voxplain.benchmark.label_randomisation import compare_label_pair, train_label_pair
from voxplain.benchmark.retraining import FixedTarget, NetworkFactory, retrain_all
from voxplain.benchmark.retraining_tables import (
    accuracies,
    accuracy_markdown,
    accuracy_rows,
    label_pair_markdown,
    label_pair_rows,
)
from voxplain.cli.benchmark_options import choose_metrics, configured, spread_clips
from voxplain.cli.held_out import HeldOut, split_videos
from voxplain.cli.network import Network, open_model
from voxplain.datasets import VideoSet
from voxplain.errors import DataError
from voxplain.explain import methods_by_name
from voxplain.metrics import LabelRandomisation, Retrain
from voxplain.model import VideoModel
from voxplain.nets import build_net
from voxplain.progress import progress_bar
from voxplain.report.tables import plain
from voxplain.store import Store, write_csv, write_whole
from voxplain.train import Recipe
from voxplain.version import __version__
from voxplain.video import Clip

__all__ = ["retrain_command"]

ELSEWHERE = "expected roar, kar or label_randomisation, which train networks, got {}; see `voxplain benchmark`"


def retrain_command(
    data: Path,
    *,
    methods: str,
    metrics: str = "all",
    network: Network = Network(),  # noqa: B008 - frozen
    held: HeldOut = HeldOut(),  # noqa: B008 - frozen
    class_: Annotated[tuple[str, ...], Parameter(name="--class", consume_multiple=True, negative="")] = (),
    limit: int | None = None,
    seeds: int = 1,
    maps: int = 60,
    target: str = "own",
    recipe: Annotated[Recipe, Parameter(name="*")] = Recipe(),  # noqa: B008 - frozen
    set_: Annotated[tuple[str, ...], Parameter(name="--set", consume_multiple=True, negative="")] = (),
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
) -> None:
    """Judge attribution methods by networks trained anew, without or with only what a map values.

    roar hides the top of each map in every clip and trains a network on what is left: the lower its accuracy, the
    better the map. kar (keep and retrain) hides all but the top: the higher the better. label_randomisation compares
    the maps with those of a twin trained on shuffled labels, and with those of a sibling trained on the true ones.

    Networks start from fresh weights (a --model of your own from those its function gives), see one clip a video, the
    one that is explained, and train as `voxplain train` does. Every training is found again: the same command goes on,
    and runs with other methods may fill one output folder at once; the last with all methods puts them together.

    Examples:
        voxplain retrain data --net tiny --weights w.safetensors --methods gradient,grad_cam,random --seeds 2 -o runs/r
        voxplain retrain data --net tiny --weights w.safetensors --methods step,random --metrics kar -o runs/r

    Parameters
    ----------
    data
        Folder of class folders with train/ and test/, or divided by one of the options below.
    methods
        Attribution methods joined by commas, or all. With random among them the others are tested against it.
    metrics
        roar, kar, label_randomisation joined by commas, or all.
    class_
        Only videos of these classes.
    limit
        Training videos, and test videos, spread evenly over the classes; default: all.
    seeds
        Trainings of each kind, from other weights and in another order.
    maps
        Test videos whose maps are compared with the twins', spread evenly over the classes.
    target
        The class whose maps roar and kar hide or keep: own (the clip's label, as in the study), predicted, or one class
        for all clips. The shape of what is hidden can tell the class it was made for.
    set_
        Parameters of methods or metrics, as name.field=value.
    output
        Folder for results, the twins' weights, and what has been computed.
    """
    console = Console()
    judging = choose_metrics(metrics, ("training", "networks"), ELSEWHERE)
    asked, judging = configured(methods_by_name(methods), judging, set_)
    train, test = split_videos(data, held)
    if test is None:
        raise DataError("expected training and test videos, got no test videos; give --hold-out, --split or --dataset")
    model = replace(open_model(network, train.classes), channels_last=network.model is None)
    own, held_out = (_labelled(model, v, class_, limit, console) for v in (train, test))
    told = _Told(model, asked, judging, recipe)
    told.record["target"] = target
    store, fresh = Store(output / "store"), _fresh(network, model)
    retrained = {n: replace(m, recipe=recipe) for n, m in judging.items() if isinstance(m, Retrain)}
    if retrained:
        aimed = _aimed(model, asked, target)
        found, told.refused = retrain_all(
            model, fresh, own, held_out, aimed, retrained, seeds=seeds, store=store, progress=progress_bar
        )
        _tell_accuracies(told, found, retrained, 1 / len({c.label for c in own}), output)
    for metric in (m for m in judging.values() if isinstance(m, LabelRandomisation)):
        twins = train_label_pair(model, fresh, own, recipe, folder=output / "twins", progress=progress_bar)
        shown = _spread(held_out, maps)
        likeness, refused = compare_label_pair(model, twins, shown, asked, metric, store=store, progress=progress_bar)
        told.refused |= refused
        _tell_twins(told, likeness, (twins.shuffled_accuracy, twins.true_accuracy), output)
    _finish(told, output, console)


@dataclass
class _Told:
    """What a run has found so far, as text and as plain values."""

    model: VideoModel
    methods: Mapping[str, AttributionMethod]
    metrics: Mapping[str, Any]
    recipe: Recipe
    refused: dict[str, str] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)


def _aimed(model: VideoModel, methods: Mapping[str, AttributionMethod], target: str) -> Mapping[str, AttributionMethod]:
    if target == "own":
        return methods
    if target != "predicted":
        model.class_index(target)  # says which classes there are
    return {n: FixedTarget(m, target) for n, m in methods.items()}


def _labelled(
    model: VideoModel, videos: VideoSet, only: Sequence[str], limit: int | None, console: Console
) -> list[Clip]:
    return [clip for _, clip in spread_clips(model, videos, only, limit, console)]


def _spread(clips: Sequence[Clip], count: int) -> list[Clip]:
    """So many clips, evenly from all, which lie class by class."""
    count = min(max(count, 1), len(clips))
    return [clips[i * len(clips) // count] for i in range(count)]


def _fresh(network: Network, model: VideoModel) -> NetworkFactory:
    """Networks with the weights that training starts from: drawn anew, or what the user's function gives."""

    def fresh(seed: int) -> torch.nn.Module:
        torch.manual_seed(seed)
        if network.model is not None:
            return open_model(network, model.classes).net
        return build_net(model.name, len(model.classes))

    return fresh


def _tell_accuracies(
    told: _Told, found: Sequence[Any], metrics: Mapping[str, Retrain], chance: float, output: Path
) -> None:
    rows = accuracies(found, metrics, chance)
    if rows:
        told.text.append(accuracy_markdown(rows, metrics))
        write_csv(output / "retrained.csv", accuracy_rows(rows))
    told.record["retrained"] = rows
    told.record["trainings"] = found


def _tell_twins(
    told: _Told, likeness: Mapping[str, Sequence[tuple[float, float]]], accuracy: tuple[float, float], output: Path
) -> None:
    rows = label_pair_rows(likeness)
    shown, known = max(map(len, likeness.values()), default=0), [f"{100 * a:.1f} %" for a in accuracy]
    learnt = f"Accuracy on what they learnt: shuffled {known[0]}, sibling {known[1]}; {shown} clips compared.\n"
    told.text += [label_pair_markdown(rows), learnt]
    told.record["twins"] = {
        "rows": rows,
        "learnt": {"shuffled": accuracy[0], "sibling": accuracy[1]},
        "similarity": likeness,
    }


def _finish(told: _Told, output: Path, console: Console) -> None:
    if told.refused:
        told.text.append("\n".join(["Refused:", "", *(f"- {m}: {why}" for m, why in told.refused.items())]) + "\n")
    text = "\n".join(told.text)
    write_whole(output / "retrained.md", text.encode())
    record = {
        "voxplain": __version__,
        "network": told.model.name,
        "recipe": told.recipe,
        "methods": told.methods,
        "metrics": told.metrics,
        "refused": told.refused,
        **told.record,
    }
    write_whole(output / "retrained.json", json.dumps(plain(record), indent=1).encode())
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(f"tables: {output}", markup=False, highlight=False, soft_wrap=True)
