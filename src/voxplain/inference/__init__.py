"""Faster inference: batch norm folded, lower precision after a check, one replica a thread."""

from voxplain.inference.fast import PRECISIONS, Accelerated, Inference
from voxplain.inference.fidelity import Fidelity, fidelity, sample_outputs
from voxplain.inference.fold import fold
from voxplain.inference.hardware import bfloat16_hardware
from voxplain.inference.meter import Meter, Rate, metered, rates
from voxplain.inference.rate import flops, peak
from voxplain.inference.replicas import replicas
from voxplain.inference.threads import one_thread, stay_on_one_thread

__all__ = [
    "PRECISIONS",
    "Accelerated",
    "Fidelity",
    "Inference",
    "Meter",
    "Rate",
    "bfloat16_hardware",
    "fidelity",
    "flops",
    "fold",
    "metered",
    "one_thread",
    "peak",
    "rates",
    "replicas",
    "sample_outputs",
    "stay_on_one_thread",
]
