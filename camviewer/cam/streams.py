"""Inputs side by side, one processor core each, instead of every operation on all cores.

An operation that is shared among cores waits for the slowest of them before the next begins, some hundred times a
pass. Passes of their own meet once, at the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from itertools import islice, pairwise
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def shares(count: int, *, most: int, lanes: int) -> list[slice]:
    """Return parts of `count` items, at most `most` each: as even as they can be and as many for each lane."""
    rounds = -(-count // (most * lanes))
    parts = min(count, rounds * lanes)
    return [slice(start, end) for start, end in pairwise(count * place // parts for place in range(parts + 1))]


class Streams:
    """Threads that compute with one core each. They are made when they are first needed, and end with their owner."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    @property
    def count(self) -> int:
        """Return how many items run at once: as many as torch would use threads."""
        return torch.get_num_threads()

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return all that `each` yields."""
        return list(self.each(work, items))

    def each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Yield the result of `work` for each item, in their order, while the next ones are computed.

        A single item runs in the caller's thread, on all cores. Grad mode is not passed on: `work` sets what it needs.
        Close the generator, or let it end: until then operations of the caller's thread take one core.

        Raises:
            Exception: what `work` raised for an item, when the others that had begun have ended.
        """
        threads = self.count
        if min(threads, len(items)) <= 1:
            yield from map(work, items)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(threads, "cam", initializer=torch.set_num_threads, initargs=(1,))
        pool, waiting = self._pool, iter(items)
        begun: deque[Future[Result]] = deque()

        def begin(count: int) -> None:
            begun.extend(pool.submit(copy_context().run, work, item) for item in islice(waiting, count))

        # The number is kept by each thread, but for the one that products of matrices take, which all share.
        torch.set_num_threads(1)
        try:
            begin(2 * threads)
            while begun:
                result = begun.popleft().result()
                begin(1)
                yield result
        finally:
            for future in begun:
                future.cancel()
            wait(begun)
            torch.set_num_threads(threads)
