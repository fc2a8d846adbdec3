"""The books of one rollout's shadows: who is compared with whom, and what counts as evidence.

============================ ======================================= =========
the copy went to             the client was answered by              is
============================ ======================================= =========
the candidate                stable                                  evidence
stable                       the candidate (reverse shadow)          evidence
stable                       stable (asked twice)                    noise
another version              stable                                  shown
============================ ======================================= =========

Statuses come before bodies, and a pair says nothing where stable gave no answer:

========================================= ==================================
stable failed, or cannot be read          no evidence: nothing to compare with
the other failed, or cannot be read       failed
their statuses differ                     disagreed
both refused with the same status         refused: no prediction was compared
both answered with nothing                refused, likewise
both answered                             the bodies are compared
========================================= ==================================

"Failed" is what the route's ``errors`` says, no whole answer (0), and a 2xx whose body is not of
the route's payload. What the router did itself is nobody's failure: an answer that it cannot
unpack, and a copy that was refused because it went without the client's credentials, are no
evidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

from router.core.evidence.distinct import DistinctUnits
from router.core.pairs.compare import Compare
from router.core.pairs.comparison import Comparison, Difference, Kind, Likeness
from router.core.pairs.labelled import KeptPairs, TrueLabel, counted
from router.core.pairs.noise import Noise
from router.core.pairs.tally import Learnt, PairFinding, Result, Tally
from router.core.predictions.rows import NOTHING, Declared
from router.core.snapshots import Lasting
from router.core.wire.counts import MirrorCounts, PairSample
from router.core.wire.outcomes import LabelledPairs, Pairs
from router.core.wire.paired import PairRow, PairRows

TWICE = "(stable)"
"""Copies that stable got: its second answers as pairs, and with the reverse ones as deliveries."""


class Side(NamedTuple):
    """One version's part of a pair."""

    status: int
    body: bytes
    coding: str


UNLEARNT_LEAST: Final = 100
"""Pairs before it is said that they teach nothing."""
KEYLESS_HINT: Final = "allow them with mirroring: {keep_headers: [authorization]}"
KEYLESS: Final = "copies go without the credentials that requests carry, and are refused"
UNASKED: Final = frozenset((401, 403, 407))
"""Answers to a request without credentials (RFC 9110 sections 15.5.2, 15.5.4 and 15.5.8)."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a route and its rollout say about pairs."""

    stable: str
    candidate: str
    compare: Compare
    payload: str = "opaque"
    errors: tuple[int, ...] = (5,)
    """Statuses that are failures; a class by its hundred."""
    declared: Declared = NOTHING
    """What a prediction is on the route."""
    person: bool = False
    """Stable is a person: what it says is told later."""
    redacted: frozenset[str] = frozenset()
    """Names of fields that the prediction log keeps nowhere: neither do pairs."""

    @property
    def likeness(self) -> Likeness:
        """How two answers are read and compared."""
        return Likeness.of(self.compare, self.declared)

    def failed(self, status: int) -> bool:
        """Whether an answer of this status is none."""
        return not status or status in self.errors or status // 100 in self.errors

    def reverse(self, sample: PairSample) -> bool:
        """Whether the candidate answered the client and stable got the copy."""
        return sample.version == self.stable and sample.primary == self.candidate

    def decides(self, sample: PairSample) -> bool:
        """Whether the pair holds stable against the candidate, whichever got the copy."""
        return self.reverse(sample) or sample.version == self.candidate

    def sides(self, sample: PairSample) -> tuple[Side, Side]:
        """Stable's part and the other's."""
        primary = Side(sample.primary_status, sample.primary_body, sample.primary_coding)
        shadow = Side(sample.shadow_status, sample.shadow_body, sample.shadow_coding)
        return (shadow, primary) if self.reverse(sample) else (primary, shadow)

    def by_status(self, sample: PairSample) -> PairFinding | None:
        """What is known without reading a body; None where the bodies have to be read."""
        stable, other = self.sides(sample)
        copy = sample.shadow_status
        if sample.stripped and copy in UNASKED and copy != sample.primary_status:
            return PairFinding(Result.UNUSABLE, why=KEYLESS)
        if self.failed(stable.status):
            return PairFinding(Result.UNUSABLE, why="stable failed")
        if self.failed(other.status):
            return PairFinding(Result.FAILED)
        if stable.status != other.status:
            return PairFinding(Result.DISAGREED, _statuses(stable.status, other.status))
        if any(sample.far):
            sizes = reversed(sample.far) if self.reverse(sample) else sample.far
            return PairFinding(Result.DISAGREED, _sizes(*sizes))
        if stable.status >= 300 or not (stable.body or other.body):
            return PairFinding(Result.REFUSED)
        return None

    def awaited(self, sample: PairSample) -> bool:
        """Whether stable's answer is still to come, from a person: nothing can be compared yet."""
        if not self.person or self.reverse(sample) or sample.version == self.stable:
            return False
        keyless = sample.stripped and sample.shadow_status in UNASKED
        return not (keyless or self.failed(sample.primary_status)
                    or self.failed(sample.shadow_status))  # fmt: skip

    def read_as(self, found: Comparison) -> PairFinding:
        """What two bodies say about the version that is compared with stable."""
        if found.beyond:
            return PairFinding(Result.UNUSABLE, found, found.beyond)
        if found.stable_unreadable:
            return PairFinding(Result.UNUSABLE, found, f"stable's answer is not of {self.payload}")
        if found.candidate_unreadable:
            return PairFinding(Result.FAILED, found)
        return PairFinding(Result.AGREED if found.agreed else Result.DISAGREED, found)


