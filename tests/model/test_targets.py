"""Tasks and targets: what is found out, what is asked for, and the score that every path then explains."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import voxplain as vx
from small_nets import GRID, ConvNet, Wrapped, clips
from voxplain.attribution.passes import gradient, scores, to_input
from voxplain.concepts.cluster import KMeans
from voxplain.doctor import examine
from voxplain.errors import ModelError
from voxplain.metrics import Insertion
from voxplain.model import OBJECTIVES, VideoModel, narrow
from voxplain.model.fingerprint import fingerprint
from voxplain.segment import Grid

FRAMES = clips(3)
LABELS = ("indoor", "person", "dog")


def model(change=None, outputs: int = 3, **options) -> VideoModel:
    torch.manual_seed(0)
    net = ConvNet(classes=outputs).eval()
    net = net if change is None else Wrapped(net, change)
    layer = "act" if change is None else "net.act"
    return VideoModel(net, **{"layer": layer, "grid": GRID, **options})


def by_hand(m: VideoModel, score) -> Tensor:
    """Gradient of a function of the network's own output, by autograd."""
    x = to_input(m, FRAMES[:1]).requires_grad_(True)
    return torch.autograd.grad(score(m.net(x)), x)[0]


# --- what is found out ---


@pytest.mark.parametrize(
    ("change", "outputs", "task", "probabilities"),
    [
        (None, 3, None, False),
        (nn.Softmax(1), 3, "classification", True),
        (lambda z: z.softmax(1).view(len(z), -1).clone(), 3, "classification", True),
        (lambda z: z.log_softmax(1), 3, "classification", False),
        (nn.Sigmoid(), 3, "multilabel", True),
        (torch.sigmoid, 1, "binary", True),
        (lambda z: z.sigmoid().squeeze(), 1, "binary", True),
    ],
)
def test_tasks_that_a_pass_shows(change, outputs, task, probabilities):
    m = model(change, outputs)
    assert m.settled() is m
    assert (m.task, m.probabilities) == (task, probabilities)
    found = examine(m)
    assert (found.task, found.probabilities) == (task or "classification", probabilities)


@pytest.mark.parametrize("built", [lambda net: net.requires_grad_(False), lambda net: net])
def test_tasks_of_frozen_networks_and_of_those_built_in_inference_mode(built):
    with torch.inference_mode(built(nn.Identity()) is None):
        assert VideoModel(built(Wrapped(ConvNet(), nn.Sigmoid())), layer="net.act", grid=GRID).settled().task == (
            "multilabel"
        )
    with torch.inference_mode():
        net = Wrapped(ConvNet(), nn.Softmax(1))
    assert VideoModel(net, layer="net.act", grid=GRID).settled().probabilities is True


def test_one_output_is_asked_for_in_every_path_and_never_a_class():
    m = model(outputs=1)
    for path in (
        lambda: m.logits(FRAMES),
        lambda: m.gradient(FRAMES, 0),
        lambda: m.predict(FRAMES[0]),
        lambda: vx.GradCAM()(m, FRAMES[0]),
        lambda: vx.Insertion(steps=2)(m, FRAMES[0], np.ones(GRID)),
        lambda: fingerprint(m),
        lambda: replace(m, task="classification").logits(FRAMES),
    ):
        with pytest.raises(ModelError, match=r"task='binary' or task='regression' for a network with one output"):
            path()
    found = examine(m)
    assert found.task is None
    assert "one number a clip" in found.warnings[0]
    with pytest.raises(ModelError, match="task among classification, multilabel"):
        replace(m, task="ranking")
    with pytest.raises(ModelError, match="one output a clip of a binary network, got"):
        model(task="binary").logits(FRAMES)


def test_outputs_that_could_be_labels_are_named_in_every_path():
    """Between 0 and 1 without a sigmoid at the end and without summing to 1."""
    m = model(lambda z: z.abs() / (1 + z.abs()), classes=LABELS)
    assert "set task='multilabel'" in examine(m).warnings[0]
    (note,) = vx.explain_clip(m, FRAMES[0].numpy(), "gradient")["gradient"].notes
    assert "set task='multilabel'" in note
    found = explained(m)
    assert [w.message for w in found.warnings if w.code == "like_labels"] == [note]
    told = replace(m, task="multilabel", probabilities=True)
    assert vx.explain_clip(told, FRAMES[0].numpy(), "gradient")["gradient"].notes == ()
    for silent in (told, model(classes=LABELS), model(nn.Sigmoid(), classes=LABELS)):
        assert not [w for w in explained(silent).warnings if w.code == "like_labels"]


