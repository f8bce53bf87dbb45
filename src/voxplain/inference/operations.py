"""Observation of every torch operation of a pass, below modules and functions."""

from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["OperationObserver"]


class OperationObserver(TorchDispatchMode):
    """Base class whose ``__torch_dispatch__`` is called with every operation inside a ``with`` block."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch's own switch: else the first use of a mode imports torch's compiler, which takes more than a second."""
        return False
