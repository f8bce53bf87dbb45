"""Checks of a network before it is explained: its layers, which to choose, and what commonly goes wrong."""

from voxplain.doctor.diagnosis import Diagnosis, LayerRow
from voxplain.doctor.examine import examine

__all__ = ["Diagnosis", "LayerRow", "examine"]
