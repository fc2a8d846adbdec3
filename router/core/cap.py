"""The most that a candidate may have while there is evidence against it.

Risk down acts first: long before a verdict the share falls, and grows again when the suspicion
falls.

    brake    at ``hold_level`` (3 : 1) to what the leading gate has for it (``Gate.brake_bp``), 5 %
             where answers fail: a failure tells the most there and the fewest clients meet it; let
             go at half of that level. Not where users are drawn: who has moved stays, and one user
             is one draw
    trial    at the guard's alarm to its ``TRIAL_BP`` (see the gate), where the arms are compared
"""

from __future__ import annotations

from typing import Any

from router.core.gates.guard import TRIAL_BP
from router.core.words import percent


class Cap:
    """What is in force, and why."""

    __slots__ = ("braked", "reason", "round", "trial")

    def __init__(self) -> None:
        """Nothing is."""
        self.round = 0
        """Of what is drawn now, as far as it is decided here."""
        self.braked = 0
        """The most while the brake is on, basis points; 0: it is off."""
        self.trial = False
        self.reason = ""

    @property
    def bp(self) -> int | None:
        """The most that the candidate may have; None: as planned."""
        if self.braked:
            return self.braked
        return TRIAL_BP if self.trial else None

    def brake(self, capital: float, hold_level: float, to_bp: int, *, enough: bool) -> None:
        """Put it on or let it go; ``enough`` bad answers were seen to put it on."""
        before = self.bp
        least = hold_level / 2 if self.braked else hold_level
        if capital >= least and (enough or self.braked):
            self.braked = min(self.braked or to_bp, to_bp)
        else:
            self.braked = 0
        if self.bp != before or self.bp is None:
            self.reason = ""

    def because(self, sentence: str) -> None:
        """Why it came."""
        what = "brake" if self.braked else f"trial {self.round}"
        self.reason = f"{what}: at most {percent(self.bp or 0)}; {sentence}"

    def snapshot(self) -> list[Any]:
        """JSON-able state, exact."""
        return [self.round, self.braked, self.trial, self.reason]

    def restore(self, data: list[Any]) -> None:
        """Take over a snapshot. Raises ValueError or TypeError if it is damaged."""
        self.round, braked, self.trial, self.reason = data
        self.braked = int(braked)
