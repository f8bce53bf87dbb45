"""Which of several suspected concepts a network relies on, by pasting each of them alone into clips of all classes."""

from collections.abc import Sequence
from pathlib import Path

from voxplain.concepts.concept_run import ConceptRun
from voxplain.corrections.content_effect import reliance_on, with_presence
from voxplain.corrections.labelled import labelled_examples
from voxplain.corrections.locate import locate
from voxplain.datasets import VideoSet
from voxplain.model import VideoModel
from voxplain.progress import ShowProgress, quiet
from voxplain.store import Store
from voxplain.video import Damaged

__all__ = ["relied_on"]

SHARE = 0.5  # of the effect of the strongest concept


def relied_on(
    model: VideoModel,
    run: ConceptRun,
    concepts: Sequence[int],
    *,
    data: Path | str | VideoSet,
    test: Path | str | VideoSet | None = None,
    clips: int | None = None,
    damaged: Damaged = "skip",
    output: Path | str | None = None,
    progress: ShowProgress = quiet,
) -> tuple[int, ...]:
    """The concepts that make the class likelier in other clips, at least half as much as the strongest of them.

    A thing may be at one place in all clips of a class and be no shortcut. What the network relies on shows in clips of
    other classes: there the pasted concept raises the log-odds of the run's class.

    Parameters
    ----------
    model : VideoModel
    run : ConceptRun
    concepts : sequence of int
        Of the run.
    data, test, clips, damaged, output, progress
        As in `improve`; where concepts are in the clips is kept in the output folder for it.

    Returns
    -------
    tuple of int
        In the given order; all of them where there is but one, or none that is shown to be relied on.

    Raises
    ------
    DataError
        For concepts that the run does not have, and for data without the classes of the network.
    """
    if len(concepts) < 2:
        return tuple(concepts)
    store = None if output is None else Store(Path(output) / "store")
    train, _ = labelled_examples(
        model,
        run,
        data,
        test=test,
        remove=concepts,
        keep=(),
        limit=clips,
        damaged=damaged,
        store=store,
        progress=progress,
    )
    effects = {}
    with progress("effects of suspected concepts", len(concepts)) as advance:
        for k in concepts:
            located = locate(model, run, train.clips, train.examples.labels.tolist(), remove=(k,), store=store)
            found = reliance_on(model, with_presence(model, located))
            effects[k] = found.effect if found.significant else 0.0
            advance()
    strongest = max(effects.values())
    return tuple(k for k in concepts if strongest == 0 or effects[k] >= SHARE * strongest)
