"""The lines of a recording, kind by kind; :mod:`.recording` says what each is there for."""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec

from router.control.state.evidence import TrialState
from router.control.state.upgrade import renamed
from router.control.told.answers import EntryView
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import Batch


class RecordedLine(msgspec.Struct, kw_only=True, tag_field="kind", omit_defaults=True):
    """One thing that happened, at ``t`` of the rollout clock, seconds."""

    t: float
    route: str = ""
    """Set by who writes it down; empty: of none."""


class GapLine(RecordedLine, tag="gap"):
    """Lines were lost."""


class BeginLine(RecordedLine, tag="begin", omit_defaults=False):
    """An attempt begins, or the file does."""

    sticky: bool
    payload: str
    policy: Any
    """As it was pinned: JSON, decoded by who reads it."""
    rollouts: list[dict[str, Any]]
    """As the store has them (:meth:`Rollout.to_json`): in force, and what is being written."""
    snapshot: TrialState


class BatchLine(RecordedLine, tag="batch"):
    """Counted outcomes."""

    batch: Batch


class AbandonLine(RecordedLine, tag="abandon", omit_defaults=False):
    """A worker is gone."""

    source: int | None


class MeasuredValues(msgspec.Struct):
    """A measurement. JSON has no word for NaN and infinities, so those are texts."""

    values: list[float | str | None]
    error: str


class MeasureLine(RecordedLine, tag="measure"):
    """An answer from outside."""

    gate: str
    measurement: MeasuredValues


class LearnLine(RecordedLine, tag="learn"):
    """More of stable's past."""

    baseline: Baseline


class RewardLine(RecordedLine, tag="reward"):
    """How good one prediction was."""

    version: str
    reward: float


class FollowLine(RecordedLine, tag="follow"):
    """The rollout moved."""

    revision: int


class TurnLine(RecordedLine, tag="turn"):
    """The decider looked."""

    revision: int
    held: str | None = None
    """What kept it from following the evidence; None: nothing did."""


class DecideLine(RecordedLine, tag="decide", omit_defaults=False):
    """What was decided."""

    before: int | None
    """Revision that the machine was given; None where the policy decided."""
    cause: tuple[str, Any] | None
    """The kind of event and its fields; None where the policy decided."""
    entry: EntryView
    rollout: dict[str, Any] | None
    """As the store has it (:meth:`Rollout.to_json`)."""


AnyLine = (
    GapLine | BeginLine | BatchLine | AbandonLine | MeasureLine | LearnLine | RewardLine
    | FollowLine | TurnLine | DecideLine
)  # fmt: skip

KINDS: Final = frozenset(str(kind.__struct_config__.tag) for kind in get_args(AnyLine))


def read(content: bytes) -> AnyLine:
    """A line, also of an earlier router. Raises ValueError, KeyError, TypeError for other text."""
    plain = renamed(msgspec.json.decode(content))
    if (kind := plain["kind"]) not in KINDS:
        raise ValueError(f"no line {kind!r} is known: another version of rampway wrote it")
    if kind == "decide":
        plain["entry"].setdefault("line", "")  # older routers had none
    try:
        line: AnyLine = msgspec.convert(plain, AnyLine)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    return line
