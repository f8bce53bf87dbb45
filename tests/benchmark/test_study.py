"""The study: made-up rows give the tables that they must; what is measured is found again."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from known_maps_of_study import leave_the_number_of_threads, planted_clip

from voxplain.attribution import Gradient, IntegratedGradients
from voxplain.benchmark import study
from voxplain.benchmark.study import StudyRow, network_rows, study_methods, study_metrics, tuned_on_masks
from voxplain.benchmark.study_clips import (
    QUICK,
    KnownClip,
    PlantedClips,
    StudySize,
    drawn,
    known_clips,
    set_hash,
    study_design,
)
from voxplain.benchmark.study_networks import TrainedNetwork
from voxplain.benchmark.study_page import study_figures, study_markdown
from voxplain.benchmark.study_run import _beside, run_study
from voxplain.benchmark.study_tables import StudyTables, _tau
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.nets.study import STUDY_NETS

TINY = StudySize(frames=8, side=32, classes=5, train=2, test=1, clips=1, epochs=1)
METHODS = ("gradient", "grad_cam", "occlusion", "rise", "lime")  # from the worst to the best, as rows are made
CLIPS = 6


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals need not be exact here."""
    monkeypatch.setattr("voxplain.benchmark.study_tables.DRAWS", 60)


def made_rows(networks: tuple[str, ...] = ("c3d", "tsm"), *, motion_gain: float = -0.5) -> list[StudyRow]:
    """Methods whose truth and insertion grow with their place, and deletion (lower is better) too, so against truth.

    Little noise changes nothing, and much noise takes the truth to chance and insertion down, but deletion up for half
    of the clips. Controls: the true mask inserts at 0.9, motion energy at ``motion_gain`` more, other controls at 0.1.
    """
    rng, rows = np.random.default_rng(0), []
    for network in networks:
        for clip in range(CLIPS):
            for place, name in enumerate(METHODS):
                good = 0.1 + 0.15 * place + 0.005 * float(rng.random())
                own = {"insertion": (good, None), "deletion": (good, None), "pointing_game": (good, 0.1)}
                truth = {"energy_inside": (good, 0.1), "tube_iou": (good, 0.1)}
                worse = {n: (v - 0.05, c) for n, (v, c) in truth.items()}
                attacked = {"blurred": {**worse, "insertion": (good + 0.1, None), "deletion": (good + 0.1, None)}}
                away = {**truth, "energy_inside": (0.05, 0.1), "tube_iou": (0.05, 0.1)}
                moved = {"insertion": (0.05, None), "deletion": (good + (0.1 if clip % 2 else -0.1), None)}
                noisy = {"little_noise": {**own, **truth}, "much_noise": {**away, **moved}}
                values = {"map": {**own, **truth}, **attacked, **noisy}
                rows.append(StudyRow(network, f"{clip}", clip % 2 == 0, name, values))
            for name, value in (("true_mask", 0.9), ("motion_energy", 0.9 + motion_gain), ("random", 0.1)):
                values = {"insertion": (value + 0.01 * float(rng.random()), None), "energy_inside": (value, 0.1)}
                rows.append(StudyRow(network, f"{clip}", clip % 2 == 0, name, {"map": values}))
    return rows


def test_tables_of_made_rows() -> None:
    tables = StudyTables(made_rows())
    assert tables.networks == ["c3d", "tsm"]
    assert tables.methods == list(METHODS)
    best = tables.best_truth_by_structure()
    assert {n: b["method"] for n, b in best.items()} == {"c3d": "lime", "tsm": "lime"}
    assert best["c3d"]["energy_over_chance"][0] == pytest.approx(7.0, abs=0.1)
    assert tables.rank_stability().value == pytest.approx(1)
    assert tables.metric_truth_tau("insertion").value == pytest.approx(1)
    assert tables.metric_truth_tau("deletion").value == pytest.approx(-1)
    assert tables.over_chance("grad_cam").value == pytest.approx(2.5, abs=0.1)
    low, high = tables.over_chance("grad_cam").low, tables.over_chance("grad_cam").high
    assert low <= tables.over_chance("grad_cam").value <= high
    assert tables.rank_spread()["lime"][1] == 0
    assert tables.mean("tsm", "rise", "energy_inside", moving=True).value == pytest.approx(5.5, abs=0.1)


