"""Gate ``fairness``: does the candidate say yes to one group far more often than to another?

    H0:  |P(yes, group a) - P(yes, group b)| <= gap     of the candidate, for all groups

Nobody draws groups with a coin, so for each of some levels m there are two bets a group: "its share
lies above m + gap / 2", "it lies below m - gap / 2" (the guard's). Under H0 at least one of the two
that would tell a above m and b below it is false, so the smaller of both capitals is evidence; the
average over the levels is, too, and over the pairs of groups. Rows of one request are one bet.

What stable does is shown beside it and excuses nobody: `gap` is what the operator allows.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import Field

from router.core.evidence import GuardEvidence
from router.core.gates.by import SegmentBy, Segments
from router.core.gates.gate import COMPARED_BP, Gate, GateContext, GateState, mean
from router.core.gates.needs import Need
from router.core.gates.verdict import Counts, judged
from router.core.quantities import BasisPoints, Number, Text
from router.core.snapshots import Lasting
from router.core.words import FULL_BP, rate

if TYPE_CHECKING:
    from router.core.evidence.guard import GuardSide
    from router.core.wire.outcomes import Batch
    from router.core.wire.sampled import PredictedRow, SampleFacts

GROUPS_MAX: Final = 8
"""Groups that are compared, the first ones met; further ones are not."""

LEVELS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Between two groups: at which of them they lie apart is asked of all at once."""


class Group(Lasting, listed="_guards yes rows"):
    """One group: what it was told of it, and its bets."""

    yes: list[int]
    rows: list[int]

    def __init__(self, gap: float) -> None:
        self.above = [_guard(level + gap / 2, "above") for level in LEVELS]
        self.below = [_guard(level - gap / 2, "below") for level in LEVELS]
        self.yes = [0, 0]
        self.rows = [0, 0]
        """Candidate's, stable's."""

    def take(self, candidate: bool, yes: int, rows: int) -> None:
        """One request's rows of this group."""
        arm = 0 if candidate else 1
        self.yes[arm] += yes
        self.rows[arm] += rows
        if candidate:
            for evidence in (*self.above, *self.below):
                if evidence is not None:
                    evidence.observe_share(yes / rows)

    def share(self, arm: int = 0) -> float:
        """Of its rows, those that say yes."""
        return self.yes[arm] / self.rows[arm] if self.rows[arm] else 0.0

    @property
    def _guards(self) -> tuple[GuardEvidence | None, ...]:
        return (*self.above, *self.below)


def _guard(limit: float, side: GuardSide) -> GuardEvidence | None:
    """None where no share lies beyond."""
    return GuardEvidence(limit, side=side) if 0.01 <= limit <= 0.96 else None


def apart(a: Group, b: Group) -> float:
    """Evidence that a's share lies above b's by more than the gap."""
    pairs = zip(a.above, b.below, strict=True)
    return mean(1.0 if high is None or low is None else min(high.capital, low.capital)
                for high, low in pairs)  # fmt: skip


