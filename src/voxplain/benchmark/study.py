"""The study of methods: every method on every network by every metric, with known truth and with attacks as controls.

Letters: T×H×W the grid. A measured piece is one method on one clip; it is kept in a store and found again, so that the
study can be cut short, go on, and be divided into shards, whose unit is a network and a method.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch

from voxplain.attribution import ATTRIBUTIONS, Attribution, AttributionMethod
from voxplain.benchmark.attacks import ATTACKS, MaskMap
from voxplain.benchmark.noisy_maps import NOISES
from voxplain.benchmark.study_clips import KnownClip, StudyClips, StudySize
from voxplain.benchmark.study_networks import own_size, study_network, train_on_clips
from voxplain.errors import DataError, ModelError
from voxplain.metrics import METRICS
from voxplain.model import VideoModel
from voxplain.model.cost import counted
from voxplain.nets import load_weights, save_weights
from voxplain.runtime import Task, inline_engine
from voxplain.runtime.task import Form
from voxplain.store import Store
from voxplain.video import Clip

__all__ = [
    "ATTACKED",
    "CONTROLS",
    "MeasureMap",
    "StudyRow",
    "network_rows",
    "study_methods",
    "study_metrics",
    "tuned_on_masks",
]

CONTROLS = ("random", "centre_prior", "motion_energy", "frame_constant", "true_mask", "distractor_mask")
# Methods whose maps are attacked in a quick study, one of each family; in the whole study all are.
ATTACKED = (
    "gradient",
    "integrated_gradients",
    "grad_cam",
    "lrp_epsilon_plus_flat",
    "supervoxel_occlusion",
    "rise",
    "step",
)
# Fields of methods in a quick study, instead of their defaults, wherever a method has such a field.
CHEAPER: dict[str, Any] = {
    "steps": 10,
    "samples": 10,
    "iterations": 40,
    "areas": (0.05,),
    "top_channels": 24,
    "stride": (0.25, 0.15, 0.15),
}
SINGLE: dict[str, dict[str, Any]] = {
    "rise": {"samples": 150},
    "lime": {"samples": 150},
    "kernel_shap": {"samples": 150},
    "prediction_difference": {"samples": 1},
    "guided_ig": {"steps": 20},
    "igos": {"iterations": 6},
    "igos_plus_plus": {"iterations": 6},
    "rate_distortion": {"iterations": 12},
}
HIDDEN = 0.3  # the largest share of blocks that are hidden when a network is tuned for F-Fidelity
TUNED = ("f_fidelity", "area_between")  # metrics that take the network tuned on masks
VERSIONS = ATTACKS | NOISES  # changed copies of a map that are measured beside it


@dataclass(frozen=True)
class StudyRow:
    """One method on one clip of a network: (value, chance) by version of the map and metric, or why there is none.

    Versions: "map", as the method gives it, and the keys of `ATTACKS` and `NOISES`.
    """

    network: str
    clip: str
    moving: bool
    method: str
    values: Mapping[str, Mapping[str, tuple[float, float | None]]] = field(default_factory=dict)
    seconds: float = float("nan")
    passes: int = 0
    error: str | None = None


@dataclass(frozen=True, eq=False)
class MeasureMap(Task[StudyRow]):
    """One method on one clip, its map and changed copies of it, by every metric.

    ``tuned``: the network that the metrics of `TUNED` are measured on, given by the network itself.
    """

    step: ClassVar[str] = "study"
    version: ClassVar[int] = 2
    form: ClassVar[Form] = "record"

    clip: Clip
    target: int
    mask: np.ndarray
    method: AttributionMethod
    metrics: Mapping[str, Any]
    versions: tuple[str, ...]
    repeated: bool  # whether metrics that call the method again are measured
    tuned: VideoModel | None = field(default=None, compare=False)

    def compute(self, model: VideoModel) -> dict[str, Any]:
        """The fields of `StudyRow` that the clip's owner does not know."""
        try:
            with counted(model.net) as cost:
                first = self.method(model, self.clip, self.target)
        except ModelError as error:
            return {"error": str(error)}
        values = {"map": self._measured(model, first, whole=True)}
        for name in self.versions:
            changed = replace(first, values=VERSIONS[name](first.values, self.clip), notes=())
            values[name] = self._measured(model, changed, whole=False)
        return {"values": values, "seconds": cost.seconds, "passes": cost.forwards + cost.backwards}

    def read(self, stored: dict[str, Any]) -> StudyRow:
        """The record of the plain values."""
        values = {
            version: {n: (float(v), None if c is None else float(c)) for n, (v, c) in own.items()}
            for version, own in stored.get("values", {}).items()
        }
        return StudyRow("", "", False, "", **{**stored, "values": values})

    def _known(self, model: VideoModel, heat: Attribution) -> AttributionMethod:
        """The method, which is not run again for the map of the network that it has explained."""

        def method(of: Any, clip: Any, target: Any = None) -> Any:
            return heat if of is model and clip is self.clip else self.method(of, clip, target)

        return cast(AttributionMethod, method)

    def _measured(self, model: VideoModel, heat: Attribution, *, whole: bool) -> dict[str, tuple[float, float | None]]:
        found = {}
        for name, metric in self.metrics.items():
            if metric.needs == "mask":
                value = metric(heat, self.mask, self.mask.any((1, 2)))
            elif metric.needs == "map":
                value = metric(self.tuned if name in TUNED and self.tuned is not None else model, self.clip, heat)
            elif whole and self.repeated:
                value = metric(model, self.clip, self.target, self._known(model, heat))
            else:
                continue
            found[name] = (value.value, value.chance)
        return found


