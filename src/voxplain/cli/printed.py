"""What a command prints: a short answer, all details, JSON, or nothing."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from voxplain.errors import DataError

if TYPE_CHECKING:
    from voxplain.cli.console import Console
    from voxplain.progress import ShowProgress

__all__ = ["BEST", "MOST_LINES", "Printed"]

BEST = 3  # methods that a short answer names
MOST_LINES = 20  # of what was skipped or failed


@Parameter(name="*")
@dataclass(frozen=True)
class Printed:
    """How much is printed; at most one of the three."""

    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative="")] = False
    "Print the tables and all sentences, too, not the answer alone."
    quiet: Annotated[bool, Parameter(negative="")] = False
    "Print nothing but errors."
    json: Annotated[bool, Parameter(negative="")] = False
    "Print the answers as JSON."

    def __post_init__(self) -> None:
        """Check that at most one is chosen."""
        given = [f"--{name}" for name in ("verbose", "quiet", "json") if getattr(self, name)]
        if len(given) > 1:
            raise DataError(f"expected {given[0]} or {given[1]}, got both; leave one out")

    def console(self) -> "Console":
        """Where notes go: stdout, but stderr beside JSON, and nowhere when quiet."""
        from voxplain.cli.console import Console

        return Console(stderr=self.json, quiet=self.quiet)

    def progress(self) -> "ShowProgress":
        """The progress display."""
        from voxplain.progress import progress_bar, quiet

        return quiet if self.quiet else progress_bar

    def answers(self, record: Any) -> None:
        """Print a record as JSON where that is chosen."""
        import json

        if self.json:
            print(json.dumps(record, indent=1, ensure_ascii=False))
