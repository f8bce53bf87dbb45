"""Small networks with known answers, for the tests of model, doctor and load."""

import torch
from torch import Tensor, nn

GRID = (4, 8, 8)


def clips(n: int, seed: int = 0, grid: tuple[int, int, int] = GRID) -> Tensor:
    """Coloured noise, uint8 [n,T,H,W,3]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, *grid, 3), dtype=torch.uint8, generator=generator)


class LinearNet(nn.Module):
    """Input → 6 features → logits, both linear: every gradient at ``feature`` has a closed form."""

    def __init__(self, classes: int = 5, scale: float = 1.0) -> None:
        super().__init__()
        self.feature = nn.Linear(3 * 4 * 8 * 8, 6)
        self.head = nn.Linear(6, classes)
        with torch.no_grad():
            self.head.weight *= scale

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.feature(x.flatten(1)))


class ConvNet(nn.Module):
    """Two convolutions, batch norm, dropout and a head that is not linear."""

    def __init__(self, inplace: bool = False, classes: int = 5) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm3d(4)
        self.relu1 = nn.ReLU(inplace=inplace)
        self.conv2 = nn.Conv3d(4, 6, 3, stride=2, padding=1)
        self.relu2 = nn.ReLU(inplace=inplace)
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.hidden = nn.Linear(6, 7)
        self.act = nn.Tanh()
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(7, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu2(self.conv2(self.relu1(self.bn(self.conv1(x)))))
        return self.head(self.drop(self.act(self.hidden(self.pool(x).flatten(1)))))


class Wrapped(nn.Module):
    """A network whose output or layer output is changed by ``change``."""

    def __init__(self, net: nn.Module, change: object) -> None:
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x: Tensor) -> object:
        return self.change(self.net(x))  # type: ignore[operator]


class Block(nn.Module):
    """A transformer block in little: tokens [B,S,D] to tokens, returned bare or in a tuple."""

    def __init__(self, width: int, as_tuple: bool) -> None:
        super().__init__()
        self.norm, self.mlp, self.as_tuple = nn.LayerNorm(width), nn.Linear(width, width), as_tuple

    def forward(self, x: Tensor) -> object:
        x = x + torch.tanh(self.mlp(self.norm(x)))
        return (x, "attention") if self.as_tuple else x


class TokenNet(nn.Module):
    """Patches of a [B,T,C,H,W] input to tokens, two blocks, a norm, mean over tokens, head."""

    def __init__(self, as_tuple: bool = False, classes: int = 5) -> None:
        super().__init__()
        self.embed = nn.Conv3d(3, 6, (2, 4, 4), stride=(2, 4, 4))
        self.blocks = nn.ModuleList([Block(6, as_tuple), Block(6, as_tuple)])
        self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.transpose(1, 2)).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
            x = x[0] if isinstance(x, tuple) else x
        return self.head(self.norm(x).mean(1))


class TokenStem(nn.Module):
    """Tokens of the map of two padded convolutions, which see their neighbours' voxels, in one of three orders."""

    def __init__(self, order: str = "thw", classes: int = 5) -> None:
        super().__init__()
        self.order = order
        self.stem = nn.Sequential(
            nn.Conv3d(3, 6, (3, 5, 5), (1, 2, 2), (1, 2, 2)), nn.ReLU(), nn.Conv3d(6, 8, 3, 2, 1), nn.ReLU()
        )
        self.embed, self.norm, self.hidden = nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 8)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.stem(x)
        maps = {"thw": maps, "hwt": maps.permute(0, 1, 3, 4, 2), "twh": maps.transpose(3, 4)}[self.order]
        tokens = self.norm(self.embed(maps.flatten(2).transpose(1, 2)))
        return self.head(torch.tanh(self.hidden(tokens.mean(1))))
