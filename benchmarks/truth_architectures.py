"""Networks for the truth benchmark of other layouts than `tiny`, a residual 3D net and a transformer; the training."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from voxplain.model import Tokens, VideoModel
from voxplain.nets import tiny
from voxplain.train import TrainingVideos

__all__ = ["Architecture", "ResidualNet", "Stage", "VideoTransformer", "fit"]

BATCH = 32
ORDER = torch.channels_last_3d  # half as long again without it


class ResidualBlock(nn.Module):
    """Two 3×3×3 convolutions beside a shortcut, as in R3D."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(outputs)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm3d(outputs)
        self.shortcut = nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out: Tensor = self.relu(y + self.shortcut(x))
        return out


class ResidualNet(nn.Module):
    """Four residual blocks of 16 to 128 channels, 0.91 M parameters; logits [B,classes] of clips [B,3,T,H,W].

    A position of ``layer4`` sees 89 × 89 pixels, more than the whole picture of 64 × 64.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, 16, (3, 5, 5), (1, 2, 2), (1, 2, 2), bias=False), nn.BatchNorm3d(16), nn.ReLU()
        )
        self.layer1 = ResidualBlock(16, 16, 2)
        self.layer2 = ResidualBlock(16, 32, 1)
        self.layer3 = ResidualBlock(32, 64, 2)
        self.layer4 = ResidualBlock(64, 128, 1)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())
        self.head = nn.Linear(128, classes)

    def forward(self, clips: Tensor) -> Tensor:
        logits: Tensor = self.head(self.pool(self.layer4(self.layer3(self.layer2(self.layer1(self.stem(clips)))))))
        return logits


class TransformerBlock(nn.Module):
    """Self-attention over all tokens and an MLP, both after a layer norm and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.project(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class VideoTransformer(nn.Module):
    """Four transformer blocks of width 96 over the 4×8×8 positions of a stem; logits are of the mean token.

    Tokens [B,256,96] of clips [B,3,16,64,64], or [B,784,96] at 112×112, positions in the order (T,H,W). The stem is the
    first three blocks of `tiny`, as in hybrid vision transformers: patches alone need more clips, and hours, to learn
    shapes. 0.49 M parameters.
    """

    def __init__(self, classes: int, positions: int = 4 * 8 * 8, width: int = 96) -> None:
        super().__init__()
        stem = tiny(classes)
        self.block1, self.block2, self.block3 = stem.block1, stem.block2, stem.block3
        self.embed = nn.Linear(64, width)
        self.position = nn.Parameter(0.02 * torch.randn(1, positions, width))
        self.blocks = nn.Sequential(*(TransformerBlock(width, 4) for _ in range(4)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, clips: Tensor) -> Tensor:
        stem = self.block3(self.block2(self.block1(clips)))
        tokens = self.embed(stem.flatten(2).transpose(1, 2)) + self.position
        logits: Tensor = self.head(self.norm(self.blocks(tokens)).mean(1))
        return logits


@dataclass(frozen=True)
class Stage:
    """A part of the training: AdamW, one cycle of the rate.

    ``frames`` and ``size``: clips of every so many frames are made smaller by averaging pixels, None: clips as they
    are. ``clips``: in an epoch, None for all. ``enough``: accuracy on the training clips of an epoch that ends the
    stage.
    """

    epochs: int
    rate: float
    frames: int | None = None
    size: int | None = None
    clips: int | None = None
    batch: int = BATCH
    enough: float = 2.0


@dataclass(frozen=True)
class Architecture:
    """How to build a network, its layer, its training and the size of its clips; ``tokens`` where not inferred."""

    build: Callable[[int], nn.Module]
    layer: str
    stages: tuple[Stage, ...]
    size: int = 64
    tokens: Tokens | None = None


def fit(model: VideoModel, videos: TrainingVideos, how: Architecture, seed: int, tell: Callable[[str], object]) -> None:
    """Train in place on clips moved by a few pixels and with permuted colours, both of which keep the class."""
    torch.manual_seed(seed)
    frames, labels, rng = np.stack(list(videos.frames)), torch.from_numpy(videos.labels), np.random.default_rng(seed)
    model.net.to(memory_format=_order(model)).train()
    for number, stage in enumerate(how.stages, 1):
        _fit_stage(model, frames, labels, stage, rng, lambda text, number=number: tell(f"stage {number}, {text}"))
    model.net.to(memory_format=torch.contiguous_format).eval()


def _fit_stage(
    model: VideoModel,
    frames: np.ndarray,
    labels: Tensor,
    stage: Stage,
    rng: np.random.Generator,
    tell: Callable[[str], object],
) -> None:
    count = stage.clips or len(frames)
    steps = -(-count // stage.batch)
    optimiser = torch.optim.AdamW(model.net.parameters(), lr=stage.rate, weight_decay=0.02)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, stage.rate, total_steps=stage.epochs * steps)
    for epoch in range(stage.epochs):
        losses, right, start = [], 0, time.monotonic()
        for index in np.array_split(rng.permutation(len(frames))[:count], steps):
            clips = np.stack(
                [np.roll(frames[i], rng.integers(-8, 9, 2), (1, 2))[..., rng.permutation(3)] for i in index]
            )
            x = _smaller(model.prepare(clips), stage).contiguous(memory_format=_order(model))
            z, y = model.forward(x), labels[index]
            loss = nn.functional.cross_entropy(z, y, label_smoothing=0.05)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            cycle.step()
            losses.append(loss.item())
            right += int((z.argmax(1) == y).sum())
        tell(
            f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, train {right / count:.3f}, "
            f"{time.monotonic() - start:.0f} s"
        )
        if right / count >= stage.enough:
            return


def _order(model: VideoModel) -> torch.memory_format:
    """The faster order of axes of 3D networks; PyTorch's own for those of frames."""
    return ORDER if model.layout == "BCTHW" else torch.contiguous_format


def _smaller(clips: Tensor, stage: Stage) -> Tensor:
    """Clips [B,C,T,H,W] with the stage's number of frames, at equal distances, and its size."""
    if stage.frames is not None:
        step = clips.shape[2] // stage.frames
        clips = clips[:, :, step // 2 :: step]
    if stage.size is not None:
        clips = nn.functional.adaptive_avg_pool3d(clips, (clips.shape[2], stage.size, stage.size))
    return clips
