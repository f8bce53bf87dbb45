"""Settings: the papers' numbers, dotted changes as files and command lines give them, and every refusal."""

import math
from dataclasses import asdict, fields, replace

import pytest

from voxplain.concepts.classifiers import CLASSIFIERS, Ridge
from voxplain.concepts.cluster import KMeans
from voxplain.concepts.cluster_filter import CLUSTER_FILTERS, ClusterFilter
from voxplain.concepts.cluster_graph import DBSCAN, MeanShift
from voxplain.concepts.consensus import Consensus
from voxplain.concepts.context import ContextFeatures
from voxplain.concepts.discover import CLUSTERERS
from voxplain.concepts.effect import HideConcepts
from voxplain.concepts.features import MaskedCrops
from voxplain.concepts.rank import TESTS
from voxplain.concepts.sequential_effects import SequentialEffects
from voxplain.concepts.settings import PRESETS, ConceptSettings, override
from voxplain.errors import DataError
from voxplain.segment import SEGMENTERS, SLIC, Grid, RegionTree

DEFAULT = ConceptSettings()


def test_the_paper_presets_hold_the_papers_numbers():
    paper, small, code = (PRESETS[name] for name in ("paper", "paper-small", "reference-code"))
    for s in (paper, small, code):
        assert (s.videos, s.keep, s.random_sets, s.random_size, s.evaluation.steps) == (200, 40, 50, 40, 5)
        assert (s.tcav, s.objective, s.ranking, s.unrelated_examples) == (
            "sign_count",
            "log_probability",
            "tcav",
            "raw",
        )
        assert s.classifier.alpha == 0.01
        assert s.cluster_filter == CLUSTER_FILTERS["video"]
        assert s.deduplicate.max_jaccard == 0.5
    assert paper.segmenter == code.segmenter == SLIC(segments=(15, 50, 80))
    assert small.segmenter == SLIC(segments=(15, 30, 60))
    assert [s.clusterer for s in (paper, small)] == [KMeans(clusters=25), KMeans(clusters=15)]
    assert code.clusterer.clusters == 25
    assert (paper.embedder, code.embedder) == (MaskedCrops(), MaskedCrops(fill="grey", window_step=1))
    assert [s.reach for s in (paper, small, code)] == [math.inf] * 3
    assert (code.embedder.fill, code.embedder.window_step, code.evaluation.fill) == ("grey", 1, "grey")
    assert (code.deduplicate.aligned, code.deduplicate.min_duration, code.tcav_test) == (True, 16, "paired-t")


def test_default_preset_is_the_default():
    assert PRESETS["default"] == DEFAULT
    methods = (RegionTree(), ContextFeatures(), Consensus(), CLUSTER_FILTERS["small"], SequentialEffects())
    got = (DEFAULT.segmenter, DEFAULT.embedder, DEFAULT.clusterer, DEFAULT.cluster_filter, DEFAULT.effect)
    assert got == methods
    assert len({repr(s) for s in PRESETS.values()}) == len(PRESETS)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("keep", 30, 30),
        ("keep", "30", 30),
        ("keep", ["30"], 30),
        ("random-sets", 7, 7),
        ("test_deduplicate", "true", True),
        ("objective", "logit", "logit"),
        ("objective", ["logit"], "logit"),
        ("clusterer.base", [15, 50], (15, 50)),
        ("clusterer.base", ["15", "50"], (15, 50)),
        ("clusterer.base", "[15, 50]", (15, 50)),
        ("clusterer.base", 15, (15,)),
        ("clusterer.base", "15", (15,)),
        ("segmenter.spacing", [3, 1, 1], (3.0, 1.0, 1.0)),
        ("segmenter.compactness", 5, 5.0),
        ("segmenter.sigma", "1e-3", 1e-3),
        ("reach", 3, 3.0),
        ("reach", "inf", math.inf),
        ("evaluation.steps", "3", 3),
        ("embedder.window-step", 1, 1),
        ("evaluation.fill", "black", "black"),
        ("effect.fills", ["mean", "black"], ("mean", "black")),
        ("deduplicate.aligned", True, True),
        ("cluster_filter.clauses", [[0, 0.5], [0.25, 1]], ((0.0, 0.5), (0.25, 1.0))),
    ],
)
def test_one_field_changes_and_nothing_else(key, value, expected):
    before = asdict(DEFAULT)
    after = override(DEFAULT, key, value)
    *path, name = key.replace("-", "_").split(".")
    changed = asdict(after)
    place = changed
    for part in path:
        place = place[part]
    assert place[name] == expected
    assert type(place[name]) is type(expected)
    kinds = {type(v) for v in expected} if isinstance(expected, tuple) else set()
    assert kinds == ({type(v) for v in place[name]} if kinds else set())
    origin = before
    for part in path:
        origin = origin[part]
    place[name] = origin[name]
    assert changed == before == asdict(DEFAULT)


def test_methods_are_chosen_by_name():
    for field, choices in [
        ("segmenter", {k: make() for k, make in SEGMENTERS.items()}),
        ("clusterer", CLUSTERERS),
        ("classifier", CLASSIFIERS),
        ("cluster_filter", CLUSTER_FILTERS),
    ]:
        for name, method in choices.items():
            assert getattr(override(DEFAULT, field, name), field) == method
            assert getattr(override(DEFAULT, field, [name]), field) == method
            assert getattr(override(DEFAULT, field, {"method": name}), field) == method