def explained(m: VideoModel) -> vx.ConceptRun:
    frames = clips(11, seed=1).numpy()
    settings = vx.ConceptSettings(
        segmenter=Grid(cells=((1, 2, 2),)),
        clusterer=KMeans(clusters=2),
        keep=2,
        unrelated_crops=4,
        random_sets=3,
        embedder=vx.MaskedCrops(),
    )
    own, other = ([vx.Clip.from_array(f) for f in part] for part in (frames[:3], frames[3:]))
    return vx.explain_concepts(m, own, random=other, target="dog", settings=settings)


def test_what_no_pass_shows_is_said_to_be_assumed():
    """Logits of labels, whose loss has the sigmoid, are taken as those of classes unless the task is given."""
    found = examine(model())
    assert "taken as logits of classes that exclude each other" in found.assumed
    assert found.assumed[:40] in found.text()
    assert model().assumed
    assert model().settled().task is None
    (note,) = vx.explain_clip(model(classes=LABELS), FRAMES[0].numpy(), "gradient")["gradient"].notes
    assert note == found.assumed
    run = explained(model(classes=LABELS))
    assert [w.message for w in run.warnings if w.code == "assumed_classes"] == [note]
    assert run.provenance["outputs"] == "classification (assumed), logits"
    told = model(classes=LABELS, task="classification")
    assert vx.explain_clip(told, FRAMES[0].numpy(), "gradient")["gradient"].notes == ()
    for known in (model(nn.Softmax(1)), model(nn.Sigmoid()), model(task="multilabel"), model(task="classification")):
        assert examine(known).assumed == ""


# --- scores ---


def test_probabilities_are_used_as_such():
    plain, soft = model(), model(nn.Softmax(1))
    torch.testing.assert_close(soft.logits(FRAMES).softmax(1), plain.logits(FRAMES).softmax(1))
    for y in range(3):
        odds = OBJECTIVES["log_odds"](soft.logits(FRAMES), y)
        torch.testing.assert_close(odds, OBJECTIVES["log_odds"](plain.logits(FRAMES), y), rtol=1e-4, atol=1e-5)
    labels, sigmoid = model(task="multilabel"), model(nn.Sigmoid())
    torch.testing.assert_close(sigmoid.logits(FRAMES), labels.logits(FRAMES), rtol=1e-4, atol=1e-5)
    certain = model(lambda z: (100 * z).sigmoid())
    assert torch.isfinite(certain.logits(FRAMES)).all()


@pytest.mark.parametrize(
    ("task", "target", "score"),
    [
        ("classification", "dog", lambda z: z[0, 2]),
        ("classification", "dog vs person", lambda z: z[0, 2] - z[0, 1]),
        ("classification", vx.Difference("dog", 1), lambda z: z[0, 2] - z[0, 1]),
        ("classification", lambda z: z[:, 0] * z[:, 1], lambda z: z[0, 0] * z[0, 1]),
        ("multilabel", "dog", lambda z: z[0, 2]),
        ("multilabel", 1, lambda z: z[0, 1]),
        ("multilabel", "not dog", lambda z: -z[0, 2]),
        ("multilabel", "dog vs indoor", lambda z: z[0, 2] - z[0, 0]),
        ("regression", "dog", lambda z: z[0, 2]),
        ("regression", "fall of person", lambda z: -z[0, 1]),
        ("regression", "rise of person", lambda z: z[0, 1]),
    ],
)
def test_gradients_of_targets_equal_autograd_by_hand(task, target, score):
    m = model(task=task, classes=LABELS)
    narrowed, y = narrow(m, target)
    x = to_input(m, FRAMES[:1])
    torch.testing.assert_close(gradient(narrowed, x, [y], "logit"), by_hand(m, score), rtol=1e-5, atol=1e-8)
    heat = vx.Gradient(channels="signed")(m, FRAMES[0], target)
    np.testing.assert_allclose(heat.values, by_hand(m, score)[0].sum(0).numpy(), rtol=1e-4, atol=1e-7)
    if task != "classification":  # and of the log-odds: a label's own logit, a quantity itself
        torch.testing.assert_close(gradient(narrowed, x, [y], "log_odds"), by_hand(m, score), rtol=1e-5, atol=1e-8)


