"""What became of an input that another route made, as the evidence of that route's rollout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from router.core.wire.ripe import Ripe
from router.core.wire.sampled import Facts


@dataclass(frozen=True, slots=True)
class FedRequest:
    """One request of the route that is fed; or, later, the truth about it.

    The coin is that of the route that feeds: it decided which of its versions made the input.
    """

    route: str
    """That is fed."""
    weight_bp: int
    candidate: bool
    """Its input was made by the candidate of the route that feeds."""
    unit: int
    """The user, or the draw, that the coin was thrown for: several requests may have one."""
    bad: bool | None = None
    """It failed; None: that is not told here, or nobody's fault."""
    missing: float | None = None
    """Share of the declared features that its rows lack; None: it has none, or was not read."""
    facts: Facts | None = None
    """What was answered."""
    ripe: Ripe | None = None
    """Its truth, which comes later than the others."""


FedTold = tuple[str, int, FedRequest]
"""Route that feeds, revision of its draw, and what became of it."""


def fed_together(told: Iterable[FedTold]) -> dict[tuple[str, int], tuple[FedRequest, ...]]:
    """By the route that feeds and the revision of its draw, in order."""
    found: dict[tuple[str, int], list[FedRequest]] = {}
    for route, revision, fed in told:
        found.setdefault((route, revision), []).append(fed)
    return {about: tuple(several) for about, several in found.items()}
