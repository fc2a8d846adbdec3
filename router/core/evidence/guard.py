"""One rate against a fixed limit: the absolute guardrail, and agreement in shadow mode.

Bettors hypothesise rates beyond the limit and multiply by the likelihood ratio of each outcome. For
every true rate within the limit the factor's mean is at most 1, so the bound of Ville holds.
"""

from __future__ import annotations

import math
from typing import Literal

from router.core.evidence.bettors import (
    GEOMETRIC_BETTORS,
    TOP_RATE,
    diluted,
    spaced,
    together,
)
from router.core.evidence.blame import NOBODY, Brought, Failing
from router.core.evidence.pot import Pot
from router.core.evidence.slices import Key, Slice, Slices
from router.core.snapshots import Lasting
from router.core.words import FULL_BP

GuardSide = Literal["above", "below"]
"""On which side of the limit the alarm lies."""

_BELOW = (0.8, 0.6, 0.4, 0.25, 0.15, 0.1, 0.05, 0.02)
"""Hypothesised fractions of the limit for alarms below it."""


def guard_hypotheses(limit: float, side: GuardSide) -> tuple[float, ...]:
    """Eight rates beyond ``limit``: log-spaced from 1.3 limit to 0.97, or fractions of it."""
    if side == "below":
        return tuple(limit * fraction for fraction in _BELOW)
    return spaced(min(1.3 * limit, (limit + TOP_RATE) / 2), TOP_RATE, GEOMETRIC_BETTORS)


class GuardEvidence(Lasting, counts="bad ok", later="blame"):
    """Evidence that a rate lies above (or below) ``limit``, 0 < limit < 0.97."""

    __slots__ = ("_capital", "_logs", "bad", "blame", "limit", "ok", "pot", "side", "slices")

    pot: Pot
    bad: int
    ok: int
    slices: Slices
    blame: Brought

    def __init__(
        self, limit: float, *, side: GuardSide = "above", horizon: int | None = None,
        size: int = 1,
    ) -> None:  # fmt: skip
        """Start at evidence 1 : 1. Raises ValueError for a limit that nothing could exceed.

        ``size``: failures that may have one cause (see bettors.together).
        """
        if not 0.0 < limit < TOP_RATE:
            raise ValueError(f"a guard needs a limit between 0 and 0.97, got {limit}")
        self.limit, self.side = limit, side
        self._logs = tuple(
            (*together(math.log(rate / limit), size),
             diluted(math.log((1.0 - rate) / (1.0 - limit)), size))
            for rate in guard_hypotheses(limit, side)
        )  # fmt: skip
        self.pot = Pot(len(self._logs), horizon)
        self.bad = self.ok = 0
        self.slices = Slices()
        self._capital: float | None = None
        self.blame = Brought()

    @property
    def capital(self) -> float:
        """The evidence that the limit is broken, ``capital : 1``; what is open counts as good."""
        if self._capital is None:
            self._capital = self.pot.best(map(self._doubt, self.slices))
        return self._capital

    def _doubt(self, s: Slice) -> list[float]:
        good = s.candidate - s.candidate_bad
        return self._logs_of(s.candidate_bad, s.candidate_more, good)

    def _logs_of(self, bad: int, more: int, good: int) -> list[float]:
        return [bad * first + more * later + good * ok for first, later, ok in self._logs]

    def capital_without(self, who: int) -> float:
        """The same without the failures of one client."""
        part = self.blame.of(who)
        if part is None:
            return self.capital
        return self.pot.best(map(self._doubt, self.slices), less=part)

    def book(self, key: Key | None, s: Slice, failing: Failing = NOBODY) -> None:
        """What is known of a slice's candidate now, drawn at any weight."""
        if failing[0]:
            added = [first + max(more, 0.0) for first, more, _ in self._logs]
            self.blame.book(key, s, (failing[0], ()), (added, added))
        mine = Slice(*s[:4], candidate_more=s.candidate_more)
        before = self.slices.put(key, mine)
        self.bad += s.candidate_bad - before.candidate_bad
        self.ok += s.candidate_good - before.candidate_good
        self._close()

    def observe(self, bad: int, ok: int) -> None:
        """Counts of outcomes that nothing is open of; any order, any arm weight."""
        if bad or ok:
            self.book(None, Slice.settled(FULL_BP, bad, 0, ok, 0))

    def observe_share(self, share: float) -> None:
        """One outcome of which the share ``share``, 0..1, is bad: rows of one request."""
        self.pot.multiply([
            math.log(share * math.exp(first) + (1.0 - share) * math.exp(ok))
            for first, _, ok in self._logs
        ])  # fmt: skip
        self.bad += share > 0.0
        self.ok += share <= 0.0
        self.pot.release(int(share > 0.0) if self.side == "above" else int(share < 1.0))
        self._capital = None

    def abandon(self, source: int | None) -> None:
        """A process that drew is gone, None: all of them; so are its open requests."""
        self.slices.abandon(source)
        self._close()

    def _close(self) -> None:
        self._capital = None
        for s in self.slices.take_settled():
            bad, ok = s.candidate_bad, s.candidate_good
            self.pot.multiply(self._logs_of(bad, s.candidate_more, ok))
            self.pot.release(bad if self.side == "above" else ok)

    def _restored(self) -> None:
        self._capital = None

    def __repr__(self) -> str:
        """Counts and evidence in one line."""
        return f"GuardEvidence({self.bad} bad, {self.ok} ok, {self.capital:.3g} : 1)"
