"""What workers ask of the review queue: questions are kept, and clients' looks are answered.

A worker is told that its question is kept when that is durable; what people say to it is told when
it is known, as long as its client may still wait. Of several routers each has one of these, for its
own workers, whoever leads.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from router.control.state.errors import StoreUnavailable
from router.core.wire.review import ReviewItem, ReviewTerms, SettledReview
from router.core.words import FULL_BP
from router.link.messages import AskPeople, LookAgain, Settle
from router.loops import background, net
from router.telemetry.log import get_logger
from router.telemetry.metrics import labels

if TYPE_CHECKING:
    from router.control.fleet.fleet import Reply
    from router.control.reviews.questions import KeptQuestions
    from router.telemetry.metrics import Metrics

WAITING_MAX: Final = 10_000
"""Questions of workers that wait to be written; further ones are answered that there is no room."""
TOGETHER_MAX: Final = 500
"""Questions that are written as one transaction."""
LOOKS_MAX: Final = 1_000
"""Clients' looks at questions that wait to be read, likewise."""
LOOKS_TOGETHER: Final = 100
"""Looks that are answered at once: anybody may send them, and the decider has this loop, too."""
PAST_S: Final = 60.0
"""A client waits at most half of it; after that nobody is there to be told."""

log = get_logger("router.control")


class ReviewInbox:
    """See the module. Where nothing keeps questions every one is refused."""

    def __init__(
        self, questions: KeptQuestions | None, terms: Callable[[str], ReviewTerms | None],
        wall: Callable[[], float], metrics: Metrics,
    ) -> None:  # fmt: skip
        """``terms``: of a route, None where people are not asked; ``wall``: seconds since 1970."""
        self.questions = questions
        self._terms, self._wall, self._metrics = terms, wall, metrics
        self._waiting: list[tuple[ReviewItem, Reply]] = []
        self._adding = False
        self._clients: dict[str, tuple[Reply, float]] = {}
        """Of questions whose client may still wait: how it is told, and until when."""
        self._looks: list[tuple[LookAgain, Reply]] = []
        self._looking = False

    def __repr__(self) -> str:
        return f"<ReviewInbox {len(self._waiting)} wait, {len(self._clients)} clients may wait>"

    @property
    def kept(self) -> KeptQuestions:
        """Where they are. Raises StoreUnavailable where this router keeps none."""
        if self.questions is None:
            raise StoreUnavailable("the review queue: this router keeps none")
        return self.questions

    @property
    def waited_for(self) -> bool:
        """Whether some client may wait for what people say."""
        return bool(self._clients)

    def asked(self, message: AskPeople | LookAgain, reply: Reply) -> None:
        """A worker's question, or its client's look at one; never waits."""
        if isinstance(message, LookAgain):
            self._look(message, reply)
        elif len(self._waiting) >= WAITING_MAX:
            reply(Settle((SettledReview(message.item.id, "full"),)))
        else:
            self._waiting.append((message.item, reply))
            if not self._adding:
                self._adding = True
                background("reviews", self._add())

    async def _add(self) -> None:
        """Write what waits, one transaction after the other."""
        try:
            while self._waiting:
                part = self._waiting[:TOGETHER_MAX]
                del self._waiting[: len(part)]
                with net("reviews"):
                    await self.keep(part)
        finally:
            self._adding = False

    async def keep(self, part: Sequence[tuple[ReviewItem, Reply]]) -> None:
        """Write these questions, and tell who asked what became of them."""
        rows, replies = [], []
        for item, reply in part:
            terms = self._terms(item.route)
            if terms is None:
                reply(Settle((SettledReview(item.id, "full"),)))
                continue
            needs = 2 if random.random() * FULL_BP < terms.second_bp else 1  # noqa: S311 - no secret
            rows.append((item, item.at + terms.within_s, needs, terms.open_max))
            replies.append(reply)
        if not rows:
            return
        try:
            kept = await self.kept.add(rows)
        except StoreUnavailable as error:
            log.warning("reviews_not_kept", questions=len(rows), error=str(error))
            kept = [False] * len(rows)
        for (item, *_), room, reply in zip(rows, kept, replies, strict=True):
            self._count("asked" if room else "refused", item)
            if room:
                self._clients[item.id] = reply, self._wall() + PAST_S
            reply(Settle((SettledReview(item.id, "kept" if room else "full"),)))

    def _look(self, message: LookAgain, reply: Reply) -> None:
        if len(self._looks) >= LOOKS_MAX:
            reply(Settle((SettledReview(message.ref, "full"),)))
            return
        self._looks.append((message, reply))
        if not self._looking:
            self._looking = True
            background("review", self._look_all())

    async def _look_all(self) -> None:
        """Answer who looks, some at a time."""
        try:
            while self._looks:
                part = self._looks[:LOOKS_TOGETHER]
                del self._looks[: len(part)]
                with net("review"):
                    await self._look_at(part)
        finally:
            self._looking = False

    async def _look_at(self, part: Sequence[tuple[LookAgain, Reply]]) -> None:
        try:
            found = await self.kept.look([message.review for message, _ in part])
        except StoreUnavailable:
            return  # the worker answers that it cannot be told now
        for (message, reply), (state, body, route) in zip(part, found, strict=True):
            terms = self._terms(route)
            stands = state == "expired" and body and terms is not None and terms.stands
            told = "decided" if stands else state
            reply(Settle((SettledReview(message.ref, told, body),)))

    def decided(self, item: str, body: bytes) -> None:
        """People have answered: its client is told, if it is one of these."""
        reply, _ = self._clients.pop(item, (None, 0.0))
        if reply is not None:
            reply(Settle((SettledReview(item, "decided", body),)))

    def forget_past(self) -> None:
        """Clients that do not wait any more."""
        now = self._wall()
        for item, (_, until) in list(self._clients.items()):
            if until <= now:
                del self._clients[item]

    def _count(self, result: str, item: ReviewItem) -> None:
        series = labels(route=item.route, version=item.version, reason=item.reason, result=result)
        self._metrics.count("reviews_total", series, 1)
