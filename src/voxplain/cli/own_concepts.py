"""`voxplain own-concepts`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from voxplain.cli.network import Network
from voxplain.cli.options import OutputFile

__all__ = ["own_concepts_command"]


def own_concepts_command(
    data: Path,
    concepts: Path,
    *,
    class_: Annotated[str, Parameter(name="--class")],
    network: Network = Network(),  # noqa: B008 - frozen
    random: Path,
    output: OutputFile = None,
    seed: int = 0,
) -> None:
    """Compute TCAV scores of your own concepts, each given by example videos, for one class.

    Examples:

        voxplain own-concepts data my_concepts --class bend --net r3d --weights r3d.safetensors --random unrelated

    Parameters
    ----------
    data
        Folder of class folders.
    concepts
        Folder with one sub-folder of example videos per concept (at least 3 each).
    class_
        The class to explain.
    random
        Folder of unrelated videos.
    output
        A CSV file for the table.
    seed
        The same seed gives the same figures.
    """
    from rich.console import Console

    from voxplain.cli.network import open_model
    from voxplain.concepts.settings import ConceptSettings
    from voxplain.datasets import read_clips, scan_folder
    from voxplain.explain import score_own_concepts
    from voxplain.progress import progress_bar
    from voxplain.store import write_csv

    videos = scan_folder(data, part="train")
    model = open_model(network, videos.classes, layer=network.layer[0] if network.layer else None)
    reader, settings = model.reader(), ConceptSettings(seed=seed)
    folders = scan_folder(concepts)
    examples = {name: read_clips(folders.of_class(name), reader).clips for name in folders.classes}
    clips = read_clips(videos.of_class(class_), reader, limit=settings.score_videos, seed=seed).clips
    unrelated = read_clips(random, reader, limit=settings.unrelated_videos, seed=seed).clips
    result = score_own_concepts(
        model, examples, clips, random=unrelated, target=class_, settings=settings, progress=progress_bar
    )
    Console().print(result.table(), markup=False, highlight=False, soft_wrap=True)
    if output is not None:
        s = result.scores
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
            for k in s.rank
        ]
        write_csv(output, rows)
