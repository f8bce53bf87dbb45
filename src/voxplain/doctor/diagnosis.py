"""`Diagnosis`: what the doctor found, and its page of plain text."""

import textwrap
from dataclasses import dataclass

__all__ = ["Diagnosis", "LayerRow"]


@dataclass(frozen=True)
class LayerRow:
    """One module of the network."""

    name: str  # dotted
    type: str
    shape: tuple[int, ...]  # of its output (the last call's); () when it did not run or gave no tensor
    parameters: int  # with those of its children
    calls: int  # in one forward pass


@dataclass(frozen=True)
class Diagnosis:
    """What `examine` found; ``warnings`` are sentences that say what is wrong and what to do."""

    layers: tuple[LayerRow, ...]
    feature_layer: str | None  # suggested: the last vector before the head
    cam_layer: str | None  # suggested: the last map with time and space
    warnings: tuple[str, ...]
    logits: tuple[int, ...]  # shape of the network's output

    def __repr__(self) -> str:
        """Counts and suggestions, not the table."""
        return (
            f"Diagnosis(layers={len(self.layers)}, feature_layer={self.feature_layer!r}, "
            f"cam_layer={self.cam_layer!r}, warnings={len(self.warnings)})"
        )

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
        lines += ["", f"output of the network: {'×'.join(map(str, self.logits))}"]
        lines += [f"layer for concepts:    {self.feature_layer or 'none found'}"]
        lines += [f"layer for CAM:         {self.cam_layer or 'none: no map with time and space'}", ""]
        lines += ["warnings:" if self.warnings else "no warnings"]
        lines += [textwrap.fill(w, 100, initial_indent="- ", subsequent_indent="  ") for w in self.warnings]
        return "\n".join(lines)
