"""The numbers of a run as sentences: what a score means, what adding and removing concepts showed.

A difference whose interval contains 0, or whose p-value is not below 0.05, is called no clear difference.
"""

import math

from voxplain.concepts.concept_run import ConceptRun, EvaluationRun
from voxplain.concepts.order_tests import OrderTest
from voxplain.concepts.rank import ConceptScores
from voxplain.concepts.warnings import FEW_VIDEOS
from voxplain.report.tables import number, places_for
from voxplain.statistics import SIGNIFICANT

__all__ = [
    "dependence_sentence",
    "evaluation_sentences",
    "in_words_of",
    "meaning",
    "order_test_sentence",
    "significance_sentence",
]

_MEANINGS = {
    "effect (drop)": (
        "How much the class's log-odds fall when the concept's supervoxels are hidden, mean over the class's clips; a "
        "clip without the concept counts as no effect. Larger concepts hide more, so read it beside the volume. "
        "Significant means more than hiding random supervoxels of the same volume, in a network that recognises the "
        "class."
    ),
    "effect (over-control)": (
        "How much more the class's log-odds fall when the concept's supervoxels are hidden than when random "
        "supervoxels of the same volume are, mean over the class's clips. Significant means more than those random "
        "regions, in a network that recognises the class."
    ),
    "effect (alone)": (
        "How much the class's log-odds rise over an empty clip when only the concept's supervoxels are shown, mean "
        "over the class's clips. Significance is that of hiding it: more than random supervoxels of the same volume, "
        "in a network that recognises the class."
    ),
    "tcav (sign_count": (
        "TCAV: the share of the class's clips in which a small step towards the concept, in the layer's feature "
        "space, raises the class; mean over random sets, chance 0.5. Significant means outside what concepts found "
        "in unrelated videos give."
    ),
    "tcav (magnitude": (
        "TCAV by magnitude: how fast the class rises with a small step towards the concept in the layer's feature "
        "space; mean over clips and random sets, chance 0. Significant means outside what concepts found in "
        "unrelated videos give."
    ),
}


def meaning(score: ConceptScores) -> str:
    """What a score measures and when it is called significant."""
    fallback = f"Higher is more important; {score.chance:g} is the value without any relation."
    words = next((words for start, words in _MEANINGS.items() if score.name.startswith(start)), fallback)
    return in_words_of(words, score.name.endswith(" of the output"))


def in_words_of(text: str, quantity: bool) -> str:
    """A sentence about log-odds as one about the output of a quantity, where it is one."""
    if not quantity:
        return text
    for words, other in (
        ("the class's log-odds fall", "the output falls"),
        ("the class's log-odds rise", "the output rises"),
        ("the class's log-odds", "the output"),
        ("the log-odds", "the output"),
        ("log-odds", "output"),
        ("recognises the class", "responds to the target"),
        ("the class's clips", "the clips"),
    ):
        text = text.replace(words, other)
    return text


def significance_sentence(run: ConceptRun) -> str:
    """How many concepts are significant by the ranking score, and how much of the clips is of no concept."""
    q = run.scores[run.ranking].q_value
    sure, count = int((q < SIGNIFICANT).sum()), len(run.bank)
    few = {0: "None", count: "All" if count > 1 else "The one"}.get(sure, str(sure))
    significant = f"{few} of the {count} concepts {'is' if sure == 1 else 'are'} significant (q < {SIGNIFICANT:g})."
    none = unassigned_share(run)
    return significant if none is None else f"{significant} {100 * none:.0f} % of the voxels are of no concept."


def dependence_sentence(run: ConceptRun) -> str:
    """How far the concepts depend on the clip."""
    return (
        f"The concept of a supervoxel depends on its clip by {number(run.clip_dependence)} (adjusted mutual "
        "information; 0: not at all, 1: every clip has concepts of its own)."
    )


def unassigned_share(run: ConceptRun) -> float | None:
    """Mean share of the voxels of a clip that are of no concept; None where supervoxels of several levels overlap."""
    if len(run.supervoxels[0].labels) > 1:
        return None
    return float(1 - run.effects.volume.sum(1).mean())


def evaluation_sentences(evaluation: EvaluationRun) -> list[str]:
    """The end points, and how far to trust the curves."""
    adding = evaluation.adding
    if adding.quantity:
        return _quantity_sentences(evaluation)
    videos, blank = len(adding.truth), adding.by_order(adding.right())["top"][:, 0].mean()
    sentences = [
        f"On {videos} held-out test video{'s' * (videos != 1)} the network recognises {_percent(adding.baseline())} "
        f"unmodified and {_percent(blank)} with nothing shown."
    ]
    first, shown = adding.logits.shape[2] - 2, adding.by_order(adding.coverage)
    sentences.append(
        f"The top {first} concepts cover {_percent(shown['top'][:, -2].mean())} of the voxels, the least {first} cover "
        f"{_percent(shown['least'][:, -2].mean())}."
    )
    if videos < FEW_VIDEOS:
        sentences.append(f"With {videos} videos, one video is {_percent(1 / videos)}: the intervals are rough.")
    chance = 1 / adding.logits.shape[-1]
    if blank > 2 * chance:
        sentences.append(
            "The empty clip is itself classified as the right class more often than chance: adding concepts can show "
            "little here."
        )
    return sentences


def _quantity_sentences(evaluation: EvaluationRun) -> list[str]:
    adding = evaluation.adding
    videos, blank = len(adding.truth), float(adding.by_order(adding.log_odds())["top"][:, 0].mean())
    digits = places_for([adding.baseline(), blank])
    return [
        f"On {videos} held-out test video{'s' * (videos != 1)} the mean output is {number(adding.baseline(), digits)} "
        f"unmodified and {number(blank, digits)} with nothing shown."
    ]


def _percent(share: float) -> str:
    whole = abs(round(100 * share) - 100 * share) < 0.05
    return f"{number(100 * share, 0 if whole else 1)} %"


_OTHERS = {
    "least": "the least concepts first",
    "random": "concepts in random order",
    "matched": "random regions of the same volume",
    "least at equal coverage": "the least concepts first at equal coverage",
}


def order_test_sentence(order_test: OrderTest) -> str:
    """One comparison as a sentence: the mean over the counted steps of top against another order.

    Points are percentage points of accuracy.
    """
    adding, accuracy = order_test.kind == "adding", order_test.measure == "accuracy"
    words = {"accuracy": "points of accuracy", "output": "of the output"}
    factor, unit = 100 if accuracy else 1, words.get(order_test.measure, "of log-odds")
    values = [factor * v for v in (order_test.difference, order_test.low, order_test.high)]
    digits = 1 if accuracy else min(3, places_for(values))
    mean, low, high = (number(v, digits) for v in values)
    tested = f"95 % {low} to {high}, p = {order_test.p_value:.2g}"
    rival = _OTHERS.get(order_test.other, order_test.other)
    if math.isnan(order_test.difference):
        return f"{'Adding' if adding else 'Removing'} the top concepts first cannot be compared with {rival}."
    start = f"{'Adding' if adding else 'Removing'} the top concepts first"
    if not order_test.is_clear:
        return f"{start} makes no clear difference to {rival}: {mean} {unit} ({tested})."
    verb, size = "keeps" if adding else "loses", number(abs(values[0]), digits)
    if order_test.difference > 0:
        return f"{start} {verb} {size} {unit} more than {rival} ({tested})."
    return f"{start} {verb} {size} {unit} less than {rival}, which does not support the ranking ({tested})."
