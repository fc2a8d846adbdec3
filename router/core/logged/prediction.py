"""One prediction as the log keeps it: a row, in words that every reader of tables understands.

:data:`COLUMNS` is the whole schema and docs/prediction-log.md is checked against it. What a request
asked and what a version said is the route's own business (``features``, ``prediction``, ``score``);
the rest is how the request was routed and how it ended.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final


@dataclass(slots=True)  # not frozen: to make a frozen one of 22 fields takes 4 us longer
class LoggedPrediction:
    """One row of a request, as one version answered it; nobody changes it."""

    time: float
    """Arrival of the request, seconds since 1970, UTC."""
    request_id: str
    """X-Request-Id."""
    row: int
    """Place in a request with several predictions, from 0."""
    rows: int
    """Predictions of the request."""
    route: str
    version: str
    role: str
    """stable | candidate | other, or shadow: nobody was served by it."""
    weight: float
    """Share of the requests that went to the candidate when this one was routed, 0 to 1."""
    segment: str
    features: str
    """JSON object of what the request asked; empty where the payload is not read."""
    prediction: str | float | int | None
    """The label or number that the version gave."""
    score: float | None
    """The number behind it, such as a probability."""
    latency_s: float
    status: int
    """HTTP status; 0: no whole answer."""
    error: str
    """How it failed: server_error, timeout, reset, ...; empty where it did not."""
    revision: int = 0
    """Of the rollout whose table routed it."""
    arm: str = ""
    """How the version was chosen: c candidate or s stable by the coin, o another version of a
    split, f by pin, rule, rescue or as a copy."""
    unit: int = 0
    """64-bit hash of the user on sticky routes; 0 elsewhere."""
    receipt: str = ""
    """16 hexadecimal digits that the receipt of this answer carries; empty without receipts."""
    person: str = ""
    """Whom it is about: a keyed digest, by which it can be forgotten; empty if nobody is named."""
    request: bytes | None = None
    """The request's body as it came, where the route keeps bodies."""
    answer: bytes | None = None
    """The answer's body as it came, likewise."""
    head: bytes | None = None
    """The request's head but for credentials, likewise, where nothing is redacted."""
    coding: str = ""
    """Content-Encoding of the answer."""
    made: str = ""
    """Which draws of other routes made its input: JSON, a list of route, version, revision, weight
    (in basis points), arm, unit, draw and time for each; empty: none is known."""

    def further(
        self, row: int, features: str, prediction: str | float | None, score: float | None
    ) -> LoggedPrediction:
        """Another row of the same request; bodies stand with the first alone."""
        return LoggedPrediction(
            self.time, self.request_id, row, self.rows, self.route, self.version, self.role,
            self.weight, self.segment, features, prediction, score, self.latency_s,
            self.status, self.error, self.revision, self.arm, self.unit, self.receipt, self.person,
            made=self.made,
        )  # fmt: skip

    def values(self) -> tuple[str | float | int | bytes | None, ...]:
        """One value for each of :data:`COLUMNS`; the unit as tables keep 64 bits, signed."""
        unit = self.unit - 2**64 if self.unit >= 2**63 else self.unit
        return (
            self.time, self.request_id, self.row, self.rows, self.route, self.version, self.role,
            self.weight, self.segment, self.features, self.prediction, self.score, self.latency_s,
            self.status, self.error, self.revision, self.arm, unit, self.receipt, self.person,
            self.request, self.answer, self.head, self.coding, self.made,
        )  # fmt: skip


COLUMNS: Final = tuple(field.name for field in fields(LoggedPrediction))
"""Columns of the table ``predictions``, in order."""
