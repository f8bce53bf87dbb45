"""One video explained by several methods: maps over all frames, refusals told, metrics on the middle window."""

from dataclasses import replace

import numpy as np
import pytest

import voxplain as vx
from voxplain.attribution import ATTRIBUTIONS
from voxplain.errors import DataError, ModelError, VideoError
from voxplain.explain import explain_clip, methods_by_name
from voxplain.metrics import METRICS
from voxplain.store import load_attribution, save_run
from voxplain.video.encode import write_video


@pytest.fixture(scope="module")
def model():
    return vx.load_model("planted")


@pytest.fixture(scope="module")
def path(small_set):
    return small_set / "test" / "cross" / "0.mp4"


def test_a_video_of_the_networks_length_gets_the_methods_own_map(model, path):
    run = explain_clip(model, path, methods_by_name("gradient"), target="cross")
    own = ATTRIBUTIONS["gradient"]()(model, model.reader()(path), "cross")
    np.testing.assert_array_equal(run.maps["gradient"], own.values)
    assert run.target_index == own.target == model.class_index("cross")
    assert run.importance("gradient").sum() == pytest.approx(1)


def test_maps_and_metrics_do_not_depend_on_the_batch_size(model, path):
    methods = {
        "integrated_gradients": ATTRIBUTIONS["integrated_gradients"](steps=6),
        "rise": ATTRIBUTIONS["rise"](samples=10),
        "occlusion": ATTRIBUTIONS["occlusion"](window=(1.0, 0.5, 0.5), stride=(1.0, 0.5, 0.5)),
    }
    metrics = {"insertion": replace(METRICS["insertion"](), steps=7)}
    wanted = explain_clip(replace(model, batch_size=32), path, methods, target="cross", metrics=metrics)
    found = explain_clip(replace(model, batch_size=5), path, methods, target="cross", metrics=metrics)
    assert list(found) == list(wanted) == list(methods)
    for name in wanted:
        np.testing.assert_array_equal(found.maps[name], wanted.maps[name])
    assert found.measured == wanted.measured


def test_long_videos_are_explained_over_all_their_frames(model, path, tmp_path):
    frames = vx.read_video(path).frames
    write_video(tmp_path / "long.mp4", np.concatenate([frames, frames[::-1], frames])[:41])
    run = explain_clip(model, tmp_path / "long.mp4", methods_by_name("gradient,input_x_gradient"), target=0)
    assert run.windows == 5
    assert {m.shape for m in run.maps.values()} == {(41, 64, 64)}
    assert all(np.abs(m).sum((1, 2)).min() > 0 for m in run.maps.values())


def test_a_method_that_refuses_is_told_and_the_others_go_on(model, path):
    def refuses(model, clip, target):
        raise ModelError("expected a network with an RNN, got none")

    methods = {"none": refuses, **methods_by_name("gradient")}
    run = explain_clip(model, path, methods, target="cross")
    assert list(run.maps) == ["gradient"]
    assert run.skipped == (("none", "expected a network with an RNN, got none"),)
    with pytest.raises(ModelError, match="none that can: expected a network with an RNN"):
        explain_clip(model, path, {"none": refuses}, target="cross")


def test_metrics_judge_the_middle_window(model, path):
    insertion = replace(METRICS["insertion"](), steps=8)
    run = explain_clip(model, path, methods_by_name("gradient"), target="cross", metrics={"insertion": insertion})
    clip = model.reader()(path)
    wanted = insertion(model, clip, ATTRIBUTIONS["gradient"]()(model, clip, "cross"))
    value, chance, better = run.measured["gradient"]["insertion"]
    assert value == wanted.value
    assert (chance, better) == (wanted.chance, True)


