"""What a gate answers, and the one sentence that says why.

The sentence is made here, once, with value, comparison, limit and sample size; log, journal, API,
command line and dashboard show it unchanged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from router.core.words import count, odds, rate


class Verdict(IntEnum):
    """A gate's answer, from best to worst.

    Inconclusive (the data said nothing) and error (measuring failed) are not failures.
    """

    PASS = 0
    PENDING = 1
    INCONCLUSIVE = 2
    ERROR = 3
    FAIL = 4

    @property
    def word(self) -> str:
        """``pass``, ``pending``, ... as people and JSON read it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Counts:
    """Bad outcomes among all outcomes of one arm."""

    bad: int = 0
    total: int = 0

    @property
    def share(self) -> float:
        """Bad rate 0..1; 0.0 without data."""
        return self.bad / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class GateReport:
    """One gate at one moment, as the journal keeps it."""

    gate: str
    verdict: Verdict
    sentence: str
    evidence: float = 1.0
    """Evidence against the candidate, ``x : 1``; 1 where a gate does not bet."""
    limit: float = math.inf
    """Evidence at which this gate alone rolls back; infinite where it does not bet."""
    candidate: Counts = Counts()
    stable: Counts = Counts()
    dry_run: bool = False


def of(counts: Counts) -> str:
    """``4 of 57 (7.0 %)``."""
    return f"{counts.bad:,} of {counts.total:,} ({rate(counts.share)})"


def compared(candidate: Counts, stable: Counts, what: str) -> str:
    """``failed: candidate 4 of 57 (7.0 %), stable 11 of 1,083 (1.0 %)``."""
    return f"{what}: candidate {of(candidate)}, stable {of(stable)}"


FAILED = "failed"
"""What a bad outcome is where it is a failure."""


def plainly(candidate: Counts, stable: Counts, what: str) -> str:
    """``12 of its 57 answers were slower than 250ms; {stable}: 3 of 1,083``."""
    bare = what.replace(" (4xx)", "").removesuffix(" by label")
    text = f"{candidate.bad:,} of its {candidate.total:,} answers "
    text += what if what == FAILED else f"were {bare}"
    verb = " failed" if what == FAILED else ":"
    return f"{text}; {{stable}}{verb} {stable.bad:,} of {stable.total:,}" if stable.total else text


def tolerance_text(relative: float, absolute: float) -> str:
    """``stable + 10 % + 0.1 pp``; shares 0..1."""
    parts = ["stable"]
    if relative:
        parts.append(f"{relative * 100:g} %")
    if absolute:
        parts.append(f"{absolute * 100:g} pp")
    return " + ".join(parts)


def judged(seen: str, tolerated: str, evidence: float, limit: float) -> str:
    """The gate's sentence: what was seen, what is tolerated, evidence against its limit."""
    return f"{seen}; tolerated: {tolerated}; evidence {odds(evidence)}, limit {odds(limit)}"


def convicted(report: GateReport, evidence: float, alpha: float) -> str:
    """The sentence of a rollback by evidence; ``alpha`` is the promised false rollback rate.

    Example: ``error_rate: failed: candidate 4 of 57 (7.0 %), stable 11 of 1,083 (1.0 %);
    tolerated: ...; all gates together 143 : 1, limit 100 : 1, which a candidate within tolerance
    reaches in at most 1 % of rollouts; 57 candidate requests``.
    """
    return (
        f"{report.gate}: {report.sentence}; all gates together {odds(evidence)}, limit "
        f"{odds(1 / alpha)}, which a candidate within tolerance reaches in at most "
        f"{alpha * 100:g} % of rollouts; {count(report.candidate.total, 'candidate request')}"
    )