def test_metrics_are_tested_by_noise_and_against_insertion() -> None:
    tables = StudyTables(made_rows())
    assert tables.stable("insertion").value == pytest.approx(1)
    assert tables.falls("insertion").value == pytest.approx(1)
    assert tables.falls("deletion").value == pytest.approx(0.5)  # lower is better: it rises by noise as often as not
    assert tables.tau_over("deletion").value == pytest.approx(-2)
    assert tables.tau_over("insertion").value == 0


def test_the_default_metric_is_a_safe_one_without_a_mask() -> None:
    tables = StudyTables(made_rows())
    assert set(tables.candidates([])) == {"deletion", "insertion"}
    assert tables.candidates(["insertion"]) == ["deletion"]
    assert study_figures(tables, {})["default_metric"] == "deletion"  # insertion prefers blurred maps there


def test_a_metric_chosen_on_one_network_is_tried_on_the_other() -> None:
    """Deletion follows the truth on the second network only, so that it is chosen for the first, where it is wrong."""
    rows = [r for r in made_rows() if r.network == "c3d"]
    for r in (r for r in made_rows() if r.network == "tsm"):
        own = dict(r.values["map"])
        own["insertion"], own["deletion"] = ((-own["insertion"][0], None) for _ in range(2))
        rows.append(StudyRow(r.network, r.clip, r.moving, r.method, {"map": own}))
    found = StudyTables(rows).chosen_on_others(["deletion", "insertion"])
    assert found == {"c3d": ("deletion", pytest.approx(-2)), "tsm": ("insertion", pytest.approx(0))}


def test_unsafe_metrics_are_those_that_prefer_an_attack() -> None:
    """Insertion rises on blurred copies whose truth is lower; deletion rises too, which is worse."""
    unsafe = StudyTables(made_rows()).unsafe()
    assert unsafe == {"insertion": ["blurred"]}
    assert "motion_energy" in StudyTables(made_rows(motion_gain=0.05)).unsafe()["insertion"]


def test_networks_that_order_methods_the_other_way_round_are_unstable() -> None:
    rows = made_rows(("c3d",))
    names = {m: METHODS[-1 - i] for i, m in enumerate(METHODS)}
    other = [StudyRow("tsm", r.clip, r.moving, names.get(r.method, r.method), r.values) for r in rows]
    assert StudyTables([*rows, *other]).rank_stability().value == pytest.approx(-1)


def test_a_method_that_explains_one_network_only_has_no_rank_over_both() -> None:
    rows = [r for r in made_rows() if not (r.network == "tsm" and r.method == "lime")]
    rows.append(StudyRow("tsm", "0", True, "lime", error="expected a network, got another"))
    tables = StudyTables(rows)
    assert "lime" not in tables.rank_spread()
    assert tables.best_truth_by_structure()["tsm"]["method"] == "rise"


def test_kendalls_tau_equals_scipys() -> None:
    from scipy import stats

    rng = np.random.default_rng(1)
    for _ in range(5):
        a, b = rng.integers(0, 4, 9).astype(float), rng.normal(size=9)
        assert _tau(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)


def test_the_page_has_every_table() -> None:
    tables = StudyTables(made_rows())
    figures = study_figures(tables, {"c3d": 0.9, "tsm": 0.95})
    text = study_markdown(tables, figures)
    assert "| insertion (*unsafe*): method | mean | c3d | tsm |" in text
    assert "| insertion | 1.00 [" in text
    assert "| **deletion** | −1.00 [" in text
    assert "| tsm | 0.950 | 6 | lime |" in text
    assert figures["networks"] == {"c3d": 0.9, "tsm": 0.95}
    assert set(figures["published"]) == {"tsm"} or not figures["published"]


