"""Embedders by name."""

from collections.abc import Mapping

from voxplain.concepts.features import Embedder, MaskedCrops
from voxplain.concepts.pooled import PooledFeatures

__all__ = ["EMBEDDERS", "Embedder"]

EMBEDDERS: Mapping[str, Embedder] = {"crops": MaskedCrops(), "pooled": PooledFeatures()}
