"""Effect of a concept's voxels on the log-odds of its class: which clips have the concept, and whether it is relied on.

Two variants of another clip are compared: a clip's voxels of the concept are pasted into it, or any other clip's voxels
at the same place. The same voxels are hidden in both, so what differs is what the concept's voxels show.

Letters: N clips.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.corrections.examples import LEAST, Examples, swap
from voxplain.errors import DataError
from voxplain.model import OBJECTIVES, VideoModel
from voxplain.statistics import SIGNIFICANT, sign_flip_test

__all__ = ["REPEATS", "TESTED", "Reliance", "content_effects", "reliance_on", "with_presence"]

# Other clips that each clip's voxels are pasted into, to tell which clips have a concept and to test the reliance; see
# docs/improve.md.
REPEATS, TESTED = 6, 4
FEWEST = 3  # located clips of the class and of the others, and clips without the concept
PART = 64  # clips in memory at once


def content_effects(
    model: VideoModel, examples: Examples, *, repeats: int = REPEATS, seed: int = 0
) -> NDArray[np.float64]:
    """Log-odds of the class with a clip's concept pasted into other clips − with other voxels at the same place.

    Parameters
    ----------
    model : VideoModel
    examples : Examples
        N clips, with a target.
    repeats : int
        Other clips that each clip's voxels are pasted into.
    seed : int

    Returns
    -------
    ndarray, float64 [N]
        Means over the other clips; NaN for clips without voxels of the concept.

    Raises
    ------
    DataError
        For examples without a target.
    """
    everyone = np.arange(len(examples))
    return _effects(model, examples, _located(examples), everyone, repeats, np.random.default_rng(seed))


def with_presence(model: VideoModel, examples: Examples, *, repeats: int = REPEATS, seed: int = 0) -> Examples:
    """The examples with ``holding`` and ``lacking`` set by what the voxels of the concept do.

    Voxels that were found where a concept was looked for may be another thing that looks like it: a background of
    another texture, an object of another colour. A clip has the concept if its effect is nearer to the mean of the
    class than to that of the other classes, and lacks it if it has no voxels of it or an effect below the mean of the
    other classes. The examples come back as they are where fewer than 3 clips of the class or of the others have such
    voxels, where the class's are no stronger, or where fewer than 3 clips would lack the concept.

    Parameters
    ----------
    model : VideoModel
    examples : Examples
        With a target.
    repeats : int
        As in `content_effects`.
    seed : int

    Returns
    -------
    Examples
    """
    effects = content_effects(model, examples, repeats=repeats, seed=seed)
    known, own = ~np.isnan(effects), examples.labels == examples.target
    if min((known & own).sum(), (known & ~own).sum()) < FEWEST:
        return examples
    inside, outside = float(effects[known & own].mean()), float(effects[known & ~own].mean())
    with np.errstate(invalid="ignore"):
        holding, lacking = known & (effects > (inside + outside) / 2), ~known | (effects < outside)
    if inside <= outside or min(holding.sum(), lacking.sum()) < FEWEST:
        return examples
    return replace(examples, holding=holding, lacking=lacking)


@dataclass(frozen=True)
class Reliance:
    """Whether a network relies on the voxels that are marked as a concept.

    Parameters
    ----------
    effect : float
        Mean rise of the log-odds of the class when they are pasted into other clips, over voxels at the same place of
        clips that lack the concept.
    p_value : float
        Sign-flip test over the clips whose voxels were pasted.
    clips : int
        Their number.
    """

    effect: float
    p_value: float
    clips: int

    @property
    def significant(self) -> bool:
        """Whether the voxels raise the class's log-odds, p < 0.05."""
        return self.effect > 0 and self.p_value < SIGNIFICANT

    def record(self) -> dict[str, Any]:
        """The fields and the verdict as plain values; None for NaN."""
        return {k: None if v != v else v for k, v in asdict(self).items()} | {"significant": self.significant}


def reliance_on(model: VideoModel, examples: Examples, *, repeats: int = TESTED, seed: int = 0) -> Reliance:
    """Test whether pasting the concept raises the log-odds of its class.

    A correction of what the network does not rely on can only do harm: what it is taught to ignore is evidence.

    Parameters
    ----------
    model : VideoModel
    examples : Examples
        With a target.
    repeats : int
        Other clips that each clip's voxels are pasted into.
    seed : int

    Returns
    -------
    Reliance
        Effect and p-value are NaN without clips of either kind.

    Raises
    ------
    DataError
        For examples without a target.
    """
    having, free = np.flatnonzero(examples.present), np.flatnonzero(examples.absent)
    if not len(having) or not len(free):
        return Reliance(float("nan"), float("nan"), len(having))
    rng = np.random.default_rng((seed, 1))
    effects = _effects(model, examples, having, free, repeats, rng)[having]
    return Reliance(float(effects.mean()), sign_flip_test(effects, rng), len(having))


def _located(examples: Examples) -> NDArray[np.intp]:
    return np.flatnonzero(examples.unwanted.mean((1, 2, 3)) >= LEAST)


def _effects(
    model: VideoModel,
    examples: Examples,
    chosen: NDArray[np.intp],
    others: NDArray[np.intp],
    repeats: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Effects [N] of the chosen clips' voxels against those of others; NaN for the rest."""
    if examples.target is None:
        raise DataError("expected examples with a target, got None; name the class that the concept was found for")
    found = np.full(len(examples), np.nan)
    for part in np.array_split(chosen, max(1, -(-len(chosen) // PART))):
        total = np.zeros(len(part))
        for _ in range(repeats):
            into = examples.frames[rng.integers(0, len(examples), len(part))]
            against = examples.frames[rng.choice(others, len(part))]
            masks = examples.unwanted[part]
            odds = [_odds(model, swap(into, masks, x), examples.target) for x in (examples.frames[part], against)]
            total += odds[0] - odds[1]
        found[part] = total / repeats
    return found


def _odds(model: VideoModel, frames: NDArray[np.uint8], target: int) -> NDArray[np.float64]:
    z = model.logits(frames).cpu().double()
    odds: NDArray[np.float64] = OBJECTIVES["log_odds"](z, target).numpy()
    return odds
