"""How much one client may ask of a route, and how its ways are watched."""

from typing import Annotated, Literal, Self

from pydantic import Field, StrictInt, model_validator

from router.core.quantities import (
    DURATION_S_MAX,
    BasisPoints,
    Number,
    PerSecond,
    Seconds,
    Text,
)
from router.core.spec import ShortFor, Spec
from router.core.urls import HeaderName


class ClientKey(Spec):
    """What makes two requests those of one client; exactly one way is given.

    A request without the header is its address's. The address is that of the connection, or what
    `trusted_proxies` say of it; IPv6 ones are taken together by their /64, which one client has.
    """

    header: HeaderName | None = None
    """Header whose value is the client's, such as X-Api-Key; unknown values have quotas too."""
    kind: Literal["address"] | None = None
    """`address`: where the connection comes from; `by: address` is short for it."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.header is None) == (self.kind is None):
            raise ValueError("expected address, or a header such as {header: X-Api-Key}")
        return self

    @property
    def name(self) -> str:
        """The header in lower case; empty: the address."""
        return (self.header or "").lower()


By = Annotated[ClientKey, ShortFor("kind")]
"""``by: address`` is short for ``by: {kind: address}``."""


class Quota(Spec):
    """What one client may ask of the route; beyond it the answer is 429 with Retry-After.

    Counted over all workers, in memory: a restart of the router begins anew. Such answers are no
    evidence for any version.
    """

    by: By
    """What makes two requests those of one client: `address`, or `{header: NAME}`."""
    rate: PerSecond | None = None
    """Requests in the long run, such as 10/s, 100/m or 1000/h."""
    burst: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None = None
    """Requests that may come at once before the rate bounds them; absent: those of one second."""
    per_day: Annotated[StrictInt, Field(ge=1, le=4_000_000_000)] | None = None
    """Requests in a day, from midnight to midnight in UTC."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.rate is None and self.per_day is None:
            raise ValueError("expected a bound: rate such as 10/s, or per_day such as 10000")
        if self.burst is not None and self.rate is None:
            raise ValueError("expected rate with burst, got burst alone")
        if self.rate is not None and self.at_once / self.rate > DURATION_S_MAX:
            raise ValueError("expected a burst that the rate fills again within 366d")
        return self

    @property
    def at_once(self) -> int:
        """Requests that may come together."""
        return self.burst or max(1, int(self.rate or 0.0))


class NearThreshold(Spec):
    """Answers close to where the decision turns: who copies a model asks there."""

    score: Text
    """Path of the score in answers, such as predictions or predict_proba; all below it are looked
    at, and one close to the threshold is enough."""
    threshold: Number = 0.5
    """Where the decision turns."""
    within: Annotated[Number, Field(gt=0)] = 0.05
    """How far from it is close."""
    share: Annotated[BasisPoints, Field(gt=0)] = 5_000
    """Share of one client's answers from which on it is told."""
    answers: Annotated[StrictInt, Field(ge=20, le=1_000_000)] = 200
    """Answers of a client that have to be read before; one of eight is."""


class Extraction(Spec):
    """Clients that ask as those do who copy a model or search its data: an alert, nothing more.

    The alert is `extraction_suspected`. Counted are answered requests, over all workers, in bounded
    memory: for the 1,024 busiest clients a worker, within about 3 %.
    """

    by: By
    """What makes two requests those of one client: `address`, or `{header: NAME}`."""
    window: Annotated[Seconds, Field(ge=60)] = 86_400.0
    """Time after which counting begins anew; 1d ends at midnight in UTC."""
    distinct: Annotated[StrictInt, Field(ge=100, le=100_000_000)] | None = None
    """Different bodies (or targets, without one) of one client in a window that are told."""
    near: NearThreshold | None = None
    """Answers close to a threshold; absent: they are not read."""

    @model_validator(mode="after")
    def _looks_for_something(self) -> Self:
        if self.distinct is None and self.near is None:
            raise ValueError("expected distinct, such as 10000, or near")
        return self
