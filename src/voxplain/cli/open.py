"""`voxplain open`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from voxplain.errors import DataError

__all__ = ["open_command"]


def open_command(run: Path, *, class_: Annotated[str | None, Parameter(name="--class")] = None) -> None:
    """Open the report page of a run in the browser, and print its path.

    Examples:

        voxplain open runs/bend
        voxplain open runs/all --class bend

    Parameters
    ----------
    run
        The output folder of `voxplain concepts`, `attribute` or `demo`, or a page.
    class_
        The class whose page to open, where there are several; default: the index.
    """
    import webbrowser

    page = run if run.is_file() else run / "report.html"
    if not page.is_file():
        raise DataError(f"expected a page in {run}, got no report.html; write one with `voxplain report {run}`")
    page = page if class_ is None else _page_of(page, class_)
    print(page)
    webbrowser.open(page.resolve().as_uri())


def _page_of(index: Path, name: str) -> Path:
    """The page of a class beside an index. Raises DataError where there is none."""
    from voxplain.report.pages import file_name

    known = sorted(index.with_suffix("").glob("[0-9][0-9]-*.html"))
    found = next((path for path in known if path.stem[3:] == file_name(name)), None)
    if found is None:
        names = ", ".join(dict.fromkeys(path.stem[3:] for path in known)) or "none"
        raise DataError(f"expected a class with a page beside {index} ({names}), got {name!r}; choose one of them")
    return found
