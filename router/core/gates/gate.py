"""What a gate is: a question in a policy, and its state while a rollout answers it.

The policy type *is* the behaviour: fields with their defaults, :meth:`Gate.limits` for what the
data plane must count, and :meth:`Gate.start` for the state. A new gate is one file with one
:class:`Gate` and one line in ``GATES``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple

from router.core.evidence.combine import shares
from router.core.evidence.restart import horizon_of
from router.core.gates.by import SegmentBy, SegmentKeys
from router.core.gates.needs import Need
from router.core.gates.sample import Detect, Sample
from router.core.gates.verdict import Counts, GateReport, Verdict
from router.core.quantities import BasisPoints, Flag, Name
from router.core.snapshots import Lasting
from router.core.spec import Spec
from router.core.wire.baseline import Baseline
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from router.core.pairs.compare import Compare
    from router.core.wire.outcomes import Batch


BRAKE_BP: Final = 500
"""Share of a candidate whose answers seem to fail: each failure tells twenty times what it tells at
100 %, and few clients meet it."""

COMPARED_BP: Final = 2_500
"""Share of a candidate whose predictions seem to be others, or worse. At a share ``w`` each request
tells in proportion to ``w (1 - w)`` of two shares that differ, and to ``w ln(1 / w)`` of a fault
that stable never has: three quarters of an even coin's, and all of it. At 5 % it is a fifth and two
fifths, so a verdict took as many times as long for hardly fewer of such answers; and of couples
that one version scored (``auc``) nothing was left."""


class SlowLimit(NamedTuple):
    """Ages at which a request of either arm becomes slow, seconds."""

    stable_s: float
    candidate_s: float


@dataclass(frozen=True, slots=True)
class GateContext:
    """What a gate may know when it starts."""

    baseline: Baseline = field(default_factory=Baseline)
    sticky: bool = False
    """Users, not requests, are assigned."""
    max_duration_s: float | None = None
    hold_level: float = 3.0
    min_bad: int = 2
    limit: float = 100.0
    """Evidence at which this gate alone rolls back: 1 / (alpha * its share)."""
    pairs_share: float = 0.5
    """What of a gate that lives on draws and on pairs is bet on pairs."""
    told: SegmentKeys = field(default_factory=lambda: SegmentKeys(()))
    """What the rollout's samples tell segments apart by."""

    def horizon(self, bad_rate: float) -> int | None:
        """Bad events expected in the longest duration, for the release of capital."""
        return horizon_of(bad_rate, self.baseline.requests_per_s, self.max_duration_s)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One answer from outside (a query, a webhook)."""

    values: tuple[float, ...] = ()
    """The series of the answer; none means the source had no data."""
    error: str = ""
    """Why measuring failed; empty if it did not."""


class GateState(Lasting, ABC):
    """One gate of one rollout. Nothing here does IO or reads a clock."""

    def __init__(self, name: str, context: GateContext, *, dry_run: bool = False) -> None:
        self.name = name
        self.context = context
        self.dry_run = dry_run

    @property
    def capital(self) -> float:
        """Evidence against the candidate that may roll back, ``x : 1``; 1 where nothing is bet."""
        return 1.0

    def capital_without(self, who: int) -> float:  # noqa: ARG002 - where failures are not counted
        """The same without the failures of one client."""
        return self.capital

    @property
    def held(self) -> bool:
        """Whether this gate by itself asks for no more traffic."""
        return False

    @property
    def enough(self) -> bool:
        """Whether so much was seen that its evidence may convict, however strong that is."""
        return True

    @property
    def wants_trial(self) -> bool:
        """Whether the arms have to be compared afresh, at a share at which that is possible."""
        return False

    @property
    def on_trial(self) -> bool:
        """Whether that is going on."""
        return False

    def begin_trial(self, round_: int) -> None:  # noqa: ARG002 - the guard's do
        """What is drawn in this round and later is the trial's."""
        raise TypeError(f"gate {self.name} tries nobody")

    @property
    def candidate(self) -> Counts:
        """The candidate's outcomes as this gate sees them."""
        return Counts()

    @property
    def stable(self) -> Counts:
        """Stable's outcomes as this gate sees them."""
        return Counts()

    def observe(self, batch: Batch) -> None:
        """Take in what the data plane counted; ignore what is not this gate's."""

    def begin_round(self, round_: int) -> None:
        """Users count anew in what is drawn in this round."""

    def renew(self) -> None:
        """It seems that the candidate fails since now: bet on it anew, with what is in reserve."""

    def abandon(self, source: int | None) -> None:
        """A worker is gone (None: all of them); what it had under way ended with it."""

    def measure(self, measurement: Measurement, now: float) -> None:  # noqa: ARG002 - see due
        """Take in an answer from outside; only polled gates expect one."""
        raise TypeError(f"gate {self.name} measures nothing outside")

    def due(self, now: float) -> bool:  # noqa: ARG002 - polled gates read the time
        """Whether an answer from outside is wanted now."""
        return False

    @property
    def approved(self) -> bool:
        """Whether somebody outside has answered for the candidate."""
        return False

    def sample(self, detect: Detect, weight_bp: int) -> Sample:  # noqa: ARG002 - see comparisons
        """Its candidate's outcomes, and those with which one that fails `detect` is convicted.

        In nine of ten cases. ``weight_bp``: the present share of requests that a coin sends to the
        candidate. Nothing wanted: this gate is not asked for a sample.
        """
        return Sample(0, 0)

    @property
    def verdict(self) -> Verdict:
        """The present answer: evidence fails at its limit, and pends while it is suspicious."""
        bad = self.enough and self.candidate.bad >= self.context.min_bad
        if bad and self.capital >= self.context.limit:
            return Verdict.FAIL
        if self.candidate.total == 0 or self.held or self.capital >= self.context.hold_level:
            return Verdict.PENDING
        return Verdict.PASS

    @property
    def fails(self) -> bool:
        """Whether its bad outcomes are answers that failed."""
        return False

    def plain(self) -> str:
        """What it has against the candidate ("it"), as a person would say it: no odds."""
        return self.sentence()

    @abstractmethod
    def sentence(self) -> str:
        """What was seen, against what, with the sample size."""

    def report(self) -> GateReport:
        """The gate as the journal keeps it."""
        return GateReport(
            self.name, self.verdict, self.sentence(), self.capital, self.context.limit,
            self.candidate, self.stable, self.dry_run,
        )  # fmt: skip


