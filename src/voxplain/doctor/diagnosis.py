"""`Diagnosis`: the layers of a network, two suggested ones and warnings, and their plain text."""

import html
import textwrap
from dataclasses import dataclass

from voxplain.model.layers import Pool
from voxplain.record_html import fields_table, rows_table

__all__ = ["Diagnosis", "LayerRow"]


@dataclass(frozen=True)
class LayerRow:
    """One module of the network.

    Parameters
    ----------
    name : str
        Dotted.
    type : str
        Its class.
    shape : tuple of int
        Of its last output; empty when it did not run or gave no tensor.
    parameters : int
        Weights, with those of its children.
    calls : int
        In one forward pass.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    parameters: int
    calls: int


@dataclass(frozen=True)
class Diagnosis:
    """What `examine` found.

    Parameters
    ----------
    layers : tuple of LayerRow
    feature_layer : str or None
        Suggested for concepts: the last vector or map before the head.
    cam_layer : str or None
        What CAMs take by default: the last map, or tokens, with time and space.
    warnings : tuple of str
        Sentences with what is wrong and what to do.
    logits : tuple of int
        Shape of the network's output.
    task : str, optional
        What the outputs mean, as given or as one pass shows; None where that must be given.
    probabilities : bool
        The outputs are probabilities already.
    pool : bool or {"class_token", "last"}
        How the suggested feature layer is pooled, see `VideoModel`.
    grid : (T, H, W), optional
        Size of the input that the network was run on.
    layout : str
        Its axes.
    frames_in_batch : bool
        The network takes frames as the rows of its batch.
    assumed : str
        What is taken for granted of the outputs, because no pass shows it; empty where the task was given or found.
    """

    layers: tuple[LayerRow, ...]
    feature_layer: str | None
    cam_layer: str | None
    warnings: tuple[str, ...]
    logits: tuple[int, ...]
    task: str | None = None
    probabilities: bool = False
    pool: Pool = True
    grid: tuple[int, int, int] | None = None
    layout: str = ""
    frames_in_batch: bool = False
    assumed: str = ""

    def __repr__(self) -> str:
        """Counts and suggestions, not the table."""
        return (
            f"Diagnosis(layers={len(self.layers)}, feature_layer={self.feature_layer!r}, "
            f"cam_layer={self.cam_layer!r}, warnings={len(self.warnings)})"
        )

    def _repr_html_(self) -> str:
        """What is suggested, the warnings and the layers, for a notebook."""
        said = "".join(f"<li>{html.escape(warning)}</li>" for warning in self.warnings)
        layers = rows_table(self.layers, ("name", "type", "shape", "parameters", "calls"), "Layers")
        return f"{fields_table(self)}{f'<ul>{said}</ul>' if said else ''}{layers}"

    def text(self) -> str:
        """A plain table of the layers, then suggestions and warnings, as ``voxplain doctor`` prints it."""
        rows = [("layer", "type", "output", "parameters", "calls")]
        rows += [
            (r.name, r.type, "×".join(map(str, r.shape)) or "-", f"{r.parameters:,}", str(r.calls)) for r in self.layers
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = [
            "  ".join(
                cell.ljust(w) if i < 3 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        lines.insert(1, "  ".join("-" * w for w in widths))
        lines += [""]
        if self.grid is not None:
            folded = ", frames in the batch" if self.frames_in_batch else ""
            lines += [f"input of the network:  {'×'.join(map(str, self.grid))}, {self.layout}{folded}"]
        lines += [f"output of the network: {'×'.join(map(str, self.logits))}"]
        kind = " (the outputs are probabilities, and are used as such)" if self.probabilities else ""
        lines += [f"task:                  {self.task or 'not known: set it'}{kind}"]
        lines += textwrap.wrap(self.assumed, 100, initial_indent=" " * 23, subsequent_indent=" " * 23)
        pooled = "" if self.pool is True else f", pool={self.pool!r}"
        lines += [f"layer for concepts:    {self.feature_layer or 'none found'}{pooled}"]
        lines += [f"layer for CAM:         {self.cam_layer or 'none: no map with time and space'}", ""]
        lines += ["warnings:" if self.warnings else "no warnings"]
        lines += [textwrap.fill(w, 100, initial_indent="- ", subsequent_indent="  ") for w in self.warnings]
        return "\n".join(lines)
