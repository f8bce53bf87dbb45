"""Embedders by name."""

from collections.abc import Mapping

from voxplain.concepts.context import ContextFeatures
from voxplain.concepts.features import Embedder, MaskedCrops

__all__ = ["EMBEDDERS", "Embedder"]

EMBEDDERS: Mapping[str, Embedder] = {"context": ContextFeatures(), "crops": MaskedCrops()}
