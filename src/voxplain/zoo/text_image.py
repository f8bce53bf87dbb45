"""Networks that compare pictures with words, such as CLIP and SigLIP, from a folder of the user's.

Letters: N pictures, W texts, D features.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from voxplain.errors import ModelError
from voxplain.zoo.libraries import import_library

__all__ = ["TextImage", "load_text_image"]

BATCH = 32


class TextImage:
    """Features of pictures and of texts in one space.

    Parameters
    ----------
    net : transformers model
        With ``get_image_features`` and ``get_text_features``.
    processor : transformers processor
        Of pictures and texts.
    """

    def __init__(self, net: Any, processor: Any) -> None:
        self.net, self.processor = net, processor

    def pictures(self, frames: Sequence[np.ndarray]) -> np.ndarray:
        """Features of uint8 pictures [H,W,3] of any sizes, float32 [N,D] of length 1."""
        found = []
        for start in range(0, len(frames), BATCH):
            given = self.processor(images=list(frames[start : start + BATCH]), return_tensors="pt")
            found.append(self._unit(self.net.get_image_features, given, ("pixel_values",)))
        return np.concatenate(found)

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Features of texts, float32 [W,D] of length 1."""
        given = self.processor(text=list(texts), return_tensors="pt", padding=True, truncation=True)
        return self._unit(self.net.get_text_features, given, ("input_ids", "attention_mask"))

    @torch.no_grad()
    def _unit(self, features: Any, given: Any, names: tuple[str, ...]) -> np.ndarray:
        out = features(**{name: given[name] for name in names if name in given})
        z = out if isinstance(out, torch.Tensor) else out.pooler_output  # transformers 5 gives an output object
        return torch.nn.functional.normalize(z.float(), dim=-1).numpy()


def load_text_image(folder: str | Path) -> TextImage:
    """A network of pictures and texts that ``save_pretrained`` wrote, with its processor; nothing is downloaded.

    Parameters
    ----------
    folder : str or Path
        Of CLIP, SigLIP or another network of transformers with features of both.

    Returns
    -------
    TextImage

    Raises
    ------
    ModelError
        Without transformers, or for a folder without such a network.
    """
    transformers = import_library("transformers", "names")
    try:
        net = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
        processor = transformers.AutoProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        first = str(error).strip().partition("\n")[0]
        raise ModelError(
            "expected a folder with a text-image network of transformers and its processor, got "
            f"{str(folder)!r}: {first}; save both there with save_pretrained"
        ) from error
    if not (hasattr(net, "get_image_features") and hasattr(net, "get_text_features")):
        raise ModelError(
            f"expected a network of pictures and texts, such as CLIP, in {str(folder)!r}, got "
            f"{type(net).__name__}; give another folder"
        )
    return TextImage(net, processor)
