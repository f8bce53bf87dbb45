"""The settings of a concept explanation, the presets, and changes of them by name."""

import contextlib
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from voxplain.concepts.classifiers import CLASSIFIERS, Classifier, Hinge
from voxplain.concepts.clip_exploration import ClipExploration
from voxplain.concepts.cluster import Clusterer, KMeans
from voxplain.concepts.cluster_filter import CLUSTER_FILTERS, ClusterFilter
from voxplain.concepts.consensus import Consensus
from voxplain.concepts.context import ContextFeatures
from voxplain.concepts.contribution_split import SplitByContribution
from voxplain.concepts.discover import CLUSTERERS
from voxplain.concepts.effect import HideConcepts
from voxplain.concepts.embedders import EMBEDDERS
from voxplain.concepts.evaluate import AddRemove
from voxplain.concepts.features import Embedder, MaskedCrops
from voxplain.concepts.rank import EFFECTS, TESTS
from voxplain.concepts.score import SCORES
from voxplain.concepts.sequential_effects import SequentialEffects
from voxplain.errors import DataError
from voxplain.inference import Inference
from voxplain.model import OBJECTIVES, Objective
from voxplain.reading import Unreadable, parse_yaml
from voxplain.segment import SEGMENTERS, SLIC, SMALL, Deduplicate, RegionTree, Segmenter

__all__ = ["CHOICES", "PRESETS", "RANKINGS", "UNRELATED_EXAMPLES", "ConceptSettings", "override"]

RANKINGS = ("effect", "tcav")
UNRELATED_EXAMPLES = ("matched", "raw")
_NAMES: dict[str, tuple[str, ...]] = {
    "ranking": RANKINGS,
    "unrelated_examples": UNRELATED_EXAMPLES,
    "objective": tuple(OBJECTIVES),
    "tcav": tuple(SCORES),
    "tcav_test": tuple(TESTS),
    "effect_kind": tuple(EFFECTS),
}


