"""One variable of a MATLAB file, with an error in one sentence when the file is broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voxplain.errors import DataError


def read_mat(file: Path, name: str, **options: Any) -> Any:
    """The variable ``name``; ``options`` are those of scipy.io.loadmat. DataError for a file without it."""
    from scipy.io import loadmat

    try:
        return loadmat(file, variable_names=[name], **options)[name]
    except Exception as error:  # for broken bytes scipy raises its own errors, zlib's, struct's or MemoryError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{file}: expected a MATLAB file with {name}, got: {reason}; download it again") from error
