"""Colours of figures: Okabe and Ito's, which colour-blind readers can distinguish, on light and on dark paper."""

from dataclasses import dataclass

__all__ = ["LIGHT", "Theme"]


@dataclass(frozen=True)
class Theme:
    """The colours of a figure, each as a hexadecimal triplet.

    Parameters
    ----------
    paper, ink : str
        Background and text.
    soft : str
        Axes, grid and reference lines.
    top, least, random, matched : str
        Curves of the orders of concepts.
    """

    paper: str
    ink: str
    soft: str
    top: str
    least: str
    random: str
    matched: str


LIGHT = Theme("#ffffff", "#1f2328", "#8b949e", "#0072b2", "#d55e00", "#6e7781", "#009e73")
