"""Real-time saliency: a network that gives the mask of a clip and class in one pass, trained once for a model.

Letters: B clips, K classes, T×H×W the network's grid, m the mask in 0–1, x⊗m the clip perturbed where m is low.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.masks.blur_pyramid import Perturbation, perturbation
from voxplain.attribution.masks.mask_descent import Adam, check_field, check_probability, network_loss
from voxplain.attribution.masks.mask_losses import total_variation
from voxplain.attribution.passes import logits, recording, score, to_input
from voxplain.errors import DataError
from voxplain.model import VideoModel, stack
from voxplain.nets import load_weights, save_weights
from voxplain.video import Clip

__all__ = ["RealTimeSaliency", "train_mask_network"]

WIDTH = 24


class MaskNetwork(nn.Module):
    """Masks [B,T,H,W] of clips [B,3,T,H,W] and classes [B]: an encoder, a selector of the class, a decoder."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.down1 = nn.Sequential(nn.Conv3d(3, WIDTH // 2, 3, (1, 2, 2), 1), nn.ReLU())
        self.down2 = nn.Sequential(nn.Conv3d(WIDTH // 2, WIDTH, 3, 2, 1), nn.ReLU())
        self.down3 = nn.Sequential(nn.Conv3d(WIDTH, WIDTH, 3, 1, 1), nn.ReLU())
        self.classes = nn.Embedding(classes, WIDTH)
        self.up = nn.Sequential(nn.Conv3d(WIDTH, WIDTH // 2, 3, 1, 1), nn.ReLU())
        self.out = nn.Conv3d(WIDTH, 1, 3, 1, 1)

    def forward(self, clips: Tensor, classes: Tensor) -> Tensor:
        """Masks in 0–1."""
        fine = self.down1(clips)
        coarse = self.down3(self.down2(fine))
        # As in the paper, features go on where they agree with the class.
        near = (coarse * self.classes(classes)[:, :, None, None, None]).sum(1, keepdim=True).sigmoid()
        back = F.interpolate(self.up(coarse * near), size=fine.shape[2:], mode="trilinear", align_corners=False)
        mask = self.out(torch.cat([fine, back], 1))
        found: Tensor = F.interpolate(mask, size=clips.shape[2:], mode="trilinear", align_corners=False)
        return found[:, 0].sigmoid()


@dataclass(frozen=True)
class RealTimeSaliency:
    """Real-time saliency: the mask that a network trained for the model gives, in one pass of that network.

    The mask network minimises λ1·TV(m) + λ2·mean(m) − log p(x⊗m) + λ3·p(x⊗(1−m))^λ4 over clips and their classes;
    `train_mask_network` trains it once on many clips and keeps its weights. Without weights one is trained on the clip
    alone, which takes as long as an optimised mask and is as particular to the clip.

    Parameters
    ----------
    weights : path, optional
        Of a mask network for this model.
    perturbation : {"blur", "fade"}
        What a mask does where it is low: "blur", or "fade" to the mean colour.
    smoothness : float
        λ1, for the mean squared step between neighbours.
    sparsity : float
        λ2, for the mean of the mask.
    delete_weight : float
        λ3; 5 in the paper, where the steep power drives every mask to 1 before the sparsity is felt.
    delete_power : float
        λ4; 0.3 in the paper.
    iterations : int
        Steps of Adam on the clip where there are no weights.
    learning_rate : float
        Of Adam.
    seed : int
        Of the mask network's first weights.

    References
    ----------
    Dabkowski and Gal 2017, Real time image saliency for black box classifiers, arXiv 1705.07857

    Examples
    --------
    >>> RealTimeSaliency(iterations=3)(model, clip).shape
    (8, 32, 32)
    """

    weights: Path | None = None
    perturbation: Perturbation = "blur"
    smoothness: float = 1.0
    sparsity: float = 3.0
    delete_weight: float = 1.0
    delete_power: float = 0.3
    iterations: int = 100
    learning_rate: float = 0.002
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        check_field(self.iterations >= 1, "1 iteration or more", self.iterations)
        check_field(0 < self.delete_power <= 1, "delete_power above 0 and up to 1", self.delete_power)

    @attribution_call("real_time_saliency")
    def __call__(self, batch: Batch) -> Maps:
        model, x = batch.model, batch.x.float().clone()
        check_probability(model)
        maps = []
        for clip, target in zip(x.split(1), batch.targets, strict=True):
            net = self._start(model, clip)
            if self.weights is None:
                self._fit(model, net, [clip], [target], self.iterations)
            else:
                load_weights(net, self.weights)
            with torch.no_grad():
                maps.append(net.eval()(clip, torch.tensor([target], device=clip.device)))
        return torch.cat(maps)

    def _start(self, model: VideoModel, x: Tensor) -> MaskNetwork:
        """A mask network with its first weights; the caller's random numbers go on as they would have."""
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
            torch.manual_seed(self.seed)
            return MaskNetwork(logits(model, x[:1]).shape[1]).to(x.device)

    def _fit(
        self, model: VideoModel, net: MaskNetwork, clips: Sequence[Tensor], targets: Sequence[int], iterations: int
    ) -> None:
        """Train the mask network on inputs [1,3,T,H,W] in turn, one a step."""
        with recording(model.net), torch.enable_grad():
            weights, adam = list(net.parameters()), Adam(self.learning_rate)
            states = [[torch.zeros_like(w), torch.zeros_like(w)] for w in weights]
            for i in range(iterations):
                loss = self._loss(model, net, clips[i % len(clips)], targets[i % len(clips)])
                slopes = torch.autograd.grad(loss, weights)
                with torch.no_grad():
                    for w, slope, state in zip(weights, slopes, states, strict=True):
                        w.sub_(adam(slope, state, i))

    def _loss(self, model: VideoModel, net: MaskNetwork, x: Tensor, target: int) -> Tensor:
        perturb = perturbation(x, self.perturbation, 2)
        mask = net(x, torch.tensor([target], device=x.device))
        keep = network_loss(model, perturb(mask, [0]), [target], lambda z, y: -F.logsigmoid(score(z, y, "log_odds")))
        gone = network_loss(
            model,
            perturb(1 - mask, [0]),
            [target],
            lambda z, y: (score(z, y, "probability") + 1e-6) ** self.delete_power,
        )
        penalty = self.smoothness * total_variation(mask, 2.0) / mask[0].numel() + self.sparsity * mask.mean()
        return (penalty + keep + self.delete_weight * gone).sum()


def train_mask_network(
    model: VideoModel,
    clips: Sequence[Clip],
    targets: Sequence[int],
    weights: Path | str,
    *,
    method: RealTimeSaliency | None = None,
    epochs: int = 20,
) -> RealTimeSaliency:
    """Train the mask network of a model on clips and keep its weights.

    Parameters
    ----------
    model : VideoModel
        The network to explain; it is not changed.
    clips : sequence of Clip
        Of its grid.
    targets : sequence of int
        The class of each.
    weights : path
        A .safetensors file to write.
    method : RealTimeSaliency, optional
        The loss and the rate.
    epochs : int
        Passes through the clips.

    Returns
    -------
    RealTimeSaliency
        With these weights.

    Raises
    ------
    DataError
        No clip, or another number of targets.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     method = train_mask_network(model, [clip], [1], f"{folder}/mask.safetensors", epochs=1)
    ...     method(model, clip, 1).shape
    (8, 32, 32)
    """
    if not clips or len(clips) != len(targets):
        raise DataError(f"expected clips and a target for each, got {len(clips)} and {len(targets)}; give both")
    how = method or RealTimeSaliency()
    x = to_input(model, stack(list(clips))).float()
    net = how._start(model, x)
    how._fit(model, net, x.split(1), list(targets), epochs * len(clips))
    save_weights(net, Path(weights), {})
    return replace(how, weights=Path(weights))
