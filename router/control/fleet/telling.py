"""What the workers of a replica say: to its own decider where it leads, else kept for who does.

A slice of draws is told again and again, whole each time (:mod:`router.core.evidence.ledger`). The
next leader goes on from what the one before has written down, which may have some of a slice
already; so whatever was told of a slice under an earlier term is not told under a later one, as
requests under way are given up when a router starts again. Slices that begin under it are whole.

A failure of a candidate is told at once, and everybody is asked for what was counted before it
(:mod:`router.control.fleet.last`).

What waits is bounded. When it is too much, pairs and samples are lost first, then the oldest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from msgspec import structs

from router.control.fleet.fleet import Reply
from router.control.fleet.last import HERE, FailuresLast, failing
from router.control.state.postgres_exchange import FAILED, TOLD, FailureQuestion, Me, Word
from router.core.wire.outcomes import Batch
from router.core.wire.reporter import WorkerId
from router.core.wire.sampled import Sampled
from router.link.messages import (
    AskPeople,
    LookAgain,
    PairReport,
    Report,
    SampleReport,
    SpanReport,
    encode,
)

WAITING_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of everything that waits for the database; pairs, samples and spans have half of it."""
AT_ONCE_BYTES: Final = 1024 * 1024
"""Told in one statement; one word more than that always is."""

NOBODY: Final = WorkerId("", 0, 0)
"""Who says what the router itself says."""

_Bodies = TypeVar("_Bodies", PairReport, SampleReport, SpanReport)


