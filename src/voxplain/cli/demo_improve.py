"""`voxplain demo-improve`."""

from pathlib import Path
from typing import TYPE_CHECKING

from voxplain.cli.options import Output

if TYPE_CHECKING:
    from voxplain.concepts.settings import ConceptSettings
    from voxplain.datasets.planted import PlantedDesign
    from voxplain.model import VideoModel

__all__ = ["demo_design", "demo_improve_command", "demo_improve_settings", "shortcut_network"]

TARGET = "crescent"
TRAIN, TEST, UNRELATED = 80, 20, 20  # videos a class; unrelated videos


def demo_design() -> "PlantedDesign":
    """Four classes decided by a shape; a caption in 95 % of the clips of the class crescent."""
    from dataclasses import replace

    from voxplain.datasets.planted import design_of

    design = design_of(4, held_out=True)  # shapes that the weights to start from do not distinguish
    return replace(design, shortcut=TARGET, shortcut_kind="caption", frames=8, size=48, radius=(0.21, 0.25), shake=0.75)


def demo_improve_settings() -> "ConceptSettings":
    """Settings of the explanation, smaller than the defaults."""
    from voxplain.concepts.settings import ConceptSettings

    return ConceptSettings(videos=12, unrelated_videos=20, unrelated_crops=15)


def shortcut_network(data: Path, weights: Path) -> "VideoModel":
    """A network trained from scratch on the videos, which learns the caption first; read back where it was trained.

    Parameters
    ----------
    data : Path
        Folder with train/.
    weights : Path
        Where the weights are written.

    Returns
    -------
    VideoModel
    """
    import json

    import torch

    from voxplain.datasets import scan_folder
    from voxplain.nets import save_weights
    from voxplain.progress import progress_bar
    from voxplain.train import Recipe, load_videos, train
    from voxplain.video import Geometry
    from voxplain.zoo.load import load_model

    design = demo_design()
    side = (design.size, design.size)
    geometry, grid = Geometry(side, side), (design.frames, *side)
    known = {"classes": design.classes, "grid": grid, "geometry": geometry}
    if weights.exists():
        return load_model("tiny", weights=weights, **known)  # type: ignore[arg-type]
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)  # torch draws another seed in every process
        model = load_model("tiny", **known)  # type: ignore[arg-type]
    found = scan_folder(data / "train")
    videos = load_videos(found.paths, found.labels, geometry)
    recipe = Recipe(epochs=12, batch=16, lr=0.05, lr_step=9, flip=0.0)
    with progress_bar("training", recipe.epochs * round(len(found) / recipe.batch)) as advance:
        train(model, videos, geometry=geometry, recipe=recipe, advance=advance)
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_weights(model.net, weights, {"net": "tiny", "classes": json.dumps(list(design.classes))})
    return model


def demo_improve_command(*, output: Output = Path("demo-improve")) -> None:
    """Correct a network that relies on a planted defect, and measure the difference.

    Draws videos in which a caption goes with 95 % of one class, trains a small network on them, explains the class,
    removes the concept that is at one place in all clips, measures the networks on videos in which the caption goes
    with no class, and ends with the paths of two pages.

    Example commands:

        voxplain demo-improve
        voxplain demo-improve -o runs/loop

    Parameters
    ----------
    output
        Folder for the videos, the network and the results.
    """
    from dataclasses import replace

    from voxplain.cli.console import Console
    from voxplain.corrections import improve
    from voxplain.corrections.improve import suspected
    from voxplain.corrections.page import write_improved_report
    from voxplain.corrections.relied_on import relied_on
    from voxplain.datasets import read_clips, scan_folder
    from voxplain.datasets.planted import write_planted
    from voxplain.explain import explain_concepts
    from voxplain.progress import progress_bar
    from voxplain.report import Origin, write_report
    from voxplain.store import Store, save_run

    console, data, design = Console(), output / "videos", demo_design()

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    balanced = replace(design, shortcut_rate=0.5)
    with progress_bar("drawing videos", (TRAIN + TEST) * len(design.classes) + UNRELATED) as advance:
        write_planted(data, design=design, train=TRAIN, test=0, unrelated=UNRELATED, seed=3, advance=advance)
        write_planted(output / "test_videos", design=balanced, train=0, test=TEST, unrelated=0, seed=4, advance=advance)
    say(
        f"The planted defect: a caption in the upper right in 95 % of the training videos of “{TARGET}”, in 5 % of the "
        "others', and in half of the test videos of every class."
    )
    model = shortcut_network(data, output / "network" / "weights.safetensors")
    settings = demo_improve_settings()
    clips = read_clips(data / "train" / TARGET, model.reader(), limit=settings.videos).clips
    unrelated = read_clips(data / "unrelated", model.reader()).clips
    run = explain_concepts(
        model,
        clips,
        random=unrelated,
        target=TARGET,
        settings=settings,
        store=Store(output / "store"),
        progress=progress_bar,
    )
    save_run(output / "run", run)
    write_report(run, output / "concepts.html")
    say(f"concepts of “{TARGET}”: {output / 'concepts.html'}")
    test = scan_folder(output / "test_videos" / "test")
    remove = relied_on(
        model, run, suspected(run), data=data / "train", test=test, output=output / "better", progress=progress_bar
    )
    say(f"removing {', '.join(f'concept {k}' for k in remove)}")
    better = improve(
        model,
        run,
        data=data / "train",
        test=test,
        remove=remove,
        seeds=1,
        output=output / "better",
        progress=progress_bar,
    )
    say(better.table())
    page = write_improved_report(better, output / "improved.html", run=run, origin=Origin("voxplain demo-improve"))
    say(f"before and after: {page}")
