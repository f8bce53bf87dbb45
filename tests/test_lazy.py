"""Lazy sequences and bounded work."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from voxplain.lazy import Lazy, bounded


def counted(keep: int) -> tuple[Lazy[str], list[int]]:
    made: list[int] = []

    def make(place: int) -> str:
        made.append(place)
        return "x" * place

    return Lazy(make, [5, 3, 4], size=len, keep=keep), made


def test_the_first_are_kept_and_others_made_again() -> None:
    items, made = counted(keep=8)
    for _ in range(3):
        assert list(items) == ["xxxxx", "xxx", "xxxx"]
    assert made == [5, 3, 4, 4, 4]  # 5 + 3 bytes fit


def test_parts_share_what_is_kept() -> None:
    items, made = counted(keep=100)
    assert [*items[1:]] == ["xxx", "xxxx"]
    assert items[-1] == "xxxx"
    assert len(items[:2]) == 2
    assert made == [3, 4]
    with pytest.raises(IndexError):
        items[3]


def test_an_added_item_is_not_made_again() -> None:
    items, made = counted(keep=100)
    items.add(2, "ab")
    assert (items[3], made) == ("ab", [])


def test_bounded_work_keeps_order_and_does_not_run_ahead() -> None:
    begun, lock = 0, threading.Lock()

    def work(i: int) -> int:
        nonlocal begun
        with lock:
            begun += 1
        return i * i

    with ThreadPoolExecutor(4) as pool:
        for taken, result in enumerate(bounded(pool, work, range(50), 6)):
            assert result == taken * taken
            assert begun <= taken + 7
    assert begun == 50
