"""Modes: what each changes of the settings, and what it must leave."""

import json
from dataclasses import replace

import pytest

import voxplain as vx
from voxplain.concepts.features import MaskedCrops
from voxplain.concepts.modes import MODES, in_mode, mode_settings
from voxplain.concepts.pooled import PooledFeatures
from voxplain.concepts.settings import override
from voxplain.errors import DataError

OTHER = replace(vx.ConceptSettings(), embedder=MaskedCrops(fill="grey", window_step=1))


@pytest.mark.parametrize(("mode", "size"), [("exact", None), ("medium", 80), ("small", 56), ("tiny", 40)])
def test_crops_change_their_size_alone(mode: str, size: int | None) -> None:
    assert in_mode(OTHER, mode, 112) == replace(OTHER, embedder=replace(OTHER.embedder, size=size))


def test_two_stage_finds_in_small_crops_and_learns_from_whole_ones() -> None:
    found = in_mode(OTHER, "two-stage", 112)
    assert found.embedder == replace(OTHER.embedder, size=40)
    assert found.cav_embedder == OTHER.embedder


@pytest.mark.parametrize("mode", ["small", "two-stage"])
def test_a_mode_of_crops_replaces_another_embedder(mode: str) -> None:
    pooled = replace(vx.ConceptSettings(), embedder=PooledFeatures())
    assert in_mode(pooled, mode, 112) == in_mode(vx.ConceptSettings(), mode, 112)
    assert in_mode(OTHER, "pooled", 112).embedder == PooledFeatures()


@pytest.mark.parametrize("mode", sorted(MODES))
def test_changes_are_plain_values_that_give_the_same_settings(mode: str) -> None:
    """A job is kept as JSON."""
    changed = OTHER
    for name, value in json.loads(json.dumps(mode_settings(OTHER, mode, 64))):
        changed = override(changed, name, value)
    assert changed == in_mode(OTHER, mode, 64)


def test_no_crop_is_smaller_than_a_pixel() -> None:
    assert in_mode(OTHER, "tiny", 1).embedder.size == 1


def test_an_unknown_mode() -> None:
    with pytest.raises(DataError, match="expected a mode of exact, medium, small, tiny, two-stage, pooled, got 'fast'"):
        mode_settings(OTHER, "fast", 112)
