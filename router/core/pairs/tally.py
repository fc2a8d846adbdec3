"""What people want to know about one version's pairs: how often, how far, where, how fast.

Bounded whatever the traffic says: so many segments, so many disagreements of so many lines. Values
of redacted fields never get in here.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from router.core.logged.redaction import names_field
from router.core.pairs.compare import Compare
from router.core.pairs.comparison import Comparison, Difference, Direction, named
from router.core.snapshots import Lasting
from router.core.wire.counts import MirrorCounts, PairSample
from router.core.wire.histogram import BUCKETS, bucket_of

SEGMENTS_MAX = 50
"""Segments that are told apart; later ones are counted together."""
SEGMENT_CHARS_MAX = 64
OTHER = "(other)"
NONE = "(none)"
"""Requests without the segment's header."""

REASONS_MAX = 12
"""Reasons of unusable pairs that are told apart; later ones are counted together."""

FAR = 0.05
"""A score distance above this is shown as far."""

WORST_MAX = 20
"""Disagreements of one version that are kept, the furthest ones."""
WORST_DIFFERENCES_MAX = 8
PATH_CHARS_MAX = 120
"""With 60 characters a value, a kept disagreement is at most 2 KiB, all of them 40 KiB."""
ID_CHARS_MAX = 100
HIDDEN = "***"


class Result(StrEnum):
    """What a pair says about the version that is compared with stable."""

    AGREED = "agreed"
    DISAGREED = "disagreed"
    FAILED = "failed"  # 5xx, no whole answer, or one that cannot be read
    UNUSABLE = "unusable"  # nothing to compare with, or not to be read; see why
    REFUSED = "refused"  # both refused alike, or both said nothing: no prediction was compared


@dataclass(frozen=True, slots=True)
class PairFinding:
    """One pair, judged."""

    result: Result
    comparison: Comparison | None = None
    """None where no bodies were compared."""
    why: str = ""
    """Why an unusable pair is one."""


class Learnt(NamedTuple):
    """How many pairs taught something, how many could not, and how many had nothing to teach."""

    taught: int
    unusable: int
    refused: int


@dataclass(slots=True)
class Distances:
    """Score distances, summed up."""

    count: int = 0
    total: float = 0.0
    far: int = 0
    longest: float = 0.0

    def add(self, distance: float) -> None:
        """One pair's mean distance."""
        self.count += 1
        self.total += distance
        self.far += distance > FAR
        self.longest = max(self.longest, distance)

    @property
    def mean(self) -> float | None:
        """Mean over all pairs; None without scores."""
        return self.total / self.count if self.count else None


