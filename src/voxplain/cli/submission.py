"""The file of `voxplain benchmark --submit-format`."""

import json
from collections.abc import Mapping
from pathlib import Path

from voxplain.attribution import AttributionMethod
from voxplain.benchmark.submission import submission, submission_markdown
from voxplain.cli.console import Console
from voxplain.store import write_whole

__all__ = ["write_submission"]


def write_submission(methods: Mapping[str, AttributionMethod], output: Path, console: Console) -> None:
    """Measure the methods, print the table and write submission.json."""
    found = submission(
        methods, output, tell=lambda name: console.print(name, markup=False, highlight=False, soft_wrap=True)
    )
    write_whole(output / "submission.json", json.dumps(found, indent=1).encode())
    console.print(submission_markdown(found), markup=False, highlight=False, soft_wrap=True)
    console.print(f"submission: {output / 'submission.json'}", markup=False, highlight=False, soft_wrap=True)
