"""Types of options that several commands share."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

__all__ = ["Assignments", "Classes", "Output", "OutputFile", "Words"]

Words = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")]
Classes = Annotated[tuple[str, ...], Parameter(name="--class", consume_multiple=True, negative="")]
Assignments = Annotated[tuple[str, ...], Parameter(name="--set", consume_multiple=True, negative="")]
Output = Annotated[Path, Parameter(name=["--output", "-o"])]
OutputFile = Annotated[Path | None, Parameter(name=["--output", "-o"])]
