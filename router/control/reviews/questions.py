"""Where questions for people are kept: what is asked of it, and the file with its thread.

The file is of one router. Those of several, on a database, are kept there
(:mod:`router.control.reviews.postgres_questions`): one statement a move, so that it does not matter
which router makes it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from router.control.reviews.book import Opinion, QueueStanding, ReviewBook, StoredQuestion
from router.control.state.errors import StoreUnavailable
from router.core.wire.review import ReviewItem

NewQuestion = tuple[ReviewItem, float, int, int]
"""The question, when people's time is over, how many have to answer, how many may be open."""
SaidBeside = tuple[str, str, str, str]
"""The version, JSON of what it predicted, the route, the request's id."""
QuestionState = tuple[str, bytes, str]
"""State or ``unknown``, what the client gets, the route."""

_T = TypeVar("_T")


class KeptQuestions(Protocol):
    """What is answered is durable. Everything raises StoreUnavailable where it cannot be.

    What is given as a function reads foreign bytes; it is called in a thread.
    """

    @property
    def used(self) -> bool:
        """Whether anybody has asked for it: there may be questions."""

    async def add(self, asked: Sequence[NewQuestion]) -> list[bool]:
        """Keep questions; whether each is."""

    async def fresh(self, read: Callable[[], Sequence[ReviewItem]]) -> list[ReviewItem]:
        """Those about whose requests people were not asked yet."""

    async def attach(self, read: Callable[[], Sequence[SaidBeside]]) -> None:
        """What versions say to requests that people are still asked about."""

    async def claim(
        self, by: str, routes: Sequence[str], count: int, now: float, leases: dict[str, float]
    ) -> list[StoredQuestion]:
        """Give ``by`` up to ``count`` open questions, the oldest first; nobody else gets them."""

    async def release(self, item: str, by: str, now: float) -> None:
        """Give a claim back. Raises NoSuchItem and NotYours."""

    async def answer(
        self, item: str, by: str, now: float, judge: Callable[[StoredQuestion], Opinion]
    ) -> StoredQuestion:
        """Book one person's answer; the question as it stands then. Raises as ``release``."""

    async def expire(self, now: float, most: int) -> list[StoredQuestion]:
        """End questions whose time is over, some at a time."""

    async def look(self, items: Sequence[str]) -> list[QuestionState]:
        """How questions stand."""

    async def untold(self, most: int) -> list[StoredQuestion]:
        """Ended ones that the prediction log was not told of, the oldest first."""

    async def unsent(self, most: int, but: Sequence[str]) -> list[StoredQuestion]:
        """Ended ones that no webhook has taken; ``but``: not of these routes."""

    async def done(self, what: str, items: Iterable[str]) -> None:
        """``what``: told or sent."""

    async def prune(self, now: float, most: int) -> int:
        """Forget what was decided long ago; how many of it no webhook had taken."""

    async def standing(self, now: float) -> dict[str, QueueStanding]:
        """By route."""

    async def close(self) -> None:
        """Let go of it."""


class FileQuestions:
    """A file beside the store, in a thread of its own; see :class:`KeptQuestions`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._book: ReviewBook | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reviews")

    def __repr__(self) -> str:
        return f"<FileQuestions {self.path}>"

    async def _do(self, job: Callable[[ReviewBook], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, job)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the review queue: {error}") from None

    def _run(self, job: Callable[[ReviewBook], _T]) -> _T:
        if self._book is None:
            self._book = ReviewBook(self.path)
        return job(self._book)

    @property
    def used(self) -> bool:
        """See KeptQuestions."""
        return self._book is not None

    async def add(self, asked: Sequence[NewQuestion]) -> list[bool]:
        """See KeptQuestions."""
        return await self._do(lambda book: book.add(asked))

    async def fresh(self, read: Callable[[], Sequence[ReviewItem]]) -> list[ReviewItem]:
        """See KeptQuestions."""
        return await self._do(
            lambda book: [one for one in read() if not book.asks(one.route, one.request_id)]
        )

    async def attach(self, read: Callable[[], Sequence[SaidBeside]]) -> None:
        """See KeptQuestions."""
        await self._do(lambda book: book.attach(read()))

    async def claim(
        self, by: str, routes: Sequence[str], count: int, now: float, leases: dict[str, float]
    ) -> list[StoredQuestion]:
        """See KeptQuestions."""
        return await self._do(lambda book: book.claim(by, routes, count, now, leases))

    async def release(self, item: str, by: str, now: float) -> None:
        """See KeptQuestions."""
        await self._do(lambda book: book.release(item, by, now))

    async def answer(
        self, item: str, by: str, now: float, judge: Callable[[StoredQuestion], Opinion]
    ) -> StoredQuestion:
        """See KeptQuestions."""
        return await self._do(
            lambda book: book.answer(item, by, now, judge(book.held(item, by, now)))
        )

    async def expire(self, now: float, most: int) -> list[StoredQuestion]:
        """See KeptQuestions."""
        return await self._do(lambda book: book.expire(now, most))

    async def look(self, items: Sequence[str]) -> list[QuestionState]:
        """See KeptQuestions."""
        return await self._do(lambda book: [book.look(item) for item in items])

    async def untold(self, most: int) -> list[StoredQuestion]:
        """See KeptQuestions."""
        return await self._do(lambda book: book.untold(most))

    async def unsent(self, most: int, but: Sequence[str]) -> list[StoredQuestion]:
        """See KeptQuestions."""
        return await self._do(lambda book: book.unsent(most, but))

    async def done(self, what: str, items: Iterable[str]) -> None:
        """See KeptQuestions."""
        await self._do(lambda book: book.done(what, items))

    async def prune(self, now: float, most: int) -> int:
        """See KeptQuestions."""
        return await self._do(lambda book: book.prune(now, most))

    async def standing(self, now: float) -> dict[str, QueueStanding]:
        """See KeptQuestions."""
        return await self._do(lambda book: book.standing(now))

    async def close(self) -> None:
        """See KeptQuestions."""
        await asyncio.to_thread(self._thread.shutdown, wait=True)
        if self._book is not None:
            self._book.close()
