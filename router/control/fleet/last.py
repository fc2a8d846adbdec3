"""Failures are heard after what was counted before them at other routers.

Good answers are told four times a second, a failure of a candidate at once. So a failure at one
router would be heard before answers of others that came earlier, and those between this failure and
the next: each of them costs evidence that was put in play by the failure before. One worker needs
four failures for a verdict; three routers needed up to seven. So everybody is asked when a
candidate fails, answers when what was counted has been told, and the failure waits for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from router.control.fleet.fleet import Hears
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
        self._held: list[tuple[WorkerId, Report]] = []
        self._asked: set[str] = set()
        """Who has not answered."""
        self._timer: asyncio.TimerHandle | None = None
        self.pairs, self.sampled, self.traced = hears.pairs, hears.sampled, hears.traced
        self.asked, self.noticed = hears.asked, hears.noticed

    def __repr__(self) -> str:
        return f"<FailuresLast {len(self._held)} reports wait for {sorted(self._asked)}>"

    @property
    def waiting(self) -> bool:
        """Whether some have not answered."""
        return bool(self._asked)

    def ask(self) -> None:
        """A candidate failed; while some have not answered, nobody is waited for again."""
        if not self._asked and (others := self._live()):
            self._asked = {HERE, *others}
            self._timer = asyncio.get_running_loop().call_later(WAIT_S, self.rest)

    def answered(self, replica: str) -> None:
        """This router has told what it had counted."""
        self._asked.discard(replica)
        if not self._asked:
            self.rest()

    def report(self, who: WorkerId, report: Report) -> None:
        """Now, unless it is of a failure or behind one."""
        behind = any(one == who for one, _ in self._held)
        if behind or (self._asked and failing(report)):
            self._held.append((who, report))
        else:
            self._hears.report(who, report)

    def gone(self, who: WorkerId, text: str) -> None:
        """A worker has ended; its last word comes before."""
        self.rest()
        self._hears.gone(who, text)

    def rest(self) -> None:
        """Everything that waits."""
        if self._timer is not None:
            self._timer.cancel()
        self._asked = set()
        held, self._held = self._held, []
        for who, report in held:
            self._hears.report(who, report)


def failing(report: Report) -> bool:
    """Whether a candidate failed."""
    return any(cell.candidate.bad for batch in report.batches for cell in batch.cells)
