"""One try at one version: what is counted.

An exchange makes one attempt, or a second one on stable where the first is rescued. Each is told
its end once. Counted is it for its version always, and as evidence where a coin chose the version.
The evidence of a bad one can wait for two answers, and each has one room:

    was it the instance or the version?    `upstream/blame.py`, for candidates
    was it the payload?                    here: where the policy excuses payloads, a failed first
                                           attempt waits for the end of the second
"""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from router.core.wire.outcomes import BAD_OUTCOMES, Outcome

if TYPE_CHECKING:
    from router.proxy.serving import ServedVersion
    from router.telemetry.slices import Arm
    from router.upstream import Connection, Endpoint

PAYLOAD: Final = BAD_OUTCOMES - {Outcome.REFUSED}
"""Ends of a replay that speak against the request; a refused connection never saw it."""

_OK: Final = Outcome.OK


class Attempt:
    """See the module. Times are monotonic seconds."""

    __slots__ = ("age_s", "arm", "blank", "connection", "deadline", "endpoint", "excusable",
                 "first_byte_s", "nth", "outcome", "passed", "since", "status", "tries", "unit",
                 "verdict", "version", "who")  # fmt: skip

    endpoint: Endpoint | None
    """That of its connection; what it does is blamed on or credited to it."""
    connection: Connection | None
    blank: bool
    """Its answer has nothing in it."""
    outcome: Outcome | None
    """How it ended, while its blame waits."""
    age_s: float
    """How old the request was then."""
    excusable: bool
    """It waits for the end of the replay."""

    def __init__(  # noqa: PLR0917 - keywords cost, for every request
        self, version: ServedVersion, arm: Arm | None, unit: int, nth: int, who: int, since: float
    ) -> None:
        self.version = version
        self.arm = arm
        """Where it is evidence; None: nowhere, or it has been told there already."""
        self.unit = unit
        """Whose request it is, on sticky routes, and the how manieth of that user in its arm."""
        self.nth = nth
        self.who = who
        """A hash of its client's address."""
        self.since = since or monotonic()
        self.deadline = inf
        """Of what it waits for now: a connection, the answer, more of it."""
        self.endpoint = self.connection = self.outcome = None
        self.tries = self.status = self.passed = 0
        """Repetitions on the version; of its answer; latency limits of the arm it has passed."""
        self.first_byte_s = -1.0
        self.verdict = _OK
        """How it ends if the answer is whole."""
        self.blank = self.excusable = False
        stats = version.stats
        stats.in_flight += 1
        stats.dirty = True

    def expect(self, now: float, response_s: float) -> None:
        """Its answer has to begin within ``response_s``, or within its version's chance."""
        self.deadline = min(now + response_s, self.since + self.version.chance_s)

    def end(self, outcome: Outcome, asked: float, size: int, now: float, *,
            excusable: bool = False) -> None:  # fmt: skip
        """Count it.

        Args:
            outcome: How it ended.
            asked: When the request was put, without the time in which its client was slow.
            size: Bytes of the request's body.
            now: Monotonic seconds.
            excusable: The blame waits until `clear_up` is told of the replay.
        """
        since, status = self.since, self.status
        age_s = now - asked
        stats = self.version.stats
        stats.end(outcome, status, age_s if asked > since else now - since, self.first_byte_s)
        stats.bytes_in += size
        arm = self.arm
        if arm is None:
            return
        if excusable:
            self.excusable, self.outcome, self.age_s = True, outcome, age_s
        elif outcome and arm.candidate and outcome in BAD_OUTCOMES:
            self.outcome, self.age_s = outcome, age_s
            self.version.pool.blame.bad_answer(self.endpoint, self._settle, now)
        else:
            if (status > 399 or self.blank) and outcome is _OK and _refuses(status):
                arm.refuse(self.unit, self.nth)
            arm.end(outcome, age_s, self.passed, self.unit, self.nth, who=self.who)

    def clear_up(self, replayed: Outcome, now: float) -> None:
        """The replay is over: if it failed as well, it is the payload; if not, the version."""
        if self.arm is None:
            return
        if self.arm.candidate and (replayed is _OK or replayed in BAD_OUTCOMES):
            self.arm.slice.cell.replays[replayed is not _OK] += 1
        if not self.excusable:
            return
        if replayed in PAYLOAD or not self.arm.candidate:
            self._settle(replayed not in PAYLOAD)
        else:
            self.version.pool.blame.bad_answer(self.endpoint, self._settle, now)

    def _settle(self, blamed: bool) -> None:
        """Not blamed, it ends like a request whose client left: it counts for nobody."""
        if self.arm is not None and self.outcome is not None:
            outcome = self.outcome if blamed else Outcome.CLIENT_ABORT
            self.arm.end(outcome, self.age_s, self.passed, self.unit, self.nth, who=self.who)

    def overdue(self, age_s: float) -> None:
        """It is not answered at an age at which it has failed, however it ends."""
        if (arm := self.arm) is not None:
            self.arm = None
            arm.end(Outcome.TIMEOUT, age_s, self.passed, self.unit, self.nth, who=self.who)

    def observed(self, bad: bool, now: float) -> None:
        """Tell how its endpoint did, for ejecting one that fails in a row."""
        if self.endpoint is not None:
            self.version.pool.blame.observed(self.endpoint, bad, now)

    def __repr__(self) -> str:
        return f"<Attempt {self.version.name} status={self.status} tries={self.tries}>"


def _refuses(status: int) -> bool:
    """Whether a good answer of this status refuses the request, if it is not blank."""
    return status < 500 and status != 429  # which is about load
