"""Runs commands through `voxplain.cli.main`, the function that the console script calls, and returns how they ended."""

import contextlib
import hashlib
import io
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

from voxplain.cli import main

# Settings of about a second a class on the small planted set.
TINY = (
    "--segmenter",
    "slic",
    "--segmenter.segments",
    "4",
    "8",
    "--clusterer",
    "kmeans",
    "--clusterer.clusters",
    "4",
    "--keep",
    "3",
    "--unrelated-crops",
    "12",
    "--random-sets",
    "4",
    "--evaluation.steps",
    "2",
    "--evaluation.draws",
    "2",
    "--evaluation.matched",
    "1",
)


@dataclass(frozen=True)
class Outcome:
    """Exit code (0 when the command just returns) and what was printed."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one sentence on stderr that says what went wrong; progress lines come before it."""
        errors = [line for line in self.err.splitlines() if line.startswith("voxplain: ")]
        assert len(errors) == 1, self.err
        assert self.err.endswith(errors[0] + "\n"), f"more lines after the sentence: {self.err}"
        assert "Traceback" not in self.err + self.out
        return errors[0].removeprefix("voxplain: ")


def voxplain(*words: object) -> Outcome:
    """Run a command as the shell would, in this process."""
    kept, code = sys.argv, 0
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["voxplain", *map(str, words)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("error")  # module fixtures run outside pytest's own filter
            main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = kept
    return Outcome(code, out.getvalue(), err.getvalue())


def concepts(data: Path, output: Path, *words: object) -> Outcome:
    """`voxplain concepts` of the class cross with the shipped network and tiny settings."""
    return voxplain("concepts", data, "--class", "cross", "--net", "planted", *TINY, "-o", output, *words)


def contents(root: Path) -> dict[str, str]:
    """Relative path to SHA-256 of every file, hidden ones too; but for times.json, which holds the seconds of steps."""
    files = (path for path in root.rglob("*") if path.is_file() and path.name != "times.json")
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
