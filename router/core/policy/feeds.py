"""`feeds:` of a route: which other routes' inputs its answers are, and how that is known."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from router.core.policy.match import JsonPath
from router.core.quantities import Seconds, Text
from router.core.spec import ShortFor, Spec

FEEDS_MAX = 8
"""Routes that one may feed."""
WITHIN_S = 7 * 86_400.0
"""How long what was made is used, where nothing is said."""


class FeedKey(Spec):
    """What both requests have: the one that made something, and the one that uses it."""

    json_path: JsonPath = Field(alias="json")
    """Dotted path of a field of both JSON bodies, such as user.id."""


class Feed(Spec):
    """A route whose inputs this one's answers are."""

    route: Text
    """Its name."""
    by: FeedKey | None = None
    """A key by which the prediction log finds who made an input, where hours lie between. Absent:
    the request says it, in baggage (W3C)."""
    within: Annotated[Seconds, Field(ge=1)] = WITHIN_S
    """How long what was made is used, with `by`: the newest one counts."""

    @property
    def told_by(self) -> str:
        """How it is known who made an input, for people: ``baggage``, ``json user.id``."""
        return f"json {self.by.json_path}" if self.by is not None else "baggage"


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


Feeds = Annotated[
    tuple[Annotated[Feed, ShortFor("route")], ...],
    BeforeValidator(_several),
    Field(max_length=FEEDS_MAX),
]
"""One, or several."""
