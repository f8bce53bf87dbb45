"""A trained network made fast: batch norm folded, lower precision where it is checked, one copy a thread."""

from voxplain.inference.fast import PRECISIONS, Accelerated, Inference
from voxplain.inference.fidelity import Fidelity, fidelity
from voxplain.inference.fold import fold
from voxplain.inference.hardware import bfloat16_hardware
from voxplain.inference.rate import flops, peak
from voxplain.inference.replicate import replicas
from voxplain.inference.threads import one_thread

__all__ = [
    "PRECISIONS",
    "Accelerated",
    "Fidelity",
    "Inference",
    "bfloat16_hardware",
    "fidelity",
    "flops",
    "fold",
    "one_thread",
    "peak",
    "replicas",
]
