"""Networks of pictures and words are loaded from a folder as their library saved them, and give its features."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from voxplain.errors import ModelError
from voxplain.zoo.libraries import import_library
from voxplain.zoo.text_image import load_text_image

WORDS = ("ball", "grass")


@pytest.fixture(scope="module")
def transformers() -> Any:
    try:
        return import_library("transformers", "names")
    except ModelError as error:
        pytest.skip(f"transformers is not installed: {error}")


@pytest.fixture(scope="module")
def folder(transformers: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random CLIP with its processor, whose vocabulary is single letters."""
    made = tmp_path_factory.mktemp("clip")
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    symbols = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    (made / "vocab.json").write_text(json.dumps({s: i for i, s in enumerate(symbols)}))
    (made / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(made / "vocab.json"), str(made / "merges.txt"), model_max_length=32)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": len(symbols), "max_position_embeddings": 32, "eos_token_id": 53},
        vision_config={**small, "image_size": 16, "patch_size": 8},
        projection_dim=12,
    )
    torch.manual_seed(0)
    transformers.CLIPModel(config).save_pretrained(made)
    pictures = transformers.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    transformers.CLIPProcessor(pictures, tokenizer).save_pretrained(made)
    return made


def test_features_are_those_of_the_library(folder: Path, transformers: Any) -> None:
    frames = [np.random.default_rng(i).integers(0, 256, (20 + i, 24, 3), np.uint8) for i in range(3)]
    network = load_text_image(folder)
    pictures, texts = network.pictures(frames), network.texts(WORDS)
    assert pictures.shape == (3, 12)
    assert texts.shape == (2, 12)
    net = transformers.CLIPModel.from_pretrained(folder).eval()
    processor = transformers.CLIPProcessor.from_pretrained(folder)
    given = processor(text=list(WORDS), images=frames, return_tensors="pt", padding=True)
    with torch.no_grad():
        wanted = net(**given)
    np.testing.assert_allclose(pictures, wanted.image_embeds.numpy(), atol=1e-5)
    np.testing.assert_allclose(texts, wanted.text_embeds.numpy(), atol=1e-5)


def test_other_folders_are_one_sentence(tmp_path: Path, transformers: Any) -> None:
    with pytest.raises(ModelError, match="expected a folder with a text-image network") as caught:
        load_text_image(tmp_path)
    assert "\n" not in str(caught.value)
    config = transformers.VideoMAEConfig(image_size=32, patch_size=8, num_frames=4, hidden_size=12, num_hidden_layers=1)
    transformers.VideoMAEModel(config).save_pretrained(tmp_path / "video")
    with pytest.raises(ModelError, match="text-image"):
        load_text_image(tmp_path / "video")
