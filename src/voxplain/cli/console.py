"""`Console`: rich's console, on which text from files cannot control the terminal."""

from typing import Any

from rich.console import Console as RichConsole
from rich.text import Text

from voxplain.plain_text import escape_controls

__all__ = ["Console"]


class Console(RichConsole):
    """Prints control characters and marks of direction as escapes, also in cells of tables."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Text from a string, as rich makes it, with control characters escaped."""
        return super().render_str(escape_controls(text), **options)
