"""The methods of other libraries beside ours on the fixed network and clips: figures, seconds and memory.

    python benchmarks/peers/run.py [--clips 4] [--only captum …] [--work DIR]

Each library's functions of a network, an input and a class are measured as `voxplain benchmark --submit-format`
measures a method of anybody. A library that is not installed is skipped with a line. ``mib`` is how far the process's
peak of resident memory, reset before each method, lies above what it held then, metrics included (Linux; None
elsewhere). The last line is JSON.
"""

import argparse
import gc
import importlib
import json
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
        try:
            functions = importlib.import_module(module).__all__
        except (ImportError, RuntimeError) as error:  # such as a torchvision of another torch
            print(f"{name}: skipped, it cannot be imported: {error}", flush=True)
            continue
        for function in functions:
            if function != "last_maps":
                found[f"{name}:{function}"] = ThirdParty(f"{module}:{function}")
    return found


def status(field: str) -> int:
    """A field of this process's status in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{field}:")))


def reset_peak() -> int | None:
    """Set the peak of resident memory to what is held now, and return that in KiB; None where it cannot be."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return status("VmRSS")
    except (OSError, StopIteration):
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--only", nargs="+", choices=list(PEERS), default=[])
    parser.add_argument("--work", type=Path, default=Path("runs/peers"))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    methods = {**{n: ATTRIBUTIONS[n]() for n in OURS}, **peer_methods(asked.only)}
    peaks, held = {}, {"": reset_peak()}

    def next_method(name: str) -> None:
        """Note the peak of the method before, and begin anew."""
        ((before, start),) = held.items()
        peaks[before] = None if start is None else round((status("VmHWM") - start) / 1024)
        held.clear()
        held[name] = reset_peak()
        print(name, flush=True)

    found = submission(methods, asked.work, clips=asked.clips, tell=next_method)
    next_method("")
    found["methods"] = {name: {**row, "mib": peaks[name]} for name, row in found["methods"].items()}
    print(submission_markdown(found))
    print("| method | MiB |\n| --- | --- |")
    for name, row in found["methods"].items():
        print(f"| {name} | {row['mib']} |")
    print(json.dumps(found))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
