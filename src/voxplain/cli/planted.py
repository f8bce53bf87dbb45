"""`voxplain planted`."""

from dataclasses import replace
from pathlib import Path

from voxplain.errors import DataError

__all__ = ["planted_command"]


def planted_command(
    folder: Path,
    *,
    design: str = "standard",
    train: int = 100,
    test: int = 25,
    unrelated: int = 200,
    shortcut: str | None = None,
    shortcut_rate: float = 0.95,
    seed: int = 0,
) -> None:
    """Write planted videos: drawn clips with a known cause of each class, with object masks and a manifest.

    Some classes are decided by an object's shape, some only by its movement, in harder designs by two objects
    together; backgrounds, distractors, noise and camera shake are independent of the class.

    Examples:

        voxplain planted data/planted
        voxplain planted data/trap --shortcut orbit --shortcut-rate 0.95

    Parameters
    ----------
    folder
        Where to write; the same command continues an interrupted one.
    design
        standard; harder: textured, camera, occluded, growing, same-colour, pair, conjunction; with other shapes and
        motions: held-out, held-out-textured, held-out-camera, held-out-occluded, held-out-growing,
        held-out-same-colour, held-out-pair, held-out-conjunction.
    train
        Training videos a class.
    test
        Test videos a class.
    unrelated
        Videos of none of the classes, for the random sets.
    shortcut
        A class whose clips carry a checkerboard patch.
    shortcut_rate
        Part of its clips that carry it; clips of the other classes carry it at 1 − this rate.
    seed
        The same seed gives the same bytes.
    """
    from voxplain.cli.console import Console
    from voxplain.datasets.planted import DESIGNS, write_planted
    from voxplain.progress import progress_bar

    if design not in DESIGNS:
        raise DataError(f"expected a design of {sorted(DESIGNS)}, got {design!r}; choose one")
    chosen = replace(DESIGNS[design], shortcut=shortcut, shortcut_rate=shortcut_rate)
    total = (train + test) * len(chosen.classes) + unrelated
    with progress_bar("drawing videos", total) as advance:
        written = write_planted(
            folder, design=chosen, train=train, test=test, unrelated=unrelated, seed=seed, advance=advance
        )
    Console().print(f"{len(written.scenes)} videos of {len(chosen.classes)} classes: {folder}", highlight=False)
