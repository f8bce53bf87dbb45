"""`voxplain concepts` and `voxplain evaluate`."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from cyclopts import Parameter
from PIL import Image
from rich.console import Console

from voxplain.cli.data import Held, parts
from voxplain.cli.network import Network, open_model
from voxplain.concepts.run import ConceptRun
from voxplain.concepts.settings import PRESETS, ConceptSettings, override
from voxplain.datasets import ClipSet, VideoSet, read_clips, scan_folder
from voxplain.errors import DataError
from voxplain.explain import evaluate_concepts, explain_concepts
from voxplain.model import VideoModel
from voxplain.progress import progress_bar
from voxplain.report import curves, montage, table_csv, table_json, table_text, write_report
from voxplain.store import Store, write_whole

__all__ = ["Job", "concepts_command", "evaluate_command", "run_job"]


@dataclass(frozen=True)
class Job:
    """Everything that a run of `voxplain concepts` depends on, as it stands in RUN/job.json."""

    data: Path
    random: Path
    output: Path
    classes: tuple[str, ...]
    network: Network
    settings: ConceptSettings
    preset: str
    held: Held = Held()  # noqa: RUF009 - frozen
    test: Path | None = None  # a folder of its own; otherwise the part of `data` that is held out
    whole: bool = False


def concepts_command(
    data: Path,
    *,
    class_: Annotated[tuple[str, ...], Parameter(name="--class", consume_multiple=True, negative="")] = (),
    network: Network = Network(),  # noqa: B008 - frozen
    held: Held = Held(),  # noqa: B008 - frozen
    random: Path | None = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    preset: str = "default",
    config: Path | None = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = (),
    seed: int = 0,
    whole: bool = False,
    dry_run: bool = False,
) -> None:
    """Find the concepts a network relies on for a class, and test how much.

    Writes a report page, a table (CSV, JSON) and a picture of each concept. A command that was interrupted goes on
    where it was. Any setting can be given as an option: --keep 30, --segmenter.segments 15 30 60,
    --clusterer.clusters 15, --ranking tcav; `voxplain methods` lists them all.

    Examples:
        voxplain concepts data --class bend --net r3d --weights r3d.safetensors --random unrelated -o runs/bend
        voxplain concepts data --class bend run --net c3d --weights w.pt --random unrelated --preset paper -o runs/p
        voxplain concepts weizmann --hold-out ido lena moshe --net tiny --weights w.pt --random unrelated -o runs/w
        voxplain concepts data --class bend --model mypkg.nets:build --layer blocks.5 --random unrelated -o runs/b

    Parameters
    ----------
    data
        Folder of class folders, or one with train/ and test/. Concepts come from the videos that are not held out.
    class_
        The classes to explain; default: all.
    random
        Folder of unrelated videos for the random sets; default: DATA/unrelated.
    output
        Folder for results; also keeps what has been computed.
    preset
        default, paper, paper-small or reference-code.
    config
        A YAML file of settings.
    set_
        One setting, as name=value.
    seed
        The same seed gives the same bytes.
    whole
        Explain whole videos instead of their middle clip (features are means over windows).
    dry_run
        Say what would be done and about how long it takes, and do nothing.
    """
    if preset not in PRESETS:
        raise DataError(f"expected a preset of {sorted(PRESETS)}, got {preset!r}; choose one")
    settings = replace(PRESETS[preset], seed=seed)
    for name, value in _configured(config, set_):
        settings = override(settings, name, value)
    pool = random or data / "unrelated"
    if not pool.is_dir():
        raise DataError(f"expected a folder of unrelated videos, got {pool}, which is none; give one with --random DIR")
    videos, _ = parts(data, held)
    chosen = tuple(class_) or videos.classes
    for name in chosen:
        videos.of_class(name)  # an unknown class is an error before any work
    job = Job(data, pool, output, chosen, network, settings, preset, held, whole=whole)
    model = _open(job, videos, None)
    if dry_run:
        _estimate(job, model, videos)
        return
    output.mkdir(parents=True, exist_ok=True)
    write_whole(output / "job.json", json.dumps(_job_record(job, set_, config), indent=1).encode())
    run_job(job, evaluate=False)


def evaluate_command(
    run: Path,
    *,
    test: Path | None = None,
) -> None:
    """Prove a run's ranking: add and remove its concepts in held-out test videos.

    Takes up the run's own settings and whatever it has computed, and writes the report again with the curves.

    Examples:
        voxplain evaluate runs/bend
        voxplain evaluate runs/bend --test data/held_out

    Parameters
    ----------
    run
        The output folder of `voxplain concepts`.
    test
        Folder of class folders of test videos; default: what the run held out, or DATA/test.
    """
    job = _read_job(run)
    run_job(replace(job, test=test or job.test), evaluate=True)


def run_job(job: Job, *, evaluate: bool) -> list[ConceptRun]:
    """Explain every class at every layer, write the results, print the tables; returns the runs."""
    console = Console()
    videos, rest = parts(job.data, job.held)
    held_out = _test_videos(job, rest) if evaluate else None
    runs = []
    layers: Sequence[str | None] = job.network.layer or (None,)
    for layer in layers:
        model = _open(job, videos, layer)
        random = _read(model, _loose(job.random), job, job.settings.random_videos, "unrelated videos", console)
        for name in job.classes:
            clips = _read(model, videos.of_class(name), job, job.settings.videos, f"“{name}”", console)
            run = explain_concepts(
                model, clips.clips, random=random.clips, target=name, settings=job.settings, preset=job.preset,
                store=Store(job.output / "store"), progress=progress_bar,
                skipped=[(str(s.path), s.reason) for s in (*clips.skipped, *random.skipped)],
            )  # fmt: skip
            if held_out is not None:
                test = _read(model, held_out.of_class(name), job, None, f"test videos of “{name}”", console)
                run = evaluate_concepts(
                    model,
                    run,
                    test.clips,
                    settings=job.settings,
                    store=Store(job.output / "store"),
                    progress=progress_bar,
                )
            _write(job.output / name / (run.layer if len(layers) > 1 else ""), run)
            console.print(table_text(run))
            console.print(run.sentence(), markup=False, highlight=False)
            for warning in run.warnings:
                console.print(f"note: {warning}", markup=False, highlight=False)
            runs.append(run)
    path = write_report(runs, job.output / "report.html")
    console.print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)
    return runs


def _open(job: Job, videos: VideoSet, layer: str | None) -> VideoModel:
    return open_model(job.network, videos.classes, layer=layer)


def _loose(folder: Path) -> VideoSet:
    """All videos of a folder, whether or not they lie in class folders."""
    return scan_folder(folder)


def _read(model: VideoModel, videos: VideoSet, job: Job, limit: int | None, what: str, console: Console) -> ClipSet:
    """Clips of the network's length, or whole videos; what was skipped is said."""
    reader = model.reader()
    if job.whole:
        reader = replace(reader, sampler=_Whole(model.grid[0]))
    total = len(videos) if limit is None else min(limit, len(videos))
    with progress_bar(f"reading {what}", total) as advance:
        clips = read_clips(videos, reader, limit=limit, seed=job.settings.seed, progress=lambda done, all_: advance())
    if clips.skipped:
        console.print(clips.summary(), markup=False, highlight=False)
    return clips


