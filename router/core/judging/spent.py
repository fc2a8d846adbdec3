"""What a judge was asked and cost today, against its budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router.core.snapshots import Lasting

if TYPE_CHECKING:
    from router.core.gates.judge import JudgeBudget
    from router.core.judging.said import JudgeSaid

DAY_S: Final = 86_400.0


class Spending(Lasting):
    """Of one gate of one route, from midnight to midnight (UTC); rollouts share it."""

    day: int
    calls: int
    tokens: int
    cost: float

    def __init__(self) -> None:
        """Nothing was."""
        self.day = 0
        """Days since 1970."""
        self.calls = self.tokens = 0
        self.cost = 0.0

    def turn(self, wall_s: float) -> None:
        """Begin anew at midnight. A clock that is set back gives nothing back."""
        if (day := int(wall_s // DAY_S)) > self.day:
            self.day, self.calls, self.tokens, self.cost = day, 0, 0, 0.0

    def answered(self, said: JudgeSaid) -> None:
        """One answer came."""
        self.tokens += said.tokens
        self.cost += said.cost

    def used_up(self, budget: JudgeBudget, ahead: int = 0) -> str:
        """What is spent, in a few words; empty while there is something left.

        ``ahead``: questions that are drawn and not asked yet.
        """
        if self.calls + ahead >= budget.calls:
            return f"{budget.calls:,} calls"
        if budget.tokens is not None and self.tokens >= budget.tokens:
            return f"{budget.tokens:,} tokens"
        if budget.cost is not None and self.cost >= budget.cost:
            return f"a cost of {budget.cost:g}"
        return ""
