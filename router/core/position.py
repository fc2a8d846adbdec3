"""A position of a plan, and which gates can learn there. Rules of policies ask for no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.core.words import FULL_BP

if TYPE_CHECKING:
    from router.core.gates.gate import Gate


@dataclass(frozen=True, slots=True)
class Position:
    """What the candidate gets at a position of a plan."""

    weight_bp: int
    """Share of requests that it answers."""
    mirror_bp: int = 0
    """Share of requests that are copied to it."""
    reverse: bool = False
    """Requests that it answers are copied to stable, so that there are pairs."""
    seen: int = 0
    """Its judged answers (compared pairs, where it answers nobody) at this position."""
    judged: int = 0
    """The same of the whole attempt."""
    last: bool = False
    """Behind it the candidate has all traffic, or is stable."""

    @property
    def silent(self) -> bool:
        """It gets nothing here, so nothing can be learnt."""
        return not self.weight_bp and not self.mirror_bp

    def teaches(self, gate: Gate) -> bool:
        """Whether a gate can learn here."""
        if gate.coin:
            return 0 < self.weight_bp < FULL_BP
        if gate.late:
            return self.mirror_bp > 0 or 0 < self.weight_bp < FULL_BP
        if gate.paired:
            return self.mirror_bp > 0 or (self.reverse and self.weight_bp > 0)
        return not self.silent