@dataclass(frozen=True)
class _Whole:
    """Every frame of the video; shorter ones are looped to the network's length."""

    frames: int

    def __call__(self, count: int, rng: np.random.Generator | None = None) -> np.ndarray:
        return np.arange(max(count, self.frames), dtype=np.int64)[None] % count


def _test_videos(job: Job, rest: VideoSet | None) -> VideoSet:
    if job.test is not None:
        return scan_folder(job.test)
    if rest is None:
        raise DataError(
            f"expected test videos beside those explained, got none in {job.data}; give some with --test DIR, or hold "
            "some out with `voxplain concepts --hold-out`"
        )
    return rest


def _write(folder: Path, run: ConceptRun) -> None:
    """The run's table, JSON and concept pictures, and the curves once it is evaluated."""
    folder.mkdir(parents=True, exist_ok=True)
    if run.evaluation is not None:
        curves(run.evaluation).savefig(folder / "curves.png", dpi=80, metadata={"Software": None})
    write_whole(folder / "concepts.csv", table_csv(run).encode())
    write_whole(folder / "concepts.json", json.dumps(table_json(run), indent=1).encode())
    for row in run.rows():
        picture = folder / f"concept_{row.concept:02d}.png"
        partial = picture.with_suffix(".part")
        Image.fromarray(montage(run, row.concept)).save(partial, format="png")
        partial.replace(picture)


