"""Video classifiers of Hugging Face transformers, from the hub or from a local folder."""

from pathlib import Path
from typing import Any

from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.video import Geometry, ShortSide
from voxplain.zoo.libraries import import_library, with_options

__all__ = ["load_huggingface"]

PROCESSORS = ("preprocessor_config.json", "video_preprocessor_config.json")
TASKS = {
    "single_label_classification": "classification",
    "multi_label_classification": "multilabel",
    "regression": "regression",
}  # by the problem_type that the network was trained for


def load_huggingface(name: str, *, weights: str | Path | None = None, **options: Any) -> VideoModel:
    """A model of AutoModelForVideoClassification, with its labels, its task and its processor's input.

    Parameters
    ----------
    name : str
        ID on the hub, or a folder that ``save_pretrained`` wrote.
    weights : None
        The checkpoint has them.
    **options
        Fields of `VideoModel` that replace what is found.

    Returns
    -------
    VideoModel

    Raises
    ------
    ModelError
        Without transformers, for a checkpoint that is missing or of another task, and for one without a processor
        unless ``mean`` and ``std`` are given.
    """
    if weights is not None:
        raise ModelError(f"expected no weights for hf:{name}, whose checkpoint has them, got {weights}; leave them out")
    transformers = import_library("transformers", "huggingface")
    try:
        net = transformers.AutoModelForVideoClassification.from_pretrained(name).eval()
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(
            f"expected a folder or hub ID of a transformers video classifier, got {name!r}: {first}; check the name"
        ) from error
    config = net.config
    side = _pair(_first(config, "crop_size", "image_size"))
    frames = _first(config, "num_frames", "frames_per_clip")
    found: dict[str, Any] = {"layout": "BTCHW", "grid": (int(frames), *side), "name": Path(name).name}
    labels = config.id2label
    found["classes"] = tuple(str(labels[i]) for i in range(len(labels)))
    if (task := TASKS.get(getattr(config, "problem_type", None) or "")) is not None:
        found["task"] = task
    if not {"mean", "std", "geometry"} <= options.keys():
        found |= _input(transformers, name, side, given=set(options))
    return with_options(net, found, options)


def _first(config: Any, *names: str) -> Any:
    for name in names:
        if getattr(config, name, None) is not None:
            return getattr(config, name)
    raise ModelError(
        f"expected {' or '.join(names)} in the configuration of a {config.model_type} network, got neither; give the "
        "network and its grid to VideoModel"
    )


def _pair(size: Any) -> tuple[int, int]:
    """(height, width) of a number, a pair or a dict."""
    if isinstance(size, dict):
        return int(size["height"]), int(size["width"])
    return (int(size[0]), int(size[1])) if isinstance(size, list | tuple) else (int(size), int(size))


def _input(transformers: Any, name: str, side: tuple[int, int], given: set[str]) -> dict[str, Any]:
    """Mean, std and geometry as the checkpoint's processor prepares frames."""
    processor = _processor(transformers, name)
    if processor is None:
        if {"mean", "std"} <= given:
            return {}
        raise ModelError(
            f"expected {' or '.join(PROCESSORS)} beside the checkpoint {name!r}, got none; save the processor there, "
            "or give mean=… and std=… (of RGB in 0–1)"
        )
    found: dict[str, Any] = {}
    scale = 255 * processor.get("rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 255.0
    shift = 1.0 if processor.get("offset") else 0.0
    plain = not processor.get("do_normalize", True)
    mean, std = ([0.0] * 3, [1.0] * 3) if plain else (processor["image_mean"], processor["image_std"])
    # (scale · f − shift − mean) / std of a frame f in 0–1, as (f − m) / s.
    found["mean"] = tuple((m + shift) / scale for m in mean)
    found["std"] = tuple(s / scale for s in std)
    if processor.get("do_resize", True) and isinstance(processor.get("size"), dict):
        size = processor["size"]
        found["geometry"] = (
            ShortSide(int(size["shortest_edge"]), side)
            if "shortest_edge" in size
            else Geometry((max(_pair(size)[0], side[0]), max(_pair(size)[1], side[1])), side)
        )
    return found


def _processor(transformers: Any, name: str) -> dict[str, Any] | None:
    """The processor's settings as saved; the processors themselves need more packages than their settings."""
    for file in PROCESSORS:
        path = transformers.utils.cached_file(name, file, _raise_exceptions_for_missing_entries=False)
        if path is not None:
            import json

            settings: dict[str, Any] = json.loads(Path(path).read_text())
            return settings
    return None
