"""What people answered at another router, for clients that wait at this one.

Of several routers one takes what people say, and any of them may hold the client. A hint says that
something was answered; it is read once a second without any, as long as some client may wait. Since
when is told by the server's clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final, NoReturn

from router.control.reviews.inbox import ReviewInbox
from router.control.reviews.postgres_questions import SharedQuestions
from router.control.state.errors import StoreUnavailable
from router.loops import background, forever

if TYPE_CHECKING:
    from router.control.fleet.workers import Workers
    from router.core.wire.review import ReviewTerms
    from router.core.wire.table import RoutingTable
    from router.telemetry.metrics import Metrics

READ_S: Final = 1.0
"""Between two looks without a hint."""
GAP_S: Final = 0.05
"""Between two looks at least."""
AGAIN_S: Final = 5.0
"""What was answered so long before the last look is read again: a question may have been answered
before this router has heard that it is kept."""


class Elsewhere:
    """See the module. What the workers of this router ask people is its ``inbox``."""

    def __init__(self, url: str, workers: Workers, metrics: Metrics) -> None:
        self._questions = SharedQuestions(url)
        self._hinted = asyncio.Event()
        self._questions.on_decided = self._hinted.set
        self.inbox = ReviewInbox(self._questions, TermsInForce(workers), time.time, metrics)
        self._read_s = time.monotonic()
        """When everything was read, or nobody waited."""
        self._task: asyncio.Task[NoReturn] | None = None

    def __repr__(self) -> str:
        return f"<Elsewhere {self.inbox!r}>"

    def begin(self) -> None:
        """Look from now on."""
        self._task = background("people", forever("people", self._turn))

    async def _turn(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READ_S):
                await self._hinted.wait()
        self._hinted.clear()
        self.inbox.forget_past()
        began_s = time.monotonic()
        if self.inbox.waited_for:
            try:
                found = await self._questions.outcomes(began_s - self._read_s + AGAIN_S)
            except StoreUnavailable:
                return  # with the next look, from the same moment on
            for item, body in found:
                self.inbox.decided(item, body)
        self._read_s = began_s
        await asyncio.sleep(GAP_S)

    async def close(self) -> None:
        """Look no more, and let go of the connection."""
        if self._task is not None:
            self._task.cancel()
        await self._questions.close()


class TermsInForce:
    """What becomes of questions by the table that the workers of this router follow."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._table: RoutingTable | None = None
        self._terms: dict[str, ReviewTerms] = {}

    def __repr__(self) -> str:
        return f"<TermsInForce {sorted(self._terms)}>"

    def __call__(self, route: str) -> ReviewTerms | None:
        """Of a route; None: people are not asked."""
        if (table := self._workers.table) is not self._table:
            self._table = table
            self._terms = {
                one.name: one.review.terms for one in (table.routes if table else ())
                if one.review is not None and one.review.terms is not None
            }  # fmt: skip
        return self._terms.get(route)
