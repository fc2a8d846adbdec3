"""Gate ``agreement``: does the shadow answer as stable does, often enough (and not too often)?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Self

from pydantic import Field, model_validator

from router.core.evidence import GuardEvidence
from router.core.gates.by import SegmentBy, Segments
from router.core.gates.gate import Gate, GateContext, GateState, mean
from router.core.gates.needs import Need
from router.core.gates.output import WHOLE_SHARE
from router.core.gates.sample import Detect, Sample
from router.core.gates.sample import absolute as absolute_sample
from router.core.gates.verdict import Counts, judged, of
from router.core.quantities import BasisPoints
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.core.pairs.compare import Compare
    from router.core.wire.outcomes import Batch
    from router.core.wire.paired import PairRows


DIFFERING_MIN: Final = 5
"""Requests that must have been answered otherwise before anybody is taken back for it. Two in a row
are evidence enough by the numbers, but neighbours are often alike (one client, one odd input, a
cold start), and while copies are compared nobody meets the candidate: three more cost nothing."""

NAMED_LEAST: Final = 100
"""Compared answers before it is said that a name of the policy is in none of them."""


class AgreementState(
    GateState, borders="*_evidences", rows="pairs *rows *rows_apart", later="failed differing"
):
    """One evidence a border of the band, and one for scores that lie apart, averaged."""

    names: Segments
    parts: list[GuardEvidence]
    failed: int
    differing: int
    pairs: int
    rows: list[int]
    rows_apart: list[int]
    absent: set[str] | None

    def __init__(
        self, gate: Agreement, context: GateContext, borders: tuple[GuardEvidence, ...],
        tolerated: str,
    ) -> None:  # fmt: skip
        super().__init__(gate.title, context, dry_run=gate.dry_run)
        self.borders = borders
        self.tolerated = tolerated
        self.apart_limit = gate.apart / FULL_BP if gate.apart is not None else 1.0
        self.apart = GuardEvidence(gate.apart_at_most / FULL_BP) if gate.apart is not None else None
        self.failed = 0
        """Copies that failed; they are among the disagreements."""
        self.pairs = 0
        self.differing = 0
        """Requests of them that were answered otherwise, in some row at least, or not at all."""
        self.rows = [0, 0]
        """Rows that differ, and all; a failed copy is one."""
        self.rows_apart = [0, 0]
        self.by = gate.by
        self.names = Segments()
        self.parts: list[GuardEvidence] = []
        """By segment, of the requests that differ in some row, and those that do not."""
        self.absent: set[str] | None = None
        """Names of the policy that no answer had so far; None before the first one."""

    @property
    def _evidences(self) -> tuple[GuardEvidence, ...]:
        return (*self.borders, self.apart) if self.apart is not None else self.borders

    @property
    def capital(self) -> float:
        """Average evidence that agreement lies outside the band, or scores too far apart.

        With segments, half of it asks of each of them, met and to come.
        """
        whole = mean(one.capital for one in self._evidences)
        if self.by is None:
            return whole
        places = self.by.places
        met = math.fsum(part.capital for part in self.parts)
        return WHOLE_SHARE * whole + (1.0 - WHOLE_SHARE) * (met + places - len(self.parts)) / places

    @property
    def leading(self) -> tuple[str, GuardEvidence] | None:
        """The segment that has most to do with the evidence; None: everything together."""
        if not self.parts or self.by is None:
            return None
        whole = WHOLE_SHARE * mean(one.capital for one in self._evidences)
        place = max(range(len(self.parts)), key=lambda one: self.parts[one].capital)
        part = self.parts[place]
        if (1.0 - WHOLE_SHARE) * part.capital / self.by.places <= whole:
            return None
        return self.names.name(place), part

    @property
    def scores_lead(self) -> bool:
        """Whether scores say more against it than labels."""
        best = max(border.capital for border in self.borders)
        return self.apart is not None and self.apart.capital > best

    @property
    def candidate(self) -> Counts:
        """Rows that differ, or whose scores are apart, among compared ones."""
        if (segment := self.leading) is not None:
            return Counts(segment[1].bad, segment[1].bad + segment[1].ok)
        return Counts(*(self.rows_apart if self.scores_lead else self.rows))

    @property
    def enough(self) -> bool:
        """Not on one client's two requests; too much agreement has no such number."""
        return self.differing >= DIFFERING_MIN or len(self.borders) > 1

    @property
    def held(self) -> bool:
        """A name that no answer has decides nothing; that is no agreement."""
        return self._nameless or bool(self.names.never(self.by))

    @property
    def _nameless(self) -> bool:
        return self.pairs >= NAMED_LEAST and bool(self.absent)

    def observe(self, batch: Batch) -> None:
        """A copy that failed does not agree either."""
        if batch.pairs is None:
            return
        pairs = batch.pairs
        compared = pairs.agreed + pairs.disagreed
        differ = sum(one.disagreed > 0.0 for one in pairs.rows)
        bad = pairs.disagreed - differ + pairs.failed
        good = pairs.agreed - (len(pairs.rows) - differ)
        for border in self.borders:
            border.observe(bad, good)
        self.failed += pairs.failed
        self.differing += bad
        self.pairs += compared + pairs.failed
        self.rows = [self.rows[0] + bad, self.rows[1] + bad + good]
        if compared:
            absent = set(pairs.absent)
            self.absent = absent if self.absent is None else self.absent & absent
        for one in pairs.rows:
            self._one(one)

    def _one(self, one: PairRows) -> None:
        """One request, by the share of its rows."""
        far = self.apart is not None and one.apart(self.apart_limit) > 0.0
        self.differing += one.disagreed > 0.0 or far
        for border in self.borders:
            border.observe_share(one.disagreed)
        by, told = self.by, self.context.told
        for name, part in told.of_pair(by, one, self.names) if by is not None else ():
            place = self.names.place(name)
            while len(self.parts) <= place:
                self.parts.append(GuardEvidence(self.borders[0].limit))
            self.parts[place].observe_share(part.disagreed)
        count = len(one.rows)
        self.rows = [self.rows[0] + round(one.disagreed * count), self.rows[1] + count]
        if self.apart is not None and (one.moves or any(row.candidate.fault for row in one.rows)):
            apart = one.apart(self.apart_limit)
            self.apart.observe_share(apart)
            seen = self.rows_apart
            self.rows_apart = [seen[0] + round(apart * count), seen[1] + count]

    def sample(self, detect: Detect, weight_bp: int) -> Sample:  # noqa: ARG002 - alike at all
        """Pairs that show a candidate which disagrees too often by `detect`."""
        limit, least = self.context.limit, self.context.min_bad
        wanted = absolute_sample(self.borders[0].limit, detect, limit=limit, min_bad=least)
        return Sample(self.pairs, wanted)

    @property
    def fails(self) -> bool:
        """Most of the disagreements are failures."""
        return 2 * self.failed > self.rows[0]

    def plain(self) -> str:
        """Failures as failures, else predictions that differ."""
        seen = self.candidate
        if self.fails:
            return f"{self.failed:,} of {self.pairs:,} requests copied to it failed"
        if (segment := self.leading) is not None and self.by is not None:
            where = f"where {self.by.name} is {segment[0]}"
            return (
                f"{seen.bad:,} of {seen.total:,} of its answers differed from {{stable}}'s {where}"
            )
        if self.scores_lead:
            return f"{seen.bad:,} of {seen.total:,} of its scores were far from {{stable}}'s"
        return f"{seen.bad:,} of {seen.total:,} of its predictions differed from {{stable}}'s"

    def sentence(self) -> str:
        """Disagreements, the band, the evidence."""
        if not self._nameless and (never := self.names.never(self.by)):
            return never
        if self.held:
            names = ", ".join(sorted(self.absent or ()))
            return f"no answer of {self.pairs:,} has {names}: agreement on it means nothing"
        if (segment := self.leading) is not None and self.by is not None:
            seen = f"{self.by.name} {segment[0]}: disagreed with stable: {of(self.candidate)}"
            text = f"{seen} compared answers"
            return judged(text, self.tolerated, self.capital, self.context.limit)
        rows = "compared answers" if self.rows[1] == self.pairs else "compared rows"
        if self.scores_lead and self.apart is not None:
            seen = (
                f"scored more than {self.apart_limit * 100:g} % of the range away from stable: "
                f"{of(self.candidate)} {rows}"
            )
            tolerated = f"at most {self.apart.limit * 100:g} % of them"
            return judged(seen, tolerated, self.capital, self.context.limit)
        seen = f"disagreed with stable: {of(self.candidate)} {rows}"
        return judged(seen, self.tolerated, self.capital, self.context.limit)

    def _formerly(self, data: Any) -> Any:
        return {"differing": DIFFERING_MIN} | data  # from before it was counted

    def _make_parts(self, name: str, data: Any) -> None:
        if name == "parts":
            self.parts = [GuardEvidence(self.borders[0].limit) for _ in data]


