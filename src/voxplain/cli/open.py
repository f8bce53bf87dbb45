"""`voxplain open`."""

from pathlib import Path

from voxplain.errors import DataError

__all__ = ["open_command"]


def open_command(run: Path) -> None:
    """Open the report page of a run in the browser, and print its path.

    Examples:

        voxplain open runs/bend

    Parameters
    ----------
    run
        The output folder of `voxplain concepts`, `attribute`, `demo`, `improve` or `audit`, or a page.
    """
    import webbrowser

    page = run if run.is_file() else run / "report.html"
    if not page.is_file():
        raise DataError(f"expected a page in {run}, got no report.html; write one with `voxplain report {run}`")
    print(page)
    webbrowser.open(page.resolve().as_uri())