@dataclass(slots=True)
class CopyDelivery:
    """What became of the copies."""

    delivered: int = 0
    failed: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def add(self, counts: MirrorCounts) -> None:
        """One report; copies that were not drawn are none."""
        self.delivered += counts.delivered
        self.failed += counts.failed
        for cause, n in counts.dropped.items():
            if cause != "sample":
                self.dropped[cause] = self.dropped.get(cause, 0) + n


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One pair that disagreed, cut to what is kept of it, without what nobody may see."""

    request_id: str
    at: float
    """Wall time, seconds since 1970."""
    segment: str
    reverse: bool
    """The candidate served, stable got the copy."""
    direction: Direction
    score_distance: float | None
    differences: tuple[Difference, ...]
    """Those that decide first."""


class Tally(
    Lasting,
    rows="*rows *by_row",
    positive="scored stable_positive own_positive",
    latency="_latencies",
    later="rows by_row reasons",
):
    """See the module. One for every version that gets copies."""

    results: dict[Result, int]
    directions: dict[Direction, int]
    rows: list[int]
    by_row: list[int]
    scored: int
    stable_positive: int
    own_positive: int
    distances: Distances
    delivery: CopyDelivery
    segments: dict[str, list[int]]
    reasons: dict[str, int]

    def __init__(self, compare: Compare, redacted: frozenset[str] = frozenset()) -> None:
        """``redacted``: names of fields whose values are kept nowhere, beside compare.redact."""
        self.compare = compare
        self._redacted = redacted
        self.results = dict.fromkeys(Result, 0)
        self.directions = dict.fromkeys(Direction, 0)
        self.scored = self.stable_positive = self.own_positive = 0
        self.rows = [0, 0]
        """Rows that agreed, and all, of pairs that were read row by row."""
        self.by_row = [0, 0]
        """Such pairs: those in which every row agreed, and all."""
        self.distances = Distances()
        self.delivery = CopyDelivery()
        self.stable_latency = [0] * BUCKETS
        self.own_latency = [0] * BUCKETS
        self.segments: dict[str, list[int]] = {}
        self.reasons: dict[str, int] = {}
        """Why pairs were unusable, with counts."""
        self._worst: list[tuple[float, int, Disagreement]] = []
        self._kept = 0

    def __repr__(self) -> str:
        return f"<Tally {self.pairs} pairs, {self.results[Result.AGREED]} agreed>"

    @property
    def pairs(self) -> int:
        """Pairs that say something."""
        silent = self.results[Result.UNUSABLE] + self.results[Result.REFUSED]
        return sum(self.results.values()) - silent

    @property
    def learnt(self) -> Learnt:
        """What all pairs so far were good for."""
        unusable, refused = self.results[Result.UNUSABLE], self.results[Result.REFUSED]
        return Learnt(self.pairs, unusable, refused)

    @property
    def agreement(self) -> float | None:
        """Share of rows that agreed, a pair counting as one row where it was not read by rows."""
        agreed = self.results[Result.AGREED] - self.by_row[0] + self.rows[0]
        total = self.pairs - self.by_row[1] + self.rows[1]
        return agreed / total if total else None

    def add(self, sample: PairSample, finding: PairFinding, *, reverse: bool, at: float) -> None:
        """One pair; ``reverse``: stable got the copy. ``at`` is seconds since 1970."""
        self.results[finding.result] += 1
        if finding.result is Result.UNUSABLE:
            self._useless(finding.why)
        if finding.result in (Result.UNUSABLE, Result.REFUSED):
            return
        own, stable = sample.shadow_s, sample.primary_s
        if reverse:
            own, stable = stable, own
        self.own_latency[bucket_of(own)] += 1
        self.stable_latency[bucket_of(stable)] += 1
        self._segment(sample.segment, finding.result)
        if finding.comparison is not None:
            self._compared(finding.comparison)
            if not finding.comparison.agreed:
                self._keep(sample, finding.comparison, reverse, at)

    def _useless(self, why: str) -> None:
        if why not in self.reasons and len(self.reasons) >= REASONS_MAX:
            why = OTHER
        self.reasons[why] = self.reasons.get(why, 0) + 1

    def _compared(self, found: Comparison) -> None:
        self.directions[found.direction] += 1
        if found.rows:
            agreed = sum(row.agreed for row in found.rows)
            self.rows = [self.rows[0] + agreed, self.rows[1] + len(found.rows)]
            self.by_row = [self.by_row[0] + found.agreed, self.by_row[1] + 1]
        if found.score_distance is not None:
            self.distances.add(found.score_distance)
        if found.stable_positive is not None and found.candidate_positive is not None:
            self.scored += 1
            self.stable_positive += found.stable_positive
            self.own_positive += found.candidate_positive

    def _segment(self, value: str, result: Result) -> None:
        if self.compare.segment is None:
            return
        name = value[:SEGMENT_CHARS_MAX] or NONE
        if name not in self.segments and len(self.segments) >= SEGMENTS_MAX:
            name = OTHER
        counts = self.segments.setdefault(name, [0, 0])
        counts[0] += result is Result.AGREED
        counts[1] += 1

    def _keep(self, sample: PairSample, found: Comparison, reverse: bool, at: float) -> None:
        """The furthest ones stay; among equals the older ones, so that they can be looked up."""
        unreadable = found.candidate_unreadable
        distance = float("inf") if unreadable else found.score_distance or 0.0
        self._kept += 1
        rank = (distance, -self._kept)
        if len(self._worst) >= WORST_MAX and rank <= self._worst[0][:2]:
            return
        entry = (*rank, self._shown(sample, found, reverse, at))
        if len(self._worst) < WORST_MAX:
            heapq.heappush(self._worst, entry)
        else:
            heapq.heapreplace(self._worst, entry)

    def _shown(
        self, sample: PairSample, found: Comparison, reverse: bool, at: float
    ) -> Disagreement:
        differences = sorted(found.differences, key=lambda one: not one.decides)
        return Disagreement(
            sample.request_id[:ID_CHARS_MAX], at, sample.segment[:SEGMENT_CHARS_MAX], reverse,
            found.direction, found.score_distance,
            tuple(map(self._hidden, differences[:WORST_DIFFERENCES_MAX])),
        )  # fmt: skip

    def _hidden(self, one: Difference) -> Difference:
        """As it may be kept."""
        path = one.path[:PATH_CHARS_MAX]
        if named(one.path, self.compare.redact) or names_field(one.path, self._redacted):
            return replace(one, path=path, stable=HIDDEN, candidate=HIDDEN)
        return replace(one, path=path)

    @property
    def worst(self) -> list[Disagreement]:
        """The furthest first."""
        return [entry for _, _, entry in sorted(self._worst, key=_rank, reverse=True)]

    # --- through a restart ------------------------------------------------------------------------

    @property
    def _latencies(self) -> list[list[tuple[int, int]]]:
        """Stable's and its own, the buckets that have answers."""
        both = (self.stable_latency, self.own_latency)
        return [[(index, n) for index, n in enumerate(one) if n] for one in both]

    @_latencies.setter
    def _latencies(self, data: list[list[tuple[int, int]]]) -> None:
        self.stable_latency, self.own_latency = map(_dense, data)

    def _restored(self) -> None:
        self.results = dict.fromkeys(Result, 0) | self.results


def _rank(entry: tuple[float, int, Disagreement]) -> tuple[float, int]:
    return entry[:2]


def _dense(pairs: list[tuple[int, int]]) -> list[int]:
    counts = [0] * BUCKETS
    for index, n in pairs:
        if not 0 <= index < BUCKETS:
            raise ValueError(f"no bucket {index}")
        counts[index] = n
    return counts
