"""The most that a candidate may have while there is evidence against it.

Risk down acts first: long before a verdict the share falls, and grows again when the suspicion
falls.

    brake    at ``hold_level`` (3 : 1) to what the leading gate has for it (``Gate.brake_bp``), at
             an alarm (:mod:`router.core.alarm`) to 5 %: there a failure tells the most and the
             fewest clients meet it; let go at half of both. Not where users are drawn: who has
             moved stays, and one user is one draw
    round    where users are drawn and used up they count anew at an alarm, and once a day
    trial    at the guard's alarm to its ``TRIAL_BP`` (see the gate), where the arms are compared
"""

from __future__ import annotations

from router.core.gates.gate import BRAKE_BP
from router.core.gates.guard import TRIAL_BP
from router.core.snapshots import Lasting
from router.core.words import percent


class Cap(Lasting, listed="round braked trial reason"):
    """What is in force, and why."""

    __slots__ = ("braked", "reason", "round", "trial")

    round: int
    braked: int
    trial: bool
    reason: str

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

    def brake(self, suspicion: float, alarm: float, to_bp: int) -> None:
        """Put it on or let it go: at 1 of the evidence's level or the alarm's, at half of both.

        ``to_bp``: the share at which the gate with the most evidence still learns enough; an alarm
        is about failures.
        """
        before = self.bp
        held = 0.5 if self.braked else 1.0
        if max(suspicion, alarm) >= held:
            to_bp = BRAKE_BP if alarm >= held else to_bp
            self.braked = min(self.braked or to_bp, to_bp)
        else:
            self.braked = 0
        if self.bp != before or self.bp is None:
            self.reason = ""

    def because(self, sentence: str) -> None:
        """Why it came."""
        what = f"trial {self.round}" if self.trial else "brake"
        self.reason = f"{what}: at most {percent(self.bp or 0)}; {sentence}"
