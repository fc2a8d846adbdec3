"""Failures are heard after what was counted before them at other routers.

Good answers are told four times a second, a failure of a candidate at once. So a failure at one
router would be heard before answers of others that came earlier, and those between this failure and
the next: each of them costs evidence that was put in play by the failure before. One worker needs
four failures for a verdict; three routers needed up to seven. So everybody is asked when a
candidate fails, answers when what was counted has been told, and the failure waits for that. An
answer says which question it is to: another failure may have been asked about meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from router.control.fleet.fleet import Hears
from router.control.state.postgres_exchange import FailureQuestion
from router.core.wire.reporter import WorkerId
from router.link.messages import Report

WAIT_S: Final = 0.1
"""For all answers; they take 3 to 5 ms on one machine that has time."""


HERE: Final = ""
"""The router that decides, among those that are asked."""


class FailuresLast:
    """What workers say on its way to who decides; reports of one worker stay in their order.

    ``live``: the other routers that are asked.
    """

    def __init__(self, hears: Hears, live: Callable[[], set[str]]) -> None:
        self._hears, self._live = hears, live
        self._held: deque[tuple[WorkerId, Report, FailureQuestion | None]] = deque()
        """What waits, and for the answers to which question; None: for what is before it."""
        self._open: dict[FailureQuestion, tuple[set[str], asyncio.TimerHandle]] = {}
        """Who has not answered."""
        self._said: dict[tuple[str, str], FailureQuestion] = {}
        """The last answer of each to each, which may come before the failure is told."""
        self._question: FailureQuestion | None = None
        """Of the failure that is told next."""
        self.held = self.told = 0
        """Reports that ever had to wait, and those of them that wait no more, in the same order."""
        self.pairs, self.sampled, self.traced = hears.pairs, hears.sampled, hears.traced
        self.noticed = hears.noticed

    def __repr__(self) -> str:
        return f"<FailuresLast {len(self._held)} reports wait for {len(self._open)} answers>"

    def ask(self, question: FailureQuestion) -> bool:
        """A candidate failed, and the report of it follows; whether this router must answer."""
        self._question = None
        if not (others := self._live()):
            return False
        asked, known = {HERE, *others}, {question.replica, *others}
        self._said = {k: v for k, v in self._said.items() if k[0] in asked and k[1] in known}
        silent = {
            one for one in asked
            if not question.answered_by(self._said.get((one, question.replica)))
        }  # fmt: skip
        if silent:
            timer = asyncio.get_running_loop().call_later(WAIT_S, self.over, question)
            self._open[question] = silent, timer
            self._question = question
        return HERE in silent

    def answered(self, replica: str, answered: FailureQuestion) -> None:
        """This router has told what it had counted."""
        self._said[replica, answered.replica] = answered
        for question, (silent, _) in list(self._open.items()):
            if question.answered_by(answered):
                silent.discard(replica)
                if not silent:
                    self.over(question)

    def over(self, question: FailureQuestion) -> None:
        """All have answered, or have had their time."""
        if (one := self._open.pop(question, None)) is not None:
            one[1].cancel()
        while self._held and self._held[0][2] not in self._open:
            self._hears.report(*self._held.popleft()[:2])
            self.told += 1

    def report(self, who: WorkerId, report: Report) -> None:
        """Now, unless it is of a failure or behind one."""
        question = None
        if failing(report):
            question, self._question = self._question, None
        if question is not None or any(one == who for one, _, _ in self._held):
            self._held.append((who, report, question))
            self.held += 1
        else:
            self._hears.report(who, report)

    def gone(self, who: WorkerId, text: str) -> None:
        """A worker has ended; its last word comes before."""
        self.rest()
        self._hears.gone(who, text)

    def rest(self) -> None:
        """Everything that waits."""
        for question in list(self._open):
            self.over(question)


def failing(report: Report) -> bool:
    """Whether a candidate failed."""
    return any(cell.candidate.bad for batch in report.batches for cell in batch.cells)
