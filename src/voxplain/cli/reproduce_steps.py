"""The steps of `voxplain reproduce`: videos, training, one run for each setting, and the files written at the end."""

import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from voxplain.cli.concept_job import run_job
from voxplain.cli.held_out import HeldOut, split_videos
from voxplain.cli.job import Job
from voxplain.cli.network import Network
from voxplain.cli.train import train_command
from voxplain.concepts.concept_run import combined_evaluation
from voxplain.datasets.planted import DESIGNS, write_planted
from voxplain.errors import DataError
from voxplain.experiments import (
    Experiment,
    NetPlan,
    Outcome,
    Setting,
    interval_figure,
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

__all__ = ["experiment_videos", "run_setting", "write_experiment"]


def experiment_videos(plan: Experiment, data: Path | None, output: Path) -> tuple[Path, Path]:
    """Find or draw the videos of an experiment.

    Parameters
    ----------
    plan : Experiment
        The experiment.
    data : Path or None
        Folder that holds the data sets; None: the environment variable VOXPLAIN_DATA.
    output : Path
        Folder for the results, and for the videos of planted experiments.

    Returns
    -------
    tuple of Path
        Folders of the videos and of the unrelated videos.

    Raises
    ------
    DataError
        Where a folder is missing.
    """
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


def run_setting(
    plan: Experiment, net: NetPlan, setting: Setting, videos: Path, unrelated: Path, output: Path, device: str | None
) -> Outcome:
    """Explain and evaluate every class with one network and one setting; trains the network where it is needed.

    Parameters
    ----------
    plan, net, setting : Experiment, NetPlan, Setting
        The experiment, one of its networks, one of its settings.
    videos, unrelated : Path
        Folders of videos.
    output : Path
        Folder for the results.
    device : str or None
        Where to compute.

    Returns
    -------
    Outcome
        The evaluation of all classes together.
    """
    held = _held(plan)
    weights = None if net.weights is None else Path(net.weights)
    if net.weights is None and net.net != "planted":
        weights = _trained_weights(plan, net, videos, held, output / net.title, device)
    folder = output / net.title / _folder_name(setting.name)
    job = Job(
        videos,
        unrelated,
        folder,
        plan.classes or split_videos(videos, held)[0].classes,
        Network(net=net.net, weights=weights, layer=(net.layer,) if net.layer else (), device=device),
        setting.resolved(plan.seed),
        f"{plan.name}: {setting.name}",
        held,
        store=output / net.title / "store",  # settings share what they have in common
    )
    runs = run_job(job, evaluate=True)
    return Outcome(net.title, setting.name, setting.published, combined_evaluation(runs))


def _folder_name(name: str) -> str:
    """A setting's name in lower case, with hyphens between its words."""
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def _trained_weights(
    plan: Experiment, net: NetPlan, videos: Path, held: HeldOut, output: Path, device: str | None
) -> Path:
    """Path of the weights of a network, trained by its plan unless they exist."""
    weights = output / "weights.safetensors"
    if not weights.exists():
        options = dict(net.train)
        resize = options.pop("resize", None)
        try:
            recipe = Recipe(**{"seed": plan.seed, **options})
        except TypeError as error:
            raise DataError(f"expected fields of Recipe in the training of {net.title}: {error}; correct it") from None
        train_command(
            videos,
            net=net.net,
            output=output,
            resize=tuple(resize) if resize else None,
            held=held,
            recipe=recipe,
            device=device,
        )
    return weights


def write_experiment(plan: Experiment, outcomes: Sequence[Outcome], output: Path) -> None:
    """Write the tables, the figure of curves, the verdicts and results.json; each file whole or absent."""
    for kind in ("adding", "removing"):
        write_whole(output / f"{kind}.md", table_markdown(outcomes, kind).encode())
        write_whole(output / f"{kind}.tex", table_latex(outcomes, kind).encode())
    write_whole(output / "table.csv", table_csv(outcomes).encode())
    write_whole(output / "settings.md", settings_table(outcomes).encode())
    write_whole(output / "verdicts.txt", "\n".join([*verdicts(outcomes), ""]).encode())
    # Without this metadata the same figure gives the same bytes.
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