def _configured(config: Path | None, assignments: Sequence[str]) -> list[tuple[str, Any]]:
    """Settings of the YAML file, then of the command line, which wins."""
    found: list[tuple[str, Any]] = []
    if config is not None:
        try:
            record = yaml.safe_load(config.read_text())
        except (OSError, yaml.YAMLError) as error:
            raise DataError(f"expected a YAML file of settings, got {config}: {error}; correct it") from None
        if not isinstance(record, dict):
            raise DataError(f"expected names and values in {config}, got {type(record).__name__}; write `keep: 30`")
        found += list(record.items())
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise DataError(f"expected --set name=value, got {assignment!r}; for example --set keep=30")
        found.append((name.strip(), yaml.safe_load(value)))
    return found


def _job_record(job: Job, assignments: Sequence[str], config: Path | None) -> dict[str, Any]:
    """The job as plain JSON; settings are written as the preset and what was changed."""
    network = asdict(job.network)
    return {
        "data": str(job.data.resolve()), "hold_out": list(job.held.hold_out),
        "split": job.held.split and str(job.held.split.resolve()),
        "random": str(job.random.resolve()), "classes": list(job.classes),
        "network": {k: str(Path(v).resolve()) if k == "weights" and v else v for k, v in network.items()},
        "preset": job.preset, "seed": job.settings.seed, "whole": job.whole,
        "settings": [[name, value] for name, value in _configured(config, assignments)],
    }  # fmt: skip


def _read_job(folder: Path) -> Job:
    try:
        record = json.loads((folder / "job.json").read_text())
    except (OSError, ValueError):
        raise DataError(
            f"expected the folder of a run with its job.json, got {folder}; make one with `voxplain concepts`"
        ) from None
    settings = replace(PRESETS[record["preset"]], seed=record["seed"])
    for name, value in record["settings"]:
        settings = override(settings, name, value)
    facts = record["network"]
    network = Network(
        **{**facts, "layer": tuple(facts["layer"]), "weights": facts["weights"] and Path(facts["weights"])}
    )
    split = record.get("split")
    held = Held(split and Path(split), tuple(record.get("hold_out", ())))
    return Job(
        Path(record["data"]), Path(record["random"]), folder, tuple(record["classes"]), network, settings,
        record["preset"], held, whole=record["whole"],
    )  # fmt: skip


def _estimate(job: Job, model: VideoModel, videos: VideoSet) -> None:
    """Say how many forwards a run needs and about how long they take, timed on one clip of this network."""
    s, console = job.settings, Console()
    probe = np.zeros((min(8, model.batch_size), *model.grid, 3), np.uint8)
    model.logits(probe[:1])
    start = time.perf_counter()
    model.logits(probe)
    each = (time.perf_counter() - start) / len(probe)
    segments = sum(getattr(s.segmenter, "segments", (15, 50, 80)))
    clusters = getattr(s.clusterer, "clusters", 25)
    unrelated = min(s.random_videos, len(_loose(job.random))) * min(s.random_crops, segments)
    for name in job.classes:
        clips = min(s.videos, len(videos.of_class(name)))
        forwards = clips * segments + min(clips, s.score_videos) * (2 + clusters * (2 + s.effect.controls))
        console.print(
            f"“{name}”: {clips} videos, about {clips * segments} supervoxels, {forwards} forwards, "
            f"about {forwards * each / 60:.1f} min on {model.device}",
            markup=False, highlight=False,
        )  # fmt: skip
    console.print(f"random sets, once: {unrelated} forwards, about {unrelated * each / 60:.1f} min", highlight=False)
    console.print("nothing was written: this was a dry run", highlight=False)
