"""Text from files as plain text: for a terminal, for a cell of a spreadsheet, and as the name of a folder."""

import hashlib
import re
import unicodedata

__all__ = ["csv_cell", "escape_controls", "one_line", "safe_name"]

_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # change the order of what follows
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{i}" for name in ("com", "lpt") for i in range(10))}
# Names that a job gives to its own files and folders.
_OWN = {"job.json", "run.json", "run.npz", "report.html", "origin.json", "times.json", "store", "curves.png"}
_OWN |= {"evaluation.json", "videos", "train", "test", "unrelated", "report"}
_OWN |= {"audit.html", "audit.json", "audit.csv", "audit_run.json"}
_LONGEST = 120  # bytes of a name, so that suffixes fit


def escape_controls(text: str) -> str:
    r"""Text for a terminal: control characters and marks of direction as escapes; line breaks and tabs stay.

    Examples
    --------
    >>> escape_controls("\x1b[31mred\n")
    '\\x1b[31mred\n'
    """
    if text.isprintable():
        return text
    return "".join(_escaped(c) if c not in "\n\t" and _is_control(c) else c for c in text)


def one_line(text: str) -> str:
    """`escape_controls`, with line breaks and tabs escaped, too."""
    return "".join(_escaped(c) if _is_control(c) else c for c in text)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Zl", "Zp") or character in _BIDI


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def csv_cell(value: object) -> object:
    """A value for a cell of a table: text that a spreadsheet would compute gets an apostrophe before it.

    Examples
    --------
    >>> csv_cell("=1+1"), csv_cell(-1.5), csv_cell("bend")
    ("'=1+1", -1.5, 'bend')
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def safe_name(name: str) -> str:
    """A name of a class or video as the name of a folder, on every system; different names stay different.

    Plain names stay as they are. Separators, control and reserved characters become ``_``; such names, and names that
    are reserved or used by a job's own files, end in a part of their hash.

    Parameters
    ----------
    name : str

    Returns
    -------
    str

    Examples
    --------
    >>> safe_name("bend"), safe_name("job.json"), safe_name("a/b")
    ('bend', 'job.json-955189', 'a_b-c14cdd')
    """
    plain = re.sub(r'[<>=:"/\\|?*]', "_", "".join("_" if _is_control(c) else c for c in name)).strip(" ").rstrip(".")
    folded = plain.casefold()
    while len(plain.encode("utf-8", "surrogatepass")) > _LONGEST:
        plain = plain[:-1]
    reserved = folded in _OWN or folded.partition(".")[0] in _RESERVED or plain in ("", ".", "..")
    if plain == name and not reserved and not plain.startswith((".", "-")):
        return plain
    end = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{plain.lstrip('.-') or 'name'}-{end}"