def study_methods(*, quick: bool, only: Sequence[str] = ()) -> dict[str, AttributionMethod]:
    """The methods of the study by name: all, or those named; a quick study takes fewer samples and iterations."""
    chosen = {n: make() for n, make in ATTRIBUTIONS.items() if not only or n in only}
    return {n: _cheaper(m, n) for n, m in chosen.items()} if quick else chosen


def _cheaper(method: Any, name: str) -> Any:
    wanted = CHEAPER | SINGLE.get(name, {})
    own = {f.name: getattr(method, f.name) for f in fields(method)} if is_dataclass(method) else {}
    changes = {n: wanted[n] for n in own if n in wanted and (n == "stride" or _costs_less(wanted[n], own[n]))}
    return replace(method, **changes)


def _costs_less(new: Any, old: Any) -> bool:
    return old is None or (len(new) < len(old) if isinstance(new, tuple) else new < old)


def study_metrics(others: Sequence[np.ndarray], *, quick: bool) -> dict[str, Any]:
    """The metrics of the study by name; ``others``: frames of a clip of another class, for infilling."""
    metrics: dict[str, Any] = {n: make() for n, make in METRICS.items() if n in _MEASURED}
    infilled = metrics.pop("infilled_insertion")
    if others:
        metrics["infilled_insertion"] = replace(infilled, fills=(), others=tuple(others))
    metrics["insertion_blur"] = replace(metrics["insertion"], fill="blur")
    metrics["area_between_untuned"] = metrics["area_between"]  # the same, on the network that is explained
    if not quick:
        return metrics | {"insertion_black": replace(metrics["insertion"], fill="black")}
    del metrics["smooth_randomisation"]  # several maps for each map
    few = {"steps": 8, "ratios": (0.05, 0.2), "shares": (0.1, 0.3), "maps": 1, "subsets": 8}
    metrics["f_fidelity"] = replace(metrics["f_fidelity"], draws=2)
    metrics = {n: replace(m, **{f.name: few[f.name] for f in fields(m) if f.name in few}) for n, m in metrics.items()}
    return metrics | {n: replace(metrics[n], steps=4) for n in ("area_between", "area_between_untuned")}


_MEASURED = (
    *("insertion", "infilled_insertion", "deletion", "sufficiency", "comprehensiveness", "average_drop"),
    *("faithfulness_correlation", "f_fidelity", "area_between", "complexity", "sparseness"),
    *("pointing_game", "energy_inside", "rank_accuracy", "tube_iou"),
    *("parameter_randomisation", "smooth_randomisation", "efficient_randomisation"),
)