class Gate(Spec):
    """Fields that every gate has. Subclasses set ``kind`` to their name in ``GATES``."""

    kind: ClassVar[str] = ""
    half: ClassVar[bool] = False
    """Whether gates of this kind together get one half of the evidence, the others the rest."""
    small: ClassVar[float | None] = None
    """The part of such a gate where others bet as well; absent: as large as theirs."""
    bets: ClassVar[bool] = True
    """Whether the gate holds evidence; a gate that only asks outside has no share."""
    brake_bp: ClassVar[int] = BRAKE_BP
    """The most of a candidate that this gate suspects; see :mod:`router.core.cap`."""
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ROWS})
    """What it lives on; a policy that has none of it made is refused."""
    unit: ClassVar[str] = ""
    """What it counts, in the singular; empty: what everybody counts who lives on the same."""
    requests: ClassVar[bool] = False
    """Whether it wants the requests of pairs beside both answers."""

    name: Name | None = None
    """Name in reports; needed when two gates of a kind are used. Absent: the kind."""
    dry_run: Flag = False
    """Measure and report, but never hold or roll back."""
    on_fail: Literal["rollback", "hold", "notify"] = "rollback"
    """What its failure does: `rollback` takes the candidate back, `hold` keeps it where it is until
    a person decides, `notify` only tells people. Only gates that roll back share the evidence."""
    share: BasisPoints | None = None
    """Share of the combined evidence; absent: guard a tenth, of the rest error_rate one half, or
    all where there is no other."""

    @property
    def title(self) -> str:
        """The name in reports."""
        return self.name or self.kind

    @property
    def convicts(self) -> bool:
        """Whether it can take the candidate back."""
        return not self.dry_run and self.on_fail == "rollback"

    @property
    def holds(self) -> bool:
        """Whether it can keep the candidate from going on."""
        return not self.dry_run and self.on_fail != "notify"

    @property
    def coin(self) -> bool:
        """Whether it learns only while a coin decides between the versions."""
        return bool(self.needs & {Need.COIN, Need.BOTH})

    @property
    def segments(self) -> SegmentBy | None:
        """What it tells segments apart by; None: it asks of everything together."""
        return None

    @property
    def asked_again_s(self) -> float:
        """Within which time it looks whether a user asks again; 0: never."""
        return 0.0

    @property
    def read_share(self) -> float:
        """Of what it could learn from, 0..1."""
        return 1.0

    @property
    def per_day(self) -> int | None:
        """Outcomes that it has a day at most; None: all that there are."""
        return None

    @property
    def paired(self) -> bool:
        """Whether it learns only from requests that both versions answered."""
        return Need.PAIRS in self.needs

    @property
    def late(self) -> bool:
        """Whether it learns from late truth: where a coin decides, or both versions answer."""
        return not self.coin and bool({Need.LABELS, Need.TRUTHS} & self.needs)

    def doubts(self, payload: str, compare: Compare) -> Iterable[tuple[str, str]]:  # noqa: ARG002 - gates that read answers have some
        """What an operator may not have meant, with a hint, where all that it needs is made."""
        return ()

    def fine(self) -> Measurement:
        """An answer from outside that has nothing against the candidate; simulations give it."""
        return Measurement((1.0,))

    def ready(self, baseline: Baseline) -> bool:  # noqa: ARG002 - gates that learn a threshold do
        """Whether the past suffices to start; until then the gate waits for a better baseline."""
        return True

    def limits(self, baseline: Baseline) -> tuple[SlowLimit, ...]:  # noqa: ARG002 - see ready
        """Latency limits the data plane must count against, fixed from the past."""
        return ()

    def start(self, context: GateContext) -> GateState:
        """The state of this gate for one rollout."""
        raise NotImplementedError


def parts(gates: Sequence[Gate]) -> dict[str, float]:
    """The share of the combined evidence of each gate that may take a candidate back."""
    betting = [g for g in gates if g.bets and g.convicts]
    return shares(
        [g.title for g in betting],
        fixed={g.title: g.share / FULL_BP for g in betting if g.share is not None},
        half=frozenset(g.title for g in betting if g.half),
        small={g.title: g.small for g in betting if g.small is not None},
    )


def mean(capitals: Iterable[float]) -> float:
    """Average of several capitals, itself a valid capital."""
    values = list(capitals)
    return math.fsum(values) / len(values)


def thresholds_of(limits: Iterable[SlowLimit], tolerance: float) -> tuple[float, ...]:
    """Seconds on stable's axis at which requests are counted, ascending.

    ``tolerance``: the candidate is slow above ``threshold * (1 + tolerance)``.
    """
    found: list[float] = []
    for limit in limits:
        for seconds in (limit.stable_s, limit.candidate_s / (1.0 + tolerance)):
            if not any(math.isclose(seconds, other, rel_tol=1e-9) for other in found):
                found.append(seconds)
    return tuple(sorted(found))
