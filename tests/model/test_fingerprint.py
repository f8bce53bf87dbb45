"""The identity of a network: every change of it gives another, and nothing that cannot matter does."""

import copy
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import voxplain as vx
from voxplain.metrics import Insertion
from voxplain.model import VideoModel
from voxplain.model.fingerprint import Fingerprint, fingerprint, probe_clip
from voxplain.model.target import Narrowed
from voxplain.model.tokens import Tokens
from voxplain.runtime import identify
from voxplain.store import Store
from voxplain.video import Geometry, Uniform

GRID = (4, 16, 16)


def factor() -> float:
    """What `Scaled.forward` multiplies by; tests change it behind the network's back."""
    return 1.0


class Norm(nn.Module):
    """A norm of the user's own, whose epsilon is a plain attribute that its printed form does not show."""

    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return x / (x.var((2, 3, 4), keepdim=True) + self.eps).sqrt()


class Net(nn.Module):
    """Two convolutions, a norm, a table that no checkpoint holds, and a counter of its calls."""

    def __init__(self, activation: type[nn.Module] = nn.ReLU, stride: int = 1, eps: float = 1e-5) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.act = nn.Conv3d(3, 4, 3, stride=stride, padding=1), activation()
        self.norm, self.batch = Norm(), nn.BatchNorm3d(4, eps=eps)
        self.second, self.pool, self.head = nn.Conv3d(4, 4, 1), nn.AdaptiveAvgPool3d(1), nn.Linear(4, 3)
        self.batch.running_mean, self.batch.running_var = torch.rand(4), torch.rand(4) + 0.5
        self.register_buffer("shift", torch.zeros(1), persistent=False)
        self.calls = 0

    def body(self, x: Tensor) -> Tensor:
        return self.second(self.batch(self.norm(self.act(self.first(x)))))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.head(self.pool(self.body(x)).flatten(1)) * factor() + self.shift


class Tripled(Net):
    """The same weights and structure, another ``forward``."""

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.head(self.pool(self.body(x)).flatten(1)) * 3.0 + self.shift


def model(net: nn.Module | None = None, **options: object) -> VideoModel:
    return VideoModel(net=Net() if net is None else net, layer="pool", grid=GRID, classes=("a", "b", "c"), **options)


def edited(change: Callable[[Net], object]) -> Net:
    net = Net()
    with torch.no_grad():
        change(net)
    return net


def swapped() -> nn.Module:
    """The two last convolutional modules in the other order: the same modules, weights and names but for the order."""
    net = Net()
    net.body = lambda x: net.batch(net.second(net.norm(net.act(net.first(x)))))  # type: ignore[method-assign]
    return net


CHANGES: dict[str, Callable[[], nn.Module]] = {
    "activation": lambda: Net(activation=nn.Tanh),
    "stride": lambda: Net(stride=2),
    "order of layers": swapped,
    "code of forward": Tripled,
    "weight by one bit": lambda: edited(lambda n: n.first.weight[0, 0, 0, 0].add_(1e-7)),
    "buffer": lambda: edited(lambda n: n.batch.running_mean.add_(1e-6)),
    "buffer that no checkpoint holds": lambda: edited(lambda n: n.shift.add_(1e-6)),
    "epsilon of a norm": lambda: Net(eps=2e-5),
    "epsilon of a norm of the user's own": lambda: edited(lambda n: setattr(n.norm, "eps", 2e-5)),
    "dtype": lambda: Net().double(),
    "half precision": lambda: Net().bfloat16(),
}


def same(store: Store, one: Fingerprint, other: Fingerprint) -> bool:
    """Whether results of one network would be found for the other."""
    names = [set(identify(store, found, "fp32").names) for found in (one, other)]
    return bool(names[0] & names[1])


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_of_the_network_is_another_identity(name: str, tmp_path: Path) -> None:
    assert same(Store(tmp_path), fingerprint(model()), fingerprint(model()))
    assert not same(Store(tmp_path), fingerprint(model()), fingerprint(model(CHANGES[name]())))


def test_code_that_forward_calls_is_seen_by_the_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(model())
    monkeypatch.setattr(f"{__name__}.factor", lambda: 1.01)
    after = fingerprint(model())
    assert before.structure == after.structure
    assert not same(Store(tmp_path), before, after)


MATTERS: dict[str, object] = {
    "net": Net(activation=nn.Tanh),
    "layer": "second",
    "mean": (0.5, 0.5, 0.4),
    "std": (0.25, 0.25, 0.2),
    "layout": "BTCHW",
    "grid": (4, 16, 24),
    "pool": False,
    "channel_axis": 2,
    "task": "multilabel",
    "probabilities": True,
    "output": lambda z: z[:, :2],
    "pathways": lambda x: x.flip(1),
    "narrowed": Narrowed("0 vs 1", ((0, 1.0), (1, -1.0)), 3),
    "tokens": Tokens(grid=(2, 2, 2)),
}
CANNOT_MATTER: dict[str, object] = {
    "classes": ("c", "a", "b"),
    "stride": 2,
    "geometry": Geometry((20, 20), (16, 16)),
    "sampler": Uniform(4),
    "channels_last": True,
    "batch_size": 3,
    "name": "other",
    "units": "m/s",
    "frames_in_batch": False,  # where it is true the network takes other input, see test_outputs
}


