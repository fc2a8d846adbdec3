"""The prediction log as control sees it: what the reader is told of it, asked, and says.

Truths go to the reader, which joins them with what is logged and answers when they are durable.
What has matured comes back by itself, and becomes evidence a few hundred at a time: a batch of
10,000 labels must not hold the decider for longer than a turn may take.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from router.control.predictions.ripening import beside_person, book, reward, ripe
from router.control.state.errors import NotAnswered
from router.control.told.answers import LagView, LogView
from router.core.logged.terms import LogTerms
from router.core.logged.truth import Matured, Truth
from router.core.pairs.shadow import together
from router.core.wire.fed import FedTold, fed_together
from router.core.wire.outcomes import Batch, Pairs
from router.core.wire.ripe import Ripe
from router.link.reading import CopyAnswer, Logging, LogState, Ripened, TellTruths, TruthsTold
from router.loops import in_turn

if TYPE_CHECKING:
    from router.control.fleet.reader import ReaderProcess
    from router.control.rollouts.reconciler import Reconciler
    from router.control.rollouts.run import Run
    from router.control.state.clock import Clock
    from router.core.wire.counts import PairSample

TURN_MATURED: Final = 100
"""Matured predictions that one turn of the loop takes in: a few milliseconds."""
ANSWER_S: Final = 10.0
"""How long a batch of truths may take to become durable."""
UNANSWERED_MAX: Final = 64
"""Batches of truths under way; more are refused."""

_About = tuple[str, int]
"""Route and revision."""
_Count = Callable[[str, str, str, int], None]
"""``count(route, version, result, number)`` of feedback, for metrics."""


class PredictionLog:
    """See the module."""

    def __init__(
        self, reconciler: Reconciler, reader: ReaderProcess, clock: Clock, count: _Count
    ) -> None:
        self._reconciler = reconciler
        self._reader = reader
        self._clock = clock
        self._count = count
        self._terms = LogTerms()
        self._asked: dict[int, asyncio.Future[TruthsTold]] = {}
        self._number = 0
        self._matured: deque[Matured] = deque()
        self._under_way = False
        self._upto: dict[str, int] = {}
        """By route: the number of what was booked last, evidence or not."""
        self._copies_lost = 0
        """Answers of copies that came while there was no reader."""
        self.labelled: Callable[[str, str, int, int], None] = lambda *_told: None
        """Told of each prediction's labels: route, version, how many rows were right and wrong."""
        self.made: Callable[[Matured], Iterable[FedTold]] = lambda _one: ()
        """Told of each prediction; says what it tells of the routes that made its input."""
        self.state = LogState()
        """As the reader told it last."""
        reader.on_told = self._told
        reader.on_ripened = self._ripened
        reader.on_log_state = self._state
        reader.on_ready.append(self._begin)
        reader.on_lost.append(self._lost)

    def __repr__(self) -> str:
        return f"<PredictionLog {self._terms.file}, {len(self._matured)} wait to be judged>"

    @property
    def file(self) -> str:
        """Where it is, a file or a URL; empty: nowhere."""
        return self._terms.file

    @property
    def kept(self) -> bool:
        """Whether any route has a log."""
        return bool(self._terms.file)

    def keeps(self, route: str) -> bool:
        """Whether this one has."""
        return any(one.route == route for one in self._terms.routes)

    def settle(self, terms: LogTerms) -> None:
        """Follow an adopted policy."""
        if terms != self._terms:
            self._terms = terms
            self._begin()

    def _begin(self) -> None:
        """The reader is told again whenever it is a new one; asking for it starts it."""
        told_before = self.state != LogState()
        if (self.kept or told_before) and self._reader.ready:
            self._reader.send(Logging(self._terms, self._booked()))

    def _booked(self) -> dict[str, int]:
        """What a reader that begins need not tell again; what nobody has booked, it must."""
        self._matured.clear()
        booked = {}
        for route in (one.route for one in self._terms.routes):
            run = self._reconciler.runs.get(route)
            if run is not None and run.trial is not None:
                booked[route] = max(run.trial.ripened, self._upto.get(route, 0))
        return booked

    def copied(self, pairs: Iterable[PairSample]) -> None:
        """What copies were answered, where their route has a log."""
        if not self.kept:
            return
        now = self._clock.wall()
        for one in pairs:
            if not self.keeps(one.route):
                continue
            if not self._reader.ready:
                self._copies_lost += 1
            else:
                self._reader.send(CopyAnswer(
                    one.route, one.version, one.request_id, one.revision, one.shadow_status,
                    one.shadow_s, now, one.segment, one.shadow_body, one.shadow_coding,
                    one.payload,
                ))  # fmt: skip

    # --- truths -----------------------------------------------------------------------------------

    async def tell(self, truths: Sequence[Truth]) -> tuple[str, ...]:
        """What became of each: joined, waiting, duplicate. Durable when it returns.

        Raises NotAnswered: they may be sent again, since each counts once.
        """
        if len(self._asked) >= UNANSWERED_MAX:
            raise NotAnswered("too much feedback is under way; send it again")
        self._number += 1
        number = self._number
        future: asyncio.Future[TruthsTold] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            async with asyncio.timeout(ANSWER_S):
                while not self._reader.send(TellTruths(number, tuple(truths)), answered=True):
                    self._reader.ready  # noqa: B018 - asks for one
                    await asyncio.sleep(0.05)
                told = await future
        except TimeoutError:
            raise NotAnswered("the prediction log does not answer; send it again") from None
        finally:
            self._asked.pop(number, None)
        if told.error:
            raise NotAnswered(f"the prediction log: {told.error}; nothing was taken")
        return told.taken

    def _told(self, told: TruthsTold) -> None:
        future = self._asked.get(told.number)
        if future is not None and not future.done():
            future.set_result(told)

    def _lost(self) -> None:
        """The reader has gone: whoever waits sends again, and each truth counts once.

        The next one is wanted at once: it tells what this one had not.
        """
        if self.kept:
            self._reader.ready  # noqa: B018 - asks for one
        for future in self._asked.values():
            if not future.done():
                future.set_result(TruthsTold(0, (), "the reader ended"))

    # --- what has matured -------------------------------------------------------------------------

    def _ripened(self, ripened: Ripened) -> None:
        self._matured += ripened.matured
        if self._matured and not self._under_way:
            self._under_way = True
            in_turn(self._turn)

    def _turn(self) -> None:
        """Some of it; the rest in the next turn of the loop."""
        part = [self._matured.popleft() for _ in range(min(TURN_MATURED, len(self._matured)))]
        try:
            self.take(part)
        finally:
            self._under_way = bool(self._matured)
            if self._under_way:
                in_turn(self._turn)

    def take(self, part: Sequence[Matured]) -> None:
        """Book it, and tell the judges, in order."""
        fed = fed_together(told for one in part for told in self.made(one))
        batches: dict[_About, list[Ripe]] = {}
        told: dict[_About, list[Pairs]] = {}
        for one in part:
            run = self._reconciler.runs.get(one.route)
            if run is not None and one.rows:
                batches.setdefault((one.route, one.revision), [])  # its number is kept in any case
                self._one(one, run, batches, told)
                self._upto[one.route] = one.number
        if fed:  # by themselves: their numbers are those of the routes that are fed
            self._reconciler.observe(tuple(
                Batch(*about, fed=several) for about, several in fed.items()
            ))  # fmt: skip
        if batches or told:
            self._reconciler.observe(tuple(
                Batch(*about, matured=tuple(batches.get(about, ())),
                      pairs=together(told[about]) if about in told else None,
                      ripened=part[-1].number)
                for about in dict.fromkeys((*batches, *told))
            ))  # fmt: skip

    def _one(
        self, one: Matured, run: Run, batches: dict[_About, list[Ripe]],
        told: dict[_About, list[Pairs]],
    ) -> None:  # fmt: skip
        if result := book(one, run):
            self._count(one.route, one.rows[0].served.version, result, len(one.rows))
            said = [row.served.correct for row in one.rows]
            version = one.rows[0].served.version
            self.labelled(one.route, version, said.count(True), said.count(False))
        trial = run.trial
        if trial is None:
            return
        if one.revision >= trial.revision and (earned := reward(one)) is not None:
            trial.reward(one.rows[0].served.version, earned, self._clock.now())
        if (evidence := ripe(one, trial)) is not None:
            batches.setdefault((one.route, one.revision), []).append(evidence)
        if (pairs := beside_person(one, trial, self._clock.wall(), run.route.review)) is not None:
            told.setdefault((one.route, one.revision), []).append(pairs)

    def _state(self, state: LogState) -> None:
        self.state = state

    @property
    def _lost_here(self) -> dict[str, int]:
        return {"reader": self._copies_lost} if self._copies_lost else {}

    def view(self) -> LogView:
        """For people: what is held, dropped, waited for, and how late truths come."""
        state = self.state
        return LogView(
            file=self._terms.file, written=state.written, dropped=state.dropped | self._lost_here,
            held=state.held, unknown=state.unknown, unknown_ids=list(state.unknown_ids),
            error=state.error,
            lag={
                route: LagView(truths=count, p50_s=half, p95_s=most)
                for route, (count, half, most) in state.lags.items()
            },
        )  # fmt: skip
