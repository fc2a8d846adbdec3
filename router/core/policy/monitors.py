"""`monitors:` of a route: what incoming requests and answers are held against, and what follows."""

from typing import Annotated, Literal, Self

from pydantic import Field, StrictInt, model_validator

from router.core.gates.by import SegmentBy
from router.core.monitors.settings import LABEL, SCORE, SLOTS, Settings, Tolerances
from router.core.predictions.schema import Predictions
from router.core.quantities import BasisPoints, Number, Seconds, Text, format_duration
from router.core.spec import ShortFor, Spec
from router.core.words import FULL_BP


class Reference(Spec):
    """What traffic is held against; a plain text is a file."""

    file: Text | None = None
    """CSV (a first line of names) or Parquet (.parquet; needs rampway[parquet]) with the features
    as columns, such as the training data; from the working directory."""
    past: Annotated[Seconds, Field(gt=0)] | None = None
    """What stable saw in its first time, such as 7d: whole days, whole weeks where weeks differ."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.past is None):
            raise ValueError("expected exactly one of file, past")
        return self


PAST_S = 7 * 86_400.0


class MonitorsPolicy(Spec):
    """Watches the features of requests, and the label and score of answers, for change.

    What is read is said by `predictions`. Both versions get the same requests: data that move are
    told and hold the rollout, and take nobody back.
    """

    reference: Annotated[Reference, ShortFor("file")] = Reference.model_validate({"past": "7d"})
    """What traffic is held against. With a file, a rollout begins once traffic was compared with
    it, and not while they differ. Answers are always held against stable's past."""
    by: SegmentBy | None = None
    """A feature, or a request header, whose values have references and alarms of their own beside
    all together, such as {feature: carrier} or {header: X-Country}: the first eight that are met,
    or the most frequent ones of a file."""
    window: Annotated[Seconds, Field(gt=0)] = 86_400.0
    """Time that is held against the reference; a day, so that night and day are both in it."""
    season: Annotated[Seconds, Field(gt=0)] = PAST_S
    """Length of the cycle that data may follow: what comes back after it is no change."""
    requests: Annotated[StrictInt, Field(ge=50, le=1_000_000)] = 500
    """Sampled requests that a window must have; it grows until it does, up to half a season."""
    psi: Annotated[Number, Field(gt=0, le=10)] = 0.1
    """Population stability index from which on a distribution has moved."""
    unusual: Annotated[BasisPoints, Field(gt=0)] = 200
    """Share of values, beyond the reference's, that may be null, of another type, out of the range
    or in an unseen category."""
    false_discovery_rate: Annotated[BasisPoints, Field(gt=0, le=2_000)] = 100
    """Of all the changes that a look finds, how many may be chance (Benjamini-Hochberg)."""
    on_drift: Literal["hold", "notify"] = "hold"
    """What moved data do to a rollout under way: it waits until they are back, or a person accepts
    or promotes; `notify` only tells."""
    on_candidate: Literal["rollback", "hold", "notify"] = "rollback"
    """What follows when the candidate's answers alone move, beside what it answered before."""

    @model_validator(mode="after")
    def _windows_fit(self) -> Self:
        if not self.window <= self.season / 2:
            raise ValueError(
                f"expected a window of at most half a season ({format_duration(self.season / 2)}), "
                f"got {format_duration(self.window)}"
            )
        return self

    @property
    def header(self) -> str:
        """The header that tells segments apart; empty where none does."""
        return (self.by.header or "") if self.by is not None else ""

    def settings(self, predictions: Predictions) -> Settings:
        """The same for who watches."""
        slot_s = self.season / SLOTS
        terms = Tolerances(
            self.psi, self.unusual / FULL_BP, self.requests,
            self.false_discovery_rate / FULL_BP, max(round(self.window / slot_s), 1),
        )  # fmt: skip
        outputs = (LABEL,) * bool(predictions.label) + (SCORE,) * bool(predictions.score)
        return Settings(
            tuple(predictions.features.items()), outputs, terms, self.season,
            self.reference.past or PAST_S, self.reference.file or "",
            (self.by.feature or "") if self.by is not None else "", self.header,
        )  # fmt: skip
