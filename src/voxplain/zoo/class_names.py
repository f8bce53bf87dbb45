"""Names of classes in the order of a network's outputs, from the files that they are published in."""

import json
import os
import re
from pathlib import Path
from typing import Any

from voxplain.errors import DataError

__all__ = ["read_classes"]


def read_classes(file: str | os.PathLike[str]) -> tuple[str, ...]:
    """Names of classes in the order of a network's outputs.

    Parameters
    ----------
    file : str or path
        A text file with a name a line, also with its number before it (``0 abseiling``, ``1,abseiling``, from 0 or 1,
        with or without a header); JSON with a list of names, with numbers by name or names by number; or a
        config.json of transformers, whose ``id2label`` is read.

    Returns
    -------
    tuple of str

    Raises
    ------
    DataError
        A file that cannot be read, no names, numbers that are not consecutive, and names that occur twice.

    Examples
    --------
    >>> _ = (folder / "labels.txt").write_text("0 abseiling\\n1 air drumming")
    >>> read_classes(folder / "labels.txt")
    ('abseiling', 'air drumming')
    """
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise DataError(f"{path}: expected a file of class names, got: {reason}; give a text or JSON file") from error
    names = _from_json(path, text) if path.suffix.lower() == ".json" else _from_lines(path, text)
    if not names:
        raise DataError(f"{path}: expected names of classes, got none; write one a line")
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise DataError(f"{path}: expected different names, got {twice!r} twice; name each class once")
    return names


def _from_json(path: Path, text: str) -> tuple[str, ...]:
    try:
        found: Any = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: expected JSON, got: {error}; correct it, or name it .txt") from error
    if isinstance(found, dict):
        found = found.get("id2label", found)
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        return tuple(found)
    if isinstance(found, dict) and all(isinstance(value, int) for value in found.values()):
        return _ordered(path, [(value, str(key).strip('"')) for key, value in found.items()])
    if isinstance(found, dict) and all(str(key).isdigit() for key in found):
        return _ordered(path, [(int(key), str(value)) for key, value in found.items()])
    raise DataError(
        f"{path}: expected a list of names, names by number or numbers by name, got {text.strip()[:40]!r}; correct it"
    )


def _from_lines(path: Path, text: str) -> tuple[str, ...]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = [re.fullmatch(r'(\d+)[\s,;:]+"?(.+?)"?', line) for line in lines]
    if len(lines) > 1 and numbered[0] is None and all(numbered[1:]):
        numbered = numbered[1:]  # a header
    if lines and all(numbered):
        return _ordered(path, [(int(match[1]), match[2]) for match in numbered if match])
    return tuple(lines)


def _ordered(path: Path, pairs: list[tuple[int, str]]) -> tuple[str, ...]:
    pairs = sorted(pairs)
    first = pairs[0][0] if pairs else 0
    if first not in (0, 1) or [number for number, _ in pairs] != list(range(first, first + len(pairs))):
        raise DataError(
            f"{path}: expected the numbers 0 to {len(pairs) - 1} or 1 to {len(pairs)}, each once, got "
            f"{pairs[0][0]} to {pairs[-1][0]}; number every class"
        )
    return tuple(name for _, name in pairs)
