"""A norm layer whose channels are decorrelated, one of them along a concept, and the same written into a batch norm.

Letters: B clips, C channels, T'×H'×W' the positions of the layer, W [C,C] whitening, R [C,C] rotation, μ [C] mean.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["WhitenedNorm", "concept_share", "folded", "rotation_between", "whitening"]

EPSILON = 1e-5  # added to the variances, as batch norm does
MOMENTUM = 0.1  # of the running statistics, as batch norm


def whitening(covariance: Tensor, iterations: int) -> Tensor:
    """Inverse square root of a covariance [C,C] by Newton's iteration, which has a gradient everywhere.

    Directions whose share of the variance is far below 1.5 to the power of −2·iterations are raised less than to unit
    variance, so that directions of noise are not amplified.

    Parameters
    ----------
    covariance : tensor, [C,C]
    iterations : int

    Returns
    -------
    tensor, [C,C]

    References
    ----------
    Huang et al., Iterative normalization: beyond standardization towards efficient whitening, CVPR 2019.
    """
    eye = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    total = covariance.trace()
    scaled, p = covariance / total, eye
    for _ in range(iterations):
        p = 1.5 * p - 0.5 * p @ p @ p @ scaled
    return p / total.sqrt()


def rotation_between(source: Tensor, axis: int) -> Tensor:
    """The rotation [C,C] in the plane of a unit vector and a unit axis that takes the vector to the axis.

    Parameters
    ----------
    source : tensor, [C]
        Of length 1, not opposite to the axis.
    axis : int

    Returns
    -------
    tensor, [C,C]

    Examples
    --------
    >>> turned = rotation_between(torch.tensor([0.6, 0.8]), 0) @ torch.tensor([0.6, 0.8])
    >>> torch.allclose(turned, torch.tensor([1.0, 0.0]), atol=1e-6)
    True
    """
    eye = torch.eye(len(source), dtype=source.dtype, device=source.device)
    e = eye[axis]
    middle = source + e
    return eye - torch.outer(middle, middle) / (1 + source[axis]) + 2 * torch.outer(e, source)


def concept_share(masks: Tensor, positions: Sequence[int]) -> Tensor:
    """Share of each position's voxels that belong to the concept, float [B,T',H',W'].

    Parameters
    ----------
    masks : tensor, bool [B,T,H,W]
    positions : sequence of int
        T', H', W'.

    Returns
    -------
    tensor
    """
    t, h, w = positions
    share: Tensor = nn.functional.adaptive_avg_pool3d(masks[:, None].float(), (t, h, w))[:, 0]
    return share


class WhitenedNorm(nn.Module):
    """In place of a batch norm: y = γ·R W (x − μ) + β, with the channel of the concept set to its absent value.

    In training μ and W are those of the batch, otherwise their running values.

    Parameters
    ----------
    norm : batch norm
        Gives γ and β.
    iterations : int
        Of `whitening`.
    """

    mean: Tensor
    whitener: Tensor
    rotation: Tensor
    concept: Tensor
    absent: Tensor
    axis: Tensor

    def __init__(self, norm: nn.BatchNorm3d, iterations: int) -> None:
        """Start with the scale and the shift of the batch norm, and without rotation."""
        super().__init__()
        c = norm.num_features
        ones = torch.ones(c)
        self.iterations = iterations
        self.weight = nn.Parameter((ones if norm.weight is None else norm.weight).detach().clone())
        self.bias = nn.Parameter((0 * ones if norm.bias is None else norm.bias).detach().clone())
        self.register_buffer("mean", torch.zeros(c))
        self.register_buffer("whitener", torch.eye(c))
        self.register_buffer("rotation", torch.eye(c))
        self.register_buffer("concept", torch.zeros(c))  # running mean of whitened positions with the concept
        self.register_buffer("absent", torch.zeros(()))  # running mean of the axis at positions without it
        self.register_buffer("axis", torch.tensor(0))
        self.whitened: Tensor | None = None  # of the last forward pass, [B,T',H',W',C], before the rotation

    def forward(self, x: Tensor) -> Tensor:
        """Normalised activations [B,C,T',H',W']."""
        rows = x.movedim(1, -1)
        if self.training:
            flat = rows.reshape(-1, rows.shape[-1])
            mean = flat.mean(0)
            centred = flat - mean
            covariance = (centred.T @ centred / len(flat)).double()  # the iteration needs the digits
            eye = torch.eye(len(mean), dtype=covariance.dtype, device=x.device)
            whitener = whitening(covariance + EPSILON * eye, self.iterations).to(x.dtype)
            with torch.no_grad():
                self.mean.lerp_(mean, MOMENTUM)
                self.whitener.lerp_(whitener, MOMENTUM)
        else:
            mean, whitener = self.mean, self.whitener
        white = (rows - mean) @ whitener.T
        self.whitened = white.detach()
        # Copies, because `align` changes them before the gradient is taken.
        y = white @ self.rotation.clone().T
        on = torch.arange(y.shape[-1], device=y.device) == self.axis
        y = torch.where(on, self.absent.clone().to(y.dtype), y)
        return (y * self.weight + self.bias).movedim(-1, 1)

    @torch.no_grad()
    def start(self, mean: Tensor, covariance: Tensor, with_concept: Tensor, without: Tensor) -> None:
        """Set the statistics to those of all clips, and choose the channel that is turned least.

        Parameters
        ----------
        mean : tensor, [C]
            Of the inputs.
        covariance : tensor, [C,C]
        with_concept, without : tensor, [C]
            Mean inputs at positions with the concept and without it.
        """
        eye = torch.eye(len(mean), dtype=mean.dtype, device=mean.device)
        whitener = whitening(covariance + EPSILON * eye, self.iterations)
        self.mean.copy_(mean)
        self.whitener.copy_(whitener)
        self.concept.copy_(whitener @ (with_concept - mean))
        self.axis.copy_(self.concept.argmax())
        self._turn()
        self.absent.copy_(self.rotation[int(self.axis)].double() @ whitener @ (without - mean))

    @torch.no_grad()
    def align(self, masks: Tensor) -> None:
        """Turn the channel towards the concept in the last forward pass, by the momentum of the running means.

        The direction with the highest mean over the concept's positions is that of their mean, because all directions
        have unit variance.

        Parameters
        ----------
        masks : tensor, bool [B,T,H,W]
            Voxels of the concept in the network's input.
        """
        assert self.whitened is not None
        share = concept_share(masks, self.whitened.shape[1:4])
        if not share.any():
            return
        there = (share[..., None] * self.whitened).sum((0, 1, 2, 3)) / share.sum()
        self.concept.lerp_(there, MOMENTUM)
        self._turn()
        free = share == 0
        if free.any():
            self.absent.lerp_((self.whitened[free] @ self.rotation[int(self.axis)]).mean(), MOMENTUM)

    def _turn(self) -> None:
        q = self.concept / self.concept.norm().clamp_min(1e-12)
        self.rotation.copy_(rotation_between(q, int(self.axis)))


@torch.no_grad()
def folded(module: WhitenedNorm, conv: nn.Conv3d, norm: nn.BatchNorm3d) -> None:
    """Write the module into the convolution before it and into a batch norm, which then give the same in evaluation.

    Parameters
    ----------
    module : WhitenedNorm
    conv : Conv3d
        Gives the module's input.
    norm : BatchNorm3d
        Takes the module's place.
    """
    mix = module.rotation.double() @ module.whitener.double()
    conv.weight.copy_(torch.einsum("oc,c...->o...", mix, conv.weight.double()))
    if conv.bias is not None:
        conv.bias.copy_(mix @ conv.bias.double())
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mix @ module.mean.double())
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.copy_(module.weight)
    norm.bias.copy_(module.bias)
    axis = int(module.axis)
    norm.weight[axis] = 0
    norm.bias[axis] = module.weight[axis] * module.absent + module.bias[axis]