def test_every_field_of_a_model_is_one_or_the_other() -> None:
    assert {f.name for f in fields(VideoModel) if f.init} == {*MATTERS, *CANNOT_MATTER}


@pytest.mark.parametrize("name", MATTERS)
def test_fields_that_matter(name: str, tmp_path: Path) -> None:
    class Both(nn.Module):
        """Takes either order of channels and frames."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.second, self.pool, self.head = nn.Conv3d(4, 5, 1), nn.AdaptiveAvgPool3d((1, 2, 1)), nn.Linear(10, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = x if x.shape[1] == 3 else x.transpose(1, 2)
            return self.head(self.pool(self.second(torch.cat([x, x[:, :1]], 1))).flatten(1))

    net = Both()
    base = model(net)
    changed = replace(base, **{name: MATTERS[name]}) if name != "net" else model(MATTERS["net"])  # type: ignore[arg-type]
    assert not same(Store(tmp_path), fingerprint(base), fingerprint(changed))


@pytest.mark.parametrize("name", CANNOT_MATTER)
def test_fields_that_cannot_matter(name: str, tmp_path: Path) -> None:
    changed = replace(model(), **{name: CANNOT_MATTER[name]})
    assert same(Store(tmp_path), fingerprint(model()), fingerprint(changed))


def test_calls_of_the_network_and_its_mode_do_not_change_it(tmp_path: Path) -> None:
    own = model()
    before = fingerprint(own)
    own.logits(np.zeros((2, *GRID, 3), np.uint8))
    own.net.train()
    assert same(Store(tmp_path), before, fingerprint(own))
    assert own.net.training, "left as it was found"
    moved = replace(own, net=copy.deepcopy(own.net))
    assert same(Store(tmp_path), before, fingerprint(moved))


@pytest.mark.parametrize(("factor", "found"), [(1 + 1e-6, True), (1 - 1e-4, True), (1.01, False)])
def test_the_answer_is_compared_with_a_tolerance(factor: float, found: bool, tmp_path: Path) -> None:
    """Another processor sums in another order: its results are found. Other numbers are another network."""
    here = fingerprint(model())
    there = replace(here, answer=(here.answer * factor).astype(np.float32))
    assert here.name != there.name
    first, second = identify(Store(tmp_path), here, "fp32"), identify(Store(tmp_path), there, "fp32")
    assert (first == second) is found


def test_stores_of_two_machines_put_together(tmp_path: Path) -> None:
    """Each had registered the network under its own answer; afterwards results of both are found."""
    from voxplain.store import gather

    here = fingerprint(model())
    there = replace(here, answer=(here.answer * (1 + 1e-6)).astype(np.float32))
    own, other = Store(tmp_path / "a"), Store(tmp_path / "b")
    names = {identify(own, here, "fp32").name, identify(other, there, "fp32").name}
    assert len(names) == 2
    gather(own, [other.root])
    assert set(identify(own, here, "fp32").names) == names


def test_the_probe_clip_is_fixed_and_varied() -> None:
    clip = probe_clip((16, 112, 112))
    assert clip.shape == (1, 16, 112, 112, 3)
    np.testing.assert_array_equal(clip, probe_clip((16, 112, 112)))
    assert clip.std() > 40
    np.testing.assert_array_equal(probe_clip((1, 5, 7)).shape, (1, 1, 5, 7, 3))


def test_a_network_that_gives_nan_still_has_an_identity(tmp_path: Path) -> None:
    found = fingerprint(model(edited(lambda n: n.head.bias.fill_(float("nan")))))
    assert np.isnan(found.answer).any()
    assert same(Store(tmp_path), found, found)


class Plain(nn.Module):
    """The network of the report: equal weights with another activation gave the other network's insertion."""

    def __init__(self, activation: type[nn.Module]) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.act = nn.Conv3d(3, 8, 3, padding=1), activation()
        self.pool, self.head = nn.AdaptiveAvgPool3d(1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.act(self.conv(x))).flatten(1))


def test_benchmark_results_of_another_activation_are_not_shared(tmp_path: Path) -> None:
    from voxplain.attribution import ATTRIBUTIONS
    from voxplain.benchmark.run import BenchmarkClip, run_benchmark

    frames = np.random.default_rng(0).integers(0, 255, (*GRID, 3)).astype(np.uint8)
    case, methods = BenchmarkClip(vx.Clip.from_array(frames, source="a"), 1), {"gradient": ATTRIBUTIONS["gradient"]()}

    def insertion(activation: type[nn.Module], store: str) -> float:
        found = run_benchmark(
            model(Plain(activation)), [case], methods, {"insertion": Insertion(steps=8)}, store=Store(tmp_path / store)
        )
        return found[0].values["insertion"][0]

    shared = [insertion(kind, "shared") for kind in (nn.ReLU, nn.Tanh)]
    assert shared == [insertion(nn.ReLU, "relu"), insertion(nn.Tanh, "tanh")]
    assert shared[0] != shared[1]
