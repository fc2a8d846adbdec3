"""`priority:` of a route: which requests can wait, and are the first to meet a candidate."""

from typing import Annotated

from pydantic import Field, StrictInt

from router.core.quantities import Text
from router.core.spec import Spec
from router.core.urls import HeaderName
from router.core.words import FULL_BP


class Priority(Spec):
    """Batch traffic, told by a header: the candidate gets more of it, and a full queue none of it.

    Where a version's queue is full, a batch request that waits makes room for one that is none.
    """

    header: HeaderName
    """Request header that says it, such as X-Priority."""
    batch: Annotated[tuple[Annotated[Text, Field(min_length=1)], ...], Field(min_length=1)] = (
        "batch",
        "low",
    )
    """Its values that mean batch traffic, in any case."""
    ahead: Annotated[StrictInt, Field(ge=1, le=1_000)] = 5
    """A candidate's share of batch traffic, as a multiple of its share of the rest: 5 is 5% of the
    batch at a weight of 1%, and all of it from 20% on. At 0% it gets none. What it gets beyond its
    weight was not drawn: `guard` and `max_bad_responses` count it, no comparison does."""

    def forced_bp(self, weight_bp: int) -> int:
        """Chance, in basis points, that a batch request is the candidate's before a coin is thrown.

        The others are drawn at the weight. So of a weight w the candidate has, of batch requests,
        ``f + (1 - f) w = min(a w, 1)``, hence ``f = (min(a w, 1) - w) / (1 - w)``.
        """
        if not 0 < weight_bp < FULL_BP:
            return 0
        wanted = min(self.ahead * weight_bp, FULL_BP)
        return round(FULL_BP * (wanted - weight_bp) / (FULL_BP - weight_bp))
