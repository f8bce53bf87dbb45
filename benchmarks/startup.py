"""Seconds from the start of a process to its end, for answers that need no computing.

Prints the median of each command, its ratio to ``python -c pass`` and to ``import torch``, and last one JSON object.
The commands take turns, so that other work on the machine slows all of them alike:

    python benchmarks/startup.py [rounds]
"""

import json
import statistics
import subprocess
import sys
import time

REFERENCES = {
    "python -c pass": ("-c", "pass"),
    "import torch": ("-c", "import torch"),
    "import voxplain": ("-c", "import voxplain"),
    "every public name": ("-c", "import voxplain as vx; [getattr(vx, name) for name in vx.__all__]"),
}


def seconds(words: tuple[str, ...]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - start


def main(rounds: int) -> None:
    from voxplain.cli.app import app

    commands = sorted(name for name in app if not name.startswith("-"))
    voxplain = [("--version",), ("--help",), *((name, "--help") for name in commands)]
    calls = REFERENCES | {" ".join(("voxplain", *words)): ("-m", "voxplain", *words) for words in voxplain}
    for words in calls.values():  # writes byte code and fills the disk cache
        seconds(words)
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, words in calls.items():
            took[name].append(seconds(words))
    medians = {name: statistics.median(values) for name, values in took.items()}
    start, torch = medians["python -c pass"], medians["import torch"]
    print(f"{'':32}  seconds  times python  times import torch   (median of {rounds})")
    for name, value in medians.items():
        print(f"{name:32}  {value:7.3f}  {value / start:12.1f}  {value / torch:18.2f}")
    print(json.dumps({"rounds": rounds, "seconds": {name: round(value, 4) for name, value in medians.items()}}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
