"""The methods of other libraries beside ours on the fixed network and clips: figures, seconds and memory.

    python benchmarks/peers/run.py [--clips 4] [--only captum …] [--work DIR]

Each library's functions of a network, an input and a class are measured as `voxplain benchmark --submit-format`
measures a method of anybody. A library that is not installed is skipped with a line. Memory is what the process's peak
grows by during a method's first map. The last line is JSON.
"""

import argparse
import importlib
import json
import resource
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from voxplain.attribution import ATTRIBUTIONS
from voxplain.benchmark.submission import submission, submission_markdown
from voxplain.benchmark.third_party import ThirdParty

PEERS = {
    "captum": ("captum", "captum_peer"),
    "grad-cam": ("pytorch_grad_cam", "grad_cam_peer"),
    "torch-cam": ("torchcam", "torch_cam_peer"),
    "zennit": ("zennit", "zennit_peer"),
}
OURS = ("gradient", "integrated_gradients", "deep_lift", "grad_cam", "layer_cam", "lrp_epsilon_plus_flat", "random")


def peer_methods(only: list[str]) -> dict[str, Any]:
    """Functions of the libraries that are there, by library and name."""
    found = {}
    for name, (package, module) in PEERS.items():
        if only and name not in only:
            continue
        if find_spec(package) is None:
            print(f"{name}: skipped, it is not installed", flush=True)
            continue
        for function in importlib.import_module(module).__all__:
            if function != "last_maps":
                found[f"{name}:{function}"] = ThirdParty(f"{module}:{function}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--only", nargs="+", choices=list(PEERS), default=[])
    parser.add_argument("--work", type=Path, default=Path("runs/peers"))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    methods = {**{n: ATTRIBUTIONS[n]() for n in OURS}, **peer_methods(asked.only)}
    found: dict[str, Any] = {}
    for name, method in methods.items():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        one = submission({name: method}, asked.work, clips=asked.clips)
        one["methods"][name]["grown_mb"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        found = {**one, "methods": {**found.get("methods", {}), **one["methods"]}}
    print(submission_markdown(found))
    print(json.dumps(found))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
