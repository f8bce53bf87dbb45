"""The same commands in a loop in one process: memory, open files and threads after each round.

    python benchmarks/soak.py --rounds 10 --seconds 3600 -o soak.json

A round is `concepts`, `attribute` and `benchmark` on a small planted set, each into a new folder. Prints one line a
round; what was touched once and is kept (compiled code, fonts, caches) is there after the first rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

QUICK = ("--segmenter", "slic", "--segmenter.segments", "4", "8", "--clusterer", "kmeans", "--clusterer.clusters", "4")
QUICK += ("--keep", "3", "--unrelated-crops", "4", "--random-sets", "2")
WARM = 3  # rounds after which nothing new is loaded


def state() -> dict[str, int]:
    """Memory in MiB, open files and threads of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "mib": pages * os.sysconf("SC_PAGE_SIZE") >> 20,
        "files": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "python_threads": threading.active_count(),
    }


def round_of(data: Path, output: Path) -> None:
    """The three commands once; raises where one does not end with 0."""
    from voxplain.cli import main

    clip = sorted((data / "test" / "cross").iterdir())[0]
    for words in (
        ("concepts", data, "--class", "cross", "--random", data / "unrelated", *QUICK),
        ("attribute", clip, "--method", "gradient,grad_cam", "--metric", "insertion"),
        ("benchmark", data, "--methods", "gradient,random", "--metrics", "insertion", "--limit", 2),
    ):
        folder = output / str(words[0])
        said = io.StringIO()
        sys.argv = ["voxplain", *map(str, words), "--net", "planted", "--device", "cpu", "-o", str(folder)]
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                main()
        except SystemExit as ended:
            if ended.code:
                raise RuntimeError(said.getvalue()) from ended
    shutil.rmtree(output)


def soak(rounds: int, seconds: float) -> dict[str, object]:
    """States after each round, at least ``rounds`` of them and for ``seconds``, and how much they rose."""
    from voxplain.datasets.planted import write_planted

    with tempfile.TemporaryDirectory(prefix="voxplain-soak-") as place:
        data = Path(place) / "data"
        write_planted(data, train=4, test=1, unrelated=8)
        start, states = time.monotonic(), list[dict[str, int]]()
        while len(states) < rounds or time.monotonic() - start < seconds:
            round_of(data, Path(place) / "out")
            states.append(state())
            print(len(states), round(time.monotonic() - start), states[-1], flush=True)
    warm, last = states[min(WARM, len(states) - 1)], states[-1]
    return {
        "soak_rounds": len(states),
        "soak_seconds": round(time.monotonic() - start),
        "soak_mib": [s["mib"] for s in states],
        "soak_rise_mib": last["mib"] - warm["mib"],
        "soak_rise_files": last["files"] - warm["files"],
        "soak_rise_threads": last["threads"] - warm["threads"],
    }


def main() -> None:
    """Run and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("-o", "--output", type=Path, default=Path("soak.json"))
    args = parser.parse_args()
    found = soak(args.rounds, args.seconds)
    args.output.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
