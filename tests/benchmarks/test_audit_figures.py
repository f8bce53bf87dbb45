"""Figures of the audit's benchmark from cases of known values."""

from pathlib import Path

import pytest

import audit
from audit_planted import CLIPS, PLANTED, AuditedCase, AuditedSeed


def pair(kind: str, *, planted: bool, hits: float, q: float | None) -> dict:
    return {
        "kind": kind,
        "slice": planted,
        "accuracy_with_defect": 0.2 if planted else 0.8,
        "accuracy_without": 0.9,
        "precision_at_10": hits,
        "by_log_odds": 0.5,
        "by_margin": 0.6,
        "share": 10 / 24,
        "named": hits > 0.5,
        "corrected": None,
        "q_value": q,
    }


def case(kind: str, slices: list[dict], picked: int, right: int, without: int) -> dict:
    return {
        "slices": slices,
        "suspects": {
            "kind": kind,
            "relied_on": any(s["slice"] for s in slices),
            "audit": {"picked": picked, "right": right},
            "run": {"picked": 0, "right": 0},
            "other_classes": {"classes": 3, "audit": 1, "run": 0},
        },
        "null": {
            "slices": [{"wrong": 4, "q_value": 0.04}, {"wrong": 3, "q_value": None}],
            "suspected": {"classes": 4, "audit": without, "run": 0},
        },
        "chance": [{"wrong": 4, "q_value": 0.2}, {"wrong": 3, "q_value": 0.01}],
    }


def test_means_over_all_pairs_and_over_planted_slices() -> None:
    found = audit.overall(
        [
            case("patch", [pair("patch", planted=True, hits=1.0, q=0.01)] * 2, 2, 1, 0),
            case("colour", [pair("colour", planted=False, hits=0.2, q=None)] * 2, 0, 0, 1),
        ],
        None,
    )
    assert (found["networks"], found["planted"]["pairs"], found["all"]["pairs"]) == (2, 2, 4)
    assert (found["planted"]["precision_at_10"], found["all"]["precision_at_10"]) == (1.0, pytest.approx(0.6))
    assert (found["planted"]["found"], found["all"]["found"]) == (1.0, 0.5)
    assert found["planted"]["corrected"] is None
    assert found["by_defect"]["colour"]["pairs"] == 0
    assert (found["found_without"], found["found_by_chance"]) == (0.5, 0.5)
    assert found["suspects"]["audit"] == {
        "recall": 1.0,
        "picked": 2,
        "precision": 0.5,
        "picked_in_other_classes": 2,
        "picked_without": 1,
    }
    assert found["suspects"]["run"]["recall"] == 0.0
    assert found["suspects"]["run"]["precision"] is None


def test_which_clips_have_the_defect() -> None:
    own = AuditedCase("patch", AuditedSeed(3, False, Path("unused")))
    assert own.audited == ("cross", "triangle")
    assert [own.defective(label) for label in own.design.classes] == [PLANTED, 0, CLIPS, PLANTED]
    assert own.design.shortcut == "ring"
    null = AuditedCase("patch", own.seed, null=True)
    assert [null.defective(label) for label in own.design.classes] == [0] * 4
