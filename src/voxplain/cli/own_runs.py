"""Which runs were made here by this user: only of those the code that job.json names is imported without asking."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from voxplain.cli.job import Job
from voxplain.errors import ModelError, VoxplainError
from voxplain.files import write_whole

__all__ = ["check_code", "mark_own"]


def mark_own(folder: Path) -> None:
    """Note that job.json of a folder was written here by this user.

    The note is kept outside the folder, in ``$XDG_STATE_HOME/voxplain`` (default ``~/.local/state/voxplain``), where a
    folder that is copied from elsewhere brings none. Where it cannot be written, the run counts as one from elsewhere.

    Parameters
    ----------
    folder : Path
        The output folder of the job.
    """
    try:
        write_whole(_note(folder), b"")
    except (VoxplainError, OSError, RuntimeError):
        return


def check_code(folder: Path, job: Job, model: str | None) -> Job:
    """The job with a network whose code may be imported.

    Parameters
    ----------
    folder : Path
        The output folder of the job.
    job : Job
        As job.json has it.
    model : str or None
        What the user gave as ``--model``; it takes the place of the job's.

    Returns
    -------
    Job

    Raises
    ------
    ModelError
        Where job.json names code, the run was not made here by this user, and no ``--model`` is given; where one is
        given and the run is of another network; where a run from elsewhere names the code of its geometry.
    """
    named, geometry = job.network.model, job.network.geometry
    if geometry is not None and ":" in geometry and not _is_own(folder):
        raise ModelError(
            f"expected a run that was made here by this user, got {folder}, whose job.json names the code {geometry!r} "
            "of its geometry, which would be imported; if you trust it, make the run again with `voxplain concepts`"
        )
    if model is not None:
        if named is None:
            raise ModelError(f"expected no --model, got {model}; the run in {folder} is of --net {job.network.net}")
        return replace(job, network=replace(job.network, model=model))
    if named is not None and not _is_own(folder):
        raise ModelError(
            f"expected --model, got none: job.json in {folder} names the code {named!r}, which would be imported, and "
            f"the run was not made here by this user; if you trust that code, give --model {named}"
        )
    return job


def _is_own(folder: Path) -> bool:
    """Whether the current job.json of a folder was written here by this user."""
    try:
        return _note(folder).is_file()
    except (OSError, RuntimeError):
        return False


def _note(folder: Path) -> Path:
    """The file that notes the current job.json of a folder. RuntimeError where there is no home folder."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    content = hashlib.sha256(os.fsencode(folder.resolve()) + b"\0" + (folder / "job.json").read_bytes()).hexdigest()
    return Path(state) / "voxplain" / "runs" / content