NO_EVIDENCE: Final = frozenset((Result.UNUSABLE, Result.REFUSED))


class ShadowBook(Lasting, later="admitted awaited met"):
    """Everything known from pairs of one attempt of a rollout."""

    noise: Noise
    admitted: bool
    uncompared: int
    awaited: int
    tallies: dict[str, Tally]
    met: DistinctUnits | None

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.noise = Noise(terms.compare.noise, terms.compare.noise_pairs)
        self.tallies = {terms.candidate: Tally(terms.compare, terms.redacted)}
        self.kept = KeptPairs()
        self.uncompared = 0
        """Pairs that were dropped because comparing was behind."""
        self.alarm = ""
        """That too few copies arrive, as a sentence; empty while enough do."""
        self.admitted = False
        """A copy without the client's credentials was answered well: it needs none."""
        self.lost_share: float | None = None
        """Share of the last minute's copies that did not arrive; None while there are too few."""
        self.awaited = 0
        """Answers of the candidate that no person's answer has come to yet."""
        self.met: DistinctUnits | None = None
        """Where whole users are copied: those who had a pair that counts. One user's pairs may have
        one cause, and the coin was thrown once for all of them."""

    def __repr__(self) -> str:
        return f"<ShadowBook {self.tallies!r}>"

    def excused(self, sample: PairSample, finding: PairFinding) -> PairFinding:
        """The finding, unless copies have lost what they need: some services answer 500 to that.

        A failure of a copy without credentials counts from the first such copy on that was
        answered well.
        """
        if not sample.stripped:
            return finding
        if not self.terms.failed(sample.shadow_status) and sample.shadow_status < 400:
            self.admitted = True
        copy_failed = self.terms.failed(sample.shadow_status) and sample.shadow_status > 0
        if copy_failed and not self.admitted and finding.result is Result.FAILED:
            return PairFinding(Result.UNUSABLE, why=KEYLESS)
        return finding

    def add(self, sample: PairSample, finding: PairFinding, at: float) -> Pairs | None:
        """Book one pair (``at``: seconds since 1970); its evidence, if it is any."""
        finding = self.excused(sample, finding)
        reverse = self.terms.reverse(sample)
        if sample.version == self.terms.stable and not reverse:
            self._tally(TWICE).add(sample, finding, reverse=False, at=at)
            if finding.result in (Result.AGREED, Result.DISAGREED):
                self.noise.within(_fields(finding))
            return None
        own = self.terms.candidate if reverse else sample.version
        self._tally(own).add(sample, finding, reverse=reverse, at=at)
        if own != self.terms.candidate or finding.result in NO_EVIDENCE:
            return None
        if sample.unit and not self._new(sample.unit):
            return None
        if finding.result is Result.FAILED:
            return Pairs(failed=1, reverse=reverse)
        if finding.comparison is not None:
            self.kept.add(sample.nonce, finding.comparison)
        learning = self.noise.learning
        self.noise.between(_fields(finding))
        # Of a reverse pair the client's upload would be in the candidate's time.
        times = () if reverse else ((sample.primary_s, sample.shadow_s),)
        if learning:
            return Pairs(learning=1, reverse=reverse, times=times)
        return evidence(finding, reverse, times, sample.segment)

    def _new(self, unit: int) -> bool:
        """Whether this is the user's first pair that counts."""
        if self.met is None:
            self.met = DistinctUnits()
        return bool(self.met.add((unit,)))

    def judged(self, nonce: int, truth: TrueLabel) -> LabelledPairs | None:
        """What the truth about a request says of both answers; no coin is needed for that.

        None: nothing. A truth whose pair is still being compared waits for it (:meth:`settled`).
        """
        said = self.kept.take(nonce)
        if said is None:
            self.kept.wait(nonce, truth)
            return None
        likeness = Likeness.of(self.terms.compare)
        stable, candidate = (likeness.right(one, truth) for one in said)
        return None if stable is None or candidate is None else counted(stable, candidate)

    def settled(self, nonce: int) -> LabelledPairs | None:
        """What a truth that came before this pair says of it; None: there was none."""
        truth = self.kept.early(nonce)
        return self.judged(nonce, truth) if truth is not None else None

    def told(self, sample: PairSample, finding: PairFinding, at: float) -> Pairs:
        """Book a pair whose first answer a person gave; its evidence. There is no noise to learn.

        ``sample``: as it would have been, had the answer come at once.
        """
        self.awaited = max(self.awaited - 1, 0)
        self._tally(sample.version).add(sample, finding, reverse=False, at=at)
        if finding.result is Result.FAILED:
            return Pairs(failed=1)
        return evidence(finding, reverse=False, segment=sample.segment)

    def mirrored(self, counts: MirrorCounts) -> None:
        """What became of the copies for one version."""
        noise = counts.version == self.terms.stable
        self._tally(TWICE if noise else counts.version).delivery.add(counts)

    def _tally(self, version: str) -> Tally:
        known = self.tallies.get(version)
        if known is None:  # setdefault would make one for every pair
            known = self.tallies[version] = Tally(self.terms.compare, self.terms.redacted)
        return known

    @property
    def candidate(self) -> Tally:
        """The candidate's pairs."""
        return self.tallies[self.terms.candidate]

    def unlearnt(self, before: Learnt) -> str:
        """That most pairs since ``before`` teach nothing, as a sentence; empty while they do."""
        now = self.candidate.learnt
        taught, unusable, refused = (a - b for a, b in zip(now, before, strict=True))
        if not taught:
            unusable += refused
        reasons = sorted(self.candidate.reasons.items(), key=lambda one: -one[1])
        score, pairs = self.terms.compare.score, self.candidate
        if taught + unusable >= UNLEARNT_LEAST and unusable > taught:
            because = reasons[0][0] if reasons else "both versions refused alike"
            hint = f"; {KEYLESS_HINT}" if because == KEYLESS else ""
            return (
                f"the shadow teaches nothing: {unusable:,} of {taught + unusable:,} pairs of the "
                f"last minute cannot be compared, mostly because {because}{hint}"
            )
        if score and pairs.pairs >= UNLEARNT_LEAST and not (pairs.scored or pairs.distances.count):
            return f"no answer of {pairs.pairs:,} has the score {score}: gates on it learn nothing"
        return ""

    # --- through a restart ------------------------------------------------------------------------

    def _make_parts(self, name: str, data: Any) -> None:
        if name == "tallies":
            for version in data:
                self._tally(version)
        if name == "met" and data is not None:
            self.met = DistinctUnits()


