"""Concepts as temporal detections of FiftyOne: videos, and the frames in which each concept is visible."""

import json
from collections.abc import Iterator, Sequence

import numpy as np

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.concepts.concept_run import ConceptRun
from voxplain.report.exports.concept_clips import concept_clips, concept_runs, frame_rate, label_of
from voxplain.video.encode import encode_video

__all__ = ["fiftyone_files"]


def fiftyone_files(runs: Sequence[ConceptRun] | Sequence[AttributionRun]) -> Iterator[tuple[str, bytes]]:
    """A FiftyOneTemporalDetectionDataset: videos under ``data``, and ``labels.json``.

    ``fiftyone.Dataset.from_dir(folder, dataset_type=fiftyone.types.FiftyOneTemporalDetectionDataset)`` reads it.

    Parameters
    ----------
    runs : sequence of ConceptRun

    Yields
    ------
    (str, bytes)
        The labels last. A detection is a span of frames, counted from 1, in which the concept is visible; its
        attributes are the share of the voxels of those frames, and the log-odds that hiding the concept costs in the
        clip, where it was measured.

    Raises
    ------
    DataError
        For attribution runs.
    """
    found = concept_runs(runs, "fiftyone")
    classes = [label_of(run, int(k)) for run in found for k in run.order]
    labels: dict[str, list[dict[str, object]]] = {}
    for own in concept_clips(found):
        yield f"data/{own.name}.mp4", encode_video(own.clip.frames, fps=frame_rate(own.clip))
        labels[own.name] = []
        for k, mask in own.masks():
            covered = mask.mean((1, 2))
            for start, stop in _spans(covered > 0):
                facts: dict[str, object] = {"volume": round(float(covered[start:stop].mean()), 6)}
                if np.isfinite(own.lost[k]):
                    facts["effect"] = round(float(own.lost[k]), 6)
                facts["held_out"] = own.held_out
                label = classes.index(label_of(own.run, k))
                labels[own.name].append({"label": label, "support": [start + 1, stop], "attributes": facts})
    yield "labels.json", json.dumps({"classes": classes, "labels": labels}, indent=1).encode()


def _spans(there: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], there.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