@dataclass(frozen=True)
class ConceptSettings:
    """The parameters of `explain_concepts` and `evaluate_concepts`; `PRESETS` has those of the papers.

    Four counts are separate here that one flag of the reference code sets together: ``videos``, ``keep``,
    ``random_size`` and ``score_videos``. Evidence for the defaults is in docs/defaults.md.

    Parameters
    ----------
    segmenter : Segmenter
        Makes supervoxels.
    deduplicate : Deduplicate
        Drops near copies of supervoxels in the class's videos.
    embedder : Embedder
        Features in which concepts are found.
    clusterer : Clusterer
    split_gap : float
        A cluster whose supervoxels' contributions form two groups, their means further apart than this share of the
        largest contribution of a clip, is divided (`SplitByContribution`). Infinite: never.
    cluster_filter : ClusterFilter
        Which clusters count as concepts; the references' rules reject those found in most clips.
    reach : float
        Largest distance from a concept's centre, in multiples of its median distance, at which a supervoxel is of the
        concept; others are of none. Infinite: every supervoxel is of its nearest concept.
    keep : int
        Supervoxels that represent a concept, nearest its centre; 40 in STCE.
    videos : int
        Videos of the class searched for concepts, drawn by the seed where there are more; 200 in STCE.
    score_videos, effect_videos : int
        Videos of the class whose gradients are taken, and in which concepts are hidden.
    unrelated_examples : str
        What CAVs separate concepts from: "matched", supervoxels of unrelated clips; "raw", whole clips (STCE).
    unrelated_videos : int
        Unrelated videos that are read.
    unrelated_crops : int
        Supervoxels taken from each of them.
    random_sets : int
        Random sets, and so CAVs, a concept; 50 in STCE.
    random_size : int
        Unrelated examples in a random set, at most all of them; in STCE as many as the concept has supervoxels.
    balance : bool
        Whether a CAV is fitted to no more unrelated examples than the concept has supervoxels.
    classifier : Classifier
        Linear classifier of the CAVs.
    objective : str
        What the gradient is taken of: logit (STCE), log_probability (its code), log_odds or probability.
    tcav : str
        TCAV score: magnitude, or sign_count (STCE).
    tcav_test : str
        "null": t-test against random concepts; "null-rank"; "paired-t" (STCE's code); "independent-t" (TCAV).
    ranking : str
        Score that ranks: effect, or tcav (STCE).
    effect : SequentialEffects or HideConcepts
        Measures direct effects.
    effect_kind : str
        Direct effect: drop, over-control or alone.
    evaluation : AddRemove
    exploration : ClipExploration
    inference : Inference
        Arithmetic of the network: bfloat16 where its features are as good.
    test_deduplicate : bool
        Whether near copies of supervoxels are dropped in test videos too; STCE's code does not.
    seed : int

    Raises
    ------
    DataError
        For an unknown name and a count below 1.

    Examples
    --------
    >>> override(PRESETS["paper"], "random_sets", 20).random_sets
    20
    """

    segmenter: Segmenter = field(default_factory=RegionTree)
    deduplicate: Deduplicate = field(default_factory=Deduplicate)
    embedder: Embedder = field(default_factory=ContextFeatures)
    clusterer: Clusterer = field(default_factory=Consensus)
    split_gap: float = 0.5
    cluster_filter: ClusterFilter = CLUSTER_FILTERS["small"]
    reach: float = 2.0
    keep: int = 40
    videos: int = 48
    score_videos: int = 200
    effect_videos: int = 200
    unrelated_examples: str = "matched"
    unrelated_videos: int = 60
    unrelated_crops: int = 30
    random_sets: int = 50
    random_size: int = 40
    balance: bool = True
    classifier: Classifier = CLASSIFIERS["mean_difference"]
    objective: Objective = "logit"
    tcav: str = "magnitude"
    tcav_test: str = "null"
    ranking: str = "effect"
    effect: SequentialEffects | HideConcepts = field(default_factory=SequentialEffects)
    effect_kind: str = "drop"
    evaluation: AddRemove = field(default_factory=AddRemove)
    exploration: ClipExploration = field(default_factory=ClipExploration)
    inference: Inference = field(default_factory=Inference)
    test_deduplicate: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Check names and counts."""
        for name, known in _NAMES.items():
            if getattr(self, name) not in known:
                raise DataError(f"expected {name} to be one of {known}, got {getattr(self, name)!r}; choose one")
        for name in (
            "keep",
            "videos",
            "score_videos",
            "effect_videos",
            "unrelated_videos",
            "random_sets",
            "random_size",
            "unrelated_crops",
        ):
            if getattr(self, name) < 1:
                raise DataError(f"expected {name} to be at least 1, got {getattr(self, name)}; raise it")
        if not self.split_gap > 0:
            raise DataError(f"expected split_gap above 0, got {self.split_gap}; raise it, or give inf for no division")
        if self.seed < 0:
            raise DataError(f"expected a seed of 0 or more, got {self.seed}; choose another")

    @property
    def class_clusterer(self) -> Clusterer:
        """The clusterer of a class's supervoxels: ``clusterer``, divided by contribution where features have one."""
        weight = self.embedder.contribution if isinstance(self.embedder, ContextFeatures) else 0.0
        if not weight or math.isinf(self.split_gap):
            return self.clusterer
        least = self.cluster_filter.min_members + 1  # a part that is no concept would lose its supervoxels
        return SplitByContribution(clusterer=self.clusterer, gap=self.split_gap * weight, members=least)


PAPER = ConceptSettings(
    segmenter=SLIC(),
    embedder=MaskedCrops(),
    clusterer=KMeans(),
    split_gap=math.inf,
    reach=math.inf,
    videos=200,
    unrelated_videos=100,
    cluster_filter=CLUSTER_FILTERS["video"],
    unrelated_examples="raw",
    classifier=Hinge(alpha=0.01),
    # Eq. 2 of the plain logit is 0 or 1 for every CAV at these layers (one linear map above them); the loss
    # gradient is what the authors' code takes.
    objective="log_probability",
    tcav="sign_count",
    ranking="tcav",
    effect=HideConcepts(),
    # The paper's formula implies a black blank; its masked crops are filled with the average image value.
    evaluation=AddRemove(fill="black"),
)

PRESETS: dict[str, ConceptSettings] = {
    "default": ConceptSettings(),
    "paper": PAPER,
    "paper-small": replace(PAPER, segmenter=SLIC(segments=SMALL), clusterer=KMeans(clusters=15)),
    "reference-code": replace(
        PAPER,
        deduplicate=Deduplicate(aligned=True, min_duration=16),
        embedder=MaskedCrops(fill="grey", window_step=1),
        tcav_test="paired-t",
        clusterer=KMeans(clusters=25, inits=10, directions=1_000_000),  # all of them: plain k-means
        evaluation=AddRemove(fill="grey"),
    ),
}

Method = Segmenter | Embedder | Clusterer | ClusterFilter | Classifier | SequentialEffects | HideConcepts