def evidence(
    finding: PairFinding,
    reverse: bool,
    times: tuple[tuple[float, float], ...] = (),
    segment: str = "",
) -> Pairs:
    """One compared pair as counts."""
    found, agreed = finding.comparison, finding.result is Result.AGREED
    rows = (PairRows(found.rows, segment),) if found and found.rows else ()
    if segment and found and not rows:
        rows = (PairRows((_only_row(found, agreed=agreed),), segment),)
    if rows:
        agreed = all(row.agreed for row in rows[0].rows)
    ours = found.stable_positive if found else None
    theirs = found.candidate_positive if found else None
    scored = not rows and ours is not None and theirs is not None
    return Pairs(
        agreed=int(agreed),
        disagreed=int(not agreed),
        scored=int(scored),
        gained=int(scored and bool(theirs) and not ours),
        lost=int(scored and bool(ours) and not theirs),
        reverse=reverse,
        times=times,
        rows=rows,
        absent=tuple(sorted(found.absent)) if found else (),
    )


def _only_row(found: Comparison, *, agreed: bool) -> PairRow:
    """Answers of one row of which nothing is declared, for those who ask by segment."""
    ours, theirs = found.stable_positive, found.candidate_positive
    change = None if ours is None or theirs is None else theirs - ours
    return PairRow(agreed, change=change)


def together(pairs: Iterable[Pairs]) -> Pairs:
    """The sum of counts that are all reverse or all not."""
    sums, reverse = [0] * len(_COUNTS), False
    times: list[tuple[float, float]] = []
    rows: list[PairRows] = []
    absent: set[str] | None = None
    for one in pairs:
        reverse = one.reverse
        if one.agreed or one.disagreed:
            absent = set(one.absent) if absent is None else absent & set(one.absent)
        times += one.times
        rows += one.rows
        for place, name in enumerate(_COUNTS):
            sums[place] += getattr(one, name)
    counts = dict(zip(_COUNTS, sums, strict=True))
    return Pairs(**counts, reverse=reverse, times=tuple(times), rows=tuple(rows),
                 absent=tuple(sorted(absent or ())))  # fmt: skip


_COUNTS = tuple(
    f.name for f in fields(Pairs) if f.name not in {"reverse", "times", "rows", "absent"}
)


def _fields(finding: PairFinding) -> frozenset[str]:
    return finding.comparison.fields if finding.comparison else frozenset()


def _statuses(stable: int, other: int) -> Comparison:
    difference = Difference("status", Kind.STATUS, str(stable), str(other))
    return Comparison(agreed=False, differences=(difference,), fields=frozenset({"status"}))


def _sizes(stable: int, other: int) -> Comparison:
    difference = Difference("", Kind.SIZE, f"{stable:,} bytes", f"{other:,} bytes or more")
    return Comparison(agreed=False, differences=(difference,), fields=frozenset({"size"}))
