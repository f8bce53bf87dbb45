"""Direct effects with several fills from a bounded number of forward passes, measured in rounds over the clips.

Shards of a run divide the rounds in which every concept is measured; those after them are measured by each.
Letters: M clips of the class, K concepts, F fills, V variants, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from voxplain.concepts.effect import ClassClips, Effects
from voxplain.concepts.variants import CHANGES, Variant
from voxplain.errors import DataError
from voxplain.perturb import FILLS

__all__ = ["BLANK", "UNMODIFIED", "SequentialEffects", "detailed"]

UNMODIFIED: Variant = ("hidden", ())
BLANK: Variant = ("alone", ())
DETAILED = 0.1  # share of the largest effect from which on a concept's details are measured
_WIDTH = 1.96  # standard errors on either side of a mean within which two concepts are not told apart


@dataclass(frozen=True)
class SequentialEffects:
    """Measure direct effects in rounds: every concept in some clips, then only what can still change the result.

    A hidden region, a random one too, is hidden with the voxels at its rim (`variants.with_rim`).

    1. Every concept, and everything, is hidden with every fill in ``fill_clips`` clips, drawn by the seed; each concept
       then with the fill with which it costs least in more of them, ``clips`` in all. `Effects.drop` is the drop with
       that fill.
    2. While concepts are not told apart from the one of the largest mean drop, or from their neighbours in the order of
       mean drops (95 % interval of the paired difference), they are hidden in ``batch`` more clips, as long as all
       forward passes, those of the rounds to come included, are at most ``passes``.
    3. Concepts whose mean drop is above 0 by its 95 % interval are compared with volume-matched random regions in the
       clips of the first round; without that comparison no concept is significant.
    4. `details`: the first ``top`` concepts are shown alone, hidden in pairs, held still, shuffled in time and moved
       elsewhere; all significant concepts are hidden together and shown together; in ``detail_clips`` clips.

    Evidence for the defaults is in docs/defaults.md.

    Parameters
    ----------
    fills : tuple of str
        What replaces hidden voxels: entries of `voxplain.perturb.FILLS`.
    fill_clips : int
        Clips in which every fill is tried.
    clips : int
        Clips in which every concept is hidden.
    passes : int
        Forward passes up to which concepts of uncertain rank are hidden in further clips.
    batch : int
        Clips that are added at a time.
    top : int
        Concepts of which details are measured.
    detail_clips : int
        Clips of the details.
    thorough : bool
        Measure every concept in every clip, with control and shown alone.
    seed : int
        Order of the clips, control regions and shuffled frames.

    Raises
    ------
    DataError
        For an unknown fill and counts below 1.
    """

    fills: tuple[str, ...] = ("blur", "median")
    fill_clips: int = 12
    clips: int = 24
    passes: int = 600
    batch: int = 8
    top: int = 3
    detail_clips: int = 12
    thorough: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Check fills and counts."""
        if not self.fills or set(self.fills) - set(FILLS) or len(set(self.fills)) < len(self.fills):
            raise DataError(f"expected different fills of {', '.join(FILLS)}, got {self.fills}; correct them")
        counts = {
            name: getattr(self, name) for name in ("fill_clips", "clips", "passes", "batch", "top", "detail_clips")
        }
        if min(counts.values()) < 1:
            raise DataError(f"expected counts of 1 or more, got {counts}; raise them")

    def forwards(self, clips: int, concepts: int) -> int:
        """Forward passes for a class in whose clips all concepts are, a third of them compared, most of uncertain rank.

        Logits of unmodified clips come with their features.
        """
        n, fills = clips if self.thorough else min(clips, self.clips), len(self.fills)
        first = n if self.thorough else min(n, self.fill_clips)
        every = n * concepts + first * ((fills - 1) * concepts + fills)
        compared = fills * 2 * concepts if self.thorough else -(-concepts // 3)
        found = every + n * compared + self._details(n, concepts)
        return max(found, min(self.passes, found + (clips - n) * concepts))

    def _details(self, clips: int, concepts: int) -> int:
        """Forward passes of the details, at most."""
        top = min(self.top, concepts)
        return min(clips, self.detail_clips) * (top * (1 + len(CHANGES)) + top * (top - 1) // 2 + 2)

    def of_class(self, clips: ClassClips, target: int, kind: str = "drop") -> Effects:
        """Rounds 1 to 3.

        Parameters
        ----------
        clips : ClassClips
        target : int
            Class index.
        kind : str
            The effect that ranks; another than "drop" needs every control and every concept alone, as ``thorough``.

        Returns
        -------
        Effects
            Its rows are the clips in which anything was measured.
        """
        found = _Found(self, clips, clips.volume(), target)
        order, thorough = self.order(len(found.volume)), self.thorough or kind != "drop"
        first = order if thorough else order[: min(self.fill_clips, self.clips)]
        every = range(len(self.fills))
        asked = {i: [UNMODIFIED, BLANK, *(("hidden", (k,)) for k in found.present(i))] for i in first}
        found.add("direct effects: every concept with every fill", asked, every, shared=True)
        if thorough:
            asked = {i: [(kind, (k,)) for k in found.present(i) for kind in ("control", "alone")] for i in first}
            found.add("direct effects: random regions, and concepts shown alone", asked, every, shared=True)
            return found.effects()
        fills = found.effects().mean_drops(target).argmin(0)
        rest, done = order[len(first) : self.clips], max(len(first), min(len(order), self.clips))
        found.hide("direct effects: every concept", rest, range(len(fills)), fills, shared=True)
        everywhere = order[:done]
        while done < len(order):
            drop, batch = found.drop(order[:done]), order[done : done + self.batch]
            close, large = _of_uncertain_rank(drop), len(detailed(np.nanmean(drop, axis=0)))
            coming = found.passes(everywhere, _positive(drop)) + self._details(done, large)
            if not close or sum(found.forwards) + found.passes(batch, close) + coming > self.passes:
                break
            found.hide("direct effects: concepts of uncertain rank", batch, close, fills)
            done += len(batch)
        compared = _positive(found.drop(order[:done]))
        for f in every:
            own = [k for k in compared if fills[k] == f]
            asked = {i: [("control", (k,)) for k in found.present(i) if k in own] for i in everywhere}
            found.add("direct effects: random regions of the same volume", asked, [f])
        return found.effects()

    def details(
        self,
        clips: ClassClips,
        effects: Effects,
        target: int,
        ranked: Sequence[int],
        significant: Sequence[int],
        groups: Sequence[tuple[int, ...]] = (),
    ) -> Effects:
        """Round 4.

        Parameters
        ----------
        clips : ClassClips
        effects : Effects
            What `of_class` returned.
        target : int
            Class index.
        ranked : sequence of int
            Concepts whose details are measured, best first; the first ``top`` of them.
        significant : sequence of int
            Concepts that are hidden together and shown together.
        groups : sequence of tuple of int
            Further concepts that are hidden together: groups of the first ``top``.

        Returns
        -------
        Effects
            With ``alone`` of the first concepts, and variants; each with one fill, that with which its concepts cost
            least.
        """
        assert effects.clips is not None
        top, joint = [int(k) for k in ranked[: self.top]], tuple(sorted(int(k) for k in significant))
        rows = [row for row in self.order(len(effects.base)) if effects.measured[row].all()]
        # Clips with every fill first: a pair is compared with its parts with one fill.
        rows.sort(key=lambda row: bool(np.isnan(effects.hidden[:, row])[:, effects.volume[row] > 0].any()))
        asked_of: list[tuple[list[Variant], tuple[int, ...]]] = [
            ([(kind, (k,)) for kind in ("alone", *CHANGES)], (k,)) for k in top
        ]
        pairs = [(min(a, b), max(a, b)) for n, a in enumerate(top) for b in top[n + 1 :]]
        larger = [tuple(sorted(group)) for group in groups if len(group) > 2]
        asked_of += [([("hidden", group)], group) for group in (*pairs, *larger)]
        if len(joint) > 1:
            asked_of.append(([("hidden", joint), ("alone", joint)], ()))
        asked: dict[int, dict[int, list[Variant]]] = {}
        for variants, needed in asked_of:
            fill = effects.fill_of(needed or joint, target)
            where = [row for row in rows if (effects.volume[row, list(needed)] > 0).all()]
            for row in where[: self.detail_clips]:
                own = asked.setdefault(fill, {}).setdefault(int(effects.clips[row]), [])
                shown = any(kind == "alone" for kind, _ in variants) and np.isnan(effects.blank[fill, row, 0])
                own += [v for v in (*([BLANK] if shown else []), *variants) if v not in own]
        for fill in sorted(asked):
            title, name = "direct effects: details of the first concepts", (self.fills[fill],)
            found = clips.measure(title, asked[fill], fills=name, seed=self.seed, shared=False)
            effects = _with_details(effects, asked[fill], found, fill)
        return effects

    def order(self, count: int) -> list[int]:
        """The order in which ``count`` clips are measured."""
        return [int(i) for i in np.random.default_rng((self.seed, 17)).permutation(count)]


@dataclass(frozen=True, eq=False)
class _Found:
    """The logits [F,C] of every variant of every clip that was measured."""

    method: SequentialEffects
    clips: ClassClips
    volume: np.ndarray
    target: int
    logits: dict[int, dict[Variant, np.ndarray]] = field(default_factory=dict)
    forwards: list[int] = field(default_factory=list)

    def present(self, clip: int) -> list[int]:
        """Concepts of a clip."""
        return [int(k) for k in np.flatnonzero(self.volume[clip])]

    def passes(self, clips: Sequence[int], concepts: Sequence[int]) -> int:
        """Forward passes of one variant of each of some concepts in each of some clips."""
        return int((self.volume[list(clips)][:, list(concepts)] > 0).sum())

    def add(
        self, title: str, asked: Mapping[int, Sequence[Variant]], fills: Sequence[int], *, shared: bool = False
    ) -> None:
        """Measure with some of the fills, and keep the logits."""
        asked = {i: variants for i, variants in asked.items() if variants}
        if not asked:
            return
        names = tuple(self.method.fills[f] for f in fills)
        found = self.clips.measure(title, asked, fills=names, seed=self.method.seed, shared=shared)
        for i, rows in found.items():
            known = self.logits.setdefault(i, {})
            for variant, row in zip(asked[i], rows.swapaxes(0, 1), strict=True):
                known[variant] = np.full((len(self.method.fills), row.shape[1]), np.nan, np.float32)
                known[variant][slice(None) if variant == UNMODIFIED else list(fills)] = row
        self.forwards.append(len(fills) * sum(map(modified, asked.values())))

    def hide(
        self, title: str, clips: Sequence[int], concepts: Sequence[int], fills: np.ndarray, *, shared: bool = False
    ) -> None:
        """Hide each of some concepts with its fill."""
        asked: dict[int, dict[int, list[Variant]]] = {int(f): {} for f in fills}
        for i in clips:
            for f, own in asked.items():
                own[i] = [("hidden", (k,)) for k in self.present(i) if k in concepts and fills[k] == f]
            next(iter(asked.values()))[i].append(UNMODIFIED)
        for f, own in asked.items():
            self.add(title, own, [f], shared=shared)

    def table(self, kind: str, clips: Sequence[int]) -> np.ndarray:
        """Logits of every concept, float32 [F,M,K,C]; NaN where not measured."""
        classes = next(iter(self.logits.values()))[UNMODIFIED].shape[-1]
        values = np.full((len(self.method.fills), len(clips), self.volume.shape[1], classes), np.nan, np.float32)
        for m, i in enumerate(clips):
            for (name, concepts), row in self.logits[i].items():
                if name == kind and len(concepts) == 1:
                    values[:, m, concepts[0]] = row
        return values

    def unmodified(self, clips: Sequence[int]) -> np.ndarray:
        """Logits of unmodified clips, float32 [M,C]."""
        return np.stack([self.logits[i][UNMODIFIED][0] for i in clips])

    def drop(self, clips: Sequence[int]) -> np.ndarray:
        """Mean drop over the fills, [M,K]: 0 where the clip lacks the concept, NaN where not measured."""
        found = self.effects(clips)
        return np.where(found.volume > 0, found.drop(self.target), 0.0)

    def effects(self, clips: Sequence[int] = ()) -> Effects:
        """What was measured, by default in all clips in their own order."""
        clips = list(clips) or sorted(self.logits)
        base = self.unmodified(clips)
        blank = np.full((len(self.method.fills), *base.shape), np.nan, np.float32)
        for m, i in enumerate(clips):
            if BLANK in self.logits[i]:
                blank[:, m] = self.logits[i][BLANK]
        hidden, control, alone = (self.table(kind, clips) for kind in ("hidden", "control", "alone"))
        volume, fills = self.volume[clips].astype(np.float32), self.method.fills
        places = np.array(clips, np.int64)
        return Effects(base, hidden, control, alone, blank, volume, fills, places, forwards=sum(self.forwards))


def detailed(value: np.ndarray) -> list[int]:
    """Concepts whose details are worth measuring, best first: those of at least a share of the largest effect."""
    order = np.argsort(-value, kind="stable")
    return [int(k) for k in order if value[k] > 0 and value[k] >= DETAILED * np.nanmax(value)]


def modified(variants: Sequence[Variant]) -> int:
    """Modified clips among the variants of a clip: each takes a forward pass a fill."""
    return sum(variant != UNMODIFIED for variant in variants)


def _with_details(
    effects: Effects, asked: Mapping[int, Sequence[Variant]], found: Mapping[int, np.ndarray], fill: int
) -> Effects:
    """Effects with details of one fill: what is shown alone in ``alone`` and ``blank``, the rest as variants."""
    assert effects.clips is not None
    rows = {int(i): row for row, i in enumerate(effects.clips)}
    alone, blank = effects.alone.copy(), effects.blank.copy()
    new = {v for own in asked.values() for v in own if v[0] != "alone" or len(v[1]) > 1}
    variants = tuple(sorted({*effects.variants, *new}))
    fills, m, _, classes = alone.shape
    logits = np.full((fills, m, len(variants), classes), np.nan, np.float32)
    if effects.variant_logits is not None:
        logits[:, :, [variants.index(v) for v in effects.variants]] = effects.variant_logits
    for i, own in asked.items():
        for variant, row in zip(own, found[i][0], strict=True):
            if variant == BLANK:
                blank[fill, rows[i]] = row
            elif variant in new:
                logits[fill, rows[i], variants.index(variant)] = row
            else:
                alone[fill, rows[i], variant[1][0]] = row
    forwards = effects.forwards + sum(map(modified, asked.values()))
    return replace(effects, alone=alone, blank=blank, variants=variants, variant_logits=logits, forwards=forwards)


def _standard_error(values: np.ndarray) -> float:
    """Of the mean; infinite for one value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.inf


def _of_uncertain_rank(drop: np.ndarray) -> list[int]:
    """Concepts not told apart from the first or from a neighbour in rank; none where no concept lowers the class."""
    mean = np.nanmean(drop, axis=0)
    order = np.argsort(-mean, kind="stable")
    if mean[order[0]] <= 0:
        return []
    pairs = {(int(a), int(b)) for a, b in (*pairwise(order), *((order[0], k) for k in order[1:]))}
    return sorted({k for a, b in pairs if not _above_zero(drop[:, a] - drop[:, b]) for k in (a, b)})


def _positive(drop: np.ndarray) -> list[int]:
    """Concepts whose mean drop is above 0 by its interval."""
    return [k for k in range(drop.shape[1]) if _above_zero(drop[:, k])]


def _above_zero(values: np.ndarray) -> bool:
    """Whether the mean of what was measured is above 0 by its interval."""
    known = values[~np.isnan(values)]
    return bool(known.mean() > 0 and known.mean() >= _WIDTH * _standard_error(known))
