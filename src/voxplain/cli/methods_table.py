"""The lists of `voxplain methods`."""

from collections.abc import Iterable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from voxplain.attribution import ATTRIBUTIONS
from voxplain.cli.console import Console
from voxplain.concepts.classifiers import CLASSIFIERS
from voxplain.concepts.clip_exploration import ClipExploration
from voxplain.concepts.cluster_filter import CLUSTER_FILTERS
from voxplain.concepts.discover import CLUSTERERS
from voxplain.concepts.effect import HideConcepts
from voxplain.concepts.embedders import EMBEDDERS
from voxplain.concepts.evaluate import AddRemove
from voxplain.concepts.features import CROPS
from voxplain.concepts.rank import EFFECTS
from voxplain.concepts.score import SCORES
from voxplain.concepts.sequential_effects import SequentialEffects
from voxplain.concepts.settings import PRESETS, ConceptSettings
from voxplain.inference import Inference
from voxplain.metrics import METRICS
from voxplain.model import OBJECTIVES
from voxplain.nets import NETS
from voxplain.perturb import FILLS
from voxplain.segment import SEGMENTERS, Deduplicate, slic_backend

__all__ = ["print_methods"]


def print_methods(console: Console) -> None:
    """Print every registry with the parameters of its methods and their defaults, and what the presets change."""
    groups: dict[str, dict[str, Any]] = {
        "segmenter": SEGMENTERS,
        "deduplicate": {"deduplicate": Deduplicate},
        "embedder": dict(EMBEDDERS),
        "clusterer": CLUSTERERS,
        "cluster_filter": CLUSTER_FILTERS,
        "classifier": CLASSIFIERS,
        "effect": {"sequential": SequentialEffects, "hide": HideConcepts},
        "evaluation": {"evaluation": AddRemove},
        "exploration": {"exploration": ClipExploration},
        "inference": {"inference": Inference},
    }
    for group, methods in groups.items():
        console.print(f"[bold]{group}[/bold]")
        for name, method in methods.items():
            console.print(f"  {name}: {_parameters(method)}", markup=False)
    console.print(slic_backend.note(), markup=False)
    plain: dict[str, Iterable[str]] = {
        "embedder.crop": CROPS,
        "embedder.fill, effect.fills, evaluation.fill": FILLS,
        "objective": OBJECTIVES,
        "tcav": SCORES,
        "effect_kind": EFFECTS,
        "net": NETS,
    }
    for group, names in plain.items():
        console.print(f"[bold]{group}[/bold]: {', '.join(names)}")
    console.print("[bold]other settings[/bold]")
    for f in fields(ConceptSettings):
        if f.default is not MISSING and f.name not in (*groups, *plain):
            console.print(f"  {f.name}={f.default}", markup=False)
    for group, registry in (("attribution methods", ATTRIBUTIONS), ("metrics of maps", METRICS)):
        console.print(f"[bold]{group}[/bold]")
        for name, make in registry.items():
            console.print(f"  {name}: {_parameters(make())}", markup=False)
    console.print("[bold]presets[/bold]")
    for name, preset in PRESETS.items():
        console.print(f"  {name}: {_differences(preset)}", markup=False)


def _parameters(method: Any) -> str:
    if not is_dataclass(method):
        return ""
    shown = []
    for f in fields(method):
        value = getattr(method, f.name, f.default)
        if value is MISSING and f.default_factory is not MISSING:
            value = f.default_factory()
        shown.append(f"{f.name}={value}")
    return ", ".join(shown) or "no parameters"


def _differences(preset: ConceptSettings) -> str:
    ours = ConceptSettings()
    changed = [f.name for f in fields(preset) if getattr(preset, f.name) != getattr(ours, f.name)]
    return "; ".join(f"{name} = {getattr(preset, name)}" for name in changed) or "as listed above"
