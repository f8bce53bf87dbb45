"""Replicas share weights and nothing else; threads that use them at once get the bytes of one after another."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Barrier

import pytest
import torch

from small_nets import GRID, ConvNet, clips
from voxplain.concepts.feature_maps import feature_maps
from voxplain.errors import ModelError
from voxplain.inference import Inference, one_thread, replicas, stay_on_one_thread, threads
from voxplain.model import VideoModel
from voxplain.model.copies import copied_from
from voxplain.nets import NETS, build_net


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def named(name: str, precision: str) -> VideoModel:
    torch.manual_seed(0)
    spec, grid = NETS[name], (8, 32, 32)
    m = VideoModel(net=build_net(name, 4).eval(), layer=spec.feature_layer, grid=grid, batch_size=2)
    made = Inference(precision=precision, min_cosine=-1)(m, clips(4, grid=grid))
    assert made.precision == precision
    return made.model


def test_weights_are_shared_and_modules_are_not():
    m = VideoModel(net=ConvNet().eval(), layer="pool", grid=GRID)
    first, second = replicas(m, 2)
    for twin in (first, second):
        same = zip([*m.net.parameters(), *m.net.buffers()], [*twin.net.parameters(), *twin.net.buffers()], strict=True)
        assert all(a is b for a, b in same)
    modules = [id(part) for net in (m.net, first.net, second.net) for part in net.modules()]
    assert len(set(modules)) == len(modules)
    with torch.no_grad():
        m.net.head.bias += 1
    assert torch.equal(first.logits(clips(2)), m.logits(clips(2)))


def test_the_maps_of_a_network_are_found_once_for_all_its_replicas():
    m = VideoModel(net=ConvNet().eval(), layer="pool", grid=GRID).settled()
    (first,) = replicas(m, 1)
    (second,) = replicas(first, 1)
    frames, passes = clips(1), []
    expected = feature_maps(m, frames)
    for twin in (first, second):
        twin.net.register_forward_hook(lambda *_: passes.append(1))
        found = feature_maps(twin, frames)
        assert list(found.maps) == list(expected.maps)
        assert torch.equal(found.feature, expected.feature)
    assert len(passes) == 2, "one pass of each for its clip, none to find the layers"
    (orphan,) = replicas(VideoModel(net=ConvNet().eval(), layer="pool", grid=GRID), 1)
    gc.collect()
    assert copied_from(orphan.net) is orphan.net
    assert list(feature_maps(orphan, frames).maps) == list(expected.maps)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["tiny", "compact"])
def test_threads_at_once_get_the_same_bytes(name, precision):
    m, count = named(name, precision), 4
    batches = [clips(4, seed=i, grid=m.grid) for i in range(6 * count)]
    with one_thread():  # the number of threads may change the order of sums
        truth = [m.embed(b) for b in batches]
    twins, start = replicas(m, count), Barrier(count)

    def work(i: int) -> list[torch.Tensor]:
        start.wait()
        with one_thread():
            return [twins[i].embed(b) for b in batches[i::count]]

    with ThreadPoolExecutor(count) as pool:
        for i, rows in enumerate(pool.map(work, range(count))):
            assert all(torch.equal(a, b) for a, b in zip(rows, truth[i::count], strict=True))


def test_a_hook_of_one_is_not_seen_by_another():
    m = VideoModel(net=ConvNet().eval(), layer="pool", grid=GRID)
    first, second = replicas(m, 2)
    calls: list[int] = []
    handle = first.net.pool.register_forward_hook(lambda *_: calls.append(1))
    second.embed(clips(1))
    m.embed(clips(1))
    assert not calls
    first.embed(clips(1))
    assert calls
    handle.remove()


def test_what_cannot_be_copied_is_refused():
    net = ConvNet()
    net.lock = threading.Lock()
    with pytest.raises(ModelError, match="whose modules can be copied, got TypeError: cannot pickle"):
        replicas(VideoModel(net=net, layer="pool", grid=GRID), 2)


def test_at_least_one():
    with pytest.raises(ModelError, match="at least one replica, got 0"):
        replicas(VideoModel(net=ConvNet(), layer="pool", grid=GRID), 0)


def fresh() -> int:
    """The number that a thread new to torch starts with."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_one_thread_changes_nothing_for_others(two_threads):
    def work() -> tuple[int, int, int]:
        with one_thread():
            inside = torch.get_num_threads()
            around = fresh()
        return inside, around, torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == (1, 2, 2)
    assert torch.get_num_threads() == fresh() == 2
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == fresh() == 2


def test_one_thread_that_overlaps_and_nests(two_threads):
    inside, leave = Barrier(3), threading.Event()

    def work(first: bool) -> int:
        with one_thread(), one_thread():
            inside.wait()
            if not first:
                leave.wait()
            assert torch.get_num_threads() == 1
        if first:
            leave.set()
        return torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(work, first) for first in (True, False)]
        inside.wait()
        assert torch.get_num_threads() == fresh() == 2
        assert [j.result() for j in jobs] == [2, 2]
    assert torch.get_num_threads() == fresh() == 2


@pytest.mark.parametrize("enter", [one_thread, lambda: nullcontext(stay_on_one_thread())])
def test_a_thread_that_starts_while_another_changes_its_number(two_threads, monkeypatch, enter):
    """The moment in which new threads would start with 1, held open until a new thread has come."""
    real, changing, come = threads._in_fresh_thread, threading.Event(), threading.Event()

    def held(task):
        if task is not torch.get_num_threads:  # the start is about to be put back
            changing.set()
            come.wait(60)
        return real(task)

    def second() -> tuple[int, int]:
        changing.wait(60)
        threading.Timer(0.1, come.set).start()  # this thread then waits for the first, or has gone wrong
        with enter():
            inside = torch.get_num_threads()
        return inside, torch.get_num_threads()

    def first() -> int:
        with one_thread():
            return torch.get_num_threads()

    monkeypatch.setattr(threads, "_in_fresh_thread", held)
    with ThreadPoolExecutor(2) as pool:
        jobs = pool.submit(first), pool.submit(second)
        assert jobs[0].result() == 1
        assert jobs[1].result() == (1, 2 if enter is one_thread else 1)
    assert torch.get_num_threads() == fresh() == 2


def test_a_worker_thread_stays_on_one_thread(two_threads):
    with ThreadPoolExecutor(1, initializer=stay_on_one_thread) as pool:
        assert [pool.submit(torch.get_num_threads).result() for _ in range(3)] == [1, 1, 1]
        assert fresh() == 2
    assert torch.get_num_threads() == fresh() == 2


def test_one_thread_ends_with_an_error(two_threads):
    with pytest.raises(ZeroDivisionError), one_thread():
        _ = 1 / 0
    assert torch.get_num_threads() == fresh() == 2