def test_a_label_does_not_depend_on_the_other_labels():
    """With a softmax over labels the log-odds of one would fall when another rises."""
    m, other = model(task="multilabel"), model(lambda z: z + torch.tensor([50.0, 0, 0]), task="multilabel")
    for name in ("gradient", "rise", "occlusion", "grad_cam"):
        method = vx.RISE(samples=8, cells=(2, 2, 2)) if name == "rise" else vx.ATTRIBUTIONS[name]()
        a, b = (method(net, FRAMES[0], 2).values for net in (m, other))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert scores(*_one(m, "not 2"), "probability") == pytest.approx(1 - float(m.logits(FRAMES[:1])[0, 2].sigmoid()))


def _one(m: VideoModel, target) -> tuple[VideoModel, Tensor, list[int]]:
    narrowed, y = narrow(m, target)
    return narrowed, to_input(narrowed, FRAMES[:1]), [y]


def test_one_logit_is_a_decision_with_two_sides():
    m = model(outputs=1, task="binary")
    z = m.logits(FRAMES)
    assert z.shape == (3, 1)
    p = float(z[0].sigmoid())
    assert float(scores(*_one(m, "yes"), "probability")) == pytest.approx(p)
    assert float(scores(*_one(m, "not yes"), "probability")) == pytest.approx(1 - p)
    assert float(scores(*_one(m, "not yes"), "log_odds")) == pytest.approx(-float(z[0]), rel=1e-5)
    yes, no = (vx.Gradient(channels="signed")(m, FRAMES[0], t) for t in ("yes", "not yes"))
    np.testing.assert_array_equal(yes.values, -no.values)
    assert (yes.target, no.target) == ("yes", "not yes")
    found = m.predict(FRAMES[0])
    assert dict(zip(found.classes, found.probabilities, strict=True)) == pytest.approx({"yes": p, "not yes": 1 - p})
    assert vx.Gradient()(m, FRAMES[0]).target == found.classes[0], "the predicted side"
    named = replace(m, classes=("fall",))
    assert vx.Gradient()(named, FRAMES[0], "not fall").target == "not fall"
    with pytest.raises(ModelError, match="target 'yes' or 'not yes', got 'maybe'"):
        m.narrow("maybe")


def test_a_regression_has_no_sigmoid():
    """An ejection fraction of 55 %: every probability of it would be 1, and RISE's map constant."""
    m = model(lambda z: 55 + z, outputs=1, task="regression", units="%")
    heat = vx.RISE(samples=32, cells=(2, 2, 2))(m, FRAMES[0])
    assert heat.values.std() > 0
    assert heat.target == "rise of output"
    assert heat.parameters["objective"] == "logit"
    assert 50 < heat.values.mean() < 60
    fall = vx.RISE(samples=32, cells=(2, 2, 2))(m, FRAMES[0], "fall")
    np.testing.assert_allclose(fall.values, -heat.values, rtol=1e-6)
    curve = Insertion(steps=4)(m, FRAMES[0], heat).details["curve"]
    assert curve.score[-1] == pytest.approx(float(m.logits(FRAMES[:1])), abs=1e-4)
    assert repr(m.predict(FRAMES[0])).endswith(" %")
    assert "0  5" in repr(m.predict(FRAMES[0]))
    with pytest.raises(ModelError, match="a target for a regression with 3 outputs, got none"):
        vx.Gradient()(model(task="regression"), FRAMES[0])
    with pytest.raises(ModelError, match="whose probability a mask is weighed against"):
        vx.MeaningfulPerturbation(iterations=1)(m, FRAMES[0])
    with pytest.raises(ModelError, match="whose probability drops"):
        vx.AverageDrop()(m, FRAMES[0], heat)


def test_cam_and_the_pyramid_take_the_weights_of_the_target():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    maps = {}
    for task in ("classification", "multilabel"):
        m = VideoModel(net, layer="2", grid=GRID, task=task)
        for target in (0, 1, "0 vs 1"):
            maps[task, target] = vx.CAM()(m, FRAMES[0], target).values
    np.testing.assert_allclose(maps["multilabel", 1], maps["classification", 1], rtol=1e-5, atol=1e-7)
    for task in ("classification", "multilabel"):
        np.testing.assert_allclose(maps[task, "0 vs 1"], maps[task, 0] - maps[task, 1], rtol=1e-4, atol=1e-6)
    pyramid = [
        vx.ClassFeaturePyramid(depth=1)(VideoModel(net, layer="2", grid=GRID, task=t), FRAMES[0], 1)
        for t in ("classification", "multilabel")
    ]
    np.testing.assert_array_equal(pyramid[0].values, pyramid[1].values)


