"""Excitation backprop for networks of a convolutional part for frames and a recurrent part over them.

Bargal et al. 2018 (arXiv 1711.06778).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from voxplain.attribution.record import Batch, Target, attribute
from voxplain.attribution.relevance.excitation_backprop import check_names, excite
from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.video import Clip

__all__ = ["ExcitationBackpropRNN"]


@dataclass(frozen=True)
class ExcitationBackpropRNN:
    """EB through the recurrent layers to the frames' features, rescaled to Σ p = T over units and frames, then on.

    For networks with torch's RNN, LSTM or GRU layers. Units with tanh may be negative, and negative ones excite
    nothing; gates take no probability, what they multiply takes all. The frame sums of the map at the input say which
    frames the class rests on. Contrastive: the map of the class less that of its dual, what is left positive.
    ``details["mass"]``: the sum of the map, T unless the convolutional part has units without positive contributions.
    """

    layer: str | None = None  # dotted name; None: the last map over space before the recurrent part; "input": voxels
    contrastive: bool = False
    batch_norm: Literal["fold", "pass"] = "fold"  # the same where its scale is positive; the study's: pass

    def __post_init__(self) -> None:
        """Refuse an unknown way with batch norm."""
        check_names(self.batch_norm)

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "excitation_backprop_rnn", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
        advice = "use excitation_backprop, which gives the same map up to its scale"
        if not any(isinstance(m, nn.RNNBase) for m in batch.model.net.modules()):
            raise ModelError(
                f"expected a network with an RNN, LSTM or GRU layer of torch, got none in {batch.model.name}; {advice}"
            )
        fold_norm = self.batch_norm == "fold"
        values, details, recurrent = excite(
            batch, layer=self.layer, contrastive=self.contrastive, fold_norm=fold_norm, evidence=True
        )
        if not recurrent:
            raise ModelError(
                f"expected recurrent layers that run, got none in the pass of {batch.model.name}; {advice}"
            )
        return values, details
