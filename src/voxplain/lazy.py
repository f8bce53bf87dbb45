"""A sequence whose items are computed on access, so that memory does not grow with their number."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar, overload

__all__ = ["Lazy", "bounded", "pick"]

T = TypeVar("T")
S = TypeVar("S")


def bounded(pool: Executor, work: Callable[[S], T], items: Iterable[S], ahead: int) -> Iterator[T]:
    """``pool.map(work, items)`` with at most ``ahead`` results begun and not yet taken, which bounds memory."""
    begun: deque[Future[T]] = deque()
    for item in items:
        if len(begun) >= ahead:
            yield begun.popleft().result()
        begun.append(pool.submit(work, item))
    while begun:
        yield begun.popleft().result()


class Lazy(Sequence[T], Generic[T]):
    """Items ``make(places[i])``, computed on every access, except for the first ones, which are kept.

    ``size`` gives the bytes of an item, ``keep`` is the number of bytes that are kept. Slices are lazy too and
    share the kept items. May be used by several threads: two that access one item at once may both compute it.
    """

    def __init__(
        self,
        make: Callable[[int], T],
        places: Sequence[int],
        *,
        size: Callable[[T], int],
        keep: int,
        kept: _Kept[T] | None = None,
    ) -> None:
        """``places`` are what ``make`` is called with, one an item; ``kept`` is shared between slices."""
        self._make, self._places, self._size = make, list(places), size
        self._kept: _Kept[T] = _Kept(keep) if kept is None else kept

    def add(self, place: int, item: T) -> None:
        """Append an item that has just been made at ``place``."""
        self._places.append(place)
        self._kept.put(place, item, self._size(item))

    def __len__(self) -> int:
        """Number of items, without computing any."""
        return len(self._places)

    def __repr__(self) -> str:
        """Counts, not data."""
        return f"Lazy({len(self)} items, {len(self._kept.items)} in memory)"

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Lazy[T]: ...

    def __getitem__(self, index: int | slice) -> T | Lazy[T]:
        """One item, or a part of the sequence."""
        if isinstance(index, slice):
            return Lazy(self._make, self._places[index], size=self._size, keep=0, kept=self._kept)
        place = self._places[index]
        found = self._kept.items.get(place)
        if found is None:
            found = self._make(place)
            self._kept.put(place, found, self._size(found))
        return found


class _Kept(Generic[T]):
    """The items made first, up to a number of bytes: they stay over repeated passes through a long sequence."""

    def __init__(self, most: int) -> None:
        self.items: dict[int, T] = {}
        self._left, self._lock = most, threading.Lock()

    def put(self, place: int, item: T, size: int) -> None:
        with self._lock:
            if place not in self.items and size <= self._left:
                self.items[place] = item
                self._left -= size


def pick(items: Sequence[T], places: Sequence[int]) -> Sequence[T]:
    """Some items of a sequence in the order of ``places``, read on access."""
    return Lazy(items.__getitem__, places, size=lambda _: 1, keep=0)
