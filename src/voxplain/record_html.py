"""Records in a notebook: `fields_table` as the ``_repr_html_`` of a dataclass."""

import dataclasses
import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["fields_table", "rows_table"]

_LONGEST = 120  # characters of a cell


def fields_table(record: Any) -> str:
    """A table of a record's fields as HTML: short values, shapes in place of arrays, and counts in place of lists.

    Parameters
    ----------
    record : dataclass

    Returns
    -------
    str
        Without styles, scripts and links.

    Examples
    --------
    >>> from voxplain.concepts.wholes import Whole
    >>> "<tr><th>parts</th>" in fields_table(Whole((0, 2), 3.0, 2.5, 3.5, 1.0, 0.5, 1.5, 5))
    True
    """
    rows = "".join(
        f"<tr><th>{field.name}</th><td>{html.escape(_short(getattr(record, field.name)))}</td></tr>"
        for field in dataclasses.fields(record)
        if field.repr
    )
    return f"<table><caption>{html.escape(type(record).__name__)}</caption><tbody>{rows}</tbody></table>"


def rows_table(rows: Sequence[Any], columns: Sequence[str], caption: str) -> str:
    """A table of some fields of several dataclasses as HTML, one row each.

    Parameters
    ----------
    rows : sequence of dataclass
    columns : sequence of str
        Names of their fields.
    caption : str
        Above the table.

    Returns
    -------
    str

    Examples
    --------
    >>> from voxplain.concepts.warnings import RunWarning
    >>> rows_table([RunWarning("few_videos", "Only 2.")], ["code"], "Warnings").count("<tr>")
    2
    """
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_short(getattr(row, name)))}</td>" for name in columns) + "</tr>"
        for row in rows
    )
    return (
        f"<table><caption>{html.escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _short(value: Any) -> str:
    """A value in at most 120 characters."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} [{','.join(map(str, value.shape))}]"
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if value is None or isinstance(value, bool | int | str | np.generic):
        text = str(value)
    elif isinstance(value, Mapping):
        text = ", ".join(map(str, value))
    elif isinstance(value, Sequence):
        plain = len(value) <= 6 and all(item is None or isinstance(item, bool | int | float | str) for item in value)
        text = ", ".join(_short(item) for item in value) if plain else f"{len(value)} items"
    else:
        text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