class Agreement(Gate):
    """Share of mirrored requests to which both versions give the same answer."""

    kind: ClassVar[str] = "agreement"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.PAIRS})

    at_least: Annotated[BasisPoints, Field(ge=400, lt=10_000)] = 9_800
    """Agreement the candidate must reach; some difference is what a new model is for."""
    at_most: Annotated[BasisPoints, Field(gt=0, lt=10_000)] | None = None
    """Agreement it must not exceed: a "new" model that never differs is the old one."""

    apart: Annotated[BasisPoints, Field(gt=0, lt=10_000)] | None = None
    """Scores further apart than this share of the declared range are two predictions, whatever
    their labels are. Absent: 50% where `predictions` has a score and its range."""
    apart_at_most: Annotated[BasisPoints, Field(gt=0, le=5_000)] = 50
    """Share of rows whose scores may be so far apart."""

    by: SegmentBy | None = None
    """What agreement is asked by as well, segment by segment; one that fails is enough."""

    @property
    def segments(self) -> SegmentBy | None:
        """The same for those who make them."""
        return self.by

    @model_validator(mode="after")
    def _band(self) -> Self:
        if self.at_most is not None and self.at_most <= self.at_least:
            raise ValueError("expected at_most above at_least")
        return self

    def doubts(self, payload: str, compare: Compare) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - see Gate
        """Bytes that differ say little about predictions."""
        if payload == "opaque":
            message = f"{self.kind} compares byte by byte: payload opaque reads no answers"
            yield message, "add payload: json to the route"

    def start(self, context: GateContext) -> AgreementState:
        """Disagreement above ``1 - at_least``, and where asked below ``1 - at_most``."""
        borders = [GuardEvidence(1.0 - self.at_least / FULL_BP)]
        tolerated = f"at least {self.at_least / 100:g} % agreement"
        if self.at_most is not None:
            borders.append(GuardEvidence(1.0 - self.at_most / FULL_BP, side="below"))
            tolerated += f", at most {self.at_most / 100:g} %"
        return AgreementState(self, context, tuple(borders), tolerated)
