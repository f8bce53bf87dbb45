"""Concept map: where and when the concepts of a class, found over many clips, are in one clip.

Letters: K concepts, N supervoxels, T×H×W the grid.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Details, Maps, attribution_call
from voxplain.attribution.passes import base_input, scores
from voxplain.attribution.perturbation.masked_clips import batch_slices, blend
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.effect import concept_mask
from voxplain.errors import DataError, ModelError
from voxplain.explain.parameters import settings_from
from voxplain.model import Objective, VideoModel, stack
from voxplain.model.fingerprint import fingerprint
from voxplain.video import Clip

__all__ = ["ConceptMap"]

Weight = Literal["class", "clip"]


def _parameters(method: "ConceptMap") -> Details:
    """Settings of the map; the run itself, with hundreds of clips, is not copied into the record."""
    run = method.run
    return {"concepts_of": run.target, "layer": run.layer, "weight": method.weight, "objective": method.objective}


@dataclass(frozen=True)
class ConceptMap:
    """Map of a run's concepts in one clip, Σ_k [concept k is at the voxel] · effect_k.

    The clip is segmented and embedded as the clips of the run were, and each supervoxel is assigned to the nearest
    concept. The value is the effect of that concept: how much of the objective is lost when it is hidden.
    ``details["concepts"]`` lists the concepts in the clip, the largest effect first, with their frames, rows and
    columns [first, one after the last] and their share of the voxels.

    Parameters
    ----------
    run : ConceptRun
        Result of `explain_concepts` for the same network and layer.
    weight : {"class", "clip"}
        "class": the mean effect over the clips of the run; "clip": the effect in this clip, at the cost of a forward
        pass a concept.
    objective : str
        What the effect is a loss of: an entry of `OBJECTIVES`.

    Raises
    ------
    DataError
        An unknown weight; when called, a run whose parameters do not name its steps.
    ModelError
        When called with another network or layer than the run's.
    """

    run: ConceptRun
    weight: Weight = "class"
    objective: Objective = "log_odds"

    def __post_init__(self) -> None:
        """Check the weight."""
        if self.weight not in ("class", "clip"):
            raise DataError(f"expected a weight of class or clip, got {self.weight!r}; choose one")

    def locate(self, model: VideoModel, clip: Clip) -> dict[int, np.ndarray]:
        """Mask of each concept that occurs in a clip.

        Parameters
        ----------
        model : VideoModel
        clip : Clip
            Of the model's grid.

        Returns
        -------
        dict of int to bool [T,H,W]
        """
        settings = settings_from(self.run.parameters)
        found = settings.deduplicate(settings.segmenter(clip))
        wanted = (self.run.target_index, settings.objective) if settings.embedder.one_pass else None
        values = settings.embedder.embed(model, clip, found, gradient_of=wanted).values
        dimensions = self.run.bank.centers.shape[1]
        if values.shape[1] != dimensions:
            raise ModelError(
                f"expected features of the run's {dimensions} dimensions, got {values.shape[1]}; explain with "
                "the model that the concepts were found with"
            )
        nearest = self.run.bank.encode(values)
        return {int(k): concept_mask(found, nearest, int(k)) for k in np.unique(nearest[nearest >= 0])}

    @attribution_call("concept_map", parameters=_parameters)
    def __call__(self, batch: Batch) -> Maps:
        model = batch.model
        if model.layer != self.run.layer or model.name != self.run.network:
            raise ModelError(
                f"expected the run's network {self.run.network!r} at layer {self.run.layer!r}, got {model.name!r} at "
                f"{model.layer!r}; explain with the model that the concepts were found with"
            )
        record = self.run.provenance.get("network")
        if record is not None and not fingerprint(model).agrees(record):
            raise ModelError(
                f"expected the run's network {self.run.network!r}, got one with other weights, structure or code; "
                "explain with the model that the concepts were found with"
            )
        fills = settings_from(self.run.parameters).effect.fills
        hidden = torch.stack([base_input(model, stack(batch.clips), fill) for fill in fills], 1)
        maps, details = [], []
        for clip, x, h, y in zip(batch.clips, batch.x, hidden, batch.targets, strict=True):
            masks = self.locate(model, clip)
            effects = self._effects_in_clip(model, x, h, masks, y) if self.weight == "clip" else self._effects(masks, y)
            total = np.zeros(model.grid)
            for k, mask in masks.items():
                total += effects[k] * mask
            maps.append(torch.from_numpy(total))
            place = {int(k): i + 1 for i, k in enumerate(self.run.order)}
            present = sorted(masks, key=lambda k: -effects[k])
            rows = [{"concept": k, "rank": place[k], "effect": effects[k], **_extent(masks[k])} for k in present]
            details.append({"concepts": rows})
        return torch.stack(maps), details

    def _effects(self, masks: dict[int, np.ndarray], target: int) -> dict[int, float]:
        # A clip without the concept counts as no effect, as in the run's own ranking.
        effects = self.run.effects
        drop = np.nanmean(np.where(effects.volume > 0, effects.drop(target, self.objective), 0.0), axis=0)
        return {k: float(drop[k]) for k in masks}

    def _effects_in_clip(
        self, model: VideoModel, x: Tensor, hidden: Tensor, masks: dict[int, np.ndarray], target: int
    ) -> dict[int, float]:
        full = float(scores(model, x[None], [target], self.objective))
        found: list[float] = []
        keep = ~np.stack(list(masks.values()))
        for part in batch_slices(len(keep), model.pass_size):
            shown = torch.from_numpy(keep[part]).to(x.device)
            pictures = [blend(x, base, shown) for base in hidden]  # one a fill
            left = [scores(model, p, [target] * len(p), self.objective) for p in pictures]
            found += torch.stack(left).mean(0).tolist()
        return {k: full - left for k, left in zip(masks, found, strict=True)}


def _extent(mask: np.ndarray) -> dict[str, float | tuple[int, int]]:
    """Share of the voxels, and the frames, rows and columns [first, one after the last] that a mask touches."""
    sides = [np.flatnonzero(mask.any(axis)) for axis in ((1, 2), (0, 2), (0, 1))]
    ends = [(int(side[0]), int(side[-1]) + 1) for side in sides]
    return {"volume": float(mask.mean()), "frames": ends[0], "rows": ends[1], "columns": ends[2]}