def test_a_run_survives_the_disk(model, path, tmp_path):
    run = explain_clip(model, path, methods_by_name("gradient,integrated_gradients"), target="cross")
    save_run(tmp_path, run)
    again = load_attribution(tmp_path)
    assert list(again.maps) == list(run.maps)
    for name, values in run.maps.items():
        np.testing.assert_array_equal(again.maps[name], values)
    assert again.details == run.details
    assert again.parameters == run.parameters
    with pytest.raises(DataError, match="run of a class"):
        vx.load_run(tmp_path)


def test_unknown_methods_and_wrong_sizes_are_one_sentence(model, path):
    with pytest.raises(DataError, match="got gradcam"):
        methods_by_name("gradient,gradcam")
    with pytest.raises(DataError, match="at least one"):
        explain_clip(model, path, {}, target="cross")
    with pytest.raises(ModelError, match="64×64"):
        explain_clip(
            model, vx.Clip.from_array(np.zeros((16, 32, 32, 3), np.uint8)), methods_by_name("gradient"), target=0
        )
    with pytest.raises(VideoError):
        explain_clip(model, path.with_name("none.mp4"), methods_by_name("gradient"), target=0)


def test_methods_and_metrics_by_name_and_the_predicted_class(model, path):
    truth = explain_clip(model, path, methods_by_name("gradient,grad_cam"), target="cross")
    clip = model.read(path)
    predicted = explain_clip(model, path, ["gradient", "grad_cam"])
    assert predicted.target == model.predict(clip).classes[0] == "cross"
    single = {"insertion": METRICS["insertion"]()}
    for run in (
        predicted,
        explain_clip(model, clip, ("gradient", "grad_cam"), metrics=["insertion"]),
        explain_clip(model, clip.frames, "gradient, grad_cam", metrics="insertion"),
        explain_clip(model, clip, methods_by_name(["gradient", "grad_cam"]), metrics=single),
    ):
        assert list(run.maps) == list(truth.maps)
        for name, values in truth.maps.items():
            np.testing.assert_array_equal(run.maps[name], values)
    assert run.measured == explain_clip(model, clip, "gradient,grad_cam", metrics="insertion").measured
    assert set(run.measured["gradient"]) == {"insertion"}
    with pytest.raises(DataError, match="got gradcam"):
        explain_clip(model, clip, ["gradcam"])
    with pytest.raises(DataError, match=r"metrics among insertion.*got pointing_game"):
        explain_clip(model, clip, "gradient", metrics="pointing_game")
    with pytest.raises(ModelError, match="expected one video, got 2 clips"):
        explain_clip(model, np.stack([clip, clip]), "gradient")


def test_a_bare_network_is_wrapped(model, path):
    frames = np.random.default_rng(0).integers(0, 256, (16, 112, 112, 3), dtype=np.uint8)
    run = explain_clip(model.net, frames, "gradient")
    truth = ATTRIBUTIONS["gradient"]()(vx.VideoModel(model.net), vx.Clip.from_array(frames), run.target_index)
    np.testing.assert_array_equal(run.maps["gradient"], truth.values)


def test_a_run_gives_its_maps_as_attributions(model, path, tmp_path):
    run = explain_clip(model, path, ["gradient", "input_x_gradient"])
    assert list(run) == ["gradient", "input_x_gradient"]
    assert len(run) == 2
    heat = run["gradient"]
    np.testing.assert_array_equal(np.asarray(heat), run.maps["gradient"])
    assert (heat.target, heat.method, heat.clip) == (run.target_index, "gradient", run.clip)
    assert heat.parameters == run.parameters["gradient"]
    assert heat.save(tmp_path / "heat.npz").is_file()
    assert run._repr_html_().count("<figure") == 2
    with pytest.raises(DataError, match="method of this run, gradient, input_x_gradient, got 'rise'"):
        run["rise"]


def test_old_names_of_methods_are_accepted():
    with pytest.warns(
        FutureWarning, match="method 'lrp_composite' is deprecated .*; use method 'lrp_epsilon_plus_flat'"
    ):
        assert list(methods_by_name("lrp_composite")) == ["lrp_epsilon_plus_flat"]
