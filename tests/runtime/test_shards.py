"""Shares of a run, in one store and in several, give the bytes of one process; so does any number of threads."""

from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import voxplain as vx
from voxplain.concepts.cluster import KMeans
from voxplain.concepts.embedders import EMBEDDERS
from voxplain.concepts.evaluate import AddRemove
from voxplain.errors import DataError
from voxplain.runtime import MissingShards, Shard, ThreadExecutor, read_shard
from voxplain.segment import SLIC
from voxplain.store import Store, gather, save_run

SETTINGS = vx.ConceptSettings(
    segmenter=SLIC(segments=(4, 8)),
    clusterer=KMeans(clusters=4),
    keep=3,
    unrelated_crops=12,
    random_sets=4,
    evaluation=AddRemove(steps=2, draws=2, matched=1),
)


def run(
    place: Path, small_set: Path, store: Path, on: dict[str, Any], settings: vx.ConceptSettings = SETTINGS
) -> bytes:
    model = vx.load_model("planted")
    read = lambda part: vx.read_clips(small_set / part, model.reader()).clips  # noqa: E731
    found = vx.explain_concepts(
        model, read("train/cross"), random=read("unrelated"), target="cross", settings=settings, store=store, **on
    )
    found = vx.evaluate_concepts(found, read("test/cross"), settings=settings, store=store, **on)
    save_run(place, found)
    return (place / "run.npz").read_bytes() + (place / "run.json").read_bytes()


def threads(workers: int) -> dict[str, Any]:
    return {"executor": partial(ThreadExecutor, workers=workers)}


def sharing(index: int, count: int) -> dict[str, Any]:
    return {**threads(1), "shard": Shard(index, count)}


def passes(
    small_set: Path, tmp_path: Path, stores: list[Path], settings: vx.ConceptSettings = SETTINGS
) -> tuple[int, list[bytes]]:
    """Every share again and again until all end; what they gave."""
    done: dict[int, bytes] = {}
    for turn in range(1, 10):
        for i, store in enumerate(stores, 1):
            with suppress(MissingShards):
                done[i] = run(tmp_path / f"run{i}", small_set, store, sharing(i, len(stores)), settings)
        if len(done) == len(stores):
            return turn, list(done.values())
        if len(set(stores)) > 1:  # what `voxplain merge` does: everybody gets everything
            for store in stores:
                gather(Store(store), stores)
    raise AssertionError("the shares never end")


@pytest.fixture(scope="module")
def alone(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = tmp_path_factory.mktemp("alone")
    return run(place / "run", small_set, place / "store", threads(1))


def test_threads_give_the_same_bytes(small_set: Path, tmp_path: Path, alone: bytes) -> None:
    assert run(tmp_path / "run", small_set, tmp_path / "store", threads(3)) == alone


def test_shares_of_one_store(small_set: Path, tmp_path: Path, alone: bytes) -> None:
    turns, found = passes(small_set, tmp_path, [tmp_path / "store"] * 3)
    assert found == [alone] * 3
    assert turns <= 6  # features, features of members, effects, test features, proof, the rest


def test_shares_with_stores_of_their_own(small_set: Path, tmp_path: Path, alone: bytes) -> None:
    _, found = passes(small_set, tmp_path, [tmp_path / "a", tmp_path / "b"])
    assert found == [alone] * 2


def test_every_clip_is_in_one_share() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (2, 3, 3, 3)).astype(np.uint8) for _ in range(60)]
    shares = [[i for i, f in enumerate(frames) if Shard(k, 4).owns(f)] for k in (1, 2, 3, 4)]
    assert sorted(i for share in shares for i in share) == list(range(60))
    assert min(map(len, shares)) >= 5


@pytest.mark.parametrize("text", ["0/3", "4/3", "2", "a/b", "1/0", "-1/3", "1/2/3"])
def test_shares_that_do_not_exist(text: str) -> None:
    with pytest.raises(DataError, match="expected a shard"):
        read_shard(text)
    assert read_shard("2/8") == Shard(2, 8)


def test_a_run_that_another_share_did_not_finish_keeps_its_own_part(small_set: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingShards, match="results of other shards are not there yet"):
        run(tmp_path / "run", small_set, tmp_path / "store", sharing(1, 2))
    steps = sorted(p.name for p in (tmp_path / "store").iterdir())
    assert {"features", "supervoxels", "passes"} <= set(steps)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("embedder", EMBEDDERS)
def test_every_embedder_runs_to_the_end_in_shares(small_set: Path, tmp_path: Path, embedder: str) -> None:
    settings = replace(SETTINGS, embedder=EMBEDDERS[embedder])
    whole = run(tmp_path / "whole", small_set, tmp_path / "one", threads(2), settings)
    turns, found = passes(small_set, tmp_path, [tmp_path / "store"] * 2, settings)
    assert found == [whole] * 2
    assert turns <= 6
