"""Faults that can be switched while the service runs.

`Faults` is what an operator asks for, `FaultDice` rolls them. Every request draws one number per
kind of fault in a fixed order from a seeded stream, so the n-th request after a switch always
meets the same faults, and turning one rate up leaves the other kinds where they were.
"""

import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LATENCY_MAX_S = 60.0
"""No injected latency is longer, however far it has grown."""

HANG_MAX_S = 300.0
"""A hanging request is dropped without an answer after this time."""

LEAK_MAX_MIB = 512
"""A leaking service stops there: it is a fault, not an attack on the machine."""

Share = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0, le=LATENCY_MAX_S * 1000)]


class Faults(BaseModel):
    """The body of `PUT /admin/faults`. Everything is off by default; one PUT replaces all.

    Rates are shares of predict requests, 0 to 1. Latencies add up. A request that would meet
    several faults meets the first of: reset, hang, error, schema, nan, truncate, null, unknown,
    swapped, previous.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 0
    latency_ms: Milliseconds = 0.0
    """Added to every request."""
    tail_ms: Milliseconds = 0.0
    """Median of a log-normal latency added to every request."""
    tail_sigma: Annotated[float, Field(ge=0, le=4)] = 1.0
    """Sigma of that log-normal: with 1.0 the 99th percentile is ten times the median."""
    growth_ms_per_s: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """Latency that grows from 0 at the moment of the PUT."""
    reset_rate: Share = 0.0
    """The connection is reset (RST) without an answer."""
    hang_rate: Share = 0.0
    """No answer, connection kept open, until the client leaves or `HANG_MAX_S` has passed."""
    error_rate: Share = 0.0
    """Answered with `error_status` and a JSON error."""
    error_status: Annotated[int, Field(ge=400, le=599)] = 500
    schema_rate: Share = 0.0
    """Valid JSON with status 200 in which the predictions stand under another name."""
    nan_rate: Share = 0.0
    """The score is NaN."""
    truncate_rate: Share = 0.0
    """The head promises the whole body, the connection closes after half of it."""
    null_rate: Share = 0.0
    """The score is null."""
    unknown_rate: Share = 0.0
    """The label is -1, which is none (protocol V2)."""
    swapped_rate: Share = 0.0
    """The label is the other one, the score stays (protocol V2)."""
    previous_rate: Share = 0.0
    """The scores are those of the request before: a cache that forgets to look."""
    only_carrier: Annotated[str, Field(pattern=r"^([A-Z0-9]{2})?$")] = ""
    """Only flights of this carrier have another score by `score_constant`, `_factor` and `_shift`,
    only requests whose first one is of it meet the rates from nan to previous, and latency; empty:
    all."""
    wrong_carrier: Annotated[str, Field(pattern=r"^([A-Z0-9]{2})?$")] = ""
    """Flights of this carrier get one less their score; empty: none."""
    score_constant: Annotated[float, Field(ge=0, le=1)] | None = None
    """Every score is this one."""
    score_factor: Annotated[float, Field(ge=0, le=10)] = 1.0
    """What every score is multiplied by, before the shift."""
    score_shift: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """Added to every score, the result kept within 0 to 1."""
    leak_kib: Annotated[int, Field(ge=0, le=65_536)] = 0
    """Memory that each request keeps for ever, up to `LEAK_MAX_MIB`; the next PUT gives it back."""
    queue: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Requests more that `/metrics` and the load header say are waiting."""
    tokens: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Answers carry a `usage` of 100 tokens in and so many out, as language models do."""
    die_after: Annotated[int, Field(ge=0)] | None = None
    """The process exits at once, mid-request, on the request after so many."""


KINDS = ("reset", "hang", "error", "schema", "nan", "truncate", "null", "unknown", "swapped",
         "previous")  # fmt: skip
"""The faults of which a request meets at most one, in order of precedence."""

WRONG = frozenset({"nan", "null", "unknown", "swapped", "previous"})
"""Those of them that answer, and are wrong."""


@dataclass(frozen=True, slots=True)
class Roll:
    """What one request meets.

    Attributes:
        kind: one of `KINDS`, or None.
        latency_s: time to wait before predicting.
        dies: the process is to exit now.
    """

    kind: str | None
    latency_s: float
    dies: bool


class FaultDice:
    """Rolls the faults of each request and counts what it rolled.

    Args:
        faults: what is switched on.
        now_s: a monotonic clock's reading at the switch; latency grows from here.
    """

    def __init__(self, faults: Faults, now_s: float) -> None:
        self.faults = faults
        self._since_s = now_s
        self._random = random.Random(faults.seed)
        self._rates = [getattr(faults, f"{kind}_rate") for kind in KINDS]
        self._counts: Counter[str] = Counter()
        self._requests = 0

    @property
    def injected(self) -> Mapping[str, int]:
        """How often each kind has been rolled since the switch, beside `requests`."""
        return {"requests": self._requests, **{kind: self._counts[kind] for kind in KINDS}}

    def roll(self, now_s: float) -> Roll:
        """The faults of the next request.

        Args:
            now_s: the same clock's reading now.
        """
        faults = self.faults
        self._requests += 1
        draws = [self._random.random() for _ in KINDS]
        tail_s = faults.tail_ms / 1000 * math.exp(self._random.gauss(0.0, faults.tail_sigma))
        kind = next(
            (kind for kind, rate, drawn in zip(KINDS, self._rates, draws, strict=True)
             if drawn < rate),
            None,
        )  # fmt: skip
        if kind is not None:
            self._counts[kind] += 1
        latency_s = (
            faults.latency_ms + faults.growth_ms_per_s * (now_s - self._since_s)
        ) / 1000 + tail_s
        return Roll(
            kind=kind,
            latency_s=min(latency_s, LATENCY_MAX_S),
            dies=faults.die_after is not None and self._requests > faults.die_after,
        )

    def spares(self, carrier: str) -> bool:
        """Whether wrong predictions are not for flights of ``carrier``."""
        return self.faults.only_carrier not in ("", carrier)

    def shifted(self, score: float) -> float:
        """A score with `score_factor` and `score_shift` applied, within 0 to 1."""
        if self.faults.score_constant is not None:
            return self.faults.score_constant
        return min(1.0, max(0.0, score * self.faults.score_factor + self.faults.score_shift))
