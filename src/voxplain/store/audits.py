"""An `AuditRun` on disk: one JSON file, from which it is read again without the network or the videos."""

import json
from pathlib import Path

from voxplain.audits import AuditRun
from voxplain.errors import DataError
from voxplain.files import write_whole
from voxplain.store.archive import pack, unpack

__all__ = ["AUDIT_FILE", "load_audit", "save_audit"]

AUDIT_FILE = "audit_run.json"
VERSION = 1


def save_audit(folder: Path | str, run: AuditRun) -> None:
    """Write ``audit_run.json`` into a folder, whole or not at all; the same audit gives the same bytes.

    Parameters
    ----------
    folder : str or Path
    run : AuditRun
        Its ``runs`` are not written: `save_run` keeps each in a folder of its own.

    Raises
    ------
    VoxplainError
        When the folder cannot be written.
    """
    with pack(run) as (tree, _):
        record = {"format": "voxplain audit", "version": VERSION, "audit": tree}
        text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
    write_whole(Path(folder) / AUDIT_FILE, text + b"\n")


def load_audit(folder: Path | str) -> AuditRun:
    """Read the audit that `save_audit` wrote into a folder; it is equal in every saved field.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    AuditRun

    Raises
    ------
    DataError
        Where there is no audit, or a damaged one.
    """
    path = Path(folder) / AUDIT_FILE
    try:
        record = json.loads(path.read_bytes())
        if record["format"] != "voxplain audit" or record["version"] != VERSION:
            raise DataError(f"expected an audit of format {VERSION} in {folder}, got another; make it again")
        with pack(None) as (_, arrays):  # it has no arrays
            found = unpack(record["audit"], arrays)
    except OSError:
        raise DataError(
            f"expected an audit in {folder}, got no {AUDIT_FILE} there; make one with `voxplain audit`"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"expected a whole audit in {folder}, got a damaged one ({error}); make it again with `voxplain audit`"
        ) from None
    if not isinstance(found, AuditRun):
        raise DataError(f"expected an audit in {path}, got a {type(found).__name__}; make one with `voxplain audit`")
    return found
