"""Classifiers of torchvision for videos and for pictures, with the input and categories of their published weights."""

import re
from pathlib import Path
from typing import Any

from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.video import Geometry, ShortSide
from voxplain.zoo.libraries import build_with_weights, import_library, task_of, with_options

__all__ = ["load_torchvision"]


def load_torchvision(name: str, *, weights: str | Path | None = None, **options: Any) -> VideoModel:
    """A network of torchvision.models.video, or one of torchvision.models for pictures, with a grid of one frame.

    Of several frames, ``grid=(T, H, W)``, the logits of a network for pictures are averaged.

    Parameters
    ----------
    name : str
        As in ``torchvision.models.list_models(module=torchvision.models.video)``, or ``module=torchvision.models``.
    weights : str or path, optional
        A file of weights, or "random"; by default the published ones, which torchvision downloads once.
    **options
        Fields of `VideoModel` that replace what is found; with ``classes`` the network is built for that many.

    Returns
    -------
    VideoModel

    Raises
    ------
    ModelError
        Without torchvision, for an unknown name, and for weights that do not fit or cannot be downloaded.
    """
    models = import_library("torchvision", "torchvision").models
    names = models.list_models(module=models.video)
    pictures = name in models.list_models(module=models)
    if name not in names and not pictures:
        raise ModelError(
            f"expected a network of torchvision for videos or pictures, got {name!r}; known are {', '.join(names)} and "
            "those of torchvision.models.list_models(module=torchvision.models)"
        )
    published = models.get_model_weights(name).DEFAULT
    categories = tuple(published.meta["categories"])
    classes = tuple(options.get("classes", categories))
    if weights is None and len(classes) != len(categories):
        raise ModelError(
            f"expected the {len(categories)} categories of the published weights, got {len(classes)} classes; give a "
            "file, weights='…', or weights='random'"
        )
    net = build_with_weights(
        lambda pretrained: models.get_model(name, weights=published if pretrained else None, num_classes=len(classes)),
        weights,
        lambda net: net,
    )
    known = {"classes": classes, "name": name, **task_of(weights)}
    if pictures:
        return with_options(net, {**_pictures(published.transforms()), **known}, options)
    clip_length = re.search(r"clip_len=(\d+)", published.meta["_docs"])
    rate = re.search(r"frame_rate=([\d.]+)", published.meta["_docs"])
    transform = published.transforms()
    crop = (int(transform.crop_size[0]), int(transform.crop_size[1]))
    resize = [int(n) for n in transform.resize_size]
    found: dict[str, Any] = {
        "layout": "BCTHW",
        "grid": (int(clip_length[1]) if clip_length else 16, *crop),
        "mean": tuple(transform.mean),
        "std": tuple(transform.std),
        "geometry": Geometry((resize[0], resize[1]), crop) if len(resize) == 2 else ShortSide(resize[0], crop),
        "stride": max(1, round(30 / float(rate[1]))) if rate else 1,  # of videos with 30 frames a second
        **known,
    }
    return with_options(net, found, options)


def _pictures(transform: Any) -> dict[str, Any]:
    """Fields of `VideoModel` of a network for pictures, by the transform of its weights."""
    side = int(transform.crop_size[0])
    return {
        "layout": "BTCHW",
        "frames_in_batch": True,
        "grid": (1, side, side),
        "mean": tuple(transform.mean),
        "std": tuple(transform.std),
        "geometry": ShortSide(int(transform.resize_size[0]), (side, side)),
    }
