"""Looks at a network before it is explained: its layers, which to choose, what is wrong."""

from voxplain.doctor.diagnosis import Diagnosis, LayerRow
from voxplain.doctor.examine import examine

__all__ = ["Diagnosis", "LayerRow", "examine"]
