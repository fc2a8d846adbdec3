"""How a request can end, and the counts in which the data plane reports it.

Every exchange ends in exactly one :class:`Outcome`. Metrics and rollout decisions read only
that, so "whose fault was it" is answered once, in :data:`FAULT`.

Evidence travels as :class:`Cell`: the counts of all requests that were routed at one candidate
weight by a real coin. The weight is the one of the *moment of routing*, remembered with the
exchange; that is what makes the sequential tests exact (Ville's inequality needs the probability
with which the arm was drawn, not the probability in force when the answer came back).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from router.core.wire.fed import FedRequest
from router.core.wire.judged import JudgedPair
from router.core.wire.paired import PairRows
from router.core.wire.ripe import Ripe
from router.core.wire.sampled import SampleFacts


class Outcome(IntEnum):
    """The one way in which an exchange ended. The integers are array indexes on the hot path."""

    OK = 0  # a complete answer, status < 500
    SERVER_ERROR = 1  # a complete answer, status >= 500
    REFUSED = 2  # no connection to the endpoint
    TIMEOUT = 3  # connect, head, body or total deadline passed
    RESET = 4  # connection lost before the answer was complete
    MALFORMED = 5  # the answer broke HTTP framing, a declared limit, or a payload that is checked
    TRUNCATED = 6  # the body ended early after the head had been passed on
    CLIENT_ABORT = 7  # the client left, or its upload stalled
    REJECTED = 8  # refused by the router before a version was chosen (4xx of our own)
    SHED = 9  # admission limit, drain or breaker: never sent to the version
    GIVEN_UP = 10  # the client left, unanswered at an age at which stable has answered 99 %


FAULT: dict[Outcome, str] = {
    Outcome.OK: "nobody",
    Outcome.SERVER_ERROR: "version",
    Outcome.REFUSED: "version",
    Outcome.TIMEOUT: "version",
    Outcome.RESET: "version",
    Outcome.MALFORMED: "version",
    Outcome.TRUNCATED: "version",
    Outcome.CLIENT_ABORT: "client",
    Outcome.REJECTED: "client",
    Outcome.SHED: "router",
    Outcome.GIVEN_UP: "version",
}
"""Who broke the exchange. Only ``version`` can count against a version, only ``nobody`` for it."""

BAD_OUTCOMES = frozenset(o for o, who in FAULT.items() if who == "version")


@dataclass(frozen=True, slots=True)
class UserCounts:
    """Of one arm where users are drawn, not requests: who they were, by 64-bit hashes.

    ``drawn`` are users whose first request this process drew here; ``open``, ``bad`` and
    ``slow[i]`` are those of them whose first request is under way, failed, passed a threshold.
    ``betting`` counts requests among the first few of users that had not failed before,
    ``betting_good`` those of them that ended well; ``first_bad`` are users that failed in one.
    """

    drawn: tuple[int, ...] = ()
    open: tuple[int, ...] = ()
    bad: tuple[int, ...] = ()
    slow: tuple[tuple[int, ...], ...] = ()
    betting: int = 0
    betting_good: int = 0
    first_bad: tuple[int, ...] = ()
    refused: tuple[int, ...] = ()
    bad_by: tuple[int, ...] = ()
    """Whose requests those of ``bad`` were: hashes of clients' addresses, in the same order."""
    first_bad_by: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """Outcomes of one arm in one slice of draws.

    ``slow[i]`` and ``fast[i]`` count requests above and below ``Cell.thresholds_s[i]``; a request
    is slow from the moment its *age* passes the threshold, answered or not, and fast if it ended
    before, however it ended.
    """

    ok: int = 0
    bad: int = 0
    fast: tuple[int, ...] = ()
    slow: tuple[int, ...] = ()
    arrived: int = 0
    """Requests drawn to this arm, whatever became of them."""
    left: int = 0
    """Requests that ended without a judged answer: nobody has seen a failure."""
    users: UserCounts | None = None
    """On sticky routes: the same for users, who are the unit there."""
    refused: int = 0
    """Of ``ok``: answers that refuse the request (4xx except 429), or a 200 with nothing in it."""
    more: int = 0
    """Of ``bad``: those that ended together with another one, so that they may have its cause."""
    sampled: int = 0
    """Of ``arrived`` (on sticky routes: of users' first requests): whose prediction will be told,
    see :class:`router.core.wire.sampled.Sampled`."""
    by: tuple[int, ...] = ()
    """Whose requests have failed: hashes of clients' addresses, in the order of failing. May be
    shorter than ``bad``."""

    @property
    def answers(self) -> int:
        """Judged ones."""
        return self.ok + self.bad


