"""The settings of a run as plain values, and the settings again from those; the name of the preset they are."""

import difflib
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from voxplain.concepts.settings import CHOICES, PRESETS, ConceptSettings
from voxplain.errors import DataError

__all__ = ["parameters_of", "settings_and_label", "settings_from"]


def settings_and_label(settings: ConceptSettings | None, preset: str | None) -> tuple[ConceptSettings, str]:
    """The settings to compute with, and the label of the preset that they are.

    Without ``settings`` those of the preset, by default ``"default"``. Settings that differ from the preset named, in
    more than the seed, are labelled as changed. Raises DataError for an unknown preset.
    """
    name = "default" if preset is None else preset
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=3, cutoff=0.4) or list(PRESETS)
        raise DataError(f"expected a preset, got {preset!r}; did you mean {', '.join(near)}?")
    if settings is None:
        return PRESETS[name], name
    if preset is None:
        same = [n for n, known in PRESETS.items() if replace(settings, seed=known.seed) == known]
        return settings, same[0] if same else "default, changed"
    return settings, name if replace(settings, seed=PRESETS[name].seed) == PRESETS[name] else f"{name}, changed"


def parameters_of(settings: ConceptSettings) -> dict[str, Any]:
    """The settings as a plain dict; of a method the name of its class as "method" beside its fields."""
    plain = asdict(settings)
    for field in fields(settings):
        if isinstance(plain[field.name], dict):
            plain[field.name] = {"method": type(getattr(settings, field.name)).__name__, **plain[field.name]}
    return plain


def settings_from(parameters: Mapping[str, Any]) -> ConceptSettings:
    """The settings that `parameters_of` gave as a plain dict. Raises DataError where a part is missing or unknown."""
    ours = ConceptSettings()
    found: dict[str, Any] = {}
    try:
        for field in fields(ConceptSettings):
            value = parameters[field.name]
            if isinstance(value, Mapping):
                known = [getattr(ours, field.name), *CHOICES.get(field.name, {}).values()]
                kinds = {type(method).__name__: type(method) for method in known}
                own = dict(value)
                value = kinds[own.pop("method")](**{name: _tuples(part) for name, part in own.items()})
            found[field.name] = _tuples(value)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"expected the parameters of a run of this version of voxplain, got others ({type(error).__name__}: "
            f"{error}); pass settings=…, or explain the class again"
        ) from None
    return ConceptSettings(**found)


def _tuples(value: Any) -> Any:
    """Lists of a JSON file as the tuples they were."""
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
