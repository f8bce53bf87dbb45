"""What was measured of the effects of the first concepts, as sentences."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.joint_effects import completeness, fill_sensitive, interactions
from voxplain.concepts.motion_or_place import motion_or_place
from voxplain.statistics import SIGNIFICANT

__all__ = ["effect_sentences"]

_WORDS = {
    "motion": "matters by its motion",
    "appearance": "matters by its appearance",
    "place": "matters by its place",
    "unclear": "may matter by its motion, its appearance or its place",
}


def effect_sentences(run: ConceptRun, names: Mapping[int, str] | None = None) -> list[str]:
    """What the first concepts matter by, how they act together, how much they explain, and what depends on the fill.

    Parameters
    ----------
    run : ConceptRun
    names : mapping of int to str, optional
        Names of concepts; by default "concept 3".

    Returns
    -------
    list of str
        Empty where only single concepts were hidden with one fill.
    """
    words = _Words(run, names or {})
    return [*words.kinds(), *words.together(), *words.share(), *words.fills()]


@dataclass(frozen=True)
class _Words:
    run: ConceptRun
    names: Mapping[int, str]

    def named(self, k: int) -> str:
        return self.names.get(k) or f"concept {k}"

    @property
    def significant(self) -> tuple[int, ...]:
        """The concepts that the class relies on, best first: shares of an effect that may be 0 say nothing."""
        scores = self.run.scores["effect"]
        return tuple(int(k) for k in self.run.order if scores.q_value[k] < SIGNIFICANT and scores.value[k] > 0)

    def kinds(self) -> list[str]:
        """One sentence a significant concept whose voxels were held still and moved."""
        found = {x.concept: x for x in motion_or_place(self.run.effects, self.run.target_index)}
        return [
            f"{self.named(k)[:1].upper()}{self.named(k)[1:]} {_WORDS[found[k].matters_by]}: held still it loses "
            f"{_percent(found[k].frozen)} of the effect of hiding it, with its frames shuffled "
            f"{_percent(found[k].shuffled)}, moved elsewhere {_percent(found[k].moved)} ({found[k].clips} clips)."
            for k in self.significant
            if k in found and not any(math.isnan(x) for x in (*found[k].frozen, *found[k].shuffled, *found[k].moved))
        ]

    def together(self) -> list[str]:
        """One sentence a pair whose interval excludes 0."""
        sentences = []
        for pair in interactions(self.run.effects, self.run.target_index):
            if pair.low <= 0 <= pair.high:
                continue
            a, b = map(self.named, pair.concepts)
            more = "more" if pair.value > 0 else "less"
            text = (
                f"Hiding {a} and {b} together costs {abs(pair.value):.1f} log-odds {more} than the sum of each alone "
                f"([{pair.low:.1f}, {pair.high:.1f}], {pair.clips} clips)."
            )
            sentences.append(text.replace("log-odds", "of the output") if self.run.quantity else text)
        return sentences

    def share(self) -> list[str]:
        """How much the significant concepts explain together."""
        significant = tuple(sorted(self.significant))
        found = completeness(self.run.effects, significant, self.run.target_index)
        if found is None or found.hidden[0] != found.hidden[0]:
            return []
        one = len(significant) == 1
        which = "The one significant concept" if one else f"The {len(significant)} significant concepts together"
        them = "it" if one else "them"
        amount = "output" if self.run.quantity else "class's log-odds"
        return [
            f"{which}: hiding {them} costs {_percent(found.hidden)} of the {amount} above a blank clip, "
            f"showing only {them} keeps {_percent(found.shown)} ({found.clips} clips)."
        ]

    def fills(self) -> list[str]:
        """Which concepts depend on what replaces their voxels."""
        effects = self.run.effects
        sensitive = fill_sensitive(effects, self.run.target_index)
        named = [self.named(k) for k in map(int, self.run.order) if sensitive[k]]
        if not named:
            return []
        fills = ", ".join(effects.fills)
        return [
            f"The effect of {', '.join(named)} depends on what replaces hidden voxels ({fills}): read it with care."
        ]


def _percent(share: tuple[float, float, float]) -> str:
    value, low, high = (f"{100 * x:.0f}" for x in share)
    return f"{value} % [{low}, {high}]"
