"""`predictions:` of a route: where in bodies the prediction is, and what it may be."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from router.core.predictions.rows import Declared, class_of
from router.core.quantities import BasisPoints, Formed, Number
from router.core.spec import Spec

FEATURES_MAX = 64
CLASSES_MAX = 200

RowPath = Annotated[
    StrictStr,
    Formed(r"^(?=.{1,200}$)[^\s]+$", "a path such as label, user.age or predict_proba[1]"),
]
"""Where a value is in a row: names with dots between them, places of lists in brackets."""

FeatureKind = Literal["numeric", "categorical", "auto"]
"""What a feature's values are; auto: numeric where they are numbers."""


def _named(value: Any) -> Any:
    """A plain list of features says nothing of their kind."""
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return dict.fromkeys(value, "auto")
    return value


def _few(value: dict[str, FeatureKind]) -> dict[str, FeatureKind]:
    if len(value) > FEATURES_MAX:
        raise ValueError(f"expected at most {FEATURES_MAX} features, got {len(value)}")
    return value


_PATH: dict[str, str] = {"type": "string", "pattern": r"^[^\s]{1,200}$"}
Features = Annotated[
    dict[RowPath, FeatureKind],
    BeforeValidator(_named),
    AfterValidator(_few),
    WithJsonSchema({"anyOf": [
        {"type": "object", "maxProperties": FEATURES_MAX,
         "additionalProperties": {"enum": ["numeric", "categorical", "auto"]}},
        {"type": "array", "maxItems": FEATURES_MAX, "items": _PATH},
    ]}),
]  # fmt: skip


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] >= value[1]:
        raise ValueError(f"expected the lower bound first, got [{value[0]:g}, {value[1]:g}]")
    return value


class Predictions(Spec):
    """What a prediction is on this route, so that it can be read; bodies are read as copies.

    A row is one thing that is predicted: an instance, a record, a line, a place of a tensor's
    first axis. Paths are those of a row.
    """

    label: RowPath | None = None
    """Where an answer's row has the predicted class or value, such as predict or label."""
    score: RowPath | None = None
    """Where it has the score, such as predict_proba[1]; of a list of numbers its last one."""
    id: RowPath | None = None
    """Where it has what the row is known by, such as order_id."""
    classes: Annotated[
        tuple[StrictBool | StrictInt | StrictFloat | StrictStr, ...], Field(max_length=CLASSES_MAX)
    ] = ()
    """Labels that are known; another one is a finding. Absent: any."""
    range: Annotated[tuple[Number, Number], AfterValidator(_ordered)] | None = None
    """Lowest and highest score, such as [0, 1]. Absent: any number."""
    features: Features = Field(default_factory=dict)
    """Features of a request's row by path, each numeric or categorical; or a list of paths."""
    sample: BasisPoints = 1_000
    """Share of live requests whose bodies are read; 0% reads none."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.label or self.score or self.features):
            raise ValueError("expected at least one of label, score, features")
        if self.classes and not self.label:
            raise ValueError("expected label beside classes, such as label: predict")
        if self.range and not self.score:
            raise ValueError("expected score beside range, such as score: predict_proba")
        return self

    @property
    def declared(self) -> Declared:
        """The same for those who read."""
        return Declared(
            self.label or "", self.score or "", self.id or "",
            tuple(map(class_of, self.classes)), self.range, tuple(self.features.items()),
        )  # fmt: skip
