"""`voxplain card`."""

from pathlib import Path

from voxplain.cli.options import OutputFile

__all__ = ["card_command"]


def card_command(run: Path, *, output: OutputFile = None) -> None:
    """Write a section for a model card from a run: what was explained, evidence, limits and versions, in Markdown.

    Examples:

        voxplain card runs/bend
        voxplain card runs/bend -o explanation.md

    Parameters
    ----------
    run
        The output folder of `voxplain concepts`, `evaluate` or `demo`, or the folder of one class.
    output
        The file to write; default: print it.
    """
    from voxplain.cli.report import read_runs
    from voxplain.report.model_card import model_card
    from voxplain.store import write_whole

    text = model_card(read_runs(run))
    if output is None:
        print(text, end="")
        return
    write_whole(output, text.encode("utf-8", "backslashreplace"))
    print(f"card: {output}")
