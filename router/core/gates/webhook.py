"""Gate ``webhook``: somebody else's yes or no.

``confirm`` waits for a yes (a 2xx answer) and holds on a no; ``rollback`` asks whether to go back,
and a yes does. Answers are 1 (yes) or 0 (no); anything else is an error of the hook.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from router.core.gates.gate import GateContext, Measurement
from router.core.gates.polled import Polled, PolledState
from router.core.gates.verdict import Verdict
from router.core.words import count


class WebhookState(PolledState):
    """The last clear answer."""

    def __init__(self, gate: Webhook, context: GateContext) -> None:
        super().__init__(gate, context)
        self.hook = gate

    def take(self, values: tuple[float, ...]) -> str:
        """Exactly one 0 or 1."""
        if len(values) != 1 or values[0] not in (0.0, 1.0):
            return "the hook gave no clear answer"
        yes = values[0] == 1.0
        self.succeeded(yes if self.hook.ask == "confirm" else not yes)
        self.answer = f"the hook said {'yes' if yes else 'no'}"
        return ""

    @property
    def verdict(self) -> Verdict:
        """A rollback hook's yes fails for good; a confirm hook's yes passes while it lasts."""
        if self.hook.ask == "rollback" and self.bad:
            return Verdict.FAIL
        if self.failing_to_ask:
            return Verdict.ERROR
        return Verdict.PASS if self.streak else Verdict.PENDING

    def plain(self) -> str:
        """What it said."""
        question = "may it go on" if self.hook.ask == "confirm" else "roll back"
        return f"{self.name}: {self.answer} to '{question}?'"

    def sentence(self) -> str:
        """What it said, how often it was asked, how often asking failed."""
        question = "may it go on" if self.hook.ask == "confirm" else "roll back"
        return (
            f"{self.answer} to '{question}?'; asked {count(self.asked, 'time')}, "
            f"{self.errors_in_row} failed in a row, limit {self.gate.consecutive_error_limit}"
        )


class Webhook(Polled):
    """An HTTP endpoint of yours that is asked about the rollout."""

    kind: ClassVar[str] = "webhook"

    ask: Literal["confirm", "rollback"] = "confirm"
    """`confirm`: a 2xx answer lets it go on; `rollback`: a 2xx answer takes the candidate back."""

    def fine(self) -> Measurement:
        """Yes to going on, no to going back."""
        return Measurement((float(self.ask == "confirm"),))

    def start(self, context: GateContext) -> WebhookState:
        """Nothing asked yet."""
        return WebhookState(self, context)
