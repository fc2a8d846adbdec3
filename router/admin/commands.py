"""The orders of ``POST /api/v1/rollouts/{route}/{command}``: their bodies and the events they make.

``COMMANDS`` is the whole list; the OpenAPI document and the tests read it. Shares and durations are
written as in a policy (``"25%"``, ``"30m"``), since a bare number would leave the unit to a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from router.admin.schemas import Schema
from router.control.state.errors import NotPossible
from router.control.told.views import OfferedRollout, RolloutView
from router.core.quantities import (
    DURATION_PATTERN,
    SHARE_PATTERN,
    parse_duration,
    parse_share,
)
from router.core.rollout import events
from router.core.rollout.machine import TRANSITIONS
from router.core.rollout.rollout import Phase
from router.core.words import FULL_BP

REASON_CHARS_MAX = 500
"""A reason is a sentence for the journal, kept for ever."""

LINE_PATTERN = r"^[^\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]*$"
"""One line of text: nothing that commands a terminal, turns a line round or cannot be seen."""

_LINE = re.compile(LINE_PATTERN[1:-1])


@dataclass(frozen=True, slots=True)
class Order:
    """One order as it arrived: who, why, when (rollout clock), and the rest of the body."""

    actor: str
    reason: str
    now: float
    fields: Mapping[str, Any]
    status: RolloutView
    """The rollout as it stood when the order arrived (``Controller.rollout``)."""


@dataclass(frozen=True, slots=True)
class OrderKind:
    """One command: what it does, the event it becomes, and the JSON Schema of its own fields."""

    summary: str
    event: Callable[[Order], events.AnyCommand]
    kind: type[events.Event]
    fields: Mapping[str, Schema]
    makes_sense: Callable[[RolloutView], bool] = lambda _status: True
    """Whether to offer it for a rollout with this status, besides what the machine says."""


SHARED_FIELDS: Mapping[str, Schema] = {
    "reason": {
        "type": "string",
        "maxLength": REASON_CHARS_MAX,
        "pattern": LINE_PATTERN,
        "description": "Why; goes into the journal.",
    },
    "dry_run": {
        "type": "boolean",
        "description": "Say what would happen and change nothing.",
    },
}
"""What every command's body may carry."""


def _promote(order: Order) -> events.Promote:
    return events.Promote(order.actor, order.reason, full=order.fields.get("full", False))


def _switch(order: Order) -> events.Promote:
    """The blue-green switch as one atomic table: every new request goes to the candidate.

    It skips what is left of the preview and of a gradual switch. Raises NotPossible where there is
    nothing to switch: other strategies move by steps, and a second switch would end the bake.
    """
    if not _switchable(order.status):
        strategy, weight = order.status.strategy, order.status.weight_bp
        if strategy != "blue_green":
            raise NotPossible(f"switch is for blue_green, this is a {strategy}: `promote --full`")
        if weight == FULL_BP:
            raise NotPossible(f"all traffic is on {order.status.candidate} already")
    return events.Promote(order.actor, order.reason, full=True)


def _switchable(status: RolloutView) -> bool:
    return status.strategy == "blue_green" and status.weight_bp < FULL_BP


def _roll_back(order: Order) -> events.Rollback:
    """``to`` names the version that gets the traffic: any that the policy still has.

    Without it that is what ran before the candidate, also after its completion.
    """
    wanted, back = order.fields.get("to", ""), order.status.stable
    instant = order.fields.get("instant", False)
    to = "" if wanted == back else wanted
    return events.Rollback(order.actor, order.reason, instant=instant, to=to)


def _returns(status: RolloutView) -> bool:
    """Nothing is left to take back after a rollback, unless traffic returns in steps."""
    return status.phase not in ("aborted", "rolled_back") or bool(status.weight_bp)


def _set_weight(order: Order) -> events.SetWeight:
    weight, lasting = order.fields.get("weight"), order.fields.get("for")
    if weight is None:
        if lasting is not None:
            raise ValueError("for: give it together with a weight, or leave out both")
        return events.SetWeight(order.actor, order.reason)
    if lasting is None:
        raise ValueError("for: a weight set by hand must say how long it lasts, such as 30m")
    until = order.now + parse_duration(lasting)
    return events.SetWeight(order.actor, order.reason, weight_bp=parse_share(weight), until=until)


def _retry(order: Order) -> events.Retry:
    return events.Retry(order.actor, order.reason, force=order.fields.get("force", False))


