"""Modes: fewer or smaller forwards, each a named set of settings with a measured fidelity (docs/performance.md)."""

from dataclasses import asdict, replace
from typing import Any

from voxplain.concepts.features import MaskedCrops
from voxplain.concepts.settings import ConceptSettings, override
from voxplain.errors import DataError

__all__ = ["MODES", "in_mode", "mode_settings"]

MODES: dict[str, str] = {
    "exact": "every supervoxel at the network's own size",
    "medium": "crops of 0.71 of the height: half the pixels",
    "small": "crops of half the height: a quarter of the pixels",
    "tiny": "crops of 0.36 of the height: an eighth of the pixels",
    "two-stage": "crops of 0.36 of the height to find concepts, whole ones for the supervoxels kept and the CAVs",
    "pooled": "one forward a clip, feature maps averaged under each supervoxel: other concepts; experimental",
}


SHARES = 0.71, 0.5, 0.36  # of the height: medium, small, tiny


def mode_settings(settings: ConceptSettings, name: str, height: int) -> list[tuple[str, Any]]:
    """The changes that a mode makes, as names and values for `override`.

    Parameters
    ----------
    settings : ConceptSettings
        The crops' other options are kept.
    name : str
        An entry of `MODES`.
    height : int
        Height of the network's input in pixels.

    Raises
    ------
    DataError
        For an unknown mode.
    """
    if name not in MODES:
        raise DataError(f"expected a mode of {', '.join(MODES)}, got {name!r}; choose one")
    whole = settings.embedder if isinstance(settings.embedder, MaskedCrops) else MaskedCrops()
    medium, small, tiny = (("embedder", _crops(replace(whole, size=max(round(height * s), 1)))) for s in SHARES)
    changes: dict[str, list[tuple[str, Any]]] = {
        "exact": [],
        "medium": [medium],
        "small": [small],
        "tiny": [tiny],
        "two-stage": [tiny, ("cav_embedder", _crops(whole))],
        "pooled": [("embedder", "pooled")],
    }
    return changes[name]


def _crops(crops: MaskedCrops) -> dict[str, Any]:
    return {"method": "crops", **{name: value for name, value in asdict(crops).items() if value is not None}}


def in_mode(settings: ConceptSettings, name: str, height: int) -> ConceptSettings:
    """The settings in a mode. Raises DataError on an unknown one."""
    for key, value in mode_settings(settings, name, height):
        settings = override(settings, key, value)
    return settings
