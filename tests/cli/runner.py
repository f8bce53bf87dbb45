"""Runs commands in forks of itself, which a test may kill: the imports, some seconds, are paid once.

Reads lines of JSON on stdin, {"words": […], "kill": null | name}: forks, and the child runs the command; with a name
it kills itself, as ``kill -9`` would, just before the file of that name under the output folder is put in place, so
that its temporary file is left. Prints "started PID" and, after an empty line, the exit code as the parent sees it.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any


def kill_at(output: Path, name: str) -> None:
    """End the process at the rename to a file, by whatever library it is done."""
    target = str(output / name)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "os.rename" and os.fspath(args[1]) == target:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def child(words: list[str], kill: str | None) -> None:
    from voxplain.cli import main

    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    if kill is not None:
        kill_at(Path(words[words.index("-o") + 1]), kill)
    sys.argv = ["voxplain", *words]
    try:
        main()
    except SystemExit as stop:
        os._exit(int(stop.code or 0))
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(70)
    os._exit(0)


if __name__ == "__main__":
    import voxplain.cli
    import voxplain.nets.weights  # noqa: F401

    print("ready", flush=True)
    while line := sys.stdin.readline():
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            child(asked["words"], asked["kill"])
        print(f"started {pid}", flush=True)
        sys.stdin.readline()  # until then an ended child keeps its process id, and a kill can meet no other process
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