@pytest.mark.parametrize("name", ["lrp_epsilon", "lrp_epsilon_plus_flat", "deep_lift", "excitation_backprop"])
def test_relevance_of_a_label_is_that_of_the_same_class(name):
    """The objective "logit" reads one logit; what the others mean cannot matter."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    if name not in vx.ATTRIBUTIONS:
        pytest.skip("not registered")
    one, label = (
        vx.ATTRIBUTIONS[name]()(VideoModel(net, layer="2", grid=GRID, task=task), FRAMES[0], 1).values
        for task in ("classification", "multilabel")
    )
    np.testing.assert_allclose(label, one, rtol=1e-4, atol=1e-7)


# --- records, keys ---


def test_records_keep_the_target_and_metrics_read_it(tmp_path):
    m = model(task="multilabel", classes=LABELS)
    heat = vx.Gradient()(m, FRAMES[0], "not dog")
    assert heat.target == "not dog"
    assert vx.Attribution.load(heat.save(tmp_path / "heat.npz")).target == "not dog"
    value = vx.Insertion(steps=4)(m, FRAMES[0], heat)
    assert value.details["curve"].score[-1] == pytest.approx(1 - float(m.logits(FRAMES[:1])[0, 2].sigmoid()), rel=1e-4)
    run = vx.explain_clip(m, FRAMES[0].numpy(), "gradient", target="not dog", metrics="insertion")
    assert (run.target, run.classes) == ("not dog", ("not dog", "dog"))
    assert run.probability == pytest.approx(1 - float(m.logits(FRAMES[:1])[0, 2].sigmoid()), rel=1e-4)


def test_functions_are_targets():
    m = model()
    goal = torch.tensor([[1.0, 2.0, 3.0]])

    def similarity(z: Tensor) -> Tensor:
        return nn.functional.cosine_similarity(z, goal)

    heat = vx.Gradient()(m, FRAMES[0], similarity)
    assert heat.target == "similarity"
    truth = float(similarity(m.logits(FRAMES[:1])))
    assert vx.Insertion(steps=4)(m, FRAMES[0], heat, similarity).details["end"] == pytest.approx(truth, rel=1e-4)
    with pytest.raises(ModelError, match="similarity"):
        vx.Insertion(steps=4)(m, FRAMES[0], heat)  # a name cannot be called


def test_targets_per_clip_may_differ():
    m = model(task="multilabel", classes=LABELS)
    many = vx.Gradient()(m, list(FRAMES.numpy()), ["dog", "not dog", 0])
    assert [a.target for a in many] == ["dog", "not dog", "indoor"]
    np.testing.assert_array_equal(many[1].values, vx.Gradient()(m, FRAMES[1], "not dog").values)


def test_names_come_before_the_words_of_targets():
    odd = model(classes=("a vs b", "a", "b"))
    assert narrow(odd, "a vs b") == (odd, 0)
    assert narrow(odd, "b vs a")[0].narrowed.weights == ((2, 1.0), (1, -1.0))
    labels = model(task="multilabel", classes=("not a", "a", "b"))
    assert labels.narrow("not a").narrowed.weights == ((0, 1.0),)
    with pytest.raises(ModelError, match="did you mean"):
        labels.narrow("not c")
    one = labels.narrow("b")
    assert narrow(one, "not b") == (one, 1)
    with pytest.raises(ModelError, match="class of the network, got 'a'"):
        one.narrow("a")


def test_keys_of_a_classifier_are_those_without_tasks():
    """What is plain is in no digest: results of earlier versions are found."""
    from voxplain.model.fingerprint import _architecture, _attributes

    plain = vx.load_model("planted")
    described = _architecture(plain, _attributes(plain.net))
    assert set(described) == {
        *("modules", "attributes", "code", "layer", "pool", "channel_axis", "layout", "grid", "mean", "std")
    }
    json.dumps(described)
    changed = [plain.narrow("cross vs orbit"), replace(plain, task="multilabel"), replace(plain, output=lambda z: z)]
    assert len({fingerprint(m).structure for m in (plain, *changed)}) == 4


def test_softmax_scores_are_the_networks_own_bytes():
    plain = vx.load_model("planted")
    frames = clips(2, grid=plain.grid)
    with torch.no_grad():
        x = plain.prepare(frames)
        assert torch.equal(plain.net(x), plain.logits(frames))
        assert torch.equal(plain.net(x), plain.forward(x))
