"""Names for concepts out of a list of words, by a network that compares pictures with words.

Letters: N pictures of a concept, W words, D features.
"""

from collections.abc import Callable, Sequence

import numpy as np

from voxplain.concepts.concept_run import ConceptRun
from voxplain.report.draw import choose_examples

__all__ = ["NEUTRAL", "concept_pictures", "suggest_names"]

PICTURES = 8  # of a concept
MARGIN = 0.15  # of the box around a concept, on each side
GREY = 128
TEXT = "a photo of {}"
NEUTRAL = ("a background", "a blurred surface", "nothing", "a part of something")  # a word has to fit better than these
AGREE = 2 / 3  # of the pictures that have the same best text

Features = Callable[[Sequence[np.ndarray]], np.ndarray]


def suggest_names(
    run: ConceptRun, words: Sequence[str], pictures: Features, texts: Callable[[Sequence[str]], np.ndarray]
) -> dict[int, str]:
    """The word that fits a concept's pictures best, for concepts with one.

    A word is suggested where its mean similarity to the concept's pictures is above that of every other word and of
    some neutral texts, and where it is the best text for two thirds of the pictures. A suggestion is a guess from
    appearance: nothing about the explained network is in it.

    Parameters
    ----------
    run : ConceptRun
        Run of a class.
    words : sequence of str
        What a concept may be called.
    pictures : callable
        From uint8 pictures [H,W,3] to their features [N,D] of length 1, see `TextImage.pictures`.
    texts : callable
        From texts to their features [W,D] of length 1.

    Returns
    -------
    dict
        Words by concept; concepts without a suggestion are left out.

    References
    ----------
    Radford et al. 2021, Learning transferable visual models from natural language supervision, arXiv 2103.00020

    Examples
    --------
    >>> import voxplain as vx
    >>> from voxplain.zoo.text_image import load_text_image
    >>> def named(run):
    ...     clip = load_text_image("my-clip-folder")
    ...     names = suggest_names(run, ["person", "ball", "grass"], clip.pictures, clip.texts)
    ...     vx.write_report(run, "report.html", names=names)
    """
    if not words:
        return {}
    asked = texts([TEXT.format(word) for word in (*words, *NEUTRAL)])
    found = {}
    for concept in range(len(run.bank)):
        near = pictures(concept_pictures(run, concept)) @ asked.T
        best = int(near.mean(0).argmax())
        if best < len(words) and float((near.argmax(1) == best).mean()) >= AGREE:
            found[concept] = words[best]
    return found


def concept_pictures(run: ConceptRun, concept: int) -> list[np.ndarray]:
    """Frames of a concept's first members, cut to its box and grey outside of it; uint8 [H,W,3] of different sizes."""
    shown = []
    for example in choose_examples(run, concept, PICTURES):
        clip, masks = run.member(concept, example.place)
        mask, frame = masks[example.frame], clip.frames[example.frame]
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        around = max(1, round(MARGIN * max(np.ptp(rows) + 1, np.ptp(columns) + 1)))
        top, left = max(0, rows[0] - around), max(0, columns[0] - around)
        part = (slice(top, rows[-1] + around + 1), slice(left, columns[-1] + around + 1))
        shown.append(np.where(mask[part][..., None], frame[part], np.uint8(GREY)))
    return shown
