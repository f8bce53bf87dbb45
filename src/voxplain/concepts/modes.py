"""Modes: fewer or smaller forwards, each a named set of settings with a measured fidelity (docs/performance.md)."""

from typing import Any

from voxplain.concepts.settings import ConceptSettings, override
from voxplain.errors import DataError

__all__ = ["MODES", "in_mode", "mode_settings"]

MODES: dict[str, str] = {
    "exact": "every supervoxel at the network's own size",
    "medium": "crops of 0.71 of the height: half the pixels",
    "small": "crops of half the height: a quarter of the pixels",
    "two-stage": "crops of half the height to find concepts, whole ones for the supervoxels kept and the CAVs",
    "pooled": "one forward a clip, feature maps averaged under each supervoxel: other concepts; experimental",
}


def mode_settings(name: str, height: int) -> list[tuple[str, Any]]:
    """What a mode changes, as names and values for `override`; ``height`` of the network's input in pixels.

    Raises DataError on an unknown mode.
    """
    if name not in MODES:
        raise DataError(f"expected a mode of {', '.join(MODES)}, got {name!r}; choose one")
    medium, small = ([("embedder", "crops"), ("embedder.size", max(round(height * s), 1))] for s in (0.71, 0.5))
    changes: dict[str, list[tuple[str, Any]]] = {
        "exact": [],
        "medium": medium,
        "small": small,
        "two-stage": [*small, ("cav_embedder", "crops")],
        "pooled": [("embedder", "pooled")],
    }
    return changes[name]


def in_mode(settings: ConceptSettings, name: str, height: int) -> ConceptSettings:
    """The settings in a mode. Raises DataError on an unknown one."""
    for key, value in mode_settings(name, height):
        settings = override(settings, key, value)
    return settings
