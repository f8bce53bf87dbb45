"""Record the attention weights of a pass, also where a network calls PyTorch's fused attention."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from voxplain.attribution.relevance.products import ATTENTION, attention_scores, multi_head

__all__ = ["RecordAttention"]


class RecordAttention(TorchFunctionMode):
    """While on, ``found`` collects the weights [·,queries,keys] of every attention, as tensors of the graph.

    An attention is a softmax over the last axis of three axes or more, or one of PyTorch's functions for it.
    """

    def __init__(self) -> None:
        """For one pass."""
        super().__init__()
        self.found: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation."""
        kwargs, name = kwargs or {}, getattr(func, "__name__", "").strip("_")
        if name == "scaled_dot_product_attention":
            given = dict(zip(ATTENTION, args, strict=False)) | kwargs
            return self._attend(given["query"], given["key"], given["value"], given)
        if name == "multi_head_attention_forward":
            return multi_head(args, kwargs, F.linear, lambda q, k, v: self._attend(q, k, v, {}))
        out = func(*args, **kwargs)
        if name == "softmax" and out.ndim > 2:
            dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
            if dim in (-1, out.ndim - 1):
                self.found.append(out)
        return out

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, given: dict[str, Any]) -> Tensor:
        scale, mask = attention_scores(q, k, given)
        scores = torch.matmul(q, k.transpose(-2, -1)) * scale
        self.found.append((scores if mask is None else scores + mask).softmax(-1))
        return torch.matmul(self.found[-1], v)