class FairnessState(GateState):
    """All groups, in the order in which they were met."""

    names: Segments
    groups: list[Group]

    def __init__(self, gate: Fairness, context: GateContext) -> None:
        super().__init__(gate.title, context, dry_run=gate.dry_run)
        self.gate = gate
        self.names = Segments()
        self.groups: list[Group] = []
        self._capital: float | None = 1.0

    @property
    def capital(self) -> float:
        """The average over all ordered pairs of groups, those not met yet at 1."""
        if self._capital is None:
            found = [apart(a, b) for a, b in permutations(self.groups, 2)]
            all_ = GROUPS_MAX * (GROUPS_MAX - 1)
            self._capital = (sum(found) + all_ - len(found)) / all_
        return self._capital

    @property
    def _leading(self) -> tuple[int, int]:
        """The pair with the most evidence: who gets more, who less."""
        places = permutations(range(len(self.groups)), 2)
        return max(places, key=lambda ab: apart(self.groups[ab[0]], self.groups[ab[1]]))

    @property
    def candidate(self) -> Counts:
        """Rows of the candidate that say yes, of all groups."""
        return self._counts(0)

    @property
    def stable(self) -> Counts:
        """Stable's."""
        return self._counts(1)

    def _counts(self, arm: int) -> Counts:
        groups = self.groups
        return Counts(sum(g.yes[arm] for g in groups), sum(g.rows[arm] for g in groups))

    def observe(self, batch: Batch) -> None:
        """Samples whose turn has come; what is lost or unreadable says nothing of a group."""
        for sample in batch.samples:
            self.names.asked += bool(sample.facts.rows)
            rows: dict[int, list[PredictedRow]] = {}
            for row in sample.facts.rows:
                by = self.gate.by
                name = self.names.of(by, self.context.told.segment(by, sample, row))
                if name and (place := self.names.place(name)) < GROUPS_MAX:
                    rows.setdefault(place, []).append(row)
            self._take(sample, rows)

    def _take(self, sample: SampleFacts, rows: dict[int, list[PredictedRow]]) -> None:
        for place, found in rows.items():
            while len(self.groups) <= place:
                self.groups.append(Group(self.gate.gap / FULL_BP))
            yes = sum(map(self.gate.says_yes, found))
            self.groups[place].take(sample.candidate, yes, len(found))
            self._capital = None

    @property
    def held(self) -> bool:
        """Groups by a name that no request has are none."""
        return bool(self.names.never(self.gate.by))

    def plain(self) -> str:
        """Who gets more, who less."""
        if len(self.groups) < 2:
            return "only one group was met so far"
        high, low = self._leading
        return (
            f"it says yes to {rate(self.groups[high].share())} where {self.gate.by.name} is "
            f"{self.names.name(high)} and to {rate(self.groups[low].share())} where it is "
            f"{self.names.name(low)}"
        )

    def sentence(self) -> str:
        """Both groups, in both versions."""
        if never := self.names.never(self.gate.by):
            return never
        if len(self.groups) < 2:
            return f"{len(self.groups)} of two groups met so far"
        seen = ", ".join(
            f"{self.names.name(place)} {rate(group.share())} of {group.rows[0]:,} "
            f"(stable {rate(group.share(1))})"
            for place in self._leading
            for group in (self.groups[place],)
        )
        tolerated = f"{self.gate.gap / 100:g} pp between groups"
        told = f"says yes by {self.gate.by.name}: {seen}"
        return judged(told, tolerated, self.capital, self.context.limit)

    def _make_parts(self, name: str, data: Any) -> None:
        if name == "groups":
            self.groups = [Group(self.gate.gap / FULL_BP) for _ in data]

    def _restored(self) -> None:
        self._capital = None


class Fairness(Gate):
    """Positive answers to one group against those to another, of the candidate."""

    kind: ClassVar[str] = "fairness"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COIN, Need.PREDICTIONS})
    brake_bp: ClassVar[int] = COMPARED_BP

    by: SegmentBy
    """What tells groups apart; the first eight that are met are compared."""
    gap: Annotated[BasisPoints, Field(gt=0, le=5_000)] = 2_000
    """How far the shares of yes of two groups may lie apart."""
    label: Text | None = None
    """The label that is a yes; absent: a score above `positive_above` is."""
    positive_above: Number = 0.5
    """Where no label is named: a score above this is a yes."""

    @property
    def segments(self) -> SegmentBy | None:
        """The groups, for those who make them."""
        return self.by

    def says_yes(self, row: PredictedRow) -> bool:
        """Whether a row is a positive answer."""
        if self.label is not None:
            return row.label == self.label
        return row.score is not None and row.score > self.positive_above

    def start(self, context: GateContext) -> FairnessState:
        """Evidence 1 : 1."""
        return FairnessState(self, context)
