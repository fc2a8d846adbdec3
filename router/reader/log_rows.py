"""From an exchange with its bodies to the rows of the log: read, redacted, bounded."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from router.core.foreign import ANSWER, read
from router.core.logged.prediction import LoggedPrediction
from router.core.logged.redaction import names_field, without
from router.core.logged.terms import RouteLog
from router.core.logged.truth import ID_CHARS_MAX, LABEL_CHARS_MAX
from router.core.payloads import Beyond, Unreadable, unpacked
from router.core.predictions.rows import MISSING, BodyRow, Declared, answer_rows, request_rows
from router.core.wire.outcomes import BAD_OUTCOMES, FULL_BP, Outcome
from router.core.wire.sampled import Sampled
from router.link.messages import CopyAnswer

PERSON_CHARS_MAX: Final = 256
"""Of what says whom a request is about; longer ones are nobody's."""
TEXT_CHARS_MAX: Final = 200
"""Of a feature that is a text."""

Digest = Callable[[str], str]


def of_sample(sample: Sampled, rules: RouteLog, digest: Digest) -> list[LoggedPrediction]:
    """The rows of a request that a client sent."""
    outcome = Outcome(sample.outcome)
    base = LoggedPrediction(
        sample.at, sample.request_id[:ID_CHARS_MAX], 0, 1, sample.route, sample.version,
        sample.role, sample.weight_bp / FULL_BP, _segment(sample, rules),
        "", None, None, sample.seconds, sample.status,
        outcome.name.lower() if outcome in BAD_OUTCOMES else "", sample.revision, sample.arm,
        sample.unit, f"{sample.nonce:016x}" if sample.nonce else "",
    )  # fmt: skip
    names = frozenset(rules.redact)
    asked = _plain(sample.request, sample.request_coding)
    person = _person(asked, rules.person) if rules.person else sample.key
    base = replace(base, person=digest(person) if len(person) <= PERSON_CHARS_MAX else "")
    if rules.bodies and not sample.cut:
        base = replace(base, request=without(asked, names) if names else sample.request)
    rows = _read(base, rules, sample.answer, sample.answer_coding, cut=bool(sample.cut))
    features = _features(asked, rules.payload, rules.declared, names)
    if len(features) > len(rows) == 1 and rows[0].prediction is None:
        rows = [replace(rows[0], row=n, rows=len(features)) for n in range(len(features))]
    return [
        replace(row, features=features[row.row]) if row.row < len(features) else row for row in rows
    ]


def _segment(sample: Sampled, rules: RouteLog) -> str:
    return sample.segments[rules.segment] if 0 <= rules.segment < len(sample.segments) else ""


def of_copy(copied: CopyAnswer, rules: RouteLog) -> list[LoggedPrediction]:
    """The rows of a copy; what was asked stands with the request that was copied."""
    base = LoggedPrediction(
        copied.at, copied.request_id[:ID_CHARS_MAX], 0, 1, copied.route, copied.version, "shadow",
        0.0, copied.segment, "", None, None, copied.seconds, copied.status,
        "" if 0 < copied.status < 500 else "server_error" if copied.status else "no_answer",
        copied.revision, "f",
    )  # fmt: skip
    return _read(base, rules, copied.answer, copied.coding, cut=False)


def _read(
    base: LoggedPrediction, rules: RouteLog, answer: bytes, coding: str, *, cut: bool
) -> list[LoggedPrediction]:
    names, declared = frozenset(rules.redact), rules.declared
    said = _plain(answer, coding)
    if rules.bodies and not cut:
        base = replace(base, answer=without(said, names) if names else answer)
    if cut or not 200 <= base.status < 300 or base.version in rules.persons:
        return [base]
    try:
        rows = answer_rows(rules.payload, unpacked(answer, coding), declared)
    except (Unreadable, Beyond) as error:
        unreadable = isinstance(error, Unreadable) and not base.error
        return [replace(base, error="unreadable")] if unreadable else [base]
    label = "" if names_field(declared.label, names) else declared.label
    score = "" if names_field(declared.score, names) else declared.score
    return [
        replace(
            # A body stands with the first row alone.
            base if n == 0 else replace(base, request=None, answer=None),
            row=n, rows=len(rows), prediction=_label(row) if label else None,
            score=_number(row.score) if score else None,
        )
        for n, row in enumerate(rows)
    ] or [base]  # fmt: skip


def _plain(body: bytes, coding: str) -> bytes:
    """A body without its coding; what cannot be unpacked is not kept."""
    try:
        return unpacked(body, coding)
    except (Unreadable, Beyond):
        return b""


def _label(row: BodyRow) -> str | float | int | None:
    """A yes or no as an integer, other numbers never."""
    said = row.label
    if isinstance(said, bool):
        return int(said)
    if isinstance(said, int | float):
        return float(said) if math.isfinite(said) else None
    return said[:LABEL_CHARS_MAX] if isinstance(said, str) and said is not MISSING else None


def _number(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else None


def _features(
    asked: bytes, payload: str, declared: Declared, names: frozenset[str]
) -> list[str]:  # fmt: skip
    """Of each row of the request, as JSON; none where it cannot be read."""
    kept = tuple(one for one in declared.features if not names_field(one[0], names))
    if not kept or not asked:
        return []
    try:
        rows = request_rows(payload, asked, replace(declared, features=kept))
    except (Unreadable, Beyond):
        return []
    return [
        json.dumps(
            {path: _shown(value) for path, value in row.features.items() if value is not MISSING},
            ensure_ascii=False, separators=(",", ":"),
        )
        for row in rows
    ]  # fmt: skip


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return value[:TEXT_CHARS_MAX]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, int | float | None) else str(value)[:TEXT_CHARS_MAX]


def _person(asked: bytes, path: str) -> str:
    """Whom a body says that it is about."""
    try:
        value = read(asked, ANSWER)
    except Unreadable:
        return ""
    for part in path.split("."):
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return ""
    return str(value) if isinstance(value, str | int | float) else ""
