"""Networks trained anew for every method, metric, ratio and seed: what is shared, kept, resumed and refused."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from voxplain.attribution import Attribution
from voxplain.benchmark.label_randomisation import compare_label_pair, train_label_pair
from voxplain.benchmark.retraining import FixedTarget, retrain_all
from voxplain.errors import DataError, ModelError
from voxplain.metrics import LabelRandomisation, Retrain
from voxplain.model import VideoModel
from voxplain.nets import load_weights, weights_digest
from voxplain.store import Store
from voxplain.train import Recipe
from voxplain.video import Clip

GRID = (2, 8, 8)
SIGNAL = np.zeros(GRID, bool)
SIGNAL[:, 2:4, 3:5] = True  # 1/16 of the voxels
RECIPE = Recipe(epochs=5, batch=8, lr=0.02, lr_step=5, flip=0)
METRICS = {
    "roar": Retrain(ratios=(0.0, 0.1), fill="mean", recipe=RECIPE),
    "kar": Retrain(keep=True, ratios=(0.1, 1.0), fill="mean", recipe=RECIPE),
}
MAPS: list[str] = []  # source of every clip that a method has explained


@dataclass(frozen=True)
class Oracle:
    """Knows where the signal is; or, of noise, points elsewhere."""

    right: bool = True

    def __call__(self, model, clip, target):
        if not isinstance(clip, Clip):
            return [self(model, c, target) for c in clip]
        MAPS.append(clip.source)
        return Attribution((SIGNAL if self.right else ~SIGNAL).astype(np.float32), 0, "oracle")


@dataclass(frozen=True)
class Weights:
    """The map is the network's weights of a class: it explains a linear network."""

    def __call__(self, model, clip, target):
        w = model.net[1].weight[target].detach().view(3, *GRID).mean(0)
        return Attribution(w.numpy().copy(), target, "weights")


@dataclass(frozen=True)
class Never:
    """Refuses."""

    def __call__(self, model, clip, target):
        raise ModelError("expected another network, got this one; choose one")


@dataclass(frozen=True)
class Grey:
    """Explains nothing but the clip."""

    def __call__(self, model, clip, target):
        return Attribution(clip.frames.astype(np.float32).mean(-1), target, "grey")


def clips(count: int, seed: int) -> tuple[Clip, ...]:
    rng, made = np.random.default_rng(seed), []
    for i in range(count):
        frames = rng.integers(100, 156, (*GRID, 3)).astype(np.uint8)
        frames[SIGNAL] = 255 * (i % 2)
        made.append(Clip.from_array(frames, label=i % 2, source=f"{seed}-{i}"))
    return tuple(made)


def fresh(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 128, 2))


MODEL = VideoModel(net=fresh(9), layer="1", grid=GRID, classes=("dark", "bright"))
TRAINING, TEST = clips(24, 0), clips(20, 1)


@pytest.fixture
def counted(monkeypatch):
    """How many networks are trained."""
    found, own = [], Retrain.right

    def right(self, *args, **kwargs):
        found.append(self.recipe.seed)
        return own(self, *args, **kwargs)

    monkeypatch.setattr(Retrain, "right", right)
    MAPS.clear()
    return found


def test_trainings_are_those_of_the_metric_and_nothing_hidden_is_trained_once_a_seed(tmp_path, counted):
    methods = {"good": Oracle(), "bad": Oracle(False), "never": Never()}
    before = weights_digest(MODEL.net)
    found, errors = retrain_all(MODEL, fresh, TRAINING, TEST, methods, METRICS, seeds=2, store=Store(tmp_path))
    assert weights_digest(MODEL.net) == before
    assert set(errors) == {"never"}
    share = {(t.metric, t.method, t.ratio, t.seed): np.mean(t.right) for t in found}
    assert set(share) == {(n, m, 0.1, s) for n in METRICS for m in ("good", "bad") for s in (0, 1)} | {
        (n, "", r, s) for n, r in (("roar", 0.0), ("kar", 1.0)) for s in (0, 1)
    }
    assert counted.count(0) == counted.count(1) == 2 * 2 + 1, "one training a seed where nothing is hidden"
    assert len(MAPS) == 2 * (len(TRAINING) + len(TEST)), "both metrics share the maps"
    for seed in (0, 1):
        one = replace(RECIPE, seed=seed)
        for name, metric in METRICS.items():
            by_hand = replace(metric, recipe=one)(MODEL, lambda s=seed: fresh(s), TRAINING, TEST, Oracle())
            whole = metric.ratios[1 if metric.keep else 0]
            wanted = {r: share[name, "" if r == whole else "good", r, seed] for r in metric.ratios}
            assert dict(zip(by_hand.ratios, by_hand.accuracy, strict=True)) == wanted
        assert share["kar", "good", 0.1, seed] > 0.9 > 0.8 > share["kar", "bad", 0.1, seed]
        assert share["roar", "good", 0.1, seed] < 0.8 < 0.9 < share["roar", "bad", 0.1, seed]


