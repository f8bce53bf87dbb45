"""Masks of concepts in the COCO format: an image for each frame, an annotation for each concept in it."""

import io
import json
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from PIL import Image

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.concepts.concept_run import ConceptRun
from voxplain.report.exports.concept_clips import concept_clips, concept_runs, label_of
from voxplain.version import __version__

__all__ = ["coco_files", "rle"]


def coco_files(runs: Sequence[ConceptRun] | Sequence[AttributionRun]) -> Iterator[tuple[str, bytes]]:
    """Frames as JPEG under ``images``, and ``annotations.json`` with masks as run lengths.

    Parameters
    ----------
    runs : sequence of ConceptRun

    Yields
    ------
    (str, bytes)
        The annotations last. Images have the further fields "video" and "frame", annotations "score": the log-odds
        that hiding the concept costs in the clip, where it was measured.

    Raises
    ------
    DataError
        For attribution runs.

    References
    ----------
    Lin et al. 2014, Microsoft COCO: Common Objects in Context; its data format, https://cocodataset.org/#format-data
    """
    found = concept_runs(runs, "coco")
    categories = [
        {"id": i + 1, "name": label_of(run, int(k)), "supercategory": run.target}
        for i, (run, k) in enumerate((run, k) for run in found for k in run.order)
    ]
    number = {category["name"]: category["id"] for category in categories}
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for own in concept_clips(found):
        first = len(images) + 1
        for t, frame in enumerate(own.clip.frames):
            name = f"{own.name}/{t:06d}.jpg"
            height, width = frame.shape[:2]
            images.append(
                {
                    "id": first + t,
                    "file_name": name,
                    "width": width,
                    "height": height,
                    "video": own.name,
                    "frame": t,
                    "seconds": round(float(own.clip.seconds[t]), 6),
                    "held_out": own.held_out,
                }
            )
            yield f"images/{name}", _jpeg(frame)
        for k, mask in own.masks():
            score = float(own.lost[k])
            for t in np.flatnonzero(mask.any((1, 2))).tolist():
                made: dict[str, object] = {
                    "id": len(annotations) + 1,
                    "image_id": first + t,
                    "category_id": number[label_of(own.run, k)],
                    "segmentation": rle(mask[t]),
                    "area": int(mask[t].sum()),
                    "bbox": _box(mask[t]),
                    "iscrowd": 1,  # which says that the mask is given as run lengths
                }
                annotations.append(made if not np.isfinite(score) else {**made, "score": round(score, 6)})
    record = {
        "info": {"description": "Masks of concepts", "contributor": f"voxplain {__version__}"},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    yield "annotations.json", json.dumps(record).encode()


def rle(mask: np.ndarray) -> dict[str, object]:
    """A mask as COCO's compressed run lengths.

    Parameters
    ----------
    mask : ndarray, bool [H,W]

    Returns
    -------
    dict
        "size", [H, W], and "counts", text.

    Examples
    --------
    >>> rle(np.array([[False, True], [False, True]]))
    {'size': [2, 2], 'counts': '22'}
    """
    flat = mask.ravel(order="F").astype(np.int8)  # down the columns
    edges = np.flatnonzero(np.diff(flat)) + 1
    bounds = [0, *edges.tolist(), len(flat)]
    lengths = [b - a for a, b in pairwise(bounds)]
    if flat[0]:
        lengths = [0, *lengths]  # the first run is of zeros
    return {"size": list(mask.shape), "counts": _text(lengths)}


def _text(lengths: Sequence[int]) -> str:
    """Run lengths, from the fourth on as differences to the one but last, in groups of 5 bits with a sign."""
    out = []
    for i, length in enumerate(lengths):
        value = length - lengths[i - 2] if i > 2 else length
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != -1 if bits & 16 else value != 0
            out.append(chr((bits | 32 if more else bits) + 48))
    return "".join(out)


def _box(mask: np.ndarray) -> list[int]:
    """[x, y, width, height] of a mask that is not empty."""
    y, x = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [int(x[0]), int(y[0]), int(x[-1] - x[0] + 1), int(y[-1] - y[0] + 1)]


def _jpeg(frame: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(frame).save(out, format="JPEG", quality=92)
    return out.getvalue()
