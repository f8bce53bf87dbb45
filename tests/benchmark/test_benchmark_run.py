"""A benchmark's results against the methods and metrics called by hand; shards; what is found again, what refused."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import voxplain as vx
from voxplain.attribution import ATTRIBUTIONS, Attribution
from voxplain.benchmark.run import BenchmarkClip, MethodResult, run_benchmark, side_of
from voxplain.errors import DataError, ModelError
from voxplain.metrics import METRICS, EnergyInside, Insertion, TemporalEnergy, join_in_time
from voxplain.runtime import Shard
from voxplain.store import Store
from voxplain.video import Clip

CALLS: list[tuple[str, int]] = []  # name and target of every call of a made method
QUICK = {"insertion": Insertion(steps=4), "energy": EnergyInside(), "time": TemporalEnergy()}


@dataclass(frozen=True)
class Made:
    """A map of its own, and a note of the call; refuses clips whose first value is ``never``."""

    name: str = "made"
    scale: float = 1.0
    never: int = -1

    def __call__(self, model, clip, target):
        CALLS.append((self.name, target))
        if clip.frames.flat[0] == self.never:
            raise ModelError("expected another clip, got this one; choose one")
        model.logits(clip.frames[None])
        return Attribution(clip.frames.astype(np.float32).mean(-1) * np.float32(self.scale), target, self.name)


@dataclass(frozen=True)
class Twice:
    """A metric that calls the method again: the relative difference of two maps."""

    needs = "method"
    higher_is_better = False

    def __call__(self, model, clip, target, method):
        first, second = (method(model, clip, target).values for _ in range(2))
        return vx.metrics.MetricValue(float(np.abs(first - second).sum()), 0.0)


@pytest.fixture(scope="module")
def model():
    return vx.load_model("planted")


@pytest.fixture(autouse=True)
def no_calls():
    CALLS.clear()


def cases(count: int = 6) -> list[BenchmarkClip]:
    rng = np.random.default_rng(0)
    clips = [Clip.from_array(rng.integers(0, 200, (16, 64, 64, 3), np.uint8), source=f"{i}.mp4") for i in range(count)]
    mask = np.zeros((16, 64, 64), bool)
    mask[4:, :32, :32] = True
    return [BenchmarkClip(c, i % 3, mask, clips[(i + 1) % count]) for i, c in enumerate(clips)]


def test_values_are_those_of_method_and_metric_by_hand(model, tmp_path):
    case, method = cases(1)[0], ATTRIBUTIONS["gradient"]()
    case = replace(case, other=cases(2)[1].clip)
    found = run_benchmark(model, [case], {"gradient": method}, QUICK, store=Store(tmp_path))
    attribution = method(model, case.clip, case.target)
    joined, own = join_in_time(case.clip, case.other, side=side_of(case.clip))
    wanted = {
        "insertion": QUICK["insertion"](model, case.clip, attribution),
        "energy": QUICK["energy"](attribution, case.mask, case.mask.any((1, 2))),
        "time": QUICK["time"](method(model, joined, case.target), own),
    }
    assert len(found) == 1
    assert found[0].values == {n: (m.value, m.chance) for n, m in wanted.items()}
    assert (found[0].clip, found[0].target, found[0].method) == ("0.mp4", 0, "gradient")
    assert (found[0].forwards, found[0].backwards, found[0].error) == (1, 1, None)
    assert found[0].seconds > 0


def test_clips_stand_first_and_last_in_the_joined_clip():
    sides = [side_of(case.clip) for case in cases(24)]
    assert 4 < sides.count("first") < 20
    assert sides[::-1] == [side_of(case.clip) for case in reversed(cases(24))]


def test_what_a_case_lacks_is_not_measured(model, tmp_path):
    bare = BenchmarkClip(cases(1)[0].clip, 0)
    found = run_benchmark(model, [bare], {"made": Made()}, QUICK, store=Store(tmp_path))
    assert list(found[0].values) == ["insertion"]
    assert CALLS == [("made", 0)]


def test_results_come_clip_by_clip_in_the_order_of_the_methods(model, tmp_path):
    methods = {"b": Made("b"), "a": Made("a")}
    found = run_benchmark(model, cases(3), methods, {"energy": EnergyInside()}, store=Store(tmp_path))
    assert [(j.clip, j.method) for j in found] == [(f"{i}.mp4", m) for i in range(3) for m in "ba"]


def test_what_fails_on_one_clip_is_named_and_the_others_go_on(model, tmp_path):
    """The second clip makes a method raise, and the third a metric."""
    three = cases(3)

    class Broken(Made):
        def __call__(self, model, clip, target):
            if clip.source == "1.mp4":
                raise IndexError("of this clip")
            return super().__call__(model, clip, target)

    @dataclass(frozen=True)
    class Odd:
        needs = "map"
        higher_is_better = True

        def __call__(self, model, clip, attribution):
            if clip.source == "2.mp4":
                raise ZeroDivisionError("nothing to divide by")
            return vx.metrics.MetricValue(1.0, 0.0)

    methods, metrics = {"broken": Broken("broken"), "made": Made()}, {"odd": Odd(), "energy": EnergyInside()}
    found = {(j.clip, j.method): j for j in run_benchmark(model, three, methods, metrics, store=Store(tmp_path))}
    assert len(found) == 6
    assert found["1.mp4", "broken"].error == "no map of 1.mp4: IndexError: of this clip"
    assert found["1.mp4", "broken"].failed == ("map: IndexError: of this clip",)
    assert found["0.mp4", "broken"].error is None
    assert found["2.mp4", "broken"].error is None
    assert found["2.mp4", "made"].failed == ("odd: ZeroDivisionError: nothing to divide by",)
    assert set(found["2.mp4", "made"].values) == {"energy"}
    assert set(found["1.mp4", "made"].values) == {"odd", "energy"}
    again = {(j.clip, j.method): j for j in run_benchmark(model, three, methods, metrics, store=Store(tmp_path))}
    assert again["2.mp4", "made"] == found["2.mp4", "made"], "read from the store"


def test_a_second_run_finds_everything_again(model, tmp_path):
    def run() -> list[MethodResult]:
        return run_benchmark(model, cases(3), {"made": Made()}, QUICK, store=Store(tmp_path))

    first = run()
    calls = list(CALLS)
    assert len(calls) == 6, "once for the map, once for the joined clip"
    assert run() == first
    assert calls == CALLS


def test_a_run_that_was_cut_short_goes_on(model, tmp_path):
    def run(count: int, store: str) -> list[MethodResult]:
        kept = Store(tmp_path / store)
        return run_benchmark(model, cases()[:count], {"made": Made()}, {"energy": EnergyInside()}, store=kept)

    run(2, "a")
    assert len(CALLS) == 2
    whole = run(6, "a")
    assert len(CALLS) == 6
    straight = run(6, "b")
    assert [replace(j, seconds=0) for j in whole] == [replace(j, seconds=0) for j in straight]


@pytest.mark.parametrize(
    "change",
    [
        {"methods": {"made": Made(scale=2.0)}},
        {"metrics": {"energy": EnergyInside("absolute")}},
        {"target": 1},
        {"mask": np.eye(64, dtype=bool)[None].repeat(16, 0)},
        {"frame": 1},
        {"mean": (0.4, 0.5, 0.5)},
    ],
)
def test_whatever_made_a_result_is_part_of_its_name(model, tmp_path, change):
    def run(own: dict) -> None:
        case = replace(cases(1)[0], **{k: v for k, v in own.items() if k in ("target", "mask")})
        frames = case.clip.frames.copy()
        frames[0, 0, 0, 0] ^= own.get("frame", 0)
        case = replace(case, clip=replace(case.clip, frames=frames))
        network = replace(model, mean=own["mean"]) if "mean" in own else model
        methods, metrics = own.get("methods", {"made": Made()}), own.get("metrics", {"energy": EnergyInside()})
        run_benchmark(network, [case], methods, metrics, store=Store(tmp_path))

    run({})
    run({})
    assert len(CALLS) == 1
    run(change)
    assert len(CALLS) == 2


def test_the_same_clip_under_another_name_is_the_same_result(model, tmp_path):
    def run(name: str) -> MethodResult:
        case = cases(1)[0]
        case = replace(case, clip=replace(case.clip, source=name))
        return run_benchmark(model, [case], {"made": Made()}, QUICK, store=Store(tmp_path))[0]

    first, second = run("a.mp4"), run("b.mp4")
    assert (first.clip, second.clip) == ("a.mp4", "b.mp4")
    assert replace(second, clip="a.mp4") == first


def test_a_refusal_is_noted_and_not_asked_for_again(model, tmp_path):
    never = int(cases()[0].clip.frames.flat[0])
    methods = {"no": Made("no", never=never), "yes": Made("yes")}
    found = run_benchmark(model, cases(4), methods, {"energy": EnergyInside()}, store=Store(tmp_path))
    assert [name for name, _ in CALLS].count("no") == 1
    assert [name for name, _ in CALLS].count("yes") == 4
    failed = [j for j in found if j.method == "no"]
    assert [j.clip for j in failed] == [f"{i}.mp4" for i in range(4)]
    assert {j.error for j in failed} == {"expected another clip, got this one; choose one"}
    assert all(not j.values and np.isnan(j.seconds) for j in failed)
    CALLS.clear()
    again = run_benchmark(model, cases(4), methods, {"energy": EnergyInside()}, store=Store(tmp_path))
    assert CALLS == []
    assert [j.error for j in again] == [j.error for j in found]


def test_methods_are_called_again_only_where_asked_for_and_cheap(model, tmp_path):
    some = [replace(c, again=i in (0, 2)) for i, c in enumerate(cases(3))]
    metrics = {"energy": EnergyInside(), "twice": Twice()}

    def run(passes: int) -> dict[str, set[str]]:
        methods = {"gradient": ATTRIBUTIONS["gradient"](), "smooth": replace(ATTRIBUTIONS["smooth_grad"](), samples=5)}
        found = run_benchmark(model, some, methods, metrics, store=Store(tmp_path), passes=passes)
        assert all(j.values.get("twice", (0.0,))[0] == 0 for j in found)
        return {m: {j.clip for j in found if j.method == m and "twice" in j.values} for m in methods}

    assert run(10) == {"gradient": {"0.mp4", "2.mp4"}, "smooth": {"0.mp4", "2.mp4"}}
    assert run(9) == {"gradient": {"0.mp4", "2.mp4"}, "smooth": set()}
    assert run(1) == {"gradient": set(), "smooth": set()}


def shard(all_cases: list[BenchmarkClip], index: int, count: int) -> list[BenchmarkClip]:
    return [case for case in all_cases if Shard(index, count).owns(case.clip.frames)]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shards_hold_every_case_once_whatever_the_order(count):
    all_cases = cases(20)
    parts = [shard(all_cases, i, count) for i in range(1, count + 1)]
    names = [c.clip.source for part in parts for c in part]
    assert sorted(names) == sorted(c.clip.source for c in all_cases)
    turned = [shard(all_cases[::-1], i, count) for i in range(1, count + 1)]
    for part, other in zip(parts, turned, strict=True):
        assert [c.clip.source for c in part] == [c.clip.source for c in other][::-1]
    if count in (2, 3):
        assert all(parts), "20 clips leave no half or third empty"
    fewer = shard(all_cases[5:], 1, count)
    assert {c.clip.source for c in fewer} <= {c.clip.source for c in parts[0]}


@pytest.mark.parametrize("place", [(0, 4), (5, 4), (1, 0)])
def test_shards_that_do_not_exist_are_refused(place):
    with pytest.raises(DataError, match="expected a shard from 1"):
        shard(cases(2), *place)


def test_shards_then_the_whole_is_one_run(model, tmp_path):
    some = [replace(c, again=i in (1, 4)) for i, c in enumerate(cases())]
    metrics = {**QUICK, "twice": Twice()}

    def run(part: list[BenchmarkClip], store: str) -> list[MethodResult]:
        found = run_benchmark(model, part, {"made": Made()}, metrics, store=Store(tmp_path / store))
        return [replace(j, seconds=0) for j in found]

    for i in (3, 1, 2):
        run(shard(some, i, 3), "shared")
    CALLS.clear()
    merged = run(some, "shared")
    assert CALLS == [], "the shards had computed it all"
    assert merged == run(some, "alone")


def test_undefined_values_survive_the_store(model, tmp_path):
    nothing = replace(cases(1)[0], other=None)

    class Zero(Made):
        def __call__(self, model, clip, target):
            return replace(super().__call__(model, clip, target), values=np.zeros((16, 64, 64), np.float32))

    for _ in range(2):
        found = run_benchmark(model, [nothing], {"zero": Zero()}, {"energy": EnergyInside()}, store=Store(tmp_path))[0]
        assert np.isnan(found.values["energy"][0])
        assert isinstance(found.values["energy"], tuple)


def test_every_metric_measured_clip_by_clip_can_be_asked_for(model, tmp_path):
    metrics = {n: make() for n, make in METRICS.items() if make().needs in ("map", "mask", "time", "method")}
    small = {"steps": 2, "draws": 2, "maps": 1}
    for n, m in metrics.items():
        metrics[n] = replace(m, **{k: v for k, v in small.items() if hasattr(m, k)})
    found = run_benchmark(model, cases(2)[:1], {"gradient": ATTRIBUTIONS["gradient"]()}, metrics, store=Store(tmp_path))
    assert set(found[0].values) == set(metrics)
    assert all(np.isfinite(value) for value, _ in found[0].values.values())
