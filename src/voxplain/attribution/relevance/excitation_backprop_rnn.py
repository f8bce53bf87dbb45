"""Excitation backprop for networks of a convolutional part for frames and a recurrent part over them.

Bargal et al. 2018 (arXiv 1711.06778).
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from voxplain.attribution.call import Batch, Maps, attribution_call, layer_alias
from voxplain.attribution.relevance.excitation_backprop import check_names, excite
from voxplain.errors import ModelError

__all__ = ["ExcitationBackpropRNN"]


@layer_alias
@dataclass(frozen=True)
class ExcitationBackpropRNN:
    """Excitation backprop for networks with recurrent layers of torch (RNN, LSTM, GRU) over frames.

    Relevance goes through the recurrent layers to the features of the frames, is rescaled there to Σ p = T over units
    and frames, and goes on to the voxels. Negative units of tanh excite nothing; gates take no probability, what they
    multiply takes all. The frame sums of the map at the input show which frames the class depends on.
    ``details["mass"]`` is the sum of the map, T unless the convolutional part has units without positive contributions.
    Raises ModelError for networks without a recurrent layer.

    Parameters
    ----------
    layer : str, optional
        Dotted name; by default the last map over space before the recurrent part; "input": the voxels. `target_layer`
        is accepted as well.
    contrastive : bool
        Subtract the map of the dual logit, and keep what is positive.
    batch_norm : {"fold", "pass"}
        "fold" it into the layer before it, or "pass" relevance through unchanged, as in the video attribution study.

    References
    ----------
    Bargal et al. 2018, Excitation backprop for RNNs, arXiv 1711.06778

    Examples
    --------
    >>> ExcitationBackpropRNN(contrastive=True).contrastive
    True
    """

    layer: str | None = None
    contrastive: bool = False
    batch_norm: Literal["fold", "pass"] = "fold"

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        check_names(self.batch_norm)

    @attribution_call("excitation_backprop_rnn")
    def __call__(self, batch: Batch) -> Maps:
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
