"""Concept maps: a run's concepts found again in one clip, with the effect that was measured."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from region_clips import make_clips, make_model
from small_nets import GRID, ConvNet
from voxplain.attribution.passes import base_input, scores, to_input
from voxplain.concepts.cav import CAVs
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.discover import ConceptBank
from voxplain.concepts.effect import HideConcepts, join_effects
from voxplain.concepts.features import MaskedCrops
from voxplain.concepts.rank import ConceptScores
from voxplain.concepts.settings import ConceptSettings
from voxplain.errors import DataError, ModelError
from voxplain.explain.concept_map import ConceptMap
from voxplain.explain.parameters import parameters_of
from voxplain.model import stack
from voxplain.segment import Deduplicate, Grid

SETTINGS = ConceptSettings(
    segmenter=Grid(cells=((1, 2, 2), (2, 2, 2))), deduplicate=Deduplicate(max_jaccard=0.6), embedder=MaskedCrops()
)
K = 3


@pytest.fixture(scope="module")
def found():
    """A model, the clips, and a run over them with three concepts; assignments as the story makes them."""
    torch.manual_seed(0)
    model, clips = make_model(ConvNet().eval(), layer="hidden", name="little"), make_clips(4)
    parts = [SETTINGS.deduplicate(SETTINGS.segmenter(c)) for c in clips]
    rows = [SETTINGS.embedder.embed(model, c, p).values for c, p in zip(clips, parts, strict=True)]
    values = np.concatenate(rows)
    centers = values[[0, 7, 20]]
    given = [np.linalg.norm(r[:, None] - centers, axis=2).argmin(1) for r in rows]
    effects = join_effects(
        [
            HideConcepts(fill="black")(model, c, p, a, K, place=i)
            for i, (c, p, a) in enumerate(zip(clips, parts, given, strict=True))
        ]
    )
    bank = ConceptBank(
        centers,
        tuple(np.array([i]) for i in (0, 7, 20)),
        tuple(np.zeros(1, np.float32) for _ in range(K)),
        np.full(K, 9),
        np.full(K, 4),
        "by hand",
        np.full(K, np.inf, np.float32),
        np.full(K, np.nan, np.float32),
    )
    value = np.nan_to_num(effects.drop(1)).mean(0)
    score = ConceptScores(
        "effect",
        1,
        np.zeros((K, 4), np.float32),
        value,
        np.zeros(0, np.float32),
        np.zeros((K, 2)),
        np.ones(K),
        np.ones(K),
        np.zeros(K),
        0.0,
        value,
        np.zeros((K, 2)),
    )
    run = ConceptRun(
        target="1",
        target_index=1,
        layer="hidden",
        network="little",
        classes=(),
        preset="default",
        parameters=parameters_of(replace(SETTINGS, effect=HideConcepts(fill="black"))),
        provenance={},
        clips=tuple(clips),
        supervoxels=tuple(parts),
        origin=np.zeros((len(values), 2), np.int64),
        assigned=tuple(given),
        bank=bank,
        cavs=CAVs(np.eye(7, dtype=np.float32)[:K, None], np.ones((K, 1), np.float32), "hidden"),
        alignment=0.0,
        effects=effects,
        scores={"effect": score, "tcav": score},
        ranking="effect",
    )
    return model, clips, run


def test_a_clip_of_the_run_gets_the_runs_own_assignment(found):
    model, clips, run = found
    masks = ConceptMap(run).locate(model, clips[2])
    for k in range(K):
        own = run.supervoxels[2].masks(np.flatnonzero(run.assigned[2] == k))
        np.testing.assert_array_equal(masks.get(k, np.zeros(GRID, bool)), own)
    assert len(masks) > 1


@pytest.mark.parametrize("target", [1, 4])
def test_the_map_is_the_sum_of_masks_times_the_class_effects(found, target):
    model, clips, run = found
    one = ConceptMap(run)(model, clips[1], target)
    drop = np.nan_to_num(run.effects.drop(target)).mean(0)
    expected = sum(drop[k] * run.supervoxels[1].masks(np.flatnonzero(run.assigned[1] == k)) for k in range(K))
    np.testing.assert_allclose(one.values, expected, atol=1e-6)
    assert one.values.std() > 0
    told = one.details["concepts"]
    assert [row["effect"] for row in told] == sorted((row["effect"] for row in told), reverse=True)
    assert {row["concept"]: row["rank"] for row in told}[int(run.order[0])] == 1


def test_the_clips_own_effect_is_measured_by_hiding(found):
    model, clips, run = found
    new = make_clips(1, seed=5)[0]
    one = ConceptMap(run, weight="clip", objective="logit")(model, new, 2)
    x, b = to_input(model, stack([new])), base_input(model, stack([new]), "black")
    expected = np.zeros(GRID)
    for mask in ConceptMap(run).locate(model, new).values():
        hidden = torch.where(torch.from_numpy(mask), b, x)
        expected += mask * float((scores(model, x, [2], "logit") - scores(model, hidden, [2], "logit"))[0])
    np.testing.assert_allclose(one.values, expected, atol=1e-6)
    # The run's own numbers for its first clip, which hid the same supervoxels behind the same fill.
    told = {r["concept"]: r["effect"] for r in ConceptMap(run, weight="clip")(model, clips[0], 1).details["concepts"]}
    np.testing.assert_allclose([told[k] for k in sorted(told)], run.effects.drop(1)[0, sorted(told)], atol=1e-4)


def test_where_a_concept_is_told_by_its_ends(found):
    model, clips, run = found
    told = ConceptMap(run)(model, clips[0], 1).details["concepts"]
    masks = ConceptMap(run).locate(model, clips[0])
    for row in told:
        mask = masks[row["concept"]]
        t, y, x = np.nonzero(mask)
        assert row["frames"] == (t.min(), t.max() + 1)
        assert row["rows"] == (y.min(), y.max() + 1)
        assert row["columns"] == (x.min(), x.max() + 1)
        assert row["volume"] == pytest.approx(mask.mean())


def test_the_record_keeps_words_not_clips_and_a_stored_run_works(found):
    model, clips, run = found
    one = ConceptMap(run)(model, clips[0], 1)
    assert one.parameters == {"concepts_of": "1", "layer": "hidden", "weight": "class", "objective": "log_odds"}
    lists = {**run.parameters, "segmenter": {"method": "Grid", "cells": [[1, 2, 2], [2, 2, 2]]}}  # as JSON keeps it
    again = ConceptMap(replace(run, parameters=lists))(model, clips[0], 1)
    np.testing.assert_array_equal(one.values, again.values)


def test_other_models_and_runs_that_do_not_say_are_refused(found):
    model, clips, run = found
    with pytest.raises(ModelError, match="the model that the concepts were found with"):
        ConceptMap(run)(replace(model, layer="head"), clips[0], 1)
    with pytest.raises(ModelError, match="7 dimensions, got 5"):
        ConceptMap(replace(run, layer="head"))(replace(model, layer="head"), clips[0], 1)
    with pytest.raises(DataError, match="segmenter"):
        ConceptMap(replace(run, parameters={}))(model, clips[0], 1)
    with pytest.raises(DataError, match="class or clip"):
        ConceptMap(run, weight="both")


def test_crops_are_the_runs(found):
    model, clips, run = found
    other = replace(
        run,
        parameters={
            **run.parameters,
            "embedder": {"method": "MaskedCrops", "fill": "grey", "crop": "in-place", "window_step": 8},
        },
    )
    parts = run.supervoxels[0]
    rows = MaskedCrops(fill="grey", crop="in-place")(model, clips[0], parts)
    nearest = np.linalg.norm(rows[:, None] - run.bank.centers, axis=2).argmin(1)
    masks = ConceptMap(other).locate(model, clips[0])
    assert set(masks) == set(nearest.tolist())
