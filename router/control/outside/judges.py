"""Asks judges outside about pairs of answers, for the gates ``judge``.

A pair is drawn when it arrives, by a coin that knows nothing of it; its answers are read in the
reader's process, which also makes what a judge is told. The question is asked in the background, a
few at once; its verdict waits for those drawn before it, and then wakes the decider like any other
evidence. Nothing waits for a judge: one that hangs, answers too much, too late, or anything but a
verdict costs its question, and after :data:`FAILURES_MAX` in a row it is left alone for a while.

Whether a pair is drawn depends on what is known before it: the coin, the budget of the day, how
many wait, whether the judge is left alone. So what is not drawn bends nothing. What is drawn and
gets no verdict is unknown, and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from router.control.outside.measure import headers_of
from router.control.outside.outside import NO_ANSWER, body_of, no_answer, outside_session
from router.control.rollouts.run import Run
from router.control.rollouts.trial import Trial
from router.control.state.clock import Clock
from router.control.state.record import Change
from router.control.state.settings import StoreSettings
from router.control.state.store import Store
from router.core.gates.judge import JudgeGate
from router.core.judging.question import JudgeAsked, Told
from router.core.judging.said import ANSWER_BYTES_MAX, JudgeSaid, said
from router.core.judging.spent import DAY_S, Spending
from router.core.pairs.tally import PairFinding, Result
from router.core.urls import checked_url
from router.core.wire.counts import PairSample
from router.core.wire.judged import JudgedPair
from router.core.wire.outcomes import Batch
from router.core.words import FULL_BP
from router.loops import BOOKS, background

ASKED_AT_ONCE: Final = 4
"""Questions of one gate under way."""
DRAWN_MAX: Final = 64
"""Pairs of one gate that were drawn and are not settled; no more are drawn beyond."""
FAILURES_MAX: Final = 5
"""Questions in a row without a verdict after which a judge is left alone."""
PAUSE_S: Final = 5.0
"""For how long at first; each further failure doubles it."""
PAUSE_MAX_S: Final = 300.0
LOOK_EVERY_S: Final = 1.0
KEEP_EVERY_S: Final = 10.0
"""How often it is written what was spent: so much of it a kill forgets."""

CountJudged = Callable[[str, str, str], None]
"""``count(route, gate, result)``, for metrics."""
SAYS_NOTHING: Final = frozenset((Result.FAILED, Result.REFUSED, Result.UNUSABLE))
"""Pairs that a judge is not asked about: one of both has no answer."""


@dataclass(eq=False, slots=True)
class JudgeLane:
    """One gate of one attempt."""

    route: str
    gate: JudgeGate
    trial: Trial
    spending: Spending
    drawn: deque[JudgeQuestion] = field(default_factory=deque)
    """In the order of drawing, until they are fed."""
    waiting: deque[tuple[JudgeQuestion, Told]] = field(default_factory=deque)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    failures: int = 0
    """In a row."""
    again_at: float = 0.0
    """Rollout clock, seconds: before it nobody is drawn."""
    trouble: str = ""
    """Why the last question got no verdict; empty: it got one."""

    @property
    def ahead(self) -> int:
        """Drawn, and not asked yet."""
        return sum(not one.sent and not one.settled for one in self.drawn)

    @property
    def left_alone(self) -> bool:
        """Whether too many questions in a row got no verdict."""
        return self.failures >= FAILURES_MAX

    def end(self) -> None:
        """Its attempt is over."""
        for task in self.tasks:
            task.cancel()
        self.drawn.clear()
        self.waiting.clear()


@dataclass(eq=False, slots=True)
class JudgeQuestion:
    """One pair that was drawn for one gate."""

    lane: JudgeLane
    revision: int
    sent: bool = False
    settled: bool = False
    found: JudgedPair | None = None
    """None: nothing is to be fed of it."""


class Judges:
    """See the module."""

    def __init__(
        self,
        runs: Callable[[], Mapping[str, Run]],
        observe: Callable[[tuple[Batch, ...]], None],
        count: CountJudged,
        clock: Clock,
        store: Store,
    ) -> None:
        self._runs = runs
        self._observe = observe
        self._count = count
        self._clock = clock
        self._store = store
        self._session: aiohttp.ClientSession | None = None
        self._lanes: dict[tuple[str, str], JudgeLane] = {}
        self._spending: dict[str, Spending] = {}
        """By its name in the store."""
        self._changed, self._stored_s = False, clock.now()

    def __repr__(self) -> str:
        return f"<Judges of {len(self._lanes)} gates>"

    def resume(self, settings: StoreSettings) -> None:
        """Take over what the store holds; called once, before the first policy."""
        for name, kept in settings.spent.items():
            with contextlib.suppress(KeyError, TypeError, ValueError):
                (spending := Spending()).restore(kept)
                self._spending[name] = spending

    # --- what it is told --------------------------------------------------------------------------

    def draw(self, sample: PairSample, trial: Trial) -> tuple[JudgeQuestion, ...]:
        """Throw the coin of each judge for a pair that has just arrived, and can be compared."""
        terms = trial.shadow.terms
        if sample.version != terms.candidate and not terms.reverse(sample):
            return ()
        return tuple(self._drawn(sample, trial))

    def _drawn(self, sample: PairSample, trial: Trial) -> Iterator[JudgeQuestion]:
        for gate in trial.policy.gates:
            if not isinstance(gate, JudgeGate) or random.random() * FULL_BP >= gate.sample:  # noqa: S311 - no secret
                continue
            lane = self._lane(sample.route, trial, gate)
            lane.spending.turn(self._clock.wall())
            left_alone = self._clock.now() < lane.again_at or len(lane.drawn) >= DRAWN_MAX
            if left_alone or lane.spending.used_up(gate.budget, lane.ahead):
                self._count(sample.route, gate.title, "passed_over")
                continue
            question = JudgeQuestion(lane, sample.revision)
            lane.drawn.append(question)
            yield question

    def found(
        self, questions: Iterable[JudgeQuestion], finding: PairFinding | None, told: Told | None
    ) -> None:
        """What reading a drawn pair came to; None: it was lost on the way."""
        compared = finding.comparison if finding is not None else None
        for one in questions:
            title = one.lane.gate.title
            if compared is None or finding is None or finding.result in SAYS_NOTHING:
                self._settle(one, None, "nothing")
            elif not compared.fields and finding.result is Result.AGREED:
                self._settle(one, JudgedPair(title, 0.0, asked=False), "same")
            elif told is None:
                self._settle(one, JudgedPair(title, None), "untold")
            else:
                one.lane.waiting.append((one, told))
                self._feed(one.lane)

    # --- asking -----------------------------------------------------------------------------------

    def _lane(self, route: str, trial: Trial, gate: JudgeGate) -> JudgeLane:
        key = route, gate.title
        lane = self._lanes.get(key)
        if lane is None or lane.trial is not trial:
            if lane is not None:
                lane.end()
            lane = self._lanes[key] = JudgeLane(
                route, gate, trial, self._spending.setdefault(_name(route, gate.title), Spending())
            )
        return lane

    def _feed(self, lane: JudgeLane) -> None:
        """Ask as many as may be asked at once."""
        while lane.waiting and len(lane.tasks) < ASKED_AT_ONCE:
            question, told = lane.waiting.popleft()
            question.sent = True
            lane.spending.turn(self._clock.wall())
            lane.spending.calls += 1
            self._changed = True
            task = background("judges", self._ask(question, told))
            lane.tasks.add(task)
            task.add_done_callback(lambda done: self._asked(lane, done))

    def _asked(self, lane: JudgeLane, task: asyncio.Task[None]) -> None:
        lane.tasks.discard(task)
        if not task.cancelled():
            self._feed(lane)

    async def _ask(self, question: JudgeQuestion, told: Told) -> None:
        lane = question.lane
        gate, stable_first = lane.gate, random.random() < 0.5  # noqa: S311 - no secret
        body = JudgeAsked(gate.model, gate.prompt).body(told, stable_first=stable_first)
        answer = JudgeSaid(None, "it could not be asked")
        try:
            async with asyncio.timeout(gate.timeout):
                answer = said(await self._post(lane, body), chat=gate.model is not None)
        except NO_ANSWER as error:
            why = str(error) if type(error) is ValueError else no_answer(error, gate.timeout)
            answer = JudgeSaid(None, why)
        except Exception as error:  # noqa: BLE001 - whatever an answer did: none came
            BOOKS.failed("judges", error)
            answer = JudgeSaid(None, f"unreadable: {type(error).__name__}")
        lane.spending.answered(answer)
        self._heard(question, answer, stable_first=stable_first)

    async def _post(self, lane: JudgeLane, body: bytes) -> bytes:
        """The answer's body. Raises one of :data:`NO_ANSWER`."""
        session = self._session = self._session or outside_session()
        run = self._runs().get(lane.route)
        headers = headers_of(run.route, lane.gate) if run is not None else {}
        async with session.post(
            checked_url(lane.gate.url), data=body, allow_redirects=False,
            headers={"Content-Type": "application/json", **headers},
        ) as response:  # fmt: skip
            if response.status != 200:
                raise ValueError(f"it answered {response.status}")
            return await body_of(response, ANSWER_BYTES_MAX)

    def _heard(self, question: JudgeQuestion, answer: JudgeSaid, *, stable_first: bool) -> None:
        lane, first = question.lane, answer.first
        lane.trouble = answer.why
        if first is None:
            self._failed(lane)
            self._settle(question, JudgedPair(lane.gate.title, None), "unanswered")
            return
        lane.failures = 0
        worse = first if stable_first else -first
        result = "stable" if worse > 0 else "candidate" if worse < 0 else "tie"
        place = (first > 0) - (first < 0)
        self._settle(question, JudgedPair(lane.gate.title, worse, place), result)

    def _failed(self, lane: JudgeLane) -> None:
        """After some failures in a row it is left alone; who waits for it is let go."""
        lane.failures += 1
        if (over := lane.failures - FAILURES_MAX) < 0:
            return
        lane.again_at = self._clock.now() + min(PAUSE_S * 2.0 ** min(over, 16), PAUSE_MAX_S)
        let_go = [question for question, _ in lane.waiting]
        lane.waiting.clear()
        for question in let_go:
            self._settle(question, None, "passed_over")

    # --- verdicts ---------------------------------------------------------------------------------

    def _settle(self, question: JudgeQuestion, found: JudgedPair | None, result: str) -> None:
        lane = question.lane
        if question.settled or self._lanes.get((lane.route, lane.gate.title)) is not lane:
            return
        question.settled, question.found = True, found
        self._count(lane.route, lane.gate.title, result)
        while lane.drawn and lane.drawn[0].settled:
            one = lane.drawn.popleft()
            if one.found is not None and self._live(lane):
                self._observe((Batch(lane.route, one.revision, verdicts=(one.found,)),))

    def _live(self, lane: JudgeLane) -> bool:
        run = self._runs().get(lane.route)
        return run is not None and run.live is not None and run.live.trial is lane.trial

    # --- the loop ---------------------------------------------------------------------------------

    async def turn(self) -> None:
        """Let go of attempts that are over, and write what was spent."""
        await asyncio.sleep(LOOK_EVERY_S)
        for key in [key for key, lane in self._lanes.items() if not self._live(lane)]:
            self._lanes.pop(key).end()
        if self._changed and self._clock.now() - self._stored_s >= KEEP_EVERY_S:
            self.keep()

    def keep(self) -> None:
        """Write what was spent; what fails is written with the next."""
        self._changed, self._stored_s = False, self._clock.now()
        taken = {name: one.snapshot() for name, one in self._spending.items()}
        if taken:
            done = self._store.commit(
                Change(self._clock.now(), settings=StoreSettings(spent=taken))
            )
            done.add_done_callback(lambda ended: ended.cancelled() or ended.exception())

    async def close(self) -> None:
        """Let go of what is under way."""
        tasks = [task for lane in self._lanes.values() for task in lane.tasks]
        for lane in self._lanes.values():
            lane.end()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def lane(self, route: str, title: str, trial: Trial) -> JudgeLane | None:
        """Of a gate of this attempt; None: nothing was drawn for it yet."""
        lane = self._lanes.get((route, title))
        return lane if lane is not None and lane.trial is trial else None

    def spent(self, route: str, title: str) -> Spending:
        """What a gate has cost today; asking changes nothing."""
        known = self._spending.get(_name(route, title))
        today = known is not None and known.day == int(self._clock.wall() // DAY_S)
        return known if known is not None and today else Spending()


def _name(route: str, title: str) -> str:
    return f"{route}/{title}"
