"""Which attribution method, for which structure of network? Known truth, attacks as controls, eight networks.

    python benchmarks/study.py [--work DIR] [--quick] [--design standard|held-out|utd_depth] [--data DIR]
                                [--nets …] [--methods …] [--clips N] [--shard I/N] [--jobs N]
    python benchmarks/study.py --work DIR --compare ROWS ROWS [--methods …]

The library's study (`voxplain study`) with what needs captum: how long DeepLIFT takes here and there on R3D-18, both in
this process, on one thread. Small networks of eight structures are trained on planted clips; the truth is what the
class's log-odds lose when the scene is drawn again without an object. With
``--compare`` nothing is run: how far two studies, named by their ``rows.json``, agree on the order of methods. Else the
last line is JSON:

networks                 held-out accuracy by structure
methods, metrics         what was measured
best_truth_by_structure  the method of the best mean rank by energy inside and overlap with the object relied on
rank_stability           Spearman's ρ of the methods' order by truth, mean over pairs of networks, with interval
metric_truth_tau         Kendall's τ of the order by each metric with that by truth, with interval
default_metric           the metric of greatest τ that needs no mask and prefers no attack; there may be none
tau_over_insertion       τ of each metric − that of insertion, over the same methods and draws of clips
step_over_chance         STEP's energy inside the object ÷ chance, with interval
deeplift_ratio           processor time of DeepLIFT here ÷ captum's
"""

import argparse
import json
import os
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch

from voxplain.benchmark.study_designs import order_agreement, read_rows
from voxplain.benchmark.study_networks import NETWORKS
from voxplain.benchmark.study_run import DESIGNS, run_study
from voxplain.benchmark.study_tables import StudyTables
from voxplain.runtime import read_shard

__all__ = ["deeplift_ratio"]


def deeplift_ratio(repeats: int = 3) -> float | None:
    """Processor time of DeepLIFT on R3D-18 at 8×32×32 ÷ captum's, least of several calls in turn; None without it."""
    if find_spec("captum") is None:
        return None
    from attribution import captum, ours, task

    warnings.simplefilter("ignore")
    at = task("r3d", "cpu")
    sides = {"ours": ours("deep_lift", at), "captum": captum("deep_lift", at)}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats + 1):
        for name, call in sides.items():
            start = time.process_time()
            call()
            seconds[name].append(time.process_time() - start)
    return min(seconds["ours"][1:]) / min(seconds["captum"][1:])


def compare(first: Path, second: Path, methods: list[str]) -> None:
    """Print the agreement of two studies, mean ranks by truth in both, and as the last line JSON."""
    tables = [StudyTables(read_rows(path)) for path in (first, second)]
    found = order_agreement(*tables, methods=methods)
    ranks = [tables_of.rank_spread(found.networks, found.methods) for tables_of in tables]
    print("| rank by truth | first | second |\n| --- | --- | --- |")
    for m in sorted(found.methods, key=lambda m: ranks[0][m][0]):
        print(f"| {m} | {ranks[0][m][0]:.1f} | {ranks[1][m][0]:.1f} |")
    own = {n: e.plain() for n, e in found.by_network.items()}
    print(json.dumps({"overall": found.overall.plain(), "by_network": own, "methods": len(found.methods)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/study"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--design", choices=DESIGNS, default="standard")
    parser.add_argument("--data", type=Path, help="UTD-MHAD as depth videos; default: VOXPLAIN_DATA/utd_mhad_depth")
    parser.add_argument("--nets", nargs="+", choices=NETWORKS, default=[])
    parser.add_argument("--methods", nargs="+", default=[])
    parser.add_argument("--clips", type=int, help="clips a class that are explained")
    parser.add_argument("--shard")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with networks of its own")
    parser.add_argument("--compare", nargs=2, type=Path, help="rows.json of two studies")
    asked = parser.parse_args()
    if asked.compare:
        compare(*asked.compare, asked.methods)
        return
    torch.set_num_threads(asked.threads)
    data = asked.data or Path(os.environ.get("VOXPLAIN_DATA", "data")) / "utd_mhad_depth"
    if asked.design == "utd_depth" and not data.is_dir():
        print(json.dumps({"skipped": f"utd_depth: no folder {data}; name it with --data"}))
        return
    figures = run_study(
        asked.work,
        design=asked.design,
        data=data,
        quick=asked.quick,
        networks=asked.nets,
        methods=asked.methods,
        clips=asked.clips,
        jobs=asked.jobs,
        shard=read_shard(asked.shard) if asked.shard else None,
        tell=lambda text: print(text, flush=True),
    )
    if figures:
        print((asked.work / ("quick" if asked.quick else "full") / asked.design / "study.md").read_text())
        print(json.dumps(figures | {"deeplift_ratio": deeplift_ratio()}))


if __name__ == "__main__":
    main()
