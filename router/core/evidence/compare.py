"""Candidate against stable: "given that a request went bad, which arm did it come from?".

See :mod:`router.core.evidence.bettors` for the theorem. Counts per (weight, arm, outcome) are
sufficient, so the data plane only counts, and any number of workers can report to one decider.
"""

from __future__ import annotations

from typing import Any

from router.core.evidence.bettors import GroupedLogs, grouped_table, hypotheses
from router.core.evidence.blame import NOBODY, Brought, Failing
from router.core.evidence.pot import Pot
from router.core.evidence.slices import Key, Slice, Slices
from router.core.snapshots import Lasting
from router.core.words import FULL_BP


class CompareEvidence(
    Lasting, counts="candidate_bad candidate_ok stable_bad stable_ok", later="_behind blame"
):
    """Evidence that the candidate's bad rate exceeds ``(1 + relative) * stable's + absolute``.

    ``p0``: stable's bad rate in the past (0 < p0 < 1); a wrong value costs power only.
    ``bad_only``: good outcomes bet nothing and only pay for the absolute tolerance, where users
    make as many of them as they like.
    ``horizon``: bad events of both arms expected within the rollout's longest duration.
    ``hasty``: open requests count as good in both arms. It is quick where stable's answers are slow
    and is no proof by itself; a witness beside another evidence may be so.
    ``together``: failures that may have one cause, 1 where each has its own.
    """

    __slots__ = (
        "_behind",
        "_capital",
        "absolute",
        "bad_only",
        "blame",
        "candidate_bad",
        "candidate_ok",
        "hasty",
        "p0",
        "pot",
        "relative",
        "slices",
        "stable_bad",
        "stable_ok",
        "together",
    )  # fmt: skip

    pot: Pot
    p0: float
    candidate_bad: int
    candidate_ok: int
    stable_bad: int
    stable_ok: int
    slices: Slices
    _behind: int | None
    blame: Brought

    def __init__(
        self, p0: float, *, relative: float = 0.10, absolute: float = 0.001,
        bad_only: bool = False, horizon: int | None = None, hasty: bool = False, together: int = 1,
    ) -> None:  # fmt: skip
        """Start at evidence 1 : 1."""
        if not (_possible(p0) and 0.0 <= relative < 100.0 and 0.0 <= absolute < 1.0):
            raise ValueError(f"no bad rate or tolerance: {p0=}, {relative=}, {absolute=}")
        self.p0, self.relative, self.absolute = p0, relative, absolute
        self.bad_only = bad_only
        self.pot = Pot(len(hypotheses(p0, relative, absolute)), horizon, alarmed=True)
        self.candidate_bad = self.candidate_ok = self.stable_bad = self.stable_ok = 0
        self.slices = Slices()
        self.hasty = hasty
        self.together = together
        self._capital: float | None = None
        self._behind: int | None = None
        self.blame = Brought()

    @property
    def capital(self) -> float:
        """The evidence against the candidate, ``capital : 1``; 1/alpha is proof at level alpha.

        Over everything that was drawn, what is still open in doubt for the candidate.
        """
        if self._capital is None:
            self._capital = self.pot.best(map(self._doubt, self.slices))
        return self._capital

    def _doubt(self, s: Slice) -> list[float]:
        """Log factors of a stretch at their least: the candidate's open good, stable's bad."""
        good, cb, cm, sm = s.candidate - s.candidate_bad, s.candidate_bad, *s[7:]
        if self.hasty:
            bad, fine = s.stable_bad, s.stable - s.stable_bad
        else:
            bad, fine = s.stable - s.stable_good, s.stable_good
            sm += bad - s.stable_bad
        return [
            cb * f[0] + bad * f[1] + good * f[2] + fine * f[3] + cm * f[4] + sm * f[5]
            for f in self._table(s.weight_bp)
        ]

    def _table(self, weight_bp: int) -> tuple[GroupedLogs, ...]:
        return grouped_table(
            weight_bp,
            self.p0,
            self.relative,
            self.absolute,
            not self.bad_only,
            size=self.together,
        )

    def capital_without(self, who: int) -> float:
        """The same without the failures of one client; never more than they have left."""
        part = self.blame.of(who)
        if part is None:
            return self.capital
        return self.pot.best(map(self._doubt, self.slices), less=part)

    def book(self, key: Key | None, s: Slice, failing: Failing = NOBODY) -> None:
        """What is known of a slice now (see slices); a weight of 0 or 10 000 is no coin.

        ``failing``: whose requests the bad ones are, as far as it is known.
        """
        if not 0 < s.weight_bp < FULL_BP:
            return
        if failing[0] or failing[1]:
            table = self._table(s.weight_bp)
            ours, theirs = [f[0] + max(f[4], 0.0) for f in table], [f[1] for f in table]
            self.blame.book(key, s, failing, (ours, theirs))
        before = self.slices.put(key, s)
        self.candidate_bad += s.candidate_bad - before.candidate_bad
        self.candidate_ok += s.candidate_good - before.candidate_good
        self.stable_bad += s.stable_bad - before.stable_bad
        self.stable_ok += s.stable_good - before.stable_good
        self._close()

    def abandon(self, source: int | None) -> None:
        """A process that drew is gone, None: all of them; so are its open requests."""
        self.slices.abandon(source)
        self._close()

    def renew(self) -> None:
        """An alarm was raised: part of the reserve bets again, on what is told from now on.

        Stretches that are open now may have raised it, so it waits until they have settled.
        """
        if self._behind is None:
            self._behind = len(self.slices)
            self._close()

    def _close(self) -> None:
        self._capital = None
        self._settle()
        if self._behind is not None and self._behind <= 0:
            self._behind = None
            self.pot.renew()

    def _settle(self) -> None:
        for s in self.slices.take_settled():
            if self._behind is not None:
                self._behind -= 1
            cb, sb, co, so = s.candidate_bad, s.stable_bad, s.candidate_good, s.stable_good
            cm, sm = s[7:]
            self.pot.multiply([
                cb * f[0] + sb * f[1] + co * f[2] + so * f[3] + cm * f[4] + sm * f[5]
                for f in self._table(s.weight_bp)
            ])  # fmt: skip
            self.pot.release(cb + sb)

    def observe(
        self, weight_bp: int, candidate_bad: int, stable_bad: int, candidate_ok: int, stable_ok: int
    ) -> None:
        """Counts of requests routed by a coin of ``weight_bp`` basis points at that moment.

        A weight of 0 or 10 000 is no coin: such counts are ignored.
        """
        self.book(
            None, Slice.settled(weight_bp, candidate_bad, stable_bad, candidate_ok, stable_ok)
        )

    def _formerly(self, data: Any) -> Any:
        if not _possible(p0 := float(data["p0"])):
            raise ValueError(f"no bad rate: {p0=}")
        self.pot = Pot(len(hypotheses(p0, self.relative, self.absolute)))  # as many as p0 asks for
        return data

    def _restored(self) -> None:
        self._capital = None

    def __repr__(self) -> str:
        """Counts and evidence in one line."""
        return (
            f"CompareEvidence(candidate {self.candidate_bad} bad {self.candidate_ok} ok, "
            f"stable {self.stable_bad} bad {self.stable_ok} ok, {self.capital:.3g} : 1)"
        )


def _possible(p0: float) -> bool:
    return 0.0 < p0 <= 0.99
