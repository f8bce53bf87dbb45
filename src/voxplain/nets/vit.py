"""A small video transformer with joint attention, or with attention divided into time and space.

Letters: B clips, K classes, t×h×w the positions of tubelets, S = t·h·w tokens, D features.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Attention", "TokenMean", "TransformerBlock", "VideoTransformer", "positions", "vit", "vit_divided"]


class Attention(nn.Module):
    """Multi-head self-attention over the second axis.

    Parameters
    ----------
    width : int
        Features of a token D.
    heads : int
        Their number divides D.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """[N,S,D] → [N,S,D]."""
        parts = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = parts.unbind(0)
        out: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class TransformerBlock(nn.Module):
    """Pre-norm attention and MLP; divided attention compares a token with its place's, then with its frame's."""

    def __init__(self, width: int, heads: int, divided: bool) -> None:
        super().__init__()
        self.time: nn.Module | None = None
        if divided:
            self.norm0, self.time = nn.LayerNorm(width), Attention(width, heads)
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor, frames: int) -> Tensor:
        """[B,S,D] of ``frames`` steps in time → [B,S,D]."""
        if self.time is None:
            tokens = tokens + self.attention(self.norm1(tokens))
        else:
            b, s, d = tokens.shape
            places = self.norm0(tokens).unflatten(1, (frames, -1)).transpose(1, 2).flatten(0, 1)
            moved = self.time(places).reshape(b, s // frames, frames, d).transpose(1, 2).flatten(1, 2)
            tokens = tokens + moved
            pictures = self.norm1(tokens).reshape(b * frames, s // frames, d)
            tokens = tokens + self.attention(pictures).reshape(b, s, d)
        out: Tensor = tokens + self.mlp(self.norm2(tokens))
        return out


class TokenMean(nn.Module):
    """The mean over tokens."""

    def forward(self, tokens: Tensor) -> Tensor:
        """[B,S,D] → [B,D]."""
        return tokens.mean(1)


class VideoTransformer(nn.Module):
    """A video transformer; logits [B,K] of clips [B,3,T,H,W] whose sizes the tubelet divides.

    Layers to explain: ``norm`` (tokens [B,S,D]) and ``pool`` (D), their mean. The positions are sines and cosines, a
    third of the features for each axis, so that clips of any size can be given.

    Parameters
    ----------
    classes : int
        Number of classes K.
    divided : bool
        Attention over time and then over space, in place of one over all tokens.
    width : int
        Features of a token D, a multiple of 6 and of ``heads``.
    depth : int
        Blocks.
    heads : int
        Attention heads.
    tubelet : (t, h, w)
        Voxels of a token.

    References
    ----------
    Arnab et al. 2021, ViViT: a video vision transformer, arXiv 2103.15691 (tubelets, joint attention)
    Bertasius et al. 2021, Is space-time attention all you need for video understanding?, arXiv 2102.05095 (divided)
    """

    def __init__(
        self,
        classes: int,
        *,
        divided: bool = False,
        width: int = 96,
        depth: int = 4,
        heads: int = 4,
        tubelet: tuple[int, int, int] = (2, 8, 8),
    ) -> None:
        super().__init__()
        self.patches = nn.Conv3d(3, width, tubelet, tubelet)
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, divided) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.pool = TokenMean()
        self.fc = nn.Linear(width, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B,K] of float clips [B,3,T,H,W]."""
        maps = self.patches(clips)
        places = positions((maps.shape[2], maps.shape[3], maps.shape[4]), maps.shape[1])
        tokens = maps.flatten(2).transpose(1, 2) + places.to(maps)
        for block in self.blocks:
            tokens = block(tokens, maps.shape[2])
        logits: Tensor = self.fc(self.pool(self.norm(tokens)))
        return logits


def positions(grid: tuple[int, int, int], width: int) -> Tensor:
    """Sines and cosines [S,D] of the positions of a grid."""
    each = width // 6  # frequencies an axis
    rates = torch.exp(torch.arange(each) * (-math.log(100.0) / each))
    axes = torch.meshgrid(*(torch.arange(n) for n in grid), indexing="ij")
    angles = torch.cat([axis.flatten()[:, None] * rates for axis in axes], 1)
    return torch.cat([angles.sin(), angles.cos()], 1)


def vit(classes: int) -> VideoTransformer:
    """Build it with joint attention and random weights for ``classes`` classes (484,512 + 97·classes parameters)."""
    return _start(VideoTransformer(classes))


def vit_divided(classes: int) -> VideoTransformer:
    """Build it with divided attention and random weights for ``classes`` classes."""
    return _start(VideoTransformer(classes, divided=True))


def _start(net: VideoTransformer) -> VideoTransformer:
    """Linear layers Xavier-uniform; blocks add little at first, because what they add ends in small weights."""
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
            if name.endswith((".out", "mlp.2")):
                with torch.no_grad():
                    layer.weight.mul_(0.3)
    nn.init.normal_(net.fc.weight, std=0.01)
    return net
