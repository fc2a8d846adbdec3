"""A thread pool that refuses instead of queueing without end."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

WORKERS_DEFAULT = 2
WAITING_MAX_DEFAULT = 64
"""Calls that may wait for a worker; at 1 ms a prediction this is a wait of 30 ms at most."""


class PoolFullError(Exception):
    """All workers are busy and the waiting room is full: answered with 429."""


class BoundedPool:
    """Runs blocking calls in `workers` threads with at most `waiting_max` calls waiting.

    Args:
        workers: threads, at least 1.
        waiting_max: calls beyond the running ones that may wait, at least 0.
    """

    def __init__(self, workers: int, waiting_max: int) -> None:
        self.workers = workers
        self._limit = workers + waiting_max
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="predict")
        self._lock = threading.Lock()
        self._busy = 0

    @property
    def busy(self) -> int:
        """Calls running or waiting."""
        return self._busy

    @property
    def waiting(self) -> int:
        """Calls that wait for a thread."""
        return max(self._busy - self.workers, 0)

    async def run(self, call: Callable[[], T]) -> T:
        """The result of `call`, computed in a thread.

        Raises:
            PoolFullError: at once, when the pool is full.
        """
        with self._lock:
            if self._busy >= self._limit:
                raise PoolFullError
            self._busy += 1
        future = self._threads.submit(call)
        # Counted by the thread's future, not by the awaiting task: a client that leaves cancels
        # the task, but a call that has started still keeps its worker busy.
        future.add_done_callback(self._done)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drop what waits; running calls finish on their own."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _done(self, _future: Future[T]) -> None:
        with self._lock:
            self._busy -= 1
