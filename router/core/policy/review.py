"""`review:` of a route: which answers people look at, and what clients get meanwhile."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, SecretStr, StrictInt

from router.core.foreign import Unreadable, read
from router.core.quantities import BasisPoints, Bytes, Name, Seconds, Text
from router.core.spec import Spec
from router.core.urls import Headers, SecretUrl

PLACE: Final = "{answer}"
"""Of a template: where the person's answer goes, as JSON."""
HELD_S_MAX: Final = 30.0
"""Clients, and what stands between them and us, rarely wait longer."""


def _template(text: str) -> str:
    if PLACE not in text:
        raise ValueError(f"expected {PLACE} where the person's answer goes, got none")
    try:
        read(text.replace(PLACE, "true").encode())
    except Unreadable as error:
        raise ValueError(f"expected JSON around {PLACE}: {error}") from None
    return text


class ReviewWebhook(Spec):
    """Who is told what people decided."""

    url: SecretUrl
    """Where the POST goes, with the question's id, the request's and the answer; tried again until
    it is taken, also after a restart, so that it may come twice."""
    headers: Headers = Field(default_factory=dict[str, SecretStr])
    """Header fields of the call, by name."""
    timeout: Annotated[Seconds, Field(gt=0, le=60)] = 10.0
    """Time one call may take."""


class ReviewPolicy(Spec):
    """People look at some answers of this route: they have a queue, and what they say is the truth.

    Asked are they about answers that a version is not sure of, about a random share of the others,
    and about every request that is routed to a version with `person: true`. docs/people.md.
    """

    below: BasisPoints = 0
    """Confidence under which an answer is not sure; it is read from `predictions.score`, and of
    several rows the least counts. What cannot be read is not sure. 0%: every answer is."""
    score: Literal["probability", "confidence"] = "probability"
    """What `predictions.score` is: the probability of a yes, so that 3% is a sure no, or the
    confidence in the label."""
    audit: BasisPoints = 0
    """Random share of the sure answers that people look at as well. Those go out at once; they are
    what is evidence about the version, since nobody chose them."""
    disagreement: BasisPoints = 0
    """Share of the requests that people look at because the other version of a rollout answered
    their copy (`mirror`, `compare.reverse`) otherwise. The answer has gone out by then; what people
    say is the truth, and no evidence."""
    then: Literal["hold", "provisional", "refuse"] = "hold"
    """What an unsure answer's client gets: the person's answer, held up to `deadline` and then 202
    with Location; the version's answer at once, marked, corrected later; or 422."""
    deadline: Annotated[Seconds, Field(ge=0, le=HELD_S_MAX)] = HELD_S_MAX
    """How long an answer is held, 30s at most; 0s answers 202 as soon as the question is kept."""
    within: Annotated[Seconds, Field(gt=0)] = 3_600.0
    """How long people have for it; then `otherwise` is the outcome."""
    otherwise: Literal["nothing", "version"] = "nothing"
    """What holds when nobody has answered in time: nothing (who looks again gets 504), or what the
    version had said."""
    lease: Annotated[Seconds, Field(ge=1, le=3_600)] = 300.0
    """How long a claim is one person's; then another one may get it."""
    second: BasisPoints = 0
    """Random share of the questions that two people answer without seeing each other's; where they
    differ a third one decides. Their agreement is shown as kappa."""
    answer: Annotated[Text, Field(max_length=10_000), AfterValidator(_template)] = (
        '{"answer": {answer}}'
    )
    """The body that a client gets when people have answered: JSON with {answer} in it, such as
    '{"predictions": [{"late": {answer}}]}'. Of several rows it is a list."""
    webhook: ReviewWebhook | None = None
    """Who is told of each outcome; absent: nobody."""
    by: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    """Names of the tokens that may answer; absent: every token with the role reviewer or admin."""
    held: Annotated[StrictInt, Field(ge=1, le=10_000)] = 256
    """Clients that one worker lets wait at once; beyond it an unsure answer is 503 (or goes out
    unmarked where `then` is provisional)."""
    open: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 10_000
    """Questions that may be open; beyond it further ones are answered in the same way."""
    limit: Annotated[Bytes, Field(ge=1_024, le=1024 * 1024)] = 64 * 1024
    """Largest answer that is read, a larger one is 502; a larger request is shown without body."""

    def body(self, answer: str) -> bytes:
        """What a client gets. ``answer``: JSON of what people said."""
        return self.answer.replace(PLACE, answer).encode() + b"\n"