# The methods that can be chosen by name, by field.
CHOICES: dict[str, Mapping[str, Method]] = {
    "segmenter": {name: make() for name, make in SEGMENTERS.items()},
    "clusterer": CLUSTERERS,
    "classifier": CLASSIFIERS,
    "cluster_filter": CLUSTER_FILTERS,
    "effect": {"sequential": SequentialEffects(), "hide": HideConcepts()},
    "embedder": EMBEDDERS,
}


def _tuples(value: Any) -> Any:
    """Lists of a YAML file as the tuples that frozen parameters need."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def override(settings: Any, key: str, value: Any) -> Any:
    """Settings with one field changed.

    Parameters
    ----------
    settings : dataclass
        `ConceptSettings` or a part of it.
    key : str
        Name of the field, dotted for a part: "segmenter.explained".
    value : object
        Strings are read as YAML scalars; for a method its name, or a dict with "method" and its parameters.

    Returns
    -------
    dataclass
        A changed copy, of the type of ``settings``.

    Raises
    ------
    DataError
        For an unknown field, with near names, and for a value of another type than the field's.

    Examples
    --------
    >>> override(ConceptSettings(), "segmenter.explained", [0.8, 0.95]).segmenter.explained
    (0.8, 0.95)
    """
    head, _, rest = key.replace("-", "_").partition(".")
    known = [f.name for f in fields(settings)]
    if head not in known:
        near = difflib.get_close_matches(head, known, n=3, cutoff=0.4) or known
        hint = f"did you mean {', '.join(near)}?" if near else "it has none; leave it out or choose another method"
        raise DataError(f"expected a setting of {type(settings).__name__}, got {head!r}; {hint}")
    current = getattr(settings, head)
    if rest:
        if not is_dataclass(current):
            raise DataError(f"expected {head} to have parts, got {key!r}; it is a plain value: {current!r}")
        return replace(settings, **{head: override(current, rest, value)})
    if isinstance(value, Mapping):
        changed = current
        if "method" in value:
            changed = _choose(head, value["method"])
        if not is_dataclass(changed) or not all(isinstance(name, str) for name in value):
            raise DataError(f"expected {head} to be a value like {current!r}, got {str(value)[:60]}; correct it")
        for name, part in value.items():
            changed = changed if name == "method" else override(changed, name, part)
        return replace(settings, **{head: changed})
    if head in CHOICES and isinstance(settings, ConceptSettings):
        return replace(settings, **{head: _choose(head, value)})
    return replace(settings, **{head: _coerce(key, current, value)})


def _choose(head: str, name: object) -> Any:
    choices = CHOICES.get(head, {})
    name = name[0] if isinstance(name, list | tuple) and len(name) == 1 else name
    if isinstance(name, str) and name in choices:
        return choices[name]
    raise DataError(f"expected {head} to be one of {sorted(choices)}, got {name!r}; `voxplain methods` lists them")


def _scalar(key: str, text: str) -> Any:
    """Text as YAML reads it, and numbers such as 1e-3, which YAML 1.1 takes for text."""
    try:
        value = parse_yaml(text)
    except Unreadable:
        raise DataError(f"expected {key} to be a value in YAML, got {text!r}; correct it") from None
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(value)
    return value


def _coerce(key: str, current: Any, value: Any) -> Any:
    """A value as the field's current kind: tuples stay tuples, ints stay ints, floats take ints too."""
    if isinstance(current, str):
        value = value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
        value = "null" if value is None else value  # what YAML makes of that word, the name of a TCAV test
    elif isinstance(value, str):
        value = _scalar(key, value)
    elif isinstance(value, list | tuple):
        value = _tuples([_scalar(key, v) if isinstance(v, str) else v for v in value])
        if not isinstance(current, tuple) and len(value) == 1:
            value = value[0]
    if current is None:  # an optional number
        if type(value) not in (int, float):
            raise DataError(f"expected {key} to be a number, got {value!r}; correct it")
        return float(value)
    if isinstance(current, tuple) and not isinstance(value, tuple):
        value = _tuples(value) if isinstance(value, list) else (value,)
    kinds = {str} if current == () else _kinds(current)  # the names of layers, by default none
    value = _floats(value) if kinds == {float} else value
    if type(value) is not type(current) or _kinds(value) != kinds:
        raise DataError(f"expected {key} to be a {type(current).__name__} like {current!r}, got {value!r}; correct it")
    return value


def _kinds(value: Any) -> set[type]:
    """The types of the plain values in nested tuples."""
    return set().union(*map(_kinds, value)) if isinstance(value, tuple) else {type(value)}


def _floats(value: Any) -> Any:
    """Whole numbers as floats, also inside tuples."""
    if isinstance(value, tuple):
        return tuple(_floats(v) for v in value)
    return float(value) if type(value) is int else value
