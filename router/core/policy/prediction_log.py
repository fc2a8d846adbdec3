"""The prediction log: where it is kept, and what of each route."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from router.core.policy.match import JsonPath
from router.core.quantities import BasisPoints, Bytes, Flag, Seconds, Text
from router.core.spec import Spec


def _not_all(share: int) -> int:
    if not share:
        raise ValueError("expected a share above 0%, or no log")
    return share


def _open(place: str) -> str:
    """A place that may be shown to people."""
    if urlsplit(place).password:
        raise ValueError("expected a URL without a password, which PGPASSFILE or PGPASSWORD has")
    return place


class LogFilePolicy(Spec):
    """The file of the prediction log, for the routes that have `log`.

    Apart from the store; docs/prediction-log.md has its tables. Without bodies a prediction is some
    300 bytes.
    """

    file: Annotated[Text, Field(min_length=1), AfterValidator(_open)] = "rampway-log.db"
    """Where predictions and what becomes known of them are kept: a file, from the working
    directory, or a schema of PostgreSQL, such as postgresql://log@db/models (needs
    rampway[postgres]; its password is that of PGPASSFILE or PGPASSWORD)."""
    age: Annotated[Seconds, Field(ge=60)] = 30 * 86_400.0
    """Older predictions are erased, with their truths."""
    size: Annotated[Bytes, Field(ge=1024 * 1024)] = 10 * 1024 * 1024 * 1024
    """Beyond it the oldest predictions are erased."""
    early: Annotated[Seconds, Field(ge=1)] = 3_600.0
    """How long a truth waits for a prediction that is not logged yet; then it is unknown."""


class LogPolicy(Spec):
    """What the prediction log keeps of a route.

    Time, id, version, weight, segment, features, prediction, score, latency, status and error of
    each request, and of copies, and the truth when it comes (POST /api/v1/feedback).
    """

    sample: Annotated[BasisPoints, AfterValidator(_not_all)] = 10_000
    """Share of the requests that is kept, by a coin at the draw; late truth about others is
    unknown."""
    bodies: Flag = False
    """Whether the bytes of requests and answers are kept, too, with the heads of requests but for
    credentials: `rampway score` then sends them to a version that nobody has met yet."""
    redact: Annotated[tuple[Text, ...], Field(max_length=64)] = ()
    """Names of fields that are kept nowhere; bodies are then kept as JSON without them."""
    person: JsonPath | None = None
    """Field of a JSON body that says whom a request is about, for `rampway log forget`; absent:
    the sticky header."""
    mature: Seconds = 0.0
    """Age that a prediction must have before its truth is evidence: where some outcomes are known
    sooner than others, both versions are then judged by all of them."""

    @property
    def replayable(self) -> bool:
        """Whether its requests can be sent once more, byte for byte."""
        return self.bodies and not self.redact
