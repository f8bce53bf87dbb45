"""Threads of this process: a network of its own for each, as many at once as allowed, one core a piece."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import voxplain as vx
from voxplain.runtime import ThreadExecutor, cores, thread_executor


class Call:
    """A task that calls a function with the network."""

    uses_network: ClassVar[bool] = True

    def __init__(self, function: Callable[[vx.VideoModel], Any]) -> None:
        self.compute = function


@pytest.fixture(scope="module")
def model() -> vx.VideoModel:
    return vx.load_model("planted")


def test_each_thread_has_modules_of_its_own_and_the_same_weights(model: vx.VideoModel) -> None:
    place, gate = ThreadExecutor(model, 3), threading.Barrier(3)

    def look(own: vx.VideoModel) -> tuple[int, tuple[int, ...], int]:
        gate.wait(20)
        return id(own.net), tuple(p.data_ptr() for p in own.net.parameters()), torch.get_num_threads()

    before = torch.get_num_threads()
    with ThreadPoolExecutor(3) as pool:
        nets, weights, threads = zip(*pool.map(lambda _: place(Call(look)), range(3)), strict=True)
    assert len({*nets, id(model.net)}) == 4
    assert set(weights) == {tuple(p.data_ptr() for p in model.net.parameters())}
    assert set(threads) == {1}
    assert torch.get_num_threads() == before


def test_many_threads_see_what_one_sees(model: vx.VideoModel) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (12, *model.grid, 3)).astype(np.uint8)
    alone = [ThreadExecutor(model, 1)(Call(lambda own, f=f: own.embed(f[None]).numpy())) for f in frames]
    place = ThreadExecutor(model, 4)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda f: place(Call(lambda own: own.embed(f[None]).numpy())), frames))
    np.testing.assert_array_equal(found, alone)


def test_few_pieces_at_once_use_a_device(model: vx.VideoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for a GPU: any device that is not the processor lets `ON_DEVICE` pieces of the network in at once."""
    monkeypatch.setattr(vx.VideoModel, "device", torch.device("meta"))
    place, busy, most, changed = ThreadExecutor(model, 8), 0, 0, threading.Condition()

    class Piece:
        uses_network: ClassVar[bool] = True
        expected: ClassVar[int] = thread_executor.ON_DEVICE

        def compute(self, own: vx.VideoModel) -> None:
            nonlocal busy, most
            with changed:
                busy += 1
                most = max(most, busy)
                changed.notify_all()
                changed.wait_for(lambda: most >= self.expected, timeout=60)  # however slowly the others come
            time.sleep(0.02)  # time for one too many
            with changed:
                busy -= 1

    class Segmenting(Piece):
        uses_network = False
        expected = thread_executor.ON_DEVICE + 1

    def at_once(piece: Piece) -> int:
        nonlocal most
        most = 0
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: place(piece), range(24)))
        return most

    assert at_once(Piece()) == thread_executor.ON_DEVICE
    assert at_once(Segmenting()) > thread_executor.ON_DEVICE


def test_cores_are_those_it_may_use() -> None:
    assert cores() >= 1


def test_a_network_that_cannot_be_copied_is_used_by_one_thread(model: vx.VideoModel) -> None:
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2))
    net.source = (i for i in range(3))
    own = vx.VideoModel(net=net, layer="1", grid=(2, 4, 4))
    place = ThreadExecutor(own, 4)
    assert place.workers == 1
    frames = np.zeros((3, 2, 4, 4, 3), np.uint8)
    assert place(Call(lambda m: m.net is net and m.embed(frames).shape == (3, 3)))
