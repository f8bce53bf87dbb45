"""`voxplain data`."""

import sys
from pathlib import Path

from voxplain.errors import DataError

__all__ = ["data_command"]


def data_command(name: str | None = None, *, check: Path | None = None, read: bool = False) -> None:
    """List the published data sets that can be read as downloaded, or check that a folder holds a complete one.

    The exit code is 1 when something is missing. A folder that holds a part of a data set can be used, too.

    Examples:

        voxplain data
        voxplain data jhmdb
        voxplain data jhmdb --check data/jhmdb --read

    Parameters
    ----------
    name
        One of the data sets; without --check, its description.
    check
        The folder to check.
    read
        Decode every video, too, and list those that are damaged.
    """
    from voxplain.cli.console import Console
    from voxplain.cli.data_check import check_folder, print_data_sets

    console = Console(highlight=False)
    if check is None:
        if read:
            raise DataError("expected a folder to read, got none; write `voxplain data NAME --check DIR --read`")
        print_data_sets(console, name)
        return
    if name is None:
        raise DataError("expected the name of a data set before --check, got none; `voxplain data` lists them")
    if not check_folder(console, name, check, read=read):
        sys.exit(1)
