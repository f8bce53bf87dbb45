"""Concept map: the concepts of a class, found over many clips, put where and when they are in one clip.

Letters: K concepts, N supervoxels, T×H×W the grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.passes import base_input, scores
from voxplain.attribution.perturbation.masked_clips import batch_slices, blend
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.effect import concept_mask
from voxplain.concepts.features import MaskedCrops
from voxplain.errors import DataError, ModelError
from voxplain.model import Objective, VideoModel, stack
from voxplain.segment import SLIC, Deduplicate, Grid, Segmenter
from voxplain.video import Clip

__all__ = ["ConceptMap"]

Weight = Literal["class", "clip"]


@dataclass(frozen=True)
class ConceptMap:
    """Σ_k (is concept k here?) · effect_k: the concepts of a found run in a clip, signed by what hiding them costs.

    The clip is divided, embedded and assigned to the nearest concept as the run's clips were. effect_k is the mean
    loss of the objective over the run's clips (``class``), or the loss in this clip (``clip``, one forward a
    concept). ``details["concepts"]`` says for each concept present where it is: frames, box, share of the voxels.
    """

    run: ConceptRun
    weight: Weight = "class"  # whose effect: the mean over the run's clips, or the one measured in this clip
    objective: Objective = "log_odds"  # what the effect is a loss of

    def __post_init__(self) -> None:
        """Refuse a weight that nothing stands for."""
        if self.weight not in ("class", "clip"):
            raise DataError(f"expected a weight of class or clip, got {self.weight!r}; choose one")

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        if model.layer != self.run.layer or model.name != self.run.network:
            raise ModelError(
                f"expected the run's network {self.run.network!r} at layer {self.run.layer!r}, got {model.name!r} at "
                f"{model.layer!r}; explain with the model that the concepts were found with"
            )
        # Not the run itself: the record keeps parameters, not hundreds of clips.
        said = _Parameters(self.run.target, self.run.layer, self.weight, self.objective)
        return attribute(said, "concept_map", self._maps, model, clip, target)

    def locate(self, model: VideoModel, clip: Clip) -> dict[int, np.ndarray]:
        """Where each concept is in a clip of the network's grid: concept → bool [T,H,W], only concepts present."""
        made = _as_run(self.run)
        found = made.deduplicate(made.segmenter(clip))
        values = made.embedder(model, clip, found).astype(np.float64)
        centers = self.run.bank.centers.astype(np.float64)
        if values.shape[1] != centers.shape[1]:
            raise ModelError(
                f"expected features of the run's {centers.shape[1]} dimensions, got {values.shape[1]}; explain with "
                "the model that the concepts were found with"
            )
        nearest = np.argmin((centers**2).sum(1) - 2 * values @ centers.T, axis=1)
        return {int(k): concept_mask(found, nearest, int(k)) for k in np.unique(nearest)}

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
        hidden = base_input(batch.model, stack(batch.clips), _as_run(self.run).fill)
        maps, details = [], []
        for clip, x, h, y in zip(batch.clips, batch.x, hidden, batch.targets, strict=True):
            masks = self.locate(batch.model, clip)
            effects = self._measured(batch.model, x, h, masks, y) if self.weight == "clip" else self._known(masks, y)
            total = np.zeros(batch.model.grid)
            for k, mask in masks.items():
                total += effects[k] * mask
            maps.append(torch.from_numpy(total))
            place = {int(k): i + 1 for i, k in enumerate(self.run.order)}
            told = [{"concept": k, "rank": place[k], "effect": effects[k], **_extent(m)} for k, m in masks.items()]
            details.append({"concepts": sorted(told, key=lambda row: -row["effect"])})
        return torch.stack(maps), details

    def _known(self, masks: dict[int, np.ndarray], target: int) -> dict[int, float]:
        # A clip without the concept counts as no effect, as in the run's own ranking.
        drop = np.nan_to_num(self.run.effects.drop(target, self.objective)).mean(0)
        return {k: float(drop[k]) for k in masks}

    def _measured(
        self, model: VideoModel, x: Tensor, hidden: Tensor, masks: dict[int, np.ndarray], target: int
    ) -> dict[int, float]:
        full = float(scores(model, x[None], [target], self.objective))
        found: list[float] = []
        keep = ~np.stack(list(masks.values()))
        for part in batch_slices(len(keep), model.batch_size):
            pictures = blend(x, hidden, torch.from_numpy(keep[part]).to(x.device))
            found += scores(model, pictures, [target] * len(pictures), self.objective).tolist()
        return {k: full - left for k, left in zip(masks, found, strict=True)}


@dataclass(frozen=True)
class _Parameters:
    """What the record keeps of a concept map's parameters."""

    concepts_of: str
    layer: str
    weight: Weight
    objective: Objective


@dataclass(frozen=True)
class _Steps:
    """How a run divided and embedded its clips."""

    segmenter: Segmenter
    deduplicate: Deduplicate
    embedder: MaskedCrops
    fill: str


def _as_run(run: ConceptRun) -> _Steps:
    """The run's own steps, from its parameters. DataError where they do not say."""
    kinds: dict[str, Any] = {"SLIC": SLIC, "Grid": Grid, "Deduplicate": Deduplicate, "MaskedCrops": MaskedCrops}
    try:
        built = []
        for name in ("segmenter", "deduplicate", "embedder"):
            said = dict(run.parameters[name])
            built.append(kinds[said.pop("method")](**{k: _tuples(v) for k, v in said.items()}))
        return _Steps(built[0], built[1], built[2], run.parameters["effect"]["fill"])
    except (KeyError, TypeError) as error:
        raise DataError(
            f"expected a run whose parameters name its segmenter (SLIC or Grid), deduplicate, embedder and effect, got "
            f"{type(error).__name__}: {error}; find the concepts again with these"
        ) from None


def _tuples(value: Any) -> Any:
    """Lists of a JSON file as the tuples they were."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value


def _extent(mask: np.ndarray) -> dict[str, Any]:
    """Share of the voxels, and the frames, rows and columns [first, one after the last] that a mask touches."""
    sides = [np.flatnonzero(mask.any(axis)) for axis in ((1, 2), (0, 2), (0, 1))]
    ends = [(int(side[0]), int(side[-1]) + 1) for side in sides]
    return {"volume": float(mask.mean()), "frames": ends[0], "rows": ends[1], "columns": ends[2]}
