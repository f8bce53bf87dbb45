"""`voxplain reproduce`."""

import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from voxplain.cli.concept_job import run_job
from voxplain.cli.held_out import HeldOut, split_videos
from voxplain.cli.job import Job
from voxplain.cli.network import Network
from voxplain.cli.train import train_command
from voxplain.concepts.concept_run import combined_evaluation
from voxplain.datasets.planted import DESIGNS, write_planted
from voxplain.errors import DataError
from voxplain.experiments import (
    EXPERIMENTS,
    Experiment,
    NetPlan,
    Outcome,
    Setting,
    interval_figure,
    read_experiment,
    settings_table,
    table_csv,
    table_latex,
    table_markdown,
    verdicts,
)
from voxplain.progress import progress_bar
from voxplain.report import evaluation_json
from voxplain.store import write_whole
from voxplain.train import Recipe
from voxplain.version import __version__

__all__ = ["reproduce_command"]


def reproduce_command(
    name: str | None = None,
    *,
    data: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    class_: Annotated[tuple[str, ...], Parameter(name="--class", consume_multiple=True, negative="")] = (),
    quick: bool = False,
    device: str | None = None,
) -> None:
    """Run a whole experiment: train, explain every class, add and remove concepts, print tables and verdicts.

    Without a name it lists the experiments. Writes the tables as in the papers (Markdown, LaTeX, CSV), curves with
    95 % bands, a comparison of settings, a verdict for each claim, and a report for every network and setting. A
    command that was interrupted goes on where it was.

    Examples:
        voxplain reproduce planted --quick
        voxplain reproduce weizmann --data videos -o runs/weizmann
        voxplain reproduce my_experiment.yaml --data videos

    Parameters
    ----------
    name
        An experiment by name, or the path of a YAML file like those of voxplain.
    data
        Folder that holds the data sets; default: the environment variable VOXPLAIN_DATA.
    output
        Folder for the results; default: runs/reproduce/NAME.
    class_
        Only these classes are explained; the networks are trained on all.
    quick
        Fewer classes, settings and videos: does it run, and what does it look like?
    device
        cpu, cuda …; default: cuda when there is one.
    """
    console = Console()
    if name is None:
        for known in EXPERIMENTS:
            console.print(f"{known:12s} {read_experiment(known).title}", markup=False, highlight=False)
        return
    plan = read_experiment(name)
    plan = plan.shortened() if quick else plan
    plan = replace(plan, classes=class_) if class_ else plan
    output = output or Path("runs/reproduce") / f"{plan.name}{'-quick' * quick}"
    folder, unrelated = _videos(plan, data, output)
    outcomes = [
        _outcome(plan, net, setting, folder, unrelated, output, device)
        for net in plan.nets
        for setting in plan.settings
    ]
    _write(plan, outcomes, output)
    console.print(f"\n{plan.title}, seed {plan.seed}", highlight=False)
    for kind in ("adding", "removing"):
        console.print(f"\naccuracy while {kind} concepts, % [95 % over videos]\n", highlight=False)
        console.print(table_markdown(outcomes, kind), markup=False, highlight=False, soft_wrap=True)
    console.print("area in points of accuracy, positive as claimed, bold where p < 0.05\n", highlight=False)
    console.print(settings_table(outcomes), markup=False, highlight=False, soft_wrap=True)
    for line in verdicts(outcomes):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if plan.note:
        console.print(f"\nnote: {plan.note}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"tables and curves: {output}", markup=False, highlight=False, soft_wrap=True)


def _videos(plan: Experiment, data: Path | None, output: Path) -> tuple[Path, Path]:
    """(videos, unrelated videos): drawn for planted experiments, else below the data folder."""
    if plan.planted is not None:
        options = dict(plan.planted)
        design = DESIGNS[options.pop("design", "standard")]
        count = (options["train"] + options["test"]) * len(design.classes) + options["unrelated"]
        with progress_bar("drawing videos", count) as advance:
            write_planted(output / "videos", design=design, advance=advance, **options)
        return output / "videos", output / "videos" / "unrelated"
    root = data or (Path(os.environ["VOXPLAIN_DATA"]) if "VOXPLAIN_DATA" in os.environ else None)
    if root is None:
        raise DataError(
            f"expected the folder that holds {plan.data} and {plan.unrelated}, got none; give it with --data DIR"
        )
    folder, unrelated = root / str(plan.data), root / str(plan.unrelated)
    for place in (folder, unrelated):
        if not place.is_dir():
            raise DataError(f"expected a folder of videos at {place}, got none; put it there or name another --data")
    return folder, unrelated


def _held(plan: Experiment) -> HeldOut:
    return HeldOut(
        split=Path(plan.split) if plan.split else None, hold_out=plan.hold_out, dataset=plan.dataset, fold=plan.fold
    )


def _outcome(
    plan: Experiment, net: NetPlan, setting: Setting, folder: Path, unrelated: Path, output: Path, device: str | None
) -> Outcome:
    """Train what is not trained, explain and evaluate every class at one setting."""
    held = _held(plan)
    weights = None if net.weights is None else Path(net.weights)
    if net.weights is None and net.net != "planted":
        weights = _trained(plan, net, folder, held, output / net.title, device)
    place = output / net.title / _word(setting.name)
    job = Job(
        folder,
        unrelated,
        place,
        plan.classes or split_videos(folder, held)[0].classes,
        Network(net=net.net, weights=weights, layer=(net.layer,) if net.layer else (), device=device),
        setting.resolved(plan.seed),
        f"{plan.name}: {setting.name}",
        held,
        store=output / net.title / "store",  # settings share what they have in common
    )
    runs = run_job(job, evaluate=True)
    return Outcome(net.title, setting.name, setting.published, combined_evaluation(runs))


def _word(name: str) -> str:
    """A setting's name as a folder's."""
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def _trained(plan: Experiment, net: NetPlan, folder: Path, held: HeldOut, output: Path, device: str | None) -> Path:
    """The weights of a network trained by its plan; found again when they are there."""
    weights = output / "weights.safetensors"
    if not weights.exists():
        options = dict(net.train)
        resize = options.pop("resize", None)
        try:
            recipe = Recipe(**{"seed": plan.seed, **options})
        except TypeError as error:
            raise DataError(f"expected fields of Recipe in the training of {net.title}: {error}; correct it") from None
        train_command(
            folder,
            net=net.net,
            output=output,
            resize=tuple(resize) if resize else None,
            held=held,
            recipe=recipe,
            device=device,
        )
    return weights


def _write(plan: Experiment, outcomes: Sequence[Outcome], output: Path) -> None:
    for kind in ("adding", "removing"):
        write_whole(output / f"{kind}.md", table_markdown(outcomes, kind).encode())
        write_whole(output / f"{kind}.tex", table_latex(outcomes, kind).encode())
    write_whole(output / "table.csv", table_csv(outcomes).encode())
    write_whole(output / "settings.md", settings_table(outcomes).encode())
    write_whole(output / "verdicts.txt", "\n".join([*verdicts(outcomes), ""]).encode())
    # Without them the same figure gives the same bytes.
    for suffix, unwanted in (("png", "Software"), ("pdf", "CreationDate")):
        out = io.BytesIO()
        interval_figure(outcomes).savefig(out, format=suffix, dpi=120, metadata={unwanted: None})
        write_whole(output / f"curves.{suffix}", out.getvalue())
    record = {
        "experiment": asdict(plan),
        "voxplain": __version__,
        "outcomes": [
            {"net": o.net, "setting": o.setting, "unmodified": o.baseline, **evaluation_json(o.evaluation)}
            for o in outcomes
        ],
    }
    write_whole(output / "results.json", json.dumps(record, indent=1).encode())