class ReplicaWords:
    """See the module; what :class:`router.control.fleet.workers.Workers` tell.

    ``me``: the router they belong to.
    """

    def __init__(self, me: Me) -> None:
        self._me = me
        self.to: FailuresLast | None = None
        """Who decides in this process; None while another router does."""
        self.term = 0
        """Of the table that the workers follow."""
        self.wake = asyncio.Event()
        """Something should be told at once."""
        self.hint = ""
        """For whom: who leads (TOLD), or everybody (FAILED)."""
        self.hurry: Callable[[WorkerId | None], set[WorkerId]] = lambda _but: set()
        """Lets the workers of this router report, but for one; answers who was asked."""
        self.people: Callable[[AskPeople | LookAgain, Reply], None] = lambda _asked, _reply: None
        """Takes what they ask people."""
        self.lost: Callable[[Mapping[str, int]], None] = lambda _causes: None
        """Counts samples and pairs for which there was no room."""
        self._hurried: set[WorkerId | None] = set()
        self._failures = 0
        """Of candidates, as they were told here."""
        self._owed: dict[str, FailureQuestion] = {}
        """By router: the last question there, which is answered when all of these have reported."""
        self._words: deque[Word] = deque()
        self._bytes = 0
        self._newest: dict[WorkerId, int] = {}
        """The last slice that each worker told of."""
        self._floor: dict[WorkerId, int] = {}
        """The same when the present term began."""

    def __repr__(self) -> str:
        return f"<ReplicaWords in term {self.term}, {len(self._words)} words wait>"

    def follow(self, term: int) -> None:
        """Tables are of this term from now on: what waits was for who led before."""
        if term != self.term:
            self.term = term
            self._floor = dict(self._newest)
            self._words.clear()
            self._bytes = 0

    @property
    def waiting(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._words)

    @property
    def words(self) -> int:
        """How many wait."""
        return len(self._words)

    @property
    def behind(self) -> bool:
        """Whether more waits than is told at once."""
        return self._bytes > AT_ONCE_BYTES

    def take(self) -> tuple[Word, ...]:
        """What is told next."""
        found, size = list[Word](), 0
        while self._words and (not found or size + len(self._words[0].message) <= AT_ONCE_BYTES):
            found.append(self._words.popleft())
            size += len(found[-1].message)
        self._bytes -= size
        return tuple(found)

    # --- what workers say -------------------------------------------------------------------------

    def report(self, who: WorkerId, report: Report) -> None:
        """Counts; a failure of a candidate is told at once, and what was asked for."""
        batches = self._of_this_term(who, report.batches)
        told = report if batches is report.batches else structs.replace(report, batches=batches)
        failed = failing(told)
        if failed:
            self._ask()
        if self.to is not None:
            self.to.report(who, told)
        else:
            self._keep(Word(who, encode(told)))
        if failed:
            self.say(FAILED)
            self._hurry(who)
        elif who in self._hurried:
            self._answer(who)

    def _ask(self) -> None:
        self._failures += 1
        question = self._owed[self._me.replica] = self._question
        if self.to is not None:
            self.to.ask(question)
        else:
            self._keep(Word(NOBODY, b"", question=question))

    @property
    def _question(self) -> FailureQuestion:
        """The last one of this router."""
        return FailureQuestion(self._me.replica, self._me.boot, self._failures)

    def failed(self, question: FailureQuestion) -> None:
        """A candidate failed elsewhere: what was counted here is told."""
        self._owed[question.replica] = question
        self._hurry(None)

    def _hurry(self, but: WorkerId | None) -> None:
        self._hurried |= self.hurry(but)
        self._answer(but)

    def _answer(self, who: WorkerId | None) -> None:
        """All who were asked have reported, where this is the last one."""
        self._hurried.discard(who)
        if self._hurried:
            return
        owed, self._owed = self._owed, {}
        for question in owed.values():
            if self.to is not None:
                self.to.answered(HERE, question)
            else:
                self._keep(Word(NOBODY, b"", question=question, answered=True))
                self.say(TOLD)

    def hinted(self, hint: str) -> str:
        """As it is sent: of a failure, with the question."""
        return self._question.hint if hint == FAILED else hint

    def say(self, hint: str) -> None:
        """At once; what everybody is told, who leads is told with it."""
        self.hint = FAILED if FAILED in (self.hint, hint) else hint or self.hint
        self.wake.set()

    def _of_this_term(self, who: WorkerId, batches: tuple[Batch, ...]) -> tuple[Batch, ...]:
        floor = self._floor.get(who, 0)
        slices = [cell.slice for batch in batches for cell in batch.cells]
        self._newest[who] = max(self._newest.get(who, 0), *slices, 0)
        if not any(0 < one <= floor for one in slices):
            return batches
        return tuple(
            replace(batch, cells=tuple(c for c in batch.cells if not 0 < c.slice <= floor))
            for batch in batches
        )  # fmt: skip

    def sampled(self, who: WorkerId, report: SampleReport) -> None:
        """Requests with their predictions."""
        floor = self._floor.get(who, 0)

        def kept(one: Sampled) -> Sampled:
            return replace(one, counted=False) if one.counted and one.slice <= floor else one

        told = SampleReport(tuple(kept(one) for one in report.samples))
        if self.to is not None:
            self.to.sampled(who, told)
        else:
            self._shed_or_keep(who, told)

    def pairs(self, who: WorkerId, report: PairReport) -> None:
        """Answers to compare."""
        if self.to is not None:
            self.to.pairs(who, report)
        else:
            self._shed_or_keep(who, report)

    def traced(self, who: WorkerId, report: SpanReport) -> None:
        """Spans that have ended."""
        if self.to is not None:
            self.to.traced(who, report)
        else:
            self._shed_or_keep(who, report)

    def asked(self, asked: AskPeople | LookAgain, reply: Reply) -> None:
        """A question for people, or a client's look at one: it is the same whoever leads."""
        self.people(asked, reply)

    def noticed(self, who: WorkerId, text: str) -> None:
        """Something about a worker."""
        if self.to is not None:
            self.to.noticed(who, text)
        else:
            self._keep(Word(who, b"", text))

    def gone(self, who: WorkerId, text: str) -> None:
        """It has ended."""
        self._newest.pop(who, None)
        self._hurried.discard(who)
        if self.to is not None:
            self.to.gone(who, text)
        else:
            self._keep(Word(who, b"", text, ended=True))

    # --- what waits -------------------------------------------------------------------------------

    def _shed_or_keep(self, who: WorkerId, report: _Bodies) -> None:
        message = encode(report)
        if 2 * (self._bytes + len(message)) <= WAITING_BYTES_MAX:
            self._keep(Word(who, message))
        elif isinstance(report, SampleReport):
            self.lost({"sample_shed": len(report.samples)})
        elif isinstance(report, PairReport):
            self.lost({"pairs_shed": len(report.pairs)})

    def _keep(self, word: Word) -> None:
        self._words.append(word)
        self._bytes += len(word.message)
        while self._bytes > WAITING_BYTES_MAX:
            self._bytes -= len(self._words.popleft().message)
