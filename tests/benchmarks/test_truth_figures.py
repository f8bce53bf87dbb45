"""The strict figures on a run whose overlap with the object is known voxel by voxel."""

from types import SimpleNamespace

import numpy as np
import pytest

from truth_figures import strict_figures
from voxplain.segment import Supervoxels

CLIPS = 4


class Bank:
    def __init__(self, members: tuple[np.ndarray, ...]) -> None:
        self.members = members

    def __len__(self) -> int:
        return len(self.members)


def figures(*, top: int = 0, both: bool = False) -> dict[str, float]:
    """Four columns of a 2×4×4 clip: concept 0 is the first, concept 1 the next two, the last is of none.

    The object is the first column and a quarter of the clip's second one: 10 voxels, 8 of them of concept 0.
    """
    labels = np.broadcast_to(np.arange(4), (1, 2, 4, 4)).astype(np.int16).copy()
    mask = np.zeros((2, 4, 4), bool)
    mask[..., 0] = True
    mask[0, :2, 1] = True
    order = np.array([top, 1 - top])
    drop = np.array([[5.0, 0.5]] * CLIPS)[:, order.argsort()] if top else np.array([[5.0, 0.5]] * CLIPS)
    scores = SimpleNamespace(q_value=np.array([0.001, 0.9])[order.argsort()], value=drop[0])
    run = SimpleNamespace(
        supervoxels=[Supervoxels(labels)] * CLIPS,
        assigned=[np.array([0, 1, 1, -1])] * CLIPS,
        bank=Bank((np.array([0]), np.array([1, 2]))),
        origin=np.array([[0, 0], [0, 1], [0, 2], [0, 3]]),
        order=order,
        first=(0, 1) if both else (top,),
        wholes=(),
        scores={"effect": scores},
        ranking="effect",
        effects=SimpleNamespace(drop=lambda *_: drop),
        target_index=0,
    )
    known = SimpleNamespace(
        clips=[None] * CLIPS,
        names=("target", "distractor"),
        relied=("target",),
        masks=[{"target": mask}] * CLIPS,
        drop=np.array([[4.0, 0.0]] * CLIPS),
        drop_logit=np.array([[4.0, 0.0]] * CLIPS),
    )
    return strict_figures(run, known)  # type: ignore[arg-type]  # what it reads is there


def test_the_concept_that_is_the_object():
    got = figures()
    wanted = {"top_recall": 0.8, "top_precision": 1.0, "top_iou": 0.8, "best_iou": 0.8, "strict_rank_first": 1.0}
    wanted |= {"fragments": 1.0, "no_concept": 0.25, "unexplained": 0.2, "significant": 1.0, "rank_first": 1.0}
    wanted |= {"spearman_log_odds": 1.0, "spearman": 1.0}
    assert {name: got[name] for name in wanted} == pytest.approx(wanted)


def test_a_concept_on_top_that_is_not_the_object():
    got = figures(top=1)
    assert got["top_iou"] == pytest.approx(2 / 24)
    assert got["top_precision"] == pytest.approx(2 / 16)
    assert got["best_iou"] == pytest.approx(0.8), "of any concept, whatever its rank"
    assert got["strict_rank_first"] == 0
    assert got["significant"] == 0, "the significant one is an eighth the object's"
    assert got["spearman_log_odds"] == pytest.approx(-1)


def test_a_whole_is_measured_as_one():
    got = figures(both=True)
    assert got["top_recall"] == pytest.approx(1.0)
    assert got["top_precision"] == pytest.approx(10 / 24)
    assert got["top_iou"] == pytest.approx(10 / 24)
