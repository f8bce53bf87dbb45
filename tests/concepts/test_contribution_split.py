"""Clusters divided by contribution: known groups, against every division, and what is left whole."""

from dataclasses import replace

import numpy as np
import pytest

from voxplain.concepts.cluster import Clustering, KMeans
from voxplain.concepts.consensus import Consensus
from voxplain.concepts.context import ContextFeatures
from voxplain.concepts.contribution_split import SplitByContribution, two_groups
from voxplain.concepts.settings import PRESETS, ConceptSettings
from voxplain.errors import DataError

CLIPS = 20


def test_two_groups_against_every_division():
    x = np.random.default_rng(2).normal(size=30)

    def within(limit: float) -> float:
        return sum(float(((g - g.mean()) ** 2).sum()) for g in (x[x <= limit], x[x > limit]))

    limit, gap, explained = two_groups(x)
    best = min(x[x < x.max()], key=within)
    assert ((x <= limit) == (x <= best)).all()
    assert gap == pytest.approx(x[x > best].mean() - x[x <= best].mean())
    assert explained == pytest.approx(1 - within(best) / float(((x - x.mean()) ** 2).sum()))


def rows(upper: float, noise: float = 0.02) -> np.ndarray:
    """An object and a distractor that look alike, and the ground, in every clip; the object contributes ``upper``."""
    rng = np.random.default_rng(0)
    kind = np.tile([0, 1, 2], CLIPS)
    looks = np.where(kind < 2, 1.0, -1.0)[:, None] * [4.0, 2.0] + rng.normal(0, 0.05, (3 * CLIPS, 2))
    part = np.where(kind == 0, upper, 0.0) + rng.normal(0, noise, 3 * CLIPS)
    return np.column_stack([looks, part]).astype(np.float32)


def split(values: np.ndarray, **options: float) -> Clustering:
    two = KMeans(clusters=2)
    return SplitByContribution(**{"clusterer": two, "gap": 0.5, **options})(values, clips=np.arange(3 * CLIPS) // 3)


def test_what_looks_alike_and_contributes_differently_is_parted():
    found = split(rows(0.9))
    kinds = [set(found.labels[k::3].tolist()) for k in range(3)]
    assert all(len(k) == 1 for k in kinds)
    assert len(set.union(*kinds)) == 3
    for k, centre in enumerate(found.centers):
        np.testing.assert_allclose(centre, rows(0.9)[found.labels == k].mean(0), atol=1e-5)
    assert found.stability is None, "k-means has none"


@pytest.mark.parametrize(
    ("upper", "noise", "options"),
    [
        (0.4, 0.02, {}),  # a gap that is too small
        (0.0, 0.6, {"explained": 0.8}),  # one group: two thirds of the variance of a normal one are between its halves
        (0.9, 0.02, {"clips": 1.0, "gap": 1.0}),
    ],
)
def test_no_two_groups_no_division(upper: float, noise: float, options: dict[str, float]):
    assert len(split(rows(upper, noise), **options).centers) == 2


def test_a_group_of_few_clips_is_no_concept():
    values = rows(0.9)
    values[0 : 3 * CLIPS : 3, 2] = 0
    values[[0, 3, 6, 9], 2] = 0.9
    assert len(split(values).centers) == 2
    assert len(split(values, clips=0.1).centers) == 3


def test_stability_of_the_parts():
    """Clear groups keep the consensus's stability; groups whose limit depends on the clips lose some of it."""
    clips = np.arange(3 * CLIPS) // 3
    whole = Consensus(min_clusters=2, base=(2,), draws=8)

    def parts(values: np.ndarray) -> np.ndarray:
        found = SplitByContribution(clusterer=whole, gap=0.5)(values, clips=clips)
        assert len(found.centers) == 3
        return found.stability[found.labels[:2]]

    assert parts(rows(0.9)).tolist() == [1.0, 1.0]
    blurred = parts(rows(0.9, 0.2))
    assert (blurred < 1).any()
    assert (blurred > 0.5).all()


def test_the_same_seed_gives_the_same_bytes():
    first, second = (split(rows(0.9, 0.2)) for _ in range(2))
    assert first.labels.tobytes() + first.centers.tobytes() == second.labels.tobytes() + second.centers.tobytes()


def test_where_the_setting_applies():
    default = ConceptSettings()
    assert isinstance(default.class_clusterer, SplitByContribution)
    assert replace(default, split_gap=np.inf).class_clusterer == default.clusterer
    maps = replace(default, embedder=ContextFeatures(contribution=0.0))
    assert maps.class_clusterer == maps.clusterer, "there is no contribution among the features"
    paper = PRESETS["paper"]
    assert paper.class_clusterer == paper.clusterer
    assert replace(default, embedder=ContextFeatures(contribution=2.0)).class_clusterer.gap == 1.0
    with pytest.raises(DataError, match="split_gap above 0"):
        replace(default, split_gap=0.0)
    with pytest.raises(DataError, match="a gap above 0"):
        SplitByContribution(clusterer=KMeans(), gap=-1.0)
