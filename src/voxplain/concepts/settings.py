"""Every number of a concept explanation, the presets, and how a file or a command line changes them."""

import contextlib
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import yaml

from voxplain.concepts.classifiers import CLASSIFIERS, Classifier, Hinge
from voxplain.concepts.clip_exploration import ClipExploration
from voxplain.concepts.cluster import Clusterer, KMeans
from voxplain.concepts.cluster_filter import CLUSTER_FILTERS, ClusterFilter
from voxplain.concepts.discover import CLUSTERERS
from voxplain.concepts.effect import HideConcepts
from voxplain.concepts.embedders import EMBEDDERS
from voxplain.concepts.evaluate import AddRemove
from voxplain.concepts.features import Embedder, MaskedCrops
from voxplain.concepts.rank import EFFECTS, TESTS
from voxplain.concepts.score import SCORES
from voxplain.errors import DataError
from voxplain.inference import Inference
from voxplain.model import OBJECTIVES, Objective
from voxplain.segment import SEGMENTERS, SLIC, SMALL, Deduplicate, Segmenter

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
    """The parameters of `explain_concepts`. The defaults are ours; `PRESETS` has the papers'.

    The four counts that one flag of the reference code mixes up are separate here: ``videos`` searched for concepts,
    ``keep`` supervoxels a concept, ``random_size`` unrelated examples a random set, ``score_videos`` scored.
    """

    segmenter: Segmenter = field(default_factory=SLIC)
    deduplicate: Deduplicate = field(default_factory=Deduplicate)
    embedder: Embedder = field(default_factory=MaskedCrops)  # features in which concepts are found
    cav_embedder: Embedder | None = None  # features from which CAVs are learnt; None: the same
    clusterer: Clusterer = field(default_factory=KMeans)
    cluster_filter: ClusterFilter = CLUSTER_FILTERS[
        "small"
    ]  # which clusters count; the references' rules refuse common ones
    keep: int = 40  # supervoxels a concept, nearest its centre [P]
    videos: int = 200  # videos of the class searched for concepts [P]
    score_videos: int = 200  # videos of the class whose gradients are taken
    effect_videos: int = 200  # videos of the class in which concepts are hidden
    unrelated_examples: str = (
        "matched"  # what CAVs are learnt against: masked crops of unrelated clips, or raw clips [P]
    )
    unrelated_videos: int = 100  # unrelated videos read
    unrelated_crops: int = 30  # masked supervoxels taken of each of them
    random_sets: int = 50  # [P]
    random_size: int = 40  # [P: as many as the concept has]
    classifier: Classifier = CLASSIFIERS["ridge"]
    objective: Objective = "logit"  # what is derived: logit [P], log_probability [C], log_odds, probability
    tcav: str = "magnitude"  # sign_count [P] or magnitude
    tcav_test: str = "null"  # null: against concepts of unrelated videos; null-rank; paired-t [C]; independent-t
    ranking: str = "effect"  # which score ranks: effect or tcav [P]
    effect: HideConcepts = field(default_factory=HideConcepts)
    effect_kind: str = "drop"  # drop, over-control or alone
    evaluation: AddRemove = field(default_factory=AddRemove)
    exploration: ClipExploration = field(default_factory=ClipExploration)  # test clips taken apart for the report
    inference: Inference = field(default_factory=Inference)  # how the network computes: bf16 where it is as good
    test_deduplicate: bool = False  # whether near copies are dropped in test videos too; the code does not [C]
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse names and counts that nothing stands for."""
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
        if self.seed < 0:
            raise DataError(f"expected a seed of 0 or more, got {self.seed}; choose another")


PAPER = ConceptSettings(
    cluster_filter=CLUSTER_FILTERS["video"],
    unrelated_examples="raw",
    classifier=Hinge(alpha=0.01),
    # Eq. 2 of the plain logit is 0 or 1 for every CAV at these layers (one linear map above them); the loss
    # gradient is what the authors' code takes.
    objective="log_probability",
    tcav="sign_count",
    ranking="tcav",
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

# The methods that a name can stand for, by the field they go into.
CHOICES: dict[str, Mapping[str, Any]] = {
    "segmenter": {name: make() for name, make in SEGMENTERS.items()},
    "clusterer": CLUSTERERS,
    "classifier": CLASSIFIERS,
    "cluster_filter": CLUSTER_FILTERS,
    "embedder": EMBEDDERS,
    "cav_embedder": {"same": None, **EMBEDDERS},
}


def _tuples(value: Any) -> Any:
    """Lists of a YAML file as the tuples that frozen parameters need."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def override(settings: Any, key: str, value: Any) -> Any:
    """The settings with one dotted field changed: ``override(s, "segmenter.segments", [15, 50])``.

    Strings are read as YAML scalars. A method field takes the method's name (``segmenter`` → ``grid``). Raises
    DataError with near names for an unknown field and for a value of another kind than the field's.
    """
    head, _, rest = key.replace("-", "_").partition(".")
    known = [f.name for f in fields(settings)]
    if head not in known:
        near = difflib.get_close_matches(head, known, n=3, cutoff=0.4) or known
        raise DataError(
            f"expected a setting of {type(settings).__name__}, got {head!r}; did you mean {', '.join(near)}?"
        )
    current = getattr(settings, head)
    if rest:
        if not is_dataclass(current):
            raise DataError(f"expected {head} to have parts, got {key!r}; it is a plain value: {current!r}")
        return replace(settings, **{head: override(current, rest, value)})
    if isinstance(value, Mapping):
        changed = current
        if "method" in value:
            changed = _choose(head, value["method"])
        for name, part in value.items():
            changed = changed if name == "method" else override(changed, name, part)
        return replace(settings, **{head: changed})
    if head in CHOICES and isinstance(settings, ConceptSettings):
        return replace(settings, **{head: _choose(head, value)})
    return replace(settings, **{head: _coerce(key, current, value)})


def _choose(head: str, name: Any) -> Any:
    choices = CHOICES.get(head, {})
    name = name[0] if isinstance(name, list | tuple) and len(name) == 1 else name
    if isinstance(name, str) and name in choices:
        return choices[name]
    raise DataError(f"expected {head} to be one of {sorted(choices)}, got {name!r}; `voxplain methods` lists them")


def _scalar(key: str, text: str) -> Any:
    """Text as YAML reads it, and numbers such as 1e-3, which YAML 1.1 takes for text."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise DataError(f"expected {key} to be a value in YAML, got {text!r}; correct it") from None
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(value)
    return value


def _coerce(key: str, current: Any, value: Any) -> Any:
    """A value as the field's current kind: tuples stay tuples, ints stay ints, floats take ints too."""
    if isinstance(current, str):
        value = value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
        value = "null" if value is None else value  # what YAML makes of that word, the name of a test here
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
    kinds = _kinds(current)
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
