"""`voxplain own-concepts`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from voxplain.cli.held_out import HeldOut
from voxplain.cli.losses import Losses, printed_losses
from voxplain.cli.network import Network
from voxplain.cli.options import OutputFile

__all__ = ["own_concepts_command"]


def own_concepts_command(
    data: Path,
    concepts: Path,
    *,
    class_: Annotated[str, Parameter(name="--class")],
    network: Network = Network(),  # noqa: B008 - frozen
    held: HeldOut = HeldOut(),  # noqa: B008 - frozen
    random: Path,
    masks: Path | None = None,
    output: OutputFile = None,
    seed: int = 0,
    losses: Losses = Losses(),  # noqa: B008 - frozen
) -> int:
    """Compute TCAV scores of your own concepts, each given by example videos, for one class.

    With masks of the concepts in their videos, also their direct effects: what hiding them costs the class there.

    Examples:

        voxplain own-concepts data my_concepts --class bend --net r3d --weights r3d.safetensors --random unrelated
        voxplain own-concepts data my_concepts --class bend --net r3d --weights r3d.safetensors --random unrelated \
            --masks my_masks

    Parameters
    ----------
    data
        Folder of class folders, or one with train/ and test/; with --list the folder of its paths.
    concepts
        Folder with one sub-folder of example videos per concept (at least 3 each).
    class_
        The class to explain.
    random
        Folder, or list, of unrelated videos.
    masks
        Folder with one sub-folder per concept, in it a mask for each of its videos: for clip.mp4 the array clip.npy or
        clip.npz of shape frames×height×width, above 0 where the concept is, or a folder clip of pictures that are white
        there.
    output
        A CSV file for the table.
    seed
        The same seed gives the same figures.
    """
    from voxplain.cli.console import Console
    from voxplain.cli.file_list import folder_or_list, print_list
    from voxplain.cli.held_out import named_videos, split_videos
    from voxplain.cli.network import open_model
    from voxplain.concepts.settings import ConceptSettings
    from voxplain.datasets import read_clips, scan_folder
    from voxplain.datasets.ground_truth import file_mask, grid_mask
    from voxplain.explain import score_own_concepts
    from voxplain.progress import progress_bar
    from voxplain.store import write_csv

    videos, _ = split_videos(data, held)
    print_list(videos)
    model = open_model(network, videos.classes, layer=network.layer[0] if network.layer else None)
    videos = named_videos(model, videos, held)
    reader, settings = replace(model.reader(), damaged=losses.damaged), ConceptSettings(seed=seed)
    folders = scan_folder(concepts, images=held.images)
    others = folder_or_list(random, data, held.files, images=held.images)
    console = Console()
    with printed_losses(console) as lost:
        examples = {name: read_clips(folders.of_class(name), reader).clips for name in folders.classes}
        clips = read_clips(videos.of_class(class_), reader, limit=settings.score_videos, seed=seed).clips
        unrelated = read_clips(others, reader, limit=settings.unrelated_videos, seed=seed).clips
    given = masks and {
        name: [grid_mask(file_mask(masks / name, Path(clip.source)), reader) for clip in own]
        for name, own in examples.items()
    }
    result = score_own_concepts(
        model,
        examples,
        clips,
        random=unrelated,
        target=class_,
        masks=given or None,
        settings=settings,
        progress=progress_bar,
    )
    console.print(result.table(), markup=False, highlight=False, soft_wrap=True)
    if output is not None:
        s, effect = result.scores, result.effect
        rows = [
            {
                "concept": result.names[k],
                "score": float(s.value[k]),
                "low": float(s.interval[k, 0]),
                "high": float(s.interval[k, 1]),
                "tested": float(s.tested[k]),
                "tested_low": float(s.tested_interval[k, 0]),
                "tested_high": float(s.tested_interval[k, 1]),
                "p": float(s.p_value[k]),
                "q": float(s.q_value[k]),
                "cav_accuracy": float(result.cavs.accuracy[k].mean()),
            }
            | (
                {}
                if effect is None
                else {
                    "effect": float(effect.value[k]),
                    "effect_tested": float(effect.tested[k]),
                    "effect_tested_low": float(effect.tested_interval[k, 0]),
                    "effect_tested_high": float(effect.tested_interval[k, 1]),
                    "effect_q": float(effect.q_value[k]),
                }
            )
            for k in s.rank
        ]
        write_csv(output, rows)
    return losses.exit_code(bool(lost))
