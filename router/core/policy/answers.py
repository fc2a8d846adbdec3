"""What leaves a route, what may enter it, and what is said when no version answers."""

import json
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictInt,
    WithJsonSchema,
    model_validator,
)

from router.core.foreign import ANSWER, Unreadable, read
from router.core.policy.match import FallbackKey, JsonPath
from router.core.quantities import Bytes, Formed, Number, Text
from router.core.spec import Spec

DIGITS_MAX: Final = 15
"""Decimal places that a double has at most."""
NAMES_MAX: Final = 64
ANSWERS_MAX: Final = 10_000
"""Of a fallback's table."""


class AnswersPolicy(Spec):
    """What becomes of JSON answers before they go out, so that they say no more than they have to.

    A score to the last digit is what copying a model, or finding out who was in its data, lives on.
    Versions are compared by what they said themselves.
    """

    round: Annotated[StrictInt, Field(ge=0, le=DIGITS_MAX)] | None = None
    """Decimal places of every number that has some; absent: as they are."""
    drop: Annotated[tuple[Text, ...], Field(max_length=NAMES_MAX)] = ()
    """Names of fields, and of V2 outputs, that are left out wherever they are."""
    limit: Annotated[Bytes, Field(ge=1_024, le=ANSWER.bytes_max)] = ANSWER.bytes_max
    """A larger answer counts as one that cannot be read."""
    otherwise: Literal["refuse", "pass"] = "refuse"
    """What becomes of 2xx answers that are no JSON or cannot be read: refuse is 502 and counts
    against the version, pass lets them out as they are and counts them."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.round is None and not self.drop:
            raise ValueError("expected round, such as 2, or drop, such as [predict_proba]")
        return self


FieldKind = Literal["number", "text", "boolean", "list", "object"]


def _range(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"expected the lower bound first, got [{value[0]:g}, {value[1]:g}]")
    return value


Range = Annotated[tuple[Number, Number], AfterValidator(_range)]
"""Lowest and highest value, both allowed."""


class RefusedInputs(Spec):
    """What is wrong with a request. Fields are those of the payload's rows, or its V2 inputs."""

    type: Annotated[dict[JsonPath, FieldKind], Field(max_length=NAMES_MAX)] = Field(
        default_factory=dict
    )
    """What a field has to be where it is there: number, text, boolean, list or object."""
    range: Annotated[dict[JsonPath, Range], Field(max_length=NAMES_MAX)] = Field(
        default_factory=dict
    )
    """Between which numbers a field has to be, such as age: [0, 120]."""
    missing: Annotated[tuple[JsonPath, ...], Field(max_length=NAMES_MAX)] = ()
    """Fields that have to be there; null is not."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.type or self.range or self.missing):
            raise ValueError("expected at least one of type, range, missing")
        return self


def _then(value: Any) -> Any:
    if value not in {422, "422", "stable", "review"} or isinstance(value, bool):
        raise ValueError(f"expected 422, stable or review, got {value!r:.40}")
    return str(value)


Then = Annotated[
    Literal["422", "stable", "review"],
    BeforeValidator(_then),
    WithJsonSchema({"enum": [422, "422", "stable", "review"]}),
]


class InputsPolicy(Spec):
    """Requests that no version should have to answer; they are evidence for nobody."""

    refuse: RefusedInputs
    """What is looked for in the bodies of POST, PUT and PATCH."""
    then: Then = "422"
    """422 answers with what is wrong; stable lets the stable version answer all the same; review
    gives it to people: the version with `person: true`. Bodies that cannot be read, or are larger
    than `buffer`, are treated alike."""


class FallbackPolicy(Spec):
    """What a client gets when stable fails as well: a fixed answer, or one of a table.

    The failure is counted against who failed, as without it. The answer says X-Rampway-Fallback: 1.
    """

    answer: Text | None = None
    """The body, or ${file:answer.json}; with a table: for keys that are not in it."""
    table: Text | None = None
    """A JSON object from keys to answers, usually ${file:table.json}."""
    by: FallbackKey | None = None
    """What the table is asked with."""
    status: Annotated[StrictInt, Field(ge=200, le=599)] = 200
    """Status of the answer."""
    content_type: Annotated[
        Text, Formed(r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(; ?charset=[A-Za-z0-9-]+)?$",
                     "a media type such as application/json")
    ] = "application/json"  # fmt: skip
    """Media type of a fixed answer; those of a table are JSON."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.answer is None and self.table is None:
            raise ValueError("expected answer, such as ${file:answer.json}, or table")
        if (self.table is None) != (self.by is None):
            raise ValueError("expected table and by together, such as by: {header: X-User-Id}")
        if self.answer is not None and self.content_type.startswith("application/json"):
            try:
                read(self.answer.encode())
            except Unreadable as error:
                raise ValueError(f"answer: {error}") from None
        if self.table is not None:
            self.answers()
        return self

    def answers(self) -> dict[str, str]:
        """The table: JSON text by key. Raises ValueError."""
        if self.table is None:
            return {}
        try:
            table = read(self.table.encode())
        except Unreadable as error:
            raise ValueError(f"table: {error}") from None
        if not isinstance(table, dict) or not 0 < len(table) <= ANSWERS_MAX:
            raise ValueError(f"table: expected a JSON object of 1 to {ANSWERS_MAX:,} answers")
        return {key: json.dumps(value, ensure_ascii=False) for key, value in table.items()}