def test_clips_are_the_same_every_time_and_parts_differ() -> None:
    assert set_hash("standard", TINY) == set_hash("standard", TINY)
    assert set_hash("standard", TINY) != set_hash("held-out", TINY)
    train, labels = drawn("standard", TINY, "train")
    assert train.shape == (10, 8, 32, 32, 3)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    explained, _ = drawn("standard", TINY, "explain")
    assert not (train[0] == explained[0]).all()


def test_what_a_network_relies_on_is_what_costs_it_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that sees nothing loses nothing: no clip has an object that is relied on."""
    torch.manual_seed(0)
    net = STUDY_NETS["cnn_lstm"](5).eval()
    model = VideoModel(net, grid=(8, 32, 32), classes=study_design("standard", TINY).classes, layout="BCTHW")
    monkeypatch.setattr("voxplain.benchmark.study_clips.LEAST_DROP", 100.0)
    assert known_clips(model, "standard", TINY) == []
    clip, mask = planted_clip()
    known = KnownClip(clip, 0, {"a": mask, "b": ~mask, "c": mask & False}, {"a": 2.0, "b": 0.1, "c": -1.0}, {}, False)
    assert known.relied == "a"
    assert known.distractor is not None
    np.testing.assert_array_equal(known.distractor, ~mask)


@pytest.fixture
def one_clip(monkeypatch: pytest.MonkeyPatch) -> VideoModel:
    """An untrained network with one known clip, in place of training."""
    torch.manual_seed(0)
    model = VideoModel(STUDY_NETS["cnn_lstm"](5).eval(), grid=(8, 32, 32), layout="BCTHW", classes=tuple("abcde"))
    clip, mask = planted_clip()
    known = KnownClip(clip, 1, {"o": mask, "d": np.roll(mask, 9, 2)}, {"o": 2.0, "d": 0.0}, {}, False)
    monkeypatch.setattr(study, "study_network", lambda *_, **__: TrainedNetwork(model, 0.5))
    monkeypatch.setattr(PlantedClips, "known", lambda *_: [known])
    monkeypatch.setattr(study, "_kept_tuned", lambda *_: model)
    return model


def test_a_network_is_measured_and_found_again(
    one_clip: VideoModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = {"gradient": Gradient(), "integrated_gradients": IntegratedGradients(steps=2)}
    rows, accuracy = network_rows("cnn_lstm", PlantedClips("standard"), TINY, tmp_path, methods, quick=True)
    assert accuracy == 0.5
    assert [r.method for r in rows] == ["gradient", "integrated_gradients", "true_mask", "distractor_mask"]
    of = {r.method: r for r in rows}
    assert set(of["gradient"].values) == {"map", "blurred", "permuted", "little_noise", "much_noise"}
    assert set(of["true_mask"].values) == {"map"}
    assert of["true_mask"].values["map"]["energy_inside"][0] == pytest.approx(1)
    assert of["true_mask"].values["map"]["tube_iou"][0] == pytest.approx(1)
    assert of["gradient"].values["map"]["parameter_randomisation"][0] < 1
    assert "parameter_randomisation" not in of["gradient"].values["blurred"]
    monkeypatch.setattr(study.MeasureMap, "compute", lambda *_: pytest.fail("computed again"))
    again, _ = network_rows("cnn_lstm", PlantedClips("standard"), TINY, tmp_path, methods, quick=True)
    assert [r.values for r in again] == [r.values for r in rows]


def test_shards_are_pairs_of_network_and_method(one_clip: VideoModel, tmp_path: Path) -> None:
    from voxplain.runtime import Shard

    names = ("gradient", "input_x_gradient", "random")
    for i in (1, 2):
        assert not run_study(tmp_path, quick=True, networks=["cnn_lstm"], methods=names, shard=Shard(i, 2))
    figures = run_study(tmp_path, quick=True, networks=["cnn_lstm"], methods=names, clips=1)
    assert figures["methods"] == ["gradient", "input_x_gradient"]
    assert (tmp_path / "quick" / "standard" / "study.md").read_text().startswith("| energy inside")


def test_networks_are_measured_in_processes_of_one_thread(tmp_path: Path) -> None:
    told: list[str] = []
    _beside(2, ["c3d", "tsm"], partial(leave_the_number_of_threads, tmp_path), told.append)
    assert sorted(told) == ["c3d: measured", "tsm: measured"]
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"c3d": "1", "tsm": "1"}


def test_sanity_does_not_compute_the_map_of_the_network_again(one_clip: VideoModel, tmp_path: Path) -> None:
    seen: list[bool] = []

    def method(model: VideoModel, clip: object, target: object = None) -> object:
        seen.append(model is one_clip)
        return Gradient()(model, clip, target)

    known = PlantedClips("standard").known(one_clip, TINY)[0]
    metrics = study_metrics([], quick=True)
    task = study.MeasureMap(known.clip, known.target, known.mask, method, metrics, (), True, one_clip)
    values = task.compute(one_clip)["values"]["map"]
    assert seen.count(True) == 1
    assert seen.count(False) == 2  # two metrics, each with a randomised copy
    for name in ("parameter_randomisation", "efficient_randomisation"):
        assert values[name][0] == metrics[name](one_clip, known.clip, known.target, Gradient()).value


def test_names_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="networks among planted"):
        run_study(tmp_path, networks=["c4d"])
    with pytest.raises(DataError, match="methods that `voxplain methods` lists"):
        run_study(tmp_path, methods=["grad_cams"])
    with pytest.raises(DataError, match="design of standard, held-out, utd_depth"):
        run_study(tmp_path, design="hard")
    with pytest.raises(DataError, match="name it with --data"):
        run_study(tmp_path, design="utd_depth")
    with pytest.raises(DataError, match="1 clip a class or more, got 0"):
        run_study(tmp_path, clips=0)


def test_a_quick_study_costs_less() -> None:
    assert QUICK.train < StudySize().train
    quick, whole = study_methods(quick=True, only=("rise", "step")), study_methods(quick=False, only=("rise", "step"))
    assert quick["rise"].samples < whole["rise"].samples
    assert quick["step"].iterations < whole["step"].iterations
    few = study_metrics([np.zeros((8, 32, 32, 3), np.uint8)], quick=True)
    assert few["insertion"].steps < study_metrics([np.zeros((8, 32, 32, 3), np.uint8)], quick=False)["insertion"].steps
    assert few["insertion_blur"].fill == "blur"


def test_tuning_on_masks_changes_a_copy() -> None:
    torch.manual_seed(0)
    model = VideoModel(STUDY_NETS["cnn_lstm"](2).eval(), grid=(4, 16, 16), layout="BCTHW")
    before = {k: v.clone() for k, v in model.net.state_dict().items()}
    frames = np.random.default_rng(0).integers(0, 256, (4, 4, 16, 16, 3)).astype(np.uint8)
    tuned = tuned_on_masks(model, frames, np.array([0, 1, 0, 1]), epochs=1)
    assert all(torch.equal(before[k], v) for k, v in model.net.state_dict().items())
    assert not torch.equal(tuned.net.fc.weight, model.net.fc.weight)


def test_two_studies_agree_on_an_order_and_its_reverse_disagrees(tmp_path: Path) -> None:
    from voxplain.benchmark.study_designs import order_agreement, read_rows
    from voxplain.benchmark.study_run import _write_tables

    rows = made_rows()
    _write_tables(rows, {}, tmp_path, {})
    same = order_agreement(StudyTables(rows), StudyTables(read_rows(tmp_path / "rows.json")))
    assert same.overall.value == pytest.approx(1)
    assert set(same.by_network) == {"c3d", "tsm"}
    assert same.methods == METHODS
    names = {m: METHODS[-1 - i] for i, m in enumerate(METHODS)}
    other = [StudyRow(r.network, r.clip, r.moving, names.get(r.method, r.method), r.values) for r in rows]
    reverse = order_agreement(StudyTables(rows), StudyTables(other))
    assert reverse.overall.value == pytest.approx(-1)
    assert reverse.overall.low <= reverse.overall.value <= reverse.overall.high
    with pytest.raises(DataError, match="4 methods"):
        order_agreement(StudyTables(rows), StudyTables(rows), methods=METHODS[:2])
    with pytest.raises(DataError, match="no such file"):
        read_rows(tmp_path / "none.json")
