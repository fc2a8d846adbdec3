"""Candidate against stable: "given that a request went bad, which arm did it come from?".

See :mod:`router.core.evidence.bettors` for the theorem. Counts per (weight, arm, outcome) are
sufficient, so the data plane only counts, and any number of workers can report to one decider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from router.core.evidence.bettors import hypotheses, log_table
from router.core.evidence.distinct import DistinctUnits
from router.core.evidence.pot import Pot
from router.core.wire.outcomes import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Iterable


class CompareEvidence:
    """Evidence that the candidate's bad rate exceeds ``(1 + relative) * stable's + absolute``.

    ``p0``: stable's bad rate in the past (0 < p0 < 1); a wrong value costs power only. ``sticky``:
    users, not requests, were assigned; feed :meth:`observe_units`, and ok outcomes bet nothing.
    ``horizon``: bad events of both arms expected within the rollout's longest duration.
    """

    __slots__ = (
        "absolute", "candidate_bad", "candidate_ok", "p0", "pot", "relative", "stable_bad",
        "stable_ok", "sticky", "units",
    )  # fmt: skip

    def __init__(
        self, p0: float, *, relative: float = 0.10, absolute: float = 0.001,
        sticky: bool = False, horizon: int | None = None,
    ) -> None:  # fmt: skip
        """Start at evidence 1 : 1."""
        if not (_possible(p0) and 0.0 <= relative < 100.0 and 0.0 <= absolute < 1.0):
            raise ValueError(f"no bad rate or tolerance: {p0=}, {relative=}, {absolute=}")
        self.p0, self.relative, self.absolute, self.sticky = p0, relative, absolute, sticky
        self.pot = Pot(len(hypotheses(p0, relative, absolute)), horizon)
        self.units = DistinctUnits() if sticky else None
        self.candidate_bad = self.candidate_ok = self.stable_bad = self.stable_ok = 0

    @property
    def capital(self) -> float:
        """The evidence against the candidate, ``capital : 1``; 1/alpha is proof at level alpha."""
        return self.pot.capital

    def observe(
        self, weight_bp: int, candidate_bad: int, stable_bad: int, candidate_ok: int, stable_ok: int
    ) -> None:
        """Counts of requests routed by a coin of ``weight_bp`` basis points at that moment.

        A weight of 0 or 10 000 is no coin: such counts are ignored.
        """
        if not 0 < weight_bp < FULL_BP:
            return
        self.candidate_bad += candidate_bad
        self.stable_bad += stable_bad
        self.candidate_ok += candidate_ok
        self.stable_ok += stable_ok
        if not self.sticky:
            self._bet(weight_bp, candidate_bad, stable_bad, candidate_ok, stable_ok)

    def observe_units(
        self, weight_bp: int, candidate_units: Iterable[int], stable_units: Iterable[int]
    ) -> None:
        """Users (64-bit hashes) of bad outcomes, one entry an outcome; only firsts are evidence."""
        if self.units is None:
            raise ValueError("users are the unit of sticky evidence only")
        if 0 < weight_bp < FULL_BP:
            bad = self.units.add(candidate_units), self.units.add(stable_units)
            self._bet(weight_bp, *bad, 0, 0)

    def _bet(self, weight_bp: int, cb: int, sb: int, co: int, so: int) -> None:
        if not (cb or sb or co or so):
            return
        table = log_table(weight_bp, self.p0, self.relative, self.absolute, not self.sticky)
        self.pot.multiply([cb * f[0] + sb * f[1] + co * f[2] + so * f[3] for f in table])
        self.pot.release(cb + sb)

    def snapshot(self) -> dict[str, Any]:
        """JSON-able state, exact."""
        return {
            "pot": self.pot.snapshot(),
            "p0": self.p0,
            "counts": [self.candidate_bad, self.candidate_ok, self.stable_bad, self.stable_ok],
            "units": self.units.snapshot() if self.units else None,
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot, with the ``p0`` it started with. Raises ValueError, KeyError."""
        if not _possible(p0 := float(data["p0"])):
            raise ValueError(f"no bad rate: {p0=}")
        self.p0 = p0  # how many bettors there are depends on it
        self.pot = Pot(len(hypotheses(p0, self.relative, self.absolute)))
        self.pot.restore(data["pot"])
        (self.candidate_bad, self.candidate_ok, self.stable_bad, self.stable_ok) = map(
            int, data["counts"]
        )
        if self.units is not None:
            self.units.restore(data["units"])

    def __repr__(self) -> str:
        """Counts and evidence in one line."""
        return (
            f"CompareEvidence(candidate {self.candidate_bad} bad {self.candidate_ok} ok, "
            f"stable {self.stable_bad} bad {self.stable_ok} ok, {self.capital:.3g} : 1)"
        )


def _possible(p0: float) -> bool:
    return 0.0 < p0 <= 0.99
