"""Figures of fidelity on explanations whose likeness is known, and one class through all of it."""

import json
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import fidelity
import fidelity_sets
from fidelity_figures import EXACT, SEEDS, agreement, difference, in_words, interval, markdown, summary
from voxplain.concepts.cluster import KMeans
from voxplain.inference import Inference
from voxplain.segment import SLIC

FEW = replace(
    fidelity_sets.SETTINGS,
    segmenter=SLIC(segments=(15,)),
    unrelated_videos=8,
    unrelated_crops=25,
    clusterer=KMeans(clusters=3),
    inference=Inference(precision="fp32"),
)


def result(label="a", mode=EXACT, seed=0, *, shift=0, gain=0.5, cpu=4.0):
    """Six concepts of ten members; ``shift`` members of each go to the next concept."""
    assigned = np.roll(np.repeat(np.arange(6), 10), shift)
    return {
        "label": label,
        "mode": mode,
        "seed": seed,
        "assigned": assigned.tolist(),
        "members": [np.flatnonzero(assigned == k).tolist() for k in range(6)],
        "effect": [5.0, 4, 3, 2, 1, 0],
        "tcav": [0.0, 1, 2, 3, 4, 5],
        "order": list(range(6)),
        "precision": "fp32",
        "own": {},
        "seen": {"follows clip": 0.1, "top covers": 0.2},
        "gains": {"adding": [gain, gain + 0.1], "removing": [gain, float("nan")]},
        "cpu": {"features": cpu, "direct effects": 4.0},
    }


def relabelled(r, order):
    """The same explanation with its concepts numbered in another order."""
    place = np.argsort(order)
    return r | {
        "assigned": place[r["assigned"]].tolist(),
        "members": [r["members"][k] for k in order],
        "effect": [r["effect"][k] for k in order],
        "tcav": [r["tcav"][k] for k in order],
        "order": [int(place[k]) for k in r["order"]],
    }


def test_the_same_explanation_in_another_order_of_concepts_agrees_in_everything():
    same = agreement(result(), relabelled(result(), [3, 5, 0, 1, 4, 2]))
    assert same == {name: pytest.approx(1.0) for name in same}


def test_members_that_move_and_scores_that_turn_round_are_counted():
    moved = agreement(result(), result(shift=3))
    assert moved["members"] == pytest.approx(0.7)
    assert 0 < moved["ari"] < 0.7
    turned = agreement(result(), result() | {"effect": [0.0, 1, 2, 3, 4, 5], "order": [5, 4, 3, 2, 1, 0]})
    assert (turned["effect"], turned["tcav"], turned["top"]) == (pytest.approx(-1), pytest.approx(1), 0.0)
    assert turned["top five"] == pytest.approx(0.8)  # the sixth took the first one's place


def test_concepts_that_share_no_member_are_no_pair():
    far = result() | {"members": [[100 + k] for k in range(6)]}
    assert agreement(result(), far)["members"] == 0
    assert agreement(result(), far)["effect"] == 0
    assert agreement(result(), far)["top"] == 0


def test_intervals_leave_out_what_is_not_there():
    assert interval([1.0, float("nan"), 1.0]) == (1.0, 1.0, 1.0)
    assert np.isnan(interval([float("nan")])).all()


def test_only_a_mode_beyond_the_seeds_is_called_worse():
    results = []
    for label in "abcde":
        for seed in (0, 1):
            results.append(result(label, EXACT, seed, shift=seed))  # one in ten members moves from seed to seed
            results.append(result(label, "exact", seed, shift=seed) | {"same": EXACT})
            results.append(result(label, "pooled", seed, shift=seed + 4, gain=0.2, cpu=1.0))
    found = summary(results)
    assert found["modes"][SEEDS]["members"][0] == pytest.approx(0.9)
    assert found["modes"]["pooled"]["members"][0] == pytest.approx(0.6)
    assert found["modes"]["pooled"]["adding"][0] == pytest.approx(25)
    assert found["modes"]["pooled"]["adding, beside exact"] == pytest.approx((-30, -30, -30))
    assert found["modes"]["pooled"]["times without effects"] == 4
    assert found["modes"]["pooled"]["times"] == pytest.approx(8 / 5)
    assert found["worse"]["exact"] == {"clear": [], "unclear": []}
    assert found["worse"]["pooled"]["clear"] == ["ari", "members", "adding", "removing"]
    assert found["worse"]["pooled"]["unclear"] == []
    said = in_words(found)
    assert "in every figure: exact." in said
    assert "pooled: worse in adjusted Rand, members kept, adding, removing." in said
    assert "| exact (the same as exact fp32) | 1.00 [1.00, 1.00]" in markdown(found)


def test_a_difference_that_seeds_make_is_not_one_of_modes():
    exact = np.repeat([[10.0], [20.0], [30.0]], 40, axis=1)
    (mean, low, high), p = difference(exact - 5, exact)
    assert mean == pytest.approx(-5)
    assert low < -5 < 0 < high
    assert p > 0.05
    (_, _, high), p = difference(exact - 25, exact)
    assert high < 0
    assert p < 0.001


def test_one_seed_says_nothing_of_seeds():
    found = summary([result(), result(mode="small")])
    assert SEEDS not in found["modes"]
    assert "no seed-to-seed difference" in in_words(found)


def test_a_class_through_two_modes_and_again_from_its_results(tmp_path, monkeypatch, capsys):
    arguments = ["--sets", "planted", "weizmann", "--modes", "exact", "pooled", "--seeds", "1", "--clips", "3"]
    monkeypatch.setattr(sys, "argv", ["fidelity.py", *arguments, "--classes", "1", "--output", str(tmp_path)])
    few = partial(fidelity_sets.write_planted, train=3, test=2, unrelated=8, seed=0)
    monkeypatch.setattr(
        fidelity_sets, "write_planted", lambda root, *, design, seed, **_: few(root, design=design, seed=seed)
    )
    monkeypatch.setattr(fidelity_sets, "SETTINGS", FEW)
    monkeypatch.delenv("VOXPLAIN_DATA", raising=False)
    fidelity.main()
    said = capsys.readouterr().out
    figures = json.loads(said.splitlines()[-1])
    assert "weizmann: skipped" in said
    assert figures["planted"]["modes"]["exact"]["ari"] == [1, 1, 1]
    assert figures["planted"]["arithmetic"]["exact"] == ["the same as exact fp32"]
    assert figures["planted"]["modes"]["pooled"]["ari"][0] < 1
    assert json.loads((tmp_path / "results.json").read_text()) == figures
    monkeypatch.setattr(fidelity, "explained", None)  # nothing is computed again
    fidelity.main()
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == figures