def test_maps_of_another_class():
    @dataclass(frozen=True)
    class Asked:
        """The map is the class it was asked for."""

        def __call__(self, model, clips, targets):
            return [Attribution(np.full(GRID, y, np.float32), y, "asked") for y in targets]

    def classes(target):
        return [int(a.values[0, 0, 0]) for a in FixedTarget(Asked(), target)(MODEL, TEST[:6], [0] * 6)]

    assert classes("bright") == [1] * 6
    said = MODEL.logits(np.stack([c.frames for c in TEST[:6]])).argmax(1).tolist()
    assert classes("predicted") == said
    assert int(FixedTarget(Asked(), "bright")(MODEL, TEST[0], 0).values.max()) == 1


def test_what_was_trained_is_found_again_and_more_seeds_and_methods_are_added(tmp_path, counted):
    def run(names, seeds):
        methods = {n: m for n, m in {"good": Oracle(), "bad": Oracle(False)}.items() if n in names}
        return retrain_all(MODEL, fresh, TRAINING, TEST, methods, METRICS, seeds=seeds, store=Store(tmp_path))[0]

    first = run(("good",), 1)
    assert len(counted) == 3
    maps = len(MAPS)
    both = run(("good", "bad"), 2)
    assert len(counted) == 3 + 2 + 5
    assert len(MAPS) == 2 * maps, "only those of the new method"
    assert [t for t in both if t.seed == 0 and t.method != "bad"] == first
    assert run(("good", "bad"), 2) == both
    assert len(counted) == 10


def test_twins_are_kept_and_tell_a_method_that_explains_from_one_that_does_not(tmp_path, monkeypatch):
    recipe = replace(RECIPE, epochs=30, lr_step=30)
    twins = train_label_pair(MODEL, fresh, TRAINING, recipe, folder=tmp_path / "twins")
    assert twins.true_accuracy == 1
    digests = [weights_digest(m.net) for m in (twins.true, twins.shuffled)]
    assert digests[0] != digests[1]
    for name, digest in zip(("true-0", "shuffled-0"), digests, strict=True):
        net = fresh(5)
        load_weights(net, tmp_path / f"twins/{name}-weights.safetensors")
        assert weights_digest(net) == digest
    again = train_label_pair(MODEL, fresh, TRAINING, recipe, folder=tmp_path / "twins")
    assert [weights_digest(m.net) for m in (again.true, again.shuffled)] == digests
    methods = {"weights": Weights(), "grey": Grey(), "never": Never()}
    metric = LabelRandomisation(similarity="spearman")
    train_on_frames = replace(MODEL, net=twins.true.net)
    likeness, errors = compare_label_pair(
        train_on_frames, twins, TEST[:3], methods, metric, store=Store(tmp_path / "store")
    )
    assert set(errors) == {"never"}
    assert np.allclose(likeness["grey"], 1)
    for clip, (shuffled, sibling) in zip(TEST, likeness["weights"], strict=False):
        assert sibling == pytest.approx(1)
        assert shuffled < 0.95
        assert shuffled == metric(train_on_frames, twins.shuffled, clip, clip.label, Weights()).value
    with monkeypatch.context() as patch:
        patch.setattr(LabelRandomisation, "__call__", None)
        kept, _ = compare_label_pair(
            train_on_frames, twins, TEST[:3], {"grey": Grey()}, metric, store=Store(tmp_path / "store")
        )
    assert kept["grey"] == likeness["grey"], "found again"


def test_wrong_input_is_refused(tmp_path):
    with pytest.raises(DataError, match="1 seed or more"):
        retrain_all(MODEL, fresh, TRAINING, TEST, {}, METRICS, seeds=0, store=Store(tmp_path))
    unlabelled = [replace(c, label=None) for c in TEST]
    with pytest.raises(DataError, match="with labels"):
        retrain_all(MODEL, fresh, TRAINING, unlabelled, {"good": Oracle()}, METRICS, store=Store(tmp_path))
    strided = {"kar": replace(METRICS["kar"], recipe=replace(RECIPE, stride=2))}
    with pytest.raises(DataError, match="stride 1"):
        retrain_all(MODEL, fresh, TRAINING, TEST, {"good": Oracle()}, strided, store=Store(tmp_path))
