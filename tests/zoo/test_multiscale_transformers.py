"""Small MViTs of torchvision and PyTorchVideo: LRP adds up, and concepts have tokens that reach the logits.

Tests of a library that is not installed are skipped.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from voxplain.attribution import LRP
from voxplain.concepts.feature_maps import feature_maps
from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.zoo.libraries import import_library

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

GRID = (4, 32, 32)


def library(name: str, extra: str) -> Any:
    try:
        return import_library(name, extra)
    except ModelError as error:
        pytest.skip(f"{name} is not installed: {error}")


def of_torchvision(second: bool) -> nn.Module:
    """Version 2 writes relative positions into the scores, and adds pooled queries to all tokens but the first."""
    mvit = library("torchvision", "torchvision").models.video.mvit
    blocks = [
        mvit.MSBlockConfig(heads, inner, outer, [3, 3, 3], [3, 3, 3], [1, q, q], [1, kv, kv])
        for heads, inner, outer, q, kv in ((1, 8, 16, 1, 4), (2, 16, 16, 2, 2), (2, 16, 16, 1, 2))
    ]
    return mvit.MViT(
        spatial_size=GRID[1:],
        temporal_size=GRID[0],
        block_setting=blocks,
        residual_pool=second,
        residual_with_cls_embed=not second,
        rel_pos_embed=second,
        proj_after_attn=second,
        num_classes=3,
    )


def of_pytorchvideo() -> nn.Module:
    transformers = library("pytorchvideo.models.vision_transformers", "pytorchvideo")
    return transformers.create_multiscale_vision_transformers(
        spatial_size=GRID[1],
        temporal_size=GRID[0],
        depth=3,
        patch_embed_dim=8,
        embed_dim_mul=[[1, 2.0]],
        atten_head_mul=[[1, 2.0]],
        pool_q_stride_size=[[1, 1, 2, 2]],
        pool_kv_stride_adaptive=[1, 4, 4],
        pool_kvq_kernel=[3, 3, 3],
        head_num_classes=3,
    )


BUILDS = {
    "torchvision v1": lambda: of_torchvision(False),
    "torchvision v2": lambda: of_torchvision(True),
    "pytorchvideo": of_pytorchvideo,
}


def model_of(build: Callable[[], nn.Module]) -> VideoModel:
    torch.manual_seed(1)
    net = build()
    for p in net.parameters():  # far enough from the zeros of some positions and biases
        p.data += 0.02 * torch.randn_like(p)
    return VideoModel(net.eval(), layout="BCTHW", grid=GRID, classes=("a", "b", "c"))


def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (1, *GRID, 3), np.uint8)


@pytest.mark.parametrize("attention", ["shared", "constant"])
@pytest.mark.parametrize("name", BUILDS)
def test_all_relevance_is_of_voxels_or_constants(name: str, attention: Any) -> None:
    found = LRP("epsilon", epsilon=0.0, attention=attention)(model_of(BUILDS[name]), frames()[0], 1)
    parts = [found.details.get(part, 0.0) for part in ("constants", "softmax_constants")]
    left = found.details["start"] - found.values.sum(dtype=np.float64) - sum(parts)
    assert found.values.std() > 0
    assert abs(left / found.details["start"]) < 0.01


@pytest.mark.parametrize("name", BUILDS)
def test_the_last_map_is_of_tokens_that_reach_the_logits(name: str) -> None:
    seen = feature_maps(model_of(BUILDS[name]), frames(), gradient_of=(1, "logit"))
    assert seen.feature.shape[:2] == (1, 16)
    assert seen.gradient is not None
    assert bool(seen.gradient.any())