def tuned_on_masks(
    model: VideoModel, frames: np.ndarray, labels: np.ndarray, *, epochs: int = 2, rate: float = 5e-4, seed: int = 0
) -> VideoModel:
    """A copy of the network trained on with random blocks of the clips hidden, for `FFidelity`.

    Parameters
    ----------
    model : VideoModel
        The network that is explained; it is not changed.
    frames : uint8 [N,T,H,W,3]
        Its training clips.
    labels : int64 [N]
        Their classes.
    epochs : int
        Passes through them.
    rate : float
        Largest learning rate of AdamW.
    seed : int
        Of order and masks.

    Returns
    -------
    VideoModel
    """
    from voxplain.metrics.randomise import copied

    tuned = copied(model)
    side = max(1, round(model.grid[1] / 16))

    def hide(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        b, _, t, h, w = x.shape
        cells = (b, 1, t, -(-h // side), -(-w // side))
        share = rng.uniform(0, HIDDEN, (b, 1, 1, 1, 1))
        keep = torch.from_numpy((rng.random(cells) >= share).astype(np.float32)).to(x)
        return x * keep.repeat_interleave(side, 3)[..., :h, :].repeat_interleave(side, 4)[..., :w]

    train_on_clips(tuned, frames, labels, rate, epochs, seed=seed, change=hide, enough=2.0)
    return tuned


def network_rows(
    network: str,
    source: StudyClips,
    size: StudySize,
    work: Path,
    methods: Mapping[str, AttributionMethod],
    *,
    quick: bool,
    mine: Callable[[str, str], bool] = lambda network, method: True,
    tell: Callable[[str], object] = lambda text: None,
) -> tuple[list[StudyRow], float]:
    """All methods on all clips of one network, clip by clip, and the network's accuracy.

    Parameters
    ----------
    network : str
        A name in `NETWORKS`.
    source : StudyClips
        The clips that it is trained on and that are explained.
    size : StudySize
    work : Path
        Where the network and the results are kept.
    methods : mapping
        Name to method; the controls that are masks come on top.
    quick : bool
        Fewer steps of the metrics; attacks on some methods only.
    mine : callable
        Whether a network and method belong to this shard.
    tell : callable
        Is given a line for each clip.

    Returns
    -------
    list of StudyRow, float
    """
    home, size = work / source.name / network, own_size(network, size)
    trained = study_network(network, source, size, home, tell=lambda text: tell(f"{network}: {text}"))
    model, clips = trained.model, source.known(trained.model, size)
    if not clips:
        raise DataError(
            f"expected clips that {network} gets right by an object, got none at an accuracy of "
            f"{trained.accuracy:.2f}; train it for more epochs"
        )
    tuned = _kept_tuned(model, source, size, home)
    engine, failed = inline_engine(model, Store(home / "store")), {}
    rows = []
    for number, known in enumerate(_spread(clips)):
        others = [c.clip.frames for c in clips if c.target != known.target][:1]
        metrics = study_metrics(others, quick=quick)
        masks = {"true_mask": known.mask, "distractor_mask": known.distractor}
        extra = {n: MaskMap(m) for n, m in masks.items() if m is not None}
        for name, method in {**methods, **extra}.items():
            if not mine(network, name) or name in failed:
                continue
            versions = tuple(VERSIONS) if name not in CONTROLS and (not quick or name in ATTACKED) else ()
            again = not quick or number < 1
            task = MeasureMap(known.clip, known.target, known.mask, method, metrics, versions, again, tuned)
            found = replace(engine.run(task), network=network, clip=known.clip.source, moving=known.moving, method=name)
            rows.append(found)
            if found.error:
                failed[name] = found.error
        tell(f"{network}: clip {number + 1} of {len(clips)}, {len(rows)} maps")
    return rows, trained.accuracy


def _spread(clips: Sequence[KnownClip]) -> list[KnownClip]:
    """The clips so that each class comes once before any comes twice: a study cut short has all classes."""
    seen: dict[int, int] = {}
    order = []
    for clip in clips:
        order.append((seen.setdefault(clip.target, 0), clip.target))
        seen[clip.target] += 1
    return [clips[i] for i in sorted(range(len(clips)), key=order.__getitem__)]


def _kept_tuned(model: VideoModel, source: StudyClips, size: StudySize, home: Path) -> VideoModel:
    """The network tuned on masks; found again where it was tuned before."""
    from voxplain.metrics.randomise import copied

    weights = home / "tuned.safetensors"
    if not weights.exists():
        frames, labels = source.part(size, "train")
        found = tuned_on_masks(model, frames, labels, epochs=max(1, size.epochs // 8))
        home.mkdir(parents=True, exist_ok=True)  # nothing of the shipped network has been kept here
        save_weights(found.net, weights, {})
        return found
    tuned = copied(model)
    load_weights(tuned.net, weights)
    return tuned


def row_record(row: StudyRow) -> dict[str, Any]:
    """A row as plain values."""
    return asdict(row)
