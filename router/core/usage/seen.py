"""What is known of a candidate's usage at one moment, as gates are told it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from router.core.usage.signals import Reported

LEVEL = 0.01
"""How often the bound of a mean may ever be wrong."""


@dataclass(slots=True)
class Spent:
    """Money for the tokens of sampled answers: count, mean and sum of squares (Welford 1962)."""

    answers: int = 0
    mean: float = 0.0
    squares: float = 0.0
    input: int = 0
    output: int = 0

    def add(self, money: float, tokens: tuple[int, int]) -> None:
        """One answer."""
        self.answers += 1
        before = money - self.mean
        self.mean += before / self.answers
        self.squares += before * (money - self.mean)
        self.input += tokens[0]
        self.output += tokens[1]

    @property
    def tokens(self) -> float:
        """Of an answer, on average."""
        return (self.input + self.output) / self.answers if self.answers else 0.0


@dataclass(frozen=True, slots=True)
class UsageFacts:
    """See the module."""

    candidate: Reported = field(default_factory=dict)
    """The mean over its endpoints, of what they report."""
    stable: Reported = field(default_factory=dict)
    trouble: str = ""
    """Why the candidate reports nothing; empty where it does."""
    requests_per_s: float = 0.0
    """Of the route, all versions."""
    answered: int = 0
    """By the candidate, in the last minute."""
    spent: Spent = field(default_factory=Spent)
    priced: bool = False
    """Tokens cost something."""
    per_request: float = 0.0
    """Price of a request, beside its tokens."""
    per_hour: float = 0.0
    """Price of all the candidate's endpoints."""


def half_width(answers: int, squares: float, enough: int) -> float:
    """How far the mean of so many may be off, at every look together, at :data:`LEVEL`.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2021),
    equation (6), tightest at ``enough`` answers; it supposes that they are many.
    """
    if answers < 2:
        return math.inf
    wanted = -2.0 * math.log(LEVEL)
    rho = (wanted + math.log(wanted) + 1.0) / enough
    inner = answers * rho + 1.0
    width = 2.0 * inner / (answers * answers * rho) * math.log(math.sqrt(inner) / LEVEL)
    return math.sqrt(squares / (answers - 1) * width)
