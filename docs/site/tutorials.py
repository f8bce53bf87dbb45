"""The tutorials: notebooks in the percent format of jupytext, run from top to bottom into pages with their output.

``docs/tutorials/NAME.py`` is the notebook; editors and jupytext open it as one. ``python docs/site/tutorials.py NAME``
runs it in an empty folder and writes the page ``docs/tutorials/NAME.md`` with what the cells printed, their pictures in
``docs/img/tutorials`` and the seconds that it took. Without names all are run. ``--not-run NAME`` writes the page
without output, which says so.
"""

import ast
import contextlib
import io
import json
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NAMES", "Cell", "Output", "cells_of", "index_page", "notebook", "page", "run", "title_and_question"]

ROOT = Path(__file__).parents[2]
FOLDER, PICTURES = ROOT / "docs" / "tutorials", ROOT / "docs" / "img" / "tutorials"
NAMES = ("planted_truth", "video_transformer", "concepts_of_a_class", "shortcut", "compare_methods", "long_video")


NOT_RUN = "Not run into this page yet."  # the page of a notebook that changed


@dataclass(frozen=True)
class Cell:
    """One cell: Markdown or Python, without its marker."""

    markdown: bool
    text: str


@dataclass(frozen=True)
class Output:
    """What a cell of Python left: what it printed, and its pictures as PNG."""

    printed: str
    pictures: tuple[bytes, ...]


def cells_of(text: str) -> list[Cell]:
    """The cells of a notebook in the percent format."""
    cells = []
    for kind, body in re.findall(r"^# %%( \[markdown\])?[^\n]*\n(.*?)(?=^# %%|\Z)", text, re.MULTILINE | re.DOTALL):
        lines = body.strip().splitlines()
        if kind:
            lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
        cells.append(Cell(bool(kind), "\n".join(lines)))
    return cells


def title_and_question(text: str) -> tuple[str, str]:
    """The heading of a notebook and the question that it starts from, in bold below the heading."""
    first = cells_of(text)[0].text
    found = re.match(r"# (.+)\n\n\*\*(.+?)\*\*", first, re.DOTALL)
    if found is None:
        raise ValueError("expected a notebook that begins with a heading and a question in bold, got another text")
    return found[1], found[2].replace("\n", " ")


def run(text: str, folder: Path) -> tuple[list[Output | None], dict[str, object]]:
    """Run the Python cells of a notebook in a folder, as a notebook would: figures that a cell leaves open are shown.

    Returns
    -------
    list
        For each cell what it left; None for Markdown.
    dict
        The names that the cells defined.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names: dict[str, object] = {"__name__": "__main__"}
    outputs: list[Output | None] = []
    before = Path.cwd()
    os.chdir(folder)
    try:
        for number, cell in enumerate(cells_of(text)):
            if cell.markdown:
                outputs.append(None)
                continue
            tree, printed = ast.parse(cell.text), io.StringIO()
            last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            with contextlib.redirect_stdout(printed):
                exec(compile(tree, f"cell {number}", "exec"), names)
                if isinstance(last, ast.Expr):
                    value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
                    if value is not None:
                        print(repr(value))
            outputs.append(Output(printed.getvalue(), tuple(_png(plt.figure(n)) for n in plt.get_fignums())))
            plt.close("all")
    finally:
        os.chdir(before)
    return outputs, names


def _png(figure: object) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, bbox_inches="tight")  # type: ignore[attr-defined]
    from PIL import Image

    picture, small = Image.open(file).convert("RGB"), io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def page(name: str, text: str, outputs: list[Output | None], took: str) -> tuple[str, dict[str, bytes]]:
    """The page of a notebook as Markdown, and its pictures by file name."""
    parts, pictures = [], {}
    heading, _ = title_and_question(text)
    for cell, output in zip(cells_of(text), outputs, strict=True):
        if output is None:
            parts.append(cell.text)
            continue
        parts.append(f"```python\n{cell.text}\n```")
        if output.printed.strip():
            parts.append(f"```text\n{output.printed.rstrip()}\n```")
        for picture in output.pictures:
            file = f"{name}-{len(pictures) + 1}.png"
            pictures[file] = picture
            parts.append(f"![{heading}, picture {len(pictures)}](../img/tutorials/{file})")
    shown = "with what its cells printed" if took != NOT_RUN else "without what its cells print"
    note = f"*{took} This page is the [notebook]({name}.py) {shown}.*"
    parts.insert(1, note)
    return "\n\n".join(parts) + "\n", pictures


def index_page() -> str:
    """The page of all tutorials, with the question, the time and the last picture of each."""
    parts = [
        "# Tutorials",
        "Notebooks that start from a question and end with a picture, on small data that they make themselves; each\n"
        "runs on a CPU. Times are of one thread. Open the `.py` files in an editor that knows cells, or with jupytext.",
    ]
    for name in NAMES:
        heading, question = title_and_question((FOLDER / f"{name}.py").read_text("utf-8"))
        written = (FOLDER / f"{name}.md").read_text("utf-8")
        took = re.findall(r"\d+ s of processor", written)
        parts.append(f"## [{heading}]({name}.md)")
        parts.append(f"{question} *{took[0] if took else NOT_RUN.rstrip('.')}.*")
        for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", written)[-1:]:
            parts.append(f"![The last picture of: {heading}]({picture})")
    return "\n\n".join(parts) + "\n"


def notebook(text: str) -> str:
    """The notebook as the JSON of a ``.ipynb`` file, without output."""
    cells = []
    for number, cell in enumerate(cells_of(text)):
        entry: dict[str, object] = {"id": f"cell-{number}", "metadata": {}, "source": cell.text.splitlines(True)}
        kind = "markdown" if cell.markdown else "code"
        entry |= {"cell_type": kind} if cell.markdown else {"cell_type": kind, "execution_count": None, "outputs": []}
        cells.append(entry)
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}, indent=1)


def write_page(name: str, text: str, outputs: list[Output | None], took: str) -> None:
    """Write the page of a notebook and its pictures, and the page of all notebooks."""
    written, pictures = page(name, text, outputs, took)
    for old in PICTURES.glob(f"{name}-*.png"):
        old.unlink()
    PICTURES.mkdir(parents=True, exist_ok=True)
    for file, data in pictures.items():
        (PICTURES / file).write_bytes(data)
    (FOLDER / f"{name}.md").write_text(written, "utf-8")
    if all((FOLDER / f"{name}.md").exists() for name in NAMES):
        (FOLDER / "index.md").write_text(index_page(), "utf-8")


def main(names: tuple[str, ...]) -> None:
    """Run notebooks and write their pages."""
    if names and names[0] == "--not-run":  # pages without output, after a change
        for name in names[1:]:
            text = (FOLDER / f"{name}.py").read_text("utf-8")
            cells = cells_of(text)
            write_page(name, text, [None if cell.markdown else Output("", ()) for cell in cells], NOT_RUN)
        return
    for name in names:
        text = (FOLDER / f"{name}.py").read_text("utf-8")
        busy = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            outputs, _ = run(text, Path(folder))
        took = f"Took {time.process_time() - busy:.0f} s of processor, on one thread."
        write_page(name, text, outputs, took)
        print(f"{name}: {took}")


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or NAMES)
