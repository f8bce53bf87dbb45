"""The numerically sensitive tests once for each kind of processor that this one can imitate; `make test-machines`.

Which kernel multiplies two matrices depends on the processor, on the library and on the number of threads, and with it
the order of sums. Environment variables choose the kernels of weaker processors; a setting that this processor or
library does not have changes nothing. One line for each setting; the exit code is 1 where any test fails.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

WAITING = {"OMP_WAIT_POLICY": "passive"}  # threads that wait for each other leave the processor to others
# Variables of MKL (products of matrices), oneDNN (convolutions), ATen (elementwise operations, sums) and OpenMP.
SETTINGS: dict[str, dict[str, str]] = {
    "as it is": {},
    "mkl sse4.2": {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "mkl avx2": {"MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "mkl avx512": {"MKL_ENABLE_INSTRUCTIONS": "AVX512"},
    "mkl cbwr compatible": {"MKL_CBWR": "COMPATIBLE"},
    "mkl cbwr sse4.2": {"MKL_CBWR": "SSE4_2"},
    "mkl cbwr avx2": {"MKL_CBWR": "AVX2"},
    "mkl cbwr avx512": {"MKL_CBWR": "AVX512"},
    "onednn sse4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "onednn avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "onednn avx512 without bfloat16": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "aten without avx": {"ATEN_CPU_CAPABILITY": "default"},
    "aten avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "all avx2": {"MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "two threads": {"OMP_NUM_THREADS": "2", **WAITING},
    "four threads": {"OMP_NUM_THREADS": "4", **WAITING},
    "four threads, all avx2": {
        "OMP_NUM_THREADS": "4",
        **WAITING,
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    },
}
# Maps alone and in batches, optimised masks, replicas in threads, folded and bfloat16 copies, features and CAVs.
PARTS = (
    "attribution/test_all_methods.py",
    "attribution/test_optimised_masks.py",
    "attribution/test_hiding_invariances.py",
    "inference/test_accelerated.py",
    "inference/test_fold.py",
    "inference/test_half_gradients.py",
    "inference/test_replicas.py",
    "concepts/test_cav.py",
    "concepts/test_features.py",
)
# Of the first three files what compares maps, on two of the networks; the others have the same arithmetic.
CHOSEN = (
    "(small_networks and (plain or recurrent) and not refusals) or rounds_by_the_batch or alone or box or neighbours "
    "or accelerated or fold or half or replicas or cav or features"
)


@dataclass(frozen=True)
class Outcome:
    """What pytest said under one setting."""

    name: str
    failed: bool
    text: str
    seconds: float

    def __str__(self) -> str:
        """One line, and a line for each test that failed."""
        lines = self.text.strip().splitlines() or ["no output"]
        wrong = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        more = "".join(f"\n    {line}" for line in (wrong or lines[-10:])) if self.failed else ""
        return f"{'FAILED' if self.failed else 'passed'}  {self.name:32s} {self.seconds:5.0f} s  {lines[-1]}{more}"


def check(name: str, setting: Mapping[str, str], parts: list[str]) -> Outcome:
    """Run the tests in a process of their own, under one setting."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=no", *parts]
    began = time.perf_counter()
    ran = subprocess.run(
        command, env={**os.environ, **setting}, cwd=HERE.parent, capture_output=True, text=True, check=False
    )
    return Outcome(name, ran.returncode != 0, ran.stdout + ran.stderr, time.perf_counter() - began)


def main() -> int:
    """Every setting, or those whose name contains a given word."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only settings whose name contains one of these")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="settings at the same time")
    given = parser.parse_args()
    chosen = {n: s for n, s in SETTINGS.items() if not given.words or any(word in n for word in given.words)}
    if not chosen:
        parser.error(f"expected words of {', '.join(SETTINGS)}, got {' '.join(given.words)}")
    parts = [*(str(HERE / part) for part in PARTS), "-k", CHOSEN]
    failed = 0
    with ThreadPoolExecutor(given.at_once) as pool:
        for job in [pool.submit(check, name, setting, parts) for name, setting in chosen.items()]:
            outcome = job.result()
            failed += outcome.failed
            print(outcome, flush=True)
    print(f"{len(chosen) - failed} of {len(chosen)} settings passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
