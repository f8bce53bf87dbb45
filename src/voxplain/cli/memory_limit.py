"""`--max-memory` and `--dry-run` of commands that compute attribution maps."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from voxplain.cli.memory import Forecast, peak_of, present, read_bytes, readable_bytes
from voxplain.errors import DataError

if TYPE_CHECKING:
    from voxplain.attribution import AttributionMethod
    from voxplain.model import Target, VideoModel
    from voxplain.video import Clip

__all__ = ["MemoryLimit", "forecast_maps"]

PASSES = 8  # of the network that each method is watched for; in all of them it holds as much


@Parameter(name="*")
@dataclass(frozen=True)
class MemoryLimit:
    """The most memory that a command may take, and a forecast of what it takes."""

    max_memory: str | None = None
    """Most memory of the run, such as 4G: smaller passes of the network, by what the first passes of each method are
    measured to take."""
    dry_run: bool = False
    "Print the work of the run and a forecast of its memory, and write nothing."

    def printed(self, found: Forecast, model: "VideoModel") -> list[str]:
        """The sentences about memory that a command prints.

        Parameters
        ----------
        found : Forecast
        model : VideoModel
            With the passes that are taken.

        Returns
        -------
        list of str
        """
        said = [
            f"memory: about {readable_bytes(found.total(1))}: {readable_bytes(found.loaded)} for the program and the "
            f"network, {readable_bytes(found.worker)} for the maps, {readable_bytes(found.kept)} for the rest"
        ]
        said += [] if self.max_memory is None else [f"passes of {model.pass_size} clips at most"]
        return said + (["nothing was written: this was a dry run"] if self.dry_run else [])

    @property
    def asked(self) -> bool:
        """Whether memory has to be measured."""
        return self.dry_run or self.max_memory is not None

    def within(
        self,
        model: "VideoModel",
        clip: "Clip",
        methods: "Mapping[str, AttributionMethod]",
        kept: int,
        target: "Target | None" = None,
    ) -> "tuple[VideoModel, Forecast]":
        """The model with passes as large as the memory allows, and the forecast with it.

        Parameters
        ----------
        model : VideoModel
        clip : Clip
            One window; maps are computed one window at a time.
        methods : mapping
        kept : int
            Bytes that the command takes besides the program, the network and what a method computes.
        target : str, int, Difference or callable, optional
            What is explained; by default the predicted class.

        Returns
        -------
        (VideoModel, Forecast)

        Raises
        ------
        DataError
            Where passes of one clip take more.
        """
        limit = None if self.max_memory is None else read_bytes(self.max_memory)
        for size in (model.batch_size, *(n for n in (2, 1) if n < model.batch_size)):
            lowered = replace(model, batch_size=size)
            found = forecast_maps(lowered, clip, methods, kept, target)
            if limit is None or found.total(1) <= limit:
                return lowered, found
        raise DataError(
            f"expected --max-memory of {readable_bytes(found.total(1))} or more for this network and these methods, "
            f"got {self.max_memory}; give more, or choose other methods"
        )


def forecast_maps(
    model: "VideoModel",
    clip: "Clip",
    methods: "Mapping[str, AttributionMethod]",
    kept: int,
    target: "Target | None" = None,
) -> Forecast:
    """The memory of computing maps of a clip: the most of all methods, each watched for some passes of the network.

    Parameters
    ----------
    model : VideoModel
    clip : Clip
    methods : mapping
        A method that fails is left out.
    kept : int
        Bytes that are taken besides.
    target : str, int, Difference or callable, optional
        What is explained; by default the predicted class.

    Returns
    -------
    Forecast
        Its ``worker`` is the one that computes maps.
    """
    import matplotlib.pyplot  # noqa: F401 - pages and overlays load it, after the present memory is taken

    from voxplain.model import resolve_targets

    own, y = resolve_targets(model, clip, target)[0]
    model.logits([clip] * model.pass_size, finite=False)  # what a first pass loads and keeps is of the network
    loaded, most = present() or 0, 0

    def watched(method: "AttributionMethod") -> None:
        # An error of one method is reported by the run.
        with suppress(Exception), _stopped(own.net):
            method(own, clip, y)

    for method in methods.values():
        _, rise = peak_of(lambda method=method: watched(method))  # type: ignore[misc]
        most = max(most, rise or 0)
    return Forecast(loaded, most, kept)


class _Enough(Exception):
    """A method has been watched for as many passes as are needed."""


@contextmanager
def _stopped(net: Any) -> Iterator[None]:
    """Raise `_Enough` at the forward pass after the first ones."""
    count = 0

    def watch(*_: Any) -> None:
        nonlocal count
        count += 1
        if count > PASSES:
            raise _Enough

    handle = net.register_forward_pre_hook(watch)
    try:
        yield
    finally:
        handle.remove()