@dataclass(frozen=True, slots=True)
class Cell:
    """Counts of both arms for requests routed at one candidate weight, 0 < weight <= 10 000.

    Below 10 000 the arm was drawn by a coin and everything may be compared; at 10 000 (bake, a
    blue-green switch) it was not: comparisons ignore such a cell, absolute gates read it.

    A worker's cell is one *slice* of its draws, whole each time it is reported: it replaces what
    was said of the same ``source`` and ``slice`` before. Without a slice it is an increment of
    which nothing is open.
    """

    weight_bp: int
    candidate: ArmCounts = ArmCounts()
    stable: ArmCounts = ArmCounts()
    thresholds_s: tuple[float, ...] = ()
    """Latency thresholds in force when these were routed, seconds on stable's time axis."""
    tolerance: float = 0.0
    """A candidate request is slow above ``threshold * (1 + tolerance)``."""
    sticky: bool = False
    source: int = 0
    """The worker that drew."""
    slice: int = 0
    """Number of the slice, growing with time at each worker; 0: an increment."""
    round: int = 0
    """Of the evidence; a new one begins afresh, with everybody."""
    forced: bool = False
    """Sent to the candidate by a pin or a rule: nothing was drawn, only absolute limits look."""
    firsts: tuple[ArmCounts, ArmCounts] | None = None
    """(candidate, stable), where users are drawn: first requests of users nobody had seen before.
    Made from :attr:`ArmCounts.users` by :class:`router.core.evidence.users.Users`."""
    newcomers: tuple[ArmCounts, ArmCounts] | None = None
    """Likewise: those of them whom nobody had seen in an earlier round either."""
    betting: tuple[ArmCounts, ArmCounts] | None = None
    """Likewise: the first few requests of each user up to the first bad one."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Compared answers since the last report: one request, stable's and the candidate's answer."""

    agreed: int = 0
    disagreed: int = 0
    failed: int = 0
    """Shadow copies the candidate answered badly (5xx, timeout, malformed)."""
    scored: int = 0
    """Pairs of ``agreed`` and ``disagreed`` in which both answers are positive or negative."""
    gained: int = 0
    """Scored pairs that only the candidate answered positively."""
    lost: int = 0
    """Scored pairs that only stable answered positively."""
    learning: int = 0
    """Pairs that were compared to learn the noise, and are no evidence."""
    reverse: bool = False
    """The candidate's answers went to clients: they are counted in cells as well."""
    times: tuple[tuple[float, float], ...] = ()
    """Seconds that stable and the candidate took for a request that both answered, in the order of
    the pairs; none of reverse ones."""
    rows: tuple[PairRows, ...] = ()
    """Of those of ``agreed`` and ``disagreed`` that were read row by row, in their order."""
    absent: tuple[str, ...] = ()
    """Names of the policy that no answer of stable had among ``agreed`` and ``disagreed``."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Delayed truth about served predictions, at the weight with which they were *routed*."""

    weight_bp: int
    candidate_wrong: int = 0
    candidate_right: int = 0
    stable_wrong: int = 0
    stable_right: int = 0


@dataclass(frozen=True, slots=True)
class LabelledPairs:
    """Delayed truth about shadow pairs: who was right where both versions answered."""

    worse: int = 0
    """Candidate wrong, stable right."""
    better: int = 0
    """Candidate right, stable wrong."""
    same: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything the data plane observed of one rollout since its last report."""

    route: str
    revision: int
    """Of the rollout whose table routed these requests; counts of a stale one are only shown."""
    cells: tuple[Cell, ...] = ()
    pairs: Pairs | None = None
    labels: tuple[Labels, ...] = ()
    labelled_pairs: LabelledPairs | None = None
    samples: tuple[SampleFacts, ...] = ()
    """What sampled requests predicted, as it becomes known; a judge hands them to its gates in the
    order of drawing."""
    matured: tuple[Ripe, ...] = ()
    fed: tuple[FedRequest, ...] = ()
    """What became of inputs that this route made for others."""
    lanes: tuple[int, ...] = ()
    """Places (of :data:`LANES`) of clients that this worker had not seen before in this attempt."""
    ripened: int = 0
    """Number of the last truth in it, as the log counts them."""
    replays: tuple[int, int] = (0, 0)
    """Failures of the candidate that were put to stable again: answered, and failed as well."""
    verdicts: tuple[JudgedPair, ...] = ()
    """Of judges outside, about pairs of answers, in the order in which the pairs were drawn."""

    def of_truths(self, truths: Iterable[Ripe]) -> Batch:
        """Nothing but these truths, for who asks of a part of the requests."""
        return Batch(self.route, self.revision, matured=tuple(truths))

    def of_pair(self, rows: PairRows) -> Batch:
        """Nothing but one compared pair with these rows, likewise."""
        return Batch(self.route, self.revision, pairs=Pairs(agreed=1, rows=(rows,)))

    def of_fed(self, one: FedRequest) -> Batch:
        """What was answered to an input and its truth, as if this route had answered it."""
        facts = one.facts
        samples = () if facts is None else (
            SampleFacts(0, 0, one.weight_bp, one.candidate, one.unit, (), facts),
        )  # fmt: skip
        matured = () if one.ripe is None else (one.ripe,)
        return Batch(self.route, self.revision, samples=samples, matured=matured)


LANES = 256
"""Places of clients, by a hash of their address: as many as are taken, or more, were seen."""