def test_mappings_of_a_file():
    got = override(DEFAULT, "segmenter", {"cells": [[1, 2, 2]], "method": "grid"})
    assert got.segmenter == Grid(cells=((1, 2, 2),))
    got = override(DEFAULT, "clusterer", {"max_clusters": 9})
    assert got.clusterer == replace(DEFAULT.clusterer, max_clusters=9)
    got = override(DEFAULT, "effect", {"method": "hide", "fill": "grey", "controls": 3})
    assert got.effect == HideConcepts(fill="grey", controls=3)
    assert override(DEFAULT, "effect", {"clips": 9}).effect == SequentialEffects(clips=9)
    got = override(DEFAULT, "cluster_filter", {"method": "none", "min_members": 2})
    assert got.cluster_filter == ClusterFilter(clauses=((0.0, 0.0),), min_members=2)


def test_changes_add_up():
    got = override(override(DEFAULT, "clusterer", "mean_shift"), "clusterer.quantile", 0.3)
    assert got.clusterer == MeanShift(quantile=0.3)
    assert DEFAULT.clusterer == Consensus()


@pytest.mark.parametrize("value", [2, 2.0, "2", "2.0"])
@pytest.mark.parametrize(("method", "name"), [("mean_shift", "bandwidth"), ("dbscan", "radius")])
def test_numbers_that_are_unset_by_default_can_be_set(method, name, value):
    chosen = override(DEFAULT, "clusterer", method)
    got = getattr(override(chosen, f"clusterer.{name}", value).clusterer, name)
    assert got == 2.0
    assert type(got) is float
    for wrong in ("wide", True, [1, 2]):
        with pytest.raises(DataError, match=f"expected {name} to be a number, got .*; correct it"):
            override(chosen, f"clusterer.{name}", wrong)
    assert isinstance(override(DEFAULT, "clusterer", {"method": "dbscan", "radius": 1}).clusterer, DBSCAN)


def test_the_test_called_null_can_be_written_plainly():
    """YAML reads the bare word null as nothing."""
    code = PRESETS["reference-code"]
    for value in ("null", None, ["null"], [None]):
        assert override(code, "tcav_test", value).tcav_test == "null"


@pytest.mark.parametrize("key", ["segmentr", "segmenter.segment", "effects", "zzz"])
def test_unknown_fields_name_near_ones(key):
    with pytest.raises(DataError, match=r"expected a setting of \w+, got '\w+'; did you mean (\w+(, )?)+\?") as caught:
        override(DEFAULT, key, 1)
    near = {"segmentr": "segmenter", "segmenter.segment": "segments", "effects": "effect", "zzz": "keep"}[key]
    assert near in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("keep", "many"),
        ("keep", 3.5),
        ("keep", True),
        ("keep", None),
        ("keep", [1, 2]),
        ("clusterer.base", ["a"]),
        ("clusterer.base", [1.5]),
        ("clusterer.base", []),
        ("segmenter.compactness", "high"),
        ("test_deduplicate", 1),
        ("objective", 5),
    ],
)
def test_values_of_another_kind_are_refused(key, value):
    with pytest.raises(DataError, match=rf"expected {key.split('.')[-1]} to be a \w+ like .*, got .*; correct it"):
        override(DEFAULT, key, value)


def test_other_refusals():
    with pytest.raises(DataError, match=r"expected keep to have parts, got 'keep\.more'; it is a plain value: 40"):
        override(DEFAULT, "keep.more", 1)
    with pytest.raises(DataError, match="expected keep to be a value in YAML, got '\\[1'; correct it"):
        override(DEFAULT, "keep", "[1")
    for field in ("segmenter", "clusterer", "classifier", "cluster_filter", "effect"):
        with pytest.raises(DataError, match=rf"expected {field} to be one of \[.*\], got 'nosuch'; `voxplain methods`"):
            override(DEFAULT, field, "nosuch")
    with pytest.raises(DataError, match="white"):
        override(DEFAULT, "effect.fills", "white")  # the parts check themselves
    with pytest.raises(DataError, match="alpha=-1"):
        override(replace(DEFAULT, classifier=Ridge()), "classifier.alpha", -1)


def test_a_method_without_parameters_says_so():
    with pytest.raises(DataError, match="MeanDifference, got 'alpha'; it has none"):
        override(DEFAULT, "classifier.alpha", 0.5)


@pytest.mark.parametrize("name", ["ranking", "unrelated_examples", "objective", "tcav", "tcav_test", "effect_kind"])
def test_names_that_nothing_stands_for_are_refused_before_any_work(name):
    with pytest.raises(DataError, match=rf"expected {name} to be one of \(.*\), got 'nosuch'; choose one"):
        replace(DEFAULT, **{name: "nosuch"})
    with pytest.raises(DataError, match=f"expected {name} to be one of"):
        override(DEFAULT, name, "nosuch")


@pytest.mark.parametrize("test", TESTS)
def test_every_tcav_test_can_be_chosen(test):
    assert replace(DEFAULT, tcav_test=test).tcav_test == test


def test_counts_start_at_one():
    counts = [f.name for f in fields(DEFAULT) if type(getattr(DEFAULT, f.name)) is int and f.name != "seed"]
    assert len(counts) == 8
    for name in counts:
        assert getattr(replace(DEFAULT, **{name: 1}), name) == 1
        with pytest.raises(DataError, match=f"expected {name} to be at least 1, got 0; raise it"):
            replace(DEFAULT, **{name: 0})
    with pytest.raises(DataError, match="a seed of 0 or more, got -1; choose"):
        replace(DEFAULT, seed=-1)
