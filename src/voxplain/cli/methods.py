"""`voxplain doctor` and `voxplain methods`: what a network and voxplain itself are made of."""

from collections.abc import Iterable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal

from rich.console import Console

from voxplain.attribution import ATTRIBUTIONS
from voxplain.cli.network import Network, user_code_errors
from voxplain.concepts.classifiers import CLASSIFIERS
from voxplain.concepts.clip_exploration import ClipExploration
from voxplain.concepts.cluster_filter import CLUSTER_FILTERS
from voxplain.concepts.discover import CLUSTERERS
from voxplain.concepts.effect import HideConcepts
from voxplain.concepts.embedders import EMBEDDERS
from voxplain.concepts.evaluate import AddRemove
from voxplain.concepts.features import CROPS
from voxplain.concepts.modes import MODES
from voxplain.concepts.rank import EFFECTS
from voxplain.concepts.score import SCORES
from voxplain.concepts.settings import PRESETS, ConceptSettings
from voxplain.doctor import examine
from voxplain.inference import Inference
from voxplain.metrics import METRICS
from voxplain.model import OBJECTIVES
from voxplain.nets import NETS, build_net
from voxplain.perturb import FILLS
from voxplain.segment import SEGMENTERS, Deduplicate, slic_backend
from voxplain.zoo.load import built_by_function, load_model

__all__ = ["doctor_command", "methods_command"]


_NONE = Network()


def doctor_command(
    network: Network = _NONE,
    *,
    grid: tuple[int, int, int] | None = None,
    layout: Literal["BCTHW", "BTCHW"] | None = None,
) -> None:
    """List a network's layers, suggest where to explain it, and warn of what would spoil an explanation.

    Examples:
        voxplain doctor --net planted
        voxplain doctor --model mypkg.nets:build --grid 16 112 112 --layout BTCHW

    Parameters
    ----------
    grid
        Frames, height and width of the network's input.
    layout
        BCTHW or BTCHW; default: BCTHW, or what the model says.
    """
    if network.model is not None:
        with user_code_errors(f"{network.model} to build a network"):
            subject: Any = built_by_function(network.model)
        size = grid or getattr(subject, "grid", (16, 112, 112))
    elif network.net in NETS and network.weights is None:
        spec = NETS[network.net]
        subject, size = build_net(network.net, 10).eval(), grid or (spec.frames, *spec.crop)
    else:
        subject = load_model(network.net or "planted", weights=network.weights)
        size = grid or subject.grid
    Console().print(examine(subject, grid=size, layout=layout).text(), markup=False, highlight=False)


def methods_command() -> None:
    """List every method with its parameters and their defaults, and what the presets change.

    As in:
        voxplain methods
    """
    console = Console(highlight=False)
    groups: dict[str, dict[str, Any]] = {
        "segmenter": SEGMENTERS,
        "deduplicate": {"deduplicate": Deduplicate},
        "embedder": dict(EMBEDDERS),
        "clusterer": CLUSTERERS,
        "cluster_filter": CLUSTER_FILTERS,
        "classifier": CLASSIFIERS,
        "effect": {"effect": HideConcepts},
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
        "embedder.fill, effect.fill, evaluation.fill": FILLS,
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
    console.print("[bold]modes[/bold]")
    for name, what in MODES.items():
        console.print(f"  {name}: {what}", markup=False)
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
