"""The same commands in a loop in one process: memory, open files and threads after each round.

    python benchmarks/soak.py --rounds 10 --seconds 3600 -o soak.json

A round is `concepts`, `attribute` and `benchmark` on a small planted set, each into a new folder. Prints one line a
round; what was touched once and is kept (compiled code, fonts, caches) is there after the first rounds. Resident memory
is divided into what the program holds (`in_use_mib`, which glibc's allocator reports, and Python's own blocks) and what
the allocator keeps after it was freed (`kept_mib`), so that a leak and fragmentation can be told apart; after the last
round the allocator is asked to give back what it can. `soak_steps` names the commands after which memory was higher by
32 MiB, and what they imported.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
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
STEP = 32  # MiB between two commands that are named


class _Allocated(ctypes.Structure):
    """`struct mallinfo2` of glibc: bytes of all arenas together."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def allocated() -> dict[str, int]:
    """MiB that the program holds, and MiB that the allocator keeps after they were freed; empty without glibc."""
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return {}
    ask.restype = _Allocated
    found = ask()
    return {"in_use_mib": (found.uordblks + found.hblkhd) >> 20, "kept_mib": found.fordblks >> 20}


def given_back() -> int | None:
    """Resident MiB after the allocator has given back what it can; None without glibc."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:
        return None
    return state()["mib"]


def state() -> dict[str, int]:
    """Memory in MiB, open files and threads of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "mib": pages * os.sysconf("SC_PAGE_SIZE") >> 20,
        **allocated(),
        "python_blocks": sys.getallocatedblocks(),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "python_threads": threading.active_count(),
    }


def packages() -> set[str]:
    """Packages that are imported, but for Python's own."""
    return {name.partition(".")[0] for name in list(sys.modules)} - sys.stdlib_module_names


def round_of(data: Path, output: Path) -> dict[str, dict[str, int]]:
    """The three commands once, and the state after each; raises where one does not end with 0."""
    from voxplain.cli import main

    clip = sorted((data / "test" / "cross").iterdir())[0]
    after = {}
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
        after[str(words[0])] = state()
    shutil.rmtree(output)
    return after


def soak(rounds: int, seconds: float) -> dict[str, object]:
    """States after each round, at least ``rounds`` of them and for ``seconds``, and how much they rose.

    SLIC's loops are compiled after 20 processor seconds of scikit-image unless a run before has left them on disk: one
    step of about 160 MiB, for numba and the compiler, which imports numba.
    """
    from voxplain.datasets.planted import write_planted

    with tempfile.TemporaryDirectory(prefix="voxplain-soak-") as place:
        data = Path(place) / "data"
        write_planted(data, train=4, test=1, unrelated=8)
        start, states, steps = time.monotonic(), list[dict[str, int]](), list[str]()
        while len(states) < rounds or time.monotonic() - start < seconds:
            before, loaded = state(), packages()
            for name, after in round_of(data, Path(place) / "out").items():
                if after["mib"] - before["mib"] >= STEP:
                    new = ", ".join(sorted(packages() - loaded)) or "nothing"
                    steps.append(f"round {len(states) + 1}, {name}: {before} to {after}; the round imported {new}")
                    print(steps[-1], flush=True)
                before = after
            states.append(state())
            print(len(states), round(time.monotonic() - start), states[-1], flush=True)
    warm, last = states[min(WARM, len(states) - 1)], states[-1]
    return {
        "soak_rounds": len(states),
        "soak_seconds": round(time.monotonic() - start),
        "soak_mib": [s["mib"] for s in states],
        "soak_in_use_mib": [s.get("in_use_mib") for s in states],
        "soak_kept_mib": [s.get("kept_mib") for s in states],
        "soak_steps": steps,
        "soak_mib_given_back": given_back(),
        "soak_rise_mib": last["mib"] - warm["mib"],
        "soak_rise_in_use_mib": last.get("in_use_mib", 0) - warm.get("in_use_mib", 0),
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
