"""Atomic writing of files: complete or absent, also when the process is killed."""

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from voxplain.errors import VoxplainError

try:
    import fcntl
except ImportError:  # Windows, which does not delete a file that another process has open
    fcntl = None  # type: ignore[assignment]

__all__ = ["cannot_write", "in_use", "remove_abandoned", "write_whole"]

_TEMPORARY = ".voxplain-tmp"
_WRITE_ATTEMPTS = 5
_STALE_SECONDS = 86_400.0  # age that makes a temporary file stale where the file system cannot lock files


def write_whole(path: Path, data: bytes | BinaryIO) -> None:
    """Put ``data`` at ``path`` so that readers get all of it or none, also after a crash.

    Of an open file everything from its beginning is taken.
    What was at ``path`` stays until then. Raises VoxplainError, leaving nothing half-written, when the disk
    or quota is full or the folder cannot be written.
    """
    try:
        for _ in range(_WRITE_ATTEMPTS):
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # a store that was being opened removed our file as abandoned
                return _write_once(path, data)
    except OSError as error:
        size = len(data) if isinstance(data, bytes) else data.seek(0, os.SEEK_END)
        raise cannot_write(path.parent, size, error) from error
    raise VoxplainError(f"files in {path.parent} vanish while they are written: do not clean it during a run.")


def remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left half-written by `write_whole` in a folder and three levels below it."""
    level = [str(folder)]
    for _ in range(4):
        below: list[str] = []
        for place in level:
            with contextlib.suppress(OSError), os.scandir(place) as found:  # gone, or not to be read
                for entry in found:
                    if entry.name.endswith(_TEMPORARY) and entry.name[0] == ".":
                        _remove_if_abandoned(Path(entry.path))
                    elif entry.is_dir(follow_symlinks=False):
                        below.append(entry.path)
        level = below


@contextlib.contextmanager
def in_use(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Keep other runs out of a folder inside the block, where its file system can lock folders.

    Parameters
    ----------
    folder : Path
        It is made where there is none.
    shared : bool
        Others that are ``shared`` may use it, too, as the shards of one run do.

    Raises
    ------
    VoxplainError
        Where another run uses the folder, or it cannot be made.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, 0, error) from error
    with contextlib.ExitStack() as stack:
        if made:  # and it is empty still, as after an error
            stack.callback(_remove_empty, folder)
        if fcntl is not None:
            try:
                handle = os.open(folder, os.O_RDONLY)  # the folder itself: a file would stay in it
                stack.callback(os.close, handle)
                fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                raise VoxplainError(
                    f"expected a folder that no other run uses, got {folder}, where one is running; wait until it has "
                    "ended, or name another folder"
                ) from None
            except OSError:  # locks of folders are not supported
                pass
        yield


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _write_once(path: Path, data: bytes | BinaryIO) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_TEMPORARY}")
    try:
        with temporary.open("xb") as file:
            with contextlib.suppress(OSError):  # locked by another check, or locks are not supported
                _lock(file)
            if isinstance(data, bytes):
                file.write(data)
            else:
                data.seek(0)
                shutil.copyfileobj(data, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # so that the new name survives a power cut, where folders can be synced
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _lock(file: BinaryIO) -> None:
    """Mark a file as in use until it is closed, by us or by the kernel when the process dies."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_if_abandoned(temporary: Path) -> None:
    with contextlib.suppress(OSError):  # removed already, another user's, or in a read-only folder
        with temporary.open("r+b") as file:
            try:
                _lock(file)
            except BlockingIOError:
                return
            except OSError:
                if time.time() - temporary.stat().st_mtime < _STALE_SECONDS:
                    return
        temporary.unlink()


def cannot_write(folder: Path, size: int, error: OSError) -> VoxplainError:
    """The error for ``size`` bytes that cannot be written in a folder."""
    kept = "then run again: finished results are kept"
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return VoxplainError(f"cannot write in {folder} ({error.strerror}): name another folder, {kept}.")
    free = "an unknown amount"
    with contextlib.suppress(OSError):
        free = f"{shutil.disk_usage(folder).free / 1e6:.1f} MB"
    return VoxplainError(
        f"needs {size / 1e6:.1f} MB more in {folder}, where {free} is free ({error.strerror}): "
        f"free some space or name another store folder, {kept}."
    )
