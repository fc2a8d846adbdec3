"""The review queue as control sees it: people claim and answer, and everybody is told.

What workers ask is :mod:`router.control.reviews.inbox`; where it is kept,
:mod:`router.control.reviews.questions`. Nothing of a rollout waits for it. What people said goes to
the prediction log as truth: at least once, and there once, since a truth counts once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from router.control.reviews.book import (
    NoSuchItem,
    NotYours,
    Opinion,
    QueueStanding,
    StoredQuestion,
)
from router.control.reviews.differing import Differing, question_of
from router.control.reviews.inbox import TOGETHER_MAX, ReviewInbox
from router.control.reviews.questions import KeptQuestions
from router.control.reviews.said import differs, said_of, truths_of
from router.control.reviews.webhooks import ReviewWebhooks
from router.control.rollouts.reviewed import review_terms
from router.control.state.errors import (
    NotAnswered,
    NotPermitted,
    NotPossible,
    StoreUnavailable,
    UnknownRoute,
)
from router.control.told.reviewed import QuestionView, ReviewedView, ReviewsView, route_reviews
from router.core.logged.truth import TrueValue
from router.core.reviews.confidence import Reason
from router.core.strategies.automation import assists
from router.loops import background
from router.telemetry.log import get_logger
from router.telemetry.metrics import labels

if TYPE_CHECKING:
    from router.control.predictions.booked import PredictionLog
    from router.control.rollouts.reconciler import Reconciler
    from router.control.rollouts.run import Run
    from router.control.state.clock import Clock
    from router.core.policy.review import ReviewPolicy
    from router.core.policy.route import Route
    from router.core.wire.counts import PairSample
    from router.core.wire.review import ReviewTerms
    from router.link.messages import Settle
    from router.telemetry.metrics import Gauge, Metrics

WAITING_MAX: Final = 10_000
"""Answers of copies that wait to be put beside questions; further ones are left out."""
TURN_S: Final = 0.25
"""Between two looks at what is due, what the log was not told, and what no webhook has taken."""
AT_ONCE: Final = 200
"""Of each of these in one look."""
SELDOM: Final = 4
"""Looks for one at what was ended long ago and how the queue stands: these read all of it."""
SEND_AGAIN_S: Final = 5.0
"""Before a webhook is tried again that did not take an outcome."""
CLAIM_MAX: Final = 100
"""Questions that one claim gives."""

KeptBy = KeptQuestions | ReviewInbox | None
"""Where questions are kept; or, of one of several routers, what takes them from its workers also
while another one leads."""

log = get_logger("router.control")


class Reviews:
    """See the module. Without a place for questions there is no queue, and every one is refused."""

    def __init__(
        self, reconciler: Reconciler, predictions: PredictionLog, clock: Clock, metrics: Metrics,
        kept: KeptBy,
    ) -> None:  # fmt: skip
        self._reconciler = reconciler
        self._predictions = predictions
        self._clock = clock
        self._metrics = metrics
        self._own = not isinstance(kept, ReviewInbox)
        self.inbox = (
            kept
            if isinstance(kept, ReviewInbox)
            else ReviewInbox(kept, self._terms, clock.wall, metrics)
        )
        """What workers ask goes there."""
        self._beside: list[tuple[Route, PairSample]] = []
        """Answers of copies that are to be put beside questions."""
        self.differing = Differing(reconciler.runs, clock.wall)
        """Takes pairs whose answers differ."""
        self._sending = False
        self._looks = 0
        self._sent_again: dict[str, float] = {}
        """Routes whose webhook did not take an outcome, and when it is tried again."""
        self._webhooks = ReviewWebhooks()
        self._error = ""
        """Why the last look could not do its work; empty: it did."""
        self.standing: dict[str, QueueStanding] = {}
        """What pages and metrics tell, as of the last look."""

    def __repr__(self) -> str:
        return f"<Reviews {self.inbox!r}, {len(self._beside)} answers of copies wait>"

    async def close(self) -> None:
        """Let go of the connections."""
        await self._webhooks.close()
        if self.inbox.questions is not None:
            await self.inbox.questions.close()

    @property
    def _wanted(self) -> bool:
        kept = self.inbox.questions
        return kept is not None and (
            kept.used or any(run.route.review for run in self._reconciler.runs.values())
        )

    def _policy(self, route: str) -> ReviewPolicy | None:
        run = self._reconciler.runs.get(route)
        return run.route.review if run is not None else None

    def _terms(self, route: str) -> ReviewTerms | None:
        review = self._policy(route)
        return review_terms(review) if review is not None else None

    def _count(self, result: str, route: str, version: str, reason: str) -> None:
        series = labels(route=route, version=version, reason=reason, result=result)
        self._metrics.count("reviews_total", series, 1)

    # --- people -----------------------------------------------------------------------------------

    def _may(self, by: str, route: str) -> bool:
        review = self._policy(route)
        return review is not None and (not review.by or by in review.by)

    async def claim(self, by: str, route: str, count: int) -> list[QuestionView]:
        """Up to ``count`` questions that nobody else has; ``route``: empty for all that ``by`` may.

        Raises UnknownRoute, NotPermitted, StoreUnavailable.
        """
        runs = self._reconciler.runs
        if route and (route not in runs or runs[route].route.review is None):
            raise UnknownRoute(f"no route {route!r} with a review")
        routes = [name for name in ([route] if route else runs) if self._may(by, name)]
        if route and not routes:
            raise NotPermitted(f"review.by of {route} does not name {by}")
        leases = {name: review.lease for name in routes if (review := self._policy(name))}
        now = self._clock.wall()
        if not routes:
            return []
        found = await self.inbox.kept.claim(by, routes, count, now, leases)
        return [self._shown(one) for one in found]

    def _shown(self, kept: StoredQuestion) -> QuestionView:
        """A question as a person gets it; an audit is blind: what was said would lead them."""
        item, run = kept.item, self._reconciler.runs.get(kept.item.route)
        blind = item.reason in (Reason.AUDIT, Reason.DISAGREEMENT) or (
            item.reason == Reason.PERSON and not (run is not None and _assisted(run))
        )
        return QuestionView(
            id=item.id, route=item.route, request_id=item.request_id, at=item.at, due=kept.due,
            lease=kept.lease, reason=item.reason, target=item.target,
            content_type=item.content_type, request=_text(item.request),
            version="" if blind else item.version,
            confidence=None if blind or item.confidence < 0 else item.confidence,
            said=None if blind or not item.labels else list(item.labels),
        )  # fmt: skip

    async def release(self, by: str, item: str) -> None:
        """Give a claim back. Raises NotPossible, StoreUnavailable."""
        now = self._clock.wall()
        try:
            await self.inbox.kept.release(item, by, now)
        except (NotYours, NoSuchItem) as why:
            raise NotPossible(str(why)) from None

    async def answer(self, by: str, item: str, said: TrueValue | list[TrueValue]) -> ReviewedView:
        """Take a person's answer; durable when it returns, and on its way to whoever waits.

        ``said``: one value, or one for each row. Raises NotPossible, StoreUnavailable.
        """
        now, verdict = self._clock.wall(), json.dumps(said)

        def judged(kept: StoredQuestion) -> Opinion:
            review, route = self._policy(kept.item.route), self._route(kept.item.route)
            body = review.body(verdict) if review is not None else verdict.encode()
            overruled = differs(route, kept.item.labels, said) if route is not None else None
            return Opinion(verdict, body, overruled)

        try:
            kept = await self.inbox.kept.answer(item, by, now, judged)
        except (NotYours, NoSuchItem) as why:
            raise NotPossible(str(why)) from None
        if kept.state == "decided":
            self._count("decided", kept.item.route, kept.item.version, kept.item.reason)
            self._tell_client(kept, verdict)
        return ReviewedView(id=item, state=kept.state)

    def _route(self, name: str) -> Route | None:
        run = self._reconciler.runs.get(name)
        return run.route if run is not None else None

    def _tell_client(self, kept: StoredQuestion, verdict: str) -> None:
        if (review := self._policy(kept.item.route)) is not None:
            self.inbox.decided(kept.item.id, review.body(verdict))

    # --- what is due ------------------------------------------------------------------------------

    async def turn(self) -> None:
        """One look; see :data:`TURN_S`."""
        await asyncio.sleep(TURN_S)
        if not self._wanted:
            return
        if self._own:
            self.inbox.forget_past()
        try:
            await self._due(self._clock.wall())
        except StoreUnavailable as error:
            if not self._error:
                log.warning("reviews_stand_still", error=str(error))
            self._error = str(error)
        else:
            self._error = ""

    def troubles(self) -> list[str]:
        """What keeps the queue from its work, for people."""
        return [self._error] if self._error else []

    async def _due(self, now: float) -> None:
        questions = self.inbox.kept
        for kept in await questions.expire(now, AT_ONCE):
            self._count("expired", kept.item.route, kept.item.version, kept.item.reason)
        await self._attach()
        await self._ask_what_differs()
        await self._tell_log()
        if not self._sending:
            self._sending = True
            background("reviews", self._send())  # a webhook that hangs keeps nothing else
        if self._looks % SELDOM == 0:
            if lost := await questions.prune(now, SELDOM * AT_ONCE):
                self._message("dropped", lost)
            self.standing = await questions.standing(now)
        self._looks += 1

    async def _tell_log(self) -> None:
        """What people said is the truth of their requests, where these are logged."""
        decided = await self.inbox.kept.untold(AT_ONCE)
        truths = [
            truth for kept in decided if self._predictions.keeps(kept.item.route)
            for truth in truths_of(kept)
        ]  # fmt: skip
        if truths:
            try:
                await self._predictions.tell(truths)
            except NotAnswered:
                return  # again with the next look: each counts once
        if decided:
            await self.inbox.kept.done("told", [kept.item.id for kept in decided])

    async def _send(self) -> None:
        """Outcomes to webhooks, one after the other; what is not taken is tried again, later."""
        try:
            now = asyncio.get_running_loop().time()
            resting = {route: at for route, at in self._sent_again.items() if now < at}
            self._sent_again = resting
            ended = await self.inbox.kept.unsent(AT_ONCE, list(resting))
            taken: list[str] = []
            for kept in ended:
                route = kept.item.route
                if route in resting:
                    continue  # refused within this look
                if await self._sent(kept):
                    taken.append(kept.item.id)
                else:
                    resting[route] = asyncio.get_running_loop().time() + SEND_AGAIN_S
            if taken:
                await self.inbox.kept.done("sent", taken)
        except StoreUnavailable:
            return  # each look tells it; what was sent comes once more
        finally:
            self._sending = False

    def _message(self, result: str, number: int) -> None:
        self._metrics.count("messages_total", labels(kind="review", result=result), number)

    async def _sent(self, kept: StoredQuestion) -> bool:
        """Whether this outcome is with its webhook, or has none."""
        review = self._policy(kept.item.route)
        if review is None or (hook := review.webhook) is None:
            return True
        well = await self._webhooks.told(hook, kept)
        self._message("delivered" if well else "failed", 1)
        return well

    # --- what a version says beside people --------------------------------------------------------

    def copied(self, pairs: Iterable[PairSample]) -> None:
        """What copies were answered, where people are asked the same; the file has it soon."""
        for one in pairs:
            run = self._reconciler.runs.get(one.route)
            if run is None or (review := run.route.review) is None or one.primary:
                continue
            fits = 0 < len(one.shadow_body) <= review.limit and 200 <= one.shadow_status < 300
            if fits and run.route.person(run.record.stable) and len(self._beside) < WAITING_MAX:
                self._beside.append((run.route, one))

    async def _attach(self) -> None:
        """Read what waits: it is foreign, and small."""
        beside, self._beside = self._beside, []
        if beside:
            await self.inbox.kept.attach(lambda: [
                (one.version, json.dumps(said), one.route, one.request_id)
                for route, one in beside if (said := said_of(route, one)) is not None
            ])  # fmt: skip

    async def _ask_what_differs(self) -> None:
        """Have people asked about pairs, unless they are asked about that request already."""
        waiting = self.differing.taken()
        if not waiting:
            return
        asked = await self.inbox.kept.fresh(lambda: [question_of(one) for one in waiting])
        for at in range(0, len(asked), TOGETHER_MAX):
            await self.inbox.keep([(item, _nobody) for item in asked[at : at + TOGETHER_MAX]])

    def gauges(self) -> Iterator[Gauge]:
        """For metrics, as of the last look."""
        now = self._clock.wall()
        for name, one in self.standing.items():
            series = labels(route=name)
            yield "reviews_open", series, one.open
            yield "reviews_claimed", series, one.claimed
            yield "reviews_oldest_seconds", series, now - one.oldest if one.oldest else 0.0

    def view(self) -> ReviewsView:
        """For people and pages: the queue of each route; no bodies."""
        policies = {name: run.route.review for name, run in self._reconciler.runs.items()}
        return ReviewsView(routes={
            name: route_reviews(policy, self.standing.get(name) or QueueStanding())
            for name, policy in policies.items() if policy is not None
        })  # fmt: skip


def _nobody(told: Settle) -> bool:  # noqa: ARG001 - its client waits for nothing
    """Nobody is told."""
    return False


def _assisted(run: Run) -> bool:
    """Whether people are to see what the version says."""
    live = run.record.live
    return live is not None and assists(live.plan, live.rollout.step)


def _text(body: bytes) -> Any:
    """A request as people read it: JSON as such, other text as text."""
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
