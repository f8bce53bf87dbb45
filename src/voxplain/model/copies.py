"""Which network another is a copy of, module by module with the same weights: what was found of one holds for both."""

from weakref import ReferenceType, WeakKeyDictionary, ref

from torch import nn

__all__ = ["copied_from", "mark_copy"]

# By copy; an entry is dropped with it, and the network that it was made of is not kept alive.
_originals: WeakKeyDictionary[nn.Module, ReferenceType[nn.Module]] = WeakKeyDictionary()


def mark_copy(copy: nn.Module, original: nn.Module) -> None:
    """Note that ``copy`` has the structure, the weights and the code of ``original``."""
    _originals[copy] = ref(copied_from(original))


def copied_from(net: nn.Module) -> nn.Module:
    """The network that a copy was made of; itself where it is no copy, or where that network no longer exists.

    Examples
    --------
    >>> first, second = nn.Linear(1, 1), nn.Linear(1, 1)
    >>> mark_copy(second, first)
    >>> copied_from(second) is first, copied_from(first) is first
    (True, True)
    """
    noted = _originals.get(net)
    original = None if noted is None else noted()
    return net if original is None else original
