"""Attribution methods of other projects: a function of a network and arrays, named package.module:function."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from voxplain.attribution import AttributionMethod
from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.passes import recording
from voxplain.errors import DataError, ModelError
from voxplain.model.layouts import from_bcthw

__all__ = ["MapFunction", "ThirdParty", "third_party_methods"]

# From a network, an input [1,…] as the network takes it, and the index of a class to a map [T,H,W].
MapFunction = Callable[[nn.Module, torch.Tensor, int], np.ndarray | torch.Tensor]


@dataclass(frozen=True)
class ThirdParty:
    """A function of another project as a method.

    It is called as ``function(network, input, target)`` with the network in evaluation mode and autograd on, and gives
    the map [T,H,W] as an array or tensor.

    Parameters
    ----------
    path : str
        package.module:function.

    Raises
    ------
    DataError
        A path that names no function.

    Examples
    --------
    >>> ThirdParty("numpy:zeros").path
    'numpy:zeros'
    """

    path: str

    def __post_init__(self) -> None:
        """Check that the function is there."""
        self.function()

    def function(self) -> MapFunction:
        """The function that the path names."""
        module, colon, name = self.path.partition(":")
        try:
            found = getattr(importlib.import_module(module), name) if colon else None
        except (ImportError, AttributeError, ValueError) as error:
            raise DataError(f"expected package.module:function, got {self.path!r} ({error}); correct it") from None
        if not callable(found):
            raise DataError(f"expected package.module:function, got {self.path!r}; name a function")
        function: MapFunction = found
        return function

    @attribution_call("third_party")
    def __call__(self, batch: Batch) -> Maps:
        function, maps = self.function(), []
        with recording(batch.model.net):
            for x, target in zip(batch.x.split(1), batch.targets, strict=True):
                given = from_bcthw(x, batch.model.layout).clone()
                try:
                    found = torch.as_tensor(function(batch.model.net, given, target)).detach().float()
                except Exception as error:  # whatever a function of another project raises concerns this method only
                    raise ModelError(
                        f"expected a map from {self.path}, got {type(error).__name__}: {error}; correct the function"
                    ) from error
                maps.append(found)
        values = torch.stack(maps)
        if tuple(values.shape[1:]) != tuple(batch.model.grid):
            raise ModelError(
                f"expected a map {tuple(batch.model.grid)} from {self.path}, got {tuple(values.shape[1:])}; enlarge it"
            )
        return values


def third_party_methods(paths: Sequence[str]) -> dict[str, AttributionMethod]:
    """Methods by the names of their functions; DataError where two have one name or a path names no function."""
    found = {path.rpartition(":")[2]: ThirdParty(path) for path in paths}
    if len(found) < len(paths):
        raise DataError(f"expected functions of different names, got {', '.join(paths)}; rename one")
    return dict(found)
