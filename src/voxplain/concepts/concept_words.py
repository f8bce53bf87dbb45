"""A concept in words: the size, motion, place and time of its regions, from its measured description."""

import numpy as np

from voxplain.concepts.description import ConceptDescription

__all__ = ["concept_words"]

# Upper bounds of the share of the voxels of a clip.
SIZES = ((0.02, "very small"), (0.1, "small"), (0.3, "medium-sized"), (float("inf"), "large"))
MOVING, STILL = 1.5, 0.5  # change between frames inside the concept, over that of the whole clip
SPREAD = 0.2  # standard deviation of its centre over clips, in frame widths, above which it has no one place
MOSTLY = 0.65  # share of what it covers over the whole clip that lies in one half
ROWS, COLUMNS = ("upper", "", "lower"), ("left", "", "right")


def concept_words(found: ConceptDescription, volume: float) -> str:
    """Describe the regions of a concept by size, motion, place and time.

    Parameters
    ----------
    found : ConceptDescription
        What `describe_concepts` measured of it.
    volume : float
        Mean share of a clip's voxels that it covers, 0 to 1.

    Returns
    -------
    str
        A noun phrase, such as "a small moving region in the upper left". Words are left out where the measured value
        lies between two words.

    Examples
    --------
    >>> where = np.zeros((16, 16), np.float32)
    >>> where[1:4, 2:5] = 1
    >>> concept_words(ConceptDescription(np.ones(16), where, motion=2.0, edge=0.1, wander=0.05), 0.04)
    'a small moving region in the upper left'
    """
    size = next(word for bound, word in SIZES if volume < bound)
    motion = " moving" if found.motion >= MOVING else " still" if found.motion <= STILL else ""
    return f"a {size}{motion} region{_place(found)}{_time(found)}"


def _place(found: ConceptDescription) -> str:
    """Where its centre is, by thirds of the picture."""
    total = float(found.where.sum())
    if total <= 0:
        return ""
    if found.wander > SPREAD:
        return " at changing places"
    rows, columns = found.where.shape
    y = float((found.where.sum(1) * (np.arange(rows) + 0.5)).sum() / total / rows)
    x = float((found.where.sum(0) * (np.arange(columns) + 0.5)).sum() / total / columns)
    words = f"{ROWS[min(2, int(3 * y))]} {COLUMNS[min(2, int(3 * x))]}".strip()
    if words in ("upper", "lower"):
        words += " middle"
    return f" in the {words}" if words and words not in COLUMNS else f" on the {words}" if words else " in the middle"


def _time(found: ConceptDescription) -> str:
    """The half of the clip in which it mostly is."""
    total, half = float(found.when.sum()), len(found.when) // 2
    if total <= 0:
        return ""
    early = float(found.when[:half].sum()) / total
    if early >= MOSTLY:
        return ", mostly in the first half"
    return ", mostly in the second half" if early <= 1 - MOSTLY else ""