def _plain(event: type[events.AnyCommand]) -> Callable[[Order], events.AnyCommand]:
    return lambda order: event(order.actor, order.reason)


_FULL: Schema = {"type": "boolean", "description": "Skip all steps; go to the bake at 100 %."}
_FORCE: Schema = {
    "type": "boolean",
    "description": "Even though it was tried too often or too soon (the policy's anti_flap).",
}
_INSTANT: Schema = {
    "type": "boolean",
    "description": "All of it now, although the policy returns traffic in steps.",
}
_TO: Schema = {
    "type": "string",
    "maxLength": 63,
    "pattern": LINE_PATTERN,
    "description": "The version that gets the traffic, any of them; left out: the one before.",
}
_WEIGHT: Schema = {
    "type": "string",
    "pattern": SHARE_PATTERN,
    "examples": ["25%"],
    "description": "Candidate's share; left out: lift the override that is in force.",
}
_FOR: Schema = {
    "type": "string",
    "pattern": DURATION_PATTERN,
    "examples": ["30m"],
    "description": "How long it lasts; then the step's own weight returns.",
}

COMMANDS: Mapping[str, OrderKind] = {
    "promote": OrderKind("Leave the present step now", _promote, events.Promote, {"full": _FULL}),
    "switch": OrderKind(
        "Blue-green: all new requests to the candidate now, in one moment", _switch,
        events.Promote, {}, _switchable,
    ),
    "pause": OrderKind(
        "Stand still at the present weight; gates go on", _plain(events.Pause), events.Pause, {}
    ),
    "resume": OrderKind(
        "Go on with what remained of the step", _plain(events.Resume), events.Resume, {}
    ),
    "abort": OrderKind(
        "Give up before completion: all traffic to stable", _plain(events.Abort), events.Abort, {}
    ),
    "rollback": OrderKind(
        "Back to the previous version, at any time", _roll_back, events.Rollback,
        {"to": _TO, "instant": _INSTANT}, _returns,
    ),
    "retry": OrderKind(
        "Start again from the first step", _retry, events.Retry, {"force": _FORCE}
    ),
    "set-weight": OrderKind(
        "Override the step's weight for a time", _set_weight, events.SetWeight,
        {"weight": _WEIGHT, "for": _FOR},
    ),
}  # fmt: skip
"""Name in the URL -> what it is."""


def offered(status: RolloutView) -> OfferedRollout:
    """A rollout's status with ``commands``: those that its phase allows, by the machine's table."""
    rows = TRANSITIONS[Phase(status.phase)]
    possible = [
        n for n, kind in COMMANDS.items() if rows[kind.kind].to and kind.makes_sense(status)
    ]
    return OfferedRollout(**msgspec.structs.asdict(status), commands=possible)


def body_schema(kind: OrderKind) -> Schema:
    """JSON Schema of one command's body."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {**SHARED_FIELDS, **kind.fields},
    }


def check_fields(body: Mapping[str, Any], schema: Schema) -> None:
    """Refuse unknown keys and wrong types. Raises ValueError naming the field.

    Only what these schemas use is checked: type, required and maxLength. Patterns are left to the
    parsers of shares and durations, whose messages are better.
    """
    known, required = schema["properties"], schema.get("required")
    for name in body:
        if name not in known:
            raise ValueError(f"a field is not known here; known are {', '.join(sorted(known))}")
    for name in required if isinstance(required, list) else ():
        if name not in body:
            raise ValueError(f"{name}: missing")
    for name, value in body.items():
        _check_value(name, value, known[name])


_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str, "boolean": bool, "array": list, "number": (int, float), "integer": (int, float),
}  # fmt: skip


def _is(value: Any, kind: str) -> bool:
    flag_for_number = kind in {"number", "integer"} and isinstance(value, bool)
    return isinstance(value, _TYPES[kind]) and not flag_for_number


def _check_value(name: str, value: Any, schema: Schema) -> None:
    wanted = schema["type"]
    kinds = [wanted] if isinstance(wanted, str) else wanted
    if not any(_is(value, kind) for kind in kinds):
        raise ValueError(f"{name}: expected a {' or '.join(kinds)}")
    if isinstance(value, str):
        if len(value) > schema.get("maxLength", 64):
            raise ValueError(f"{name}: at most {schema.get('maxLength', 64)} characters")
        if not _LINE.fullmatch(value):
            raise ValueError(f"{name}: one line of printable text")
