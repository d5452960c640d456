"""Inputs side by side, one processor core each, instead of every operation on all cores.

An operation that is shared among cores waits for the slowest of them before the next begins, some hundred times a
pass. Passes of their own meet once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from itertools import pairwise
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
        """Return the result of `work` for each item, in their order; a single item runs here, on all cores.

        Grad mode is not passed on: `work` sets what it needs.

        Raises:
            Exception: what `work` raised for the first item that failed, when all have ended.
        """
        threads = self.count
        if min(threads, len(items)) <= 1:
            return [work(item) for item in items]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(threads, "cam", initializer=torch.set_num_threads, initargs=(1,))
        # The number is kept by each thread, but for the one that products of matrices take, which all share.
        torch.set_num_threads(1)
        try:
            futures = [self._pool.submit(copy_context().run, work, item) for item in items]
            wait(futures)
        finally:
            torch.set_num_threads(threads)
        return [future.result() for future in futures]
