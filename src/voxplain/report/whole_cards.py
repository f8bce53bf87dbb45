"""Cards of wholes: the concepts that form one thing shown together, before the cards of its parts."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.wholes import Whole
from voxplain.report.cards import pair_of_clips
from voxplain.report.draw import stacked_mask
from voxplain.report.tables import number

__all__ = ["whole_cards", "whole_sentence"]

SHOWN = 3  # examples on a card


def whole_cards(run: ConceptRun, names: Mapping[int, str], anchor: str) -> list[dict[str, Any]]:
    """A card for each whole, the largest effect first."""
    return [
        {
            "id": f"{anchor}-w{i}",
            "parts": whole.parts,
            "title": "Whole: " + _list([_named(k, names) for k in whole.parts]),
            "sentence": whole_sentence(whole, names),
            "clips": _examples(run, whole),
            "links": [(f"{anchor}-c{k}", _named(k, names)) for k in whole.parts],
        }
        for i, whole in enumerate(run.wholes)
    ]


def whole_sentence(whole: Whole, names: Mapping[int, str]) -> str:
    """What hiding the whole costs, and how much more than its first part alone."""
    parts = [_named(k, names) for k in whole.parts]
    return (
        f"{_list(parts)[:1].upper()}{_list(parts)[1:]} touch and form one thing: hiding all of it lowers the log-odds "
        f"by {number(whole.value, 1)} ({number(whole.low, 1)} to {number(whole.high, 1)}), "
        f"{number(whole.beyond, 1)} ({number(whole.beyond_low, 1)} to {number(whole.beyond_high, 1)}) more than hiding "
        f"{parts[0]} alone ({whole.clips} clips)."
    )


def _named(k: int, names: Mapping[int, str]) -> str:
    return names.get(k) or f"concept {k}"


def _list(items: list[str]) -> str:
    return ", ".join(items[:-1]) + " and " + items[-1]


def _examples(run: ConceptRun, whole: Whole) -> list[dict[str, Any]]:
    """Clips with most of the parts, those nearest the median volume first."""
    parts = list(whole.parts)
    volumes = []
    for own, assigned in zip(run.supervoxels, run.assigned, strict=True):
        mask = own.masks(np.flatnonzero(np.isin(assigned, parts)))
        volumes.append((len(np.intersect1d(assigned, parts)), int(mask.sum())))
    usual = float(np.median([volume for _, volume in volumes if volume] or [0]))
    order = sorted(range(len(volumes)), key=lambda i: (-volumes[i][0], abs(volumes[i][1] - usual)))
    found = []
    for i in [i for i in order if volumes[i][1]][:SHOWN]:
        clip, own = run.clips[i], run.supervoxels[i]
        mask = own.masks(np.flatnonzero(np.isin(run.assigned[i], parts)))
        frame = int(mask.sum((1, 2)).argmax())
        found.append(pair_of_clips(clip, *stacked_mask(clip.frames, mask, frame), float(clip.seconds[frame])))
    return found
