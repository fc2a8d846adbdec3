"""From an exchange with its bodies to the rows of the log: read, redacted, bounded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from router.core.foreign import ANSWER, read
from router.core.logged.prediction import LoggedPrediction
from router.core.logged.redaction import names_field, without
from router.core.logged.terms import RouteLog
from router.core.logged.truth import ID_CHARS_MAX, LABEL_CHARS_MAX
from router.core.payloads import Beyond, Unreadable, unpacked
from router.core.predictions.rows import MISSING, BodyRow, answer_rows, request_rows
from router.core.wire.outcomes import BAD_OUTCOMES
from router.core.wire.sampled import Sampled
from router.core.words import FULL_BP
from router.link.reading import CopyAnswer

PERSON_CHARS_MAX: Final = 256
"""Of what says whom a request is about; longer ones are nobody's."""
TEXT_CHARS_MAX: Final = 200
"""Of a feature that is a text."""

Digest = Callable[[str], str]

_Read = tuple[str | float | int | None, float | None]
"""Prediction and score of one row of an answer."""
NOTHING_READ: Final[_Read] = (None, None)
_encode: Final = msgspec.json.Encoder().encode
FAILED: Final = {int(one): one.name.lower() for one in BAD_OUTCOMES}


class RouteRows:
    """Of one route, by its rules: made once for each change of the policy."""

    def __init__(self, rules: RouteLog, digest: Digest) -> None:
        """``digest``: of a person's key."""
        self.rules = rules
        self._digest = digest
        self._names = names = frozenset(rules.redact)
        declared = rules.declared
        self._label = bool(declared.label) and not names_field(declared.label, names)
        self._score = bool(declared.score) and not names_field(declared.score, names)
        kept = tuple(one for one in declared.features if not names_field(one[0], names))
        self._asked = replace(declared, features=kept)

    def __repr__(self) -> str:
        return f"<RouteRows of {self.rules.route}>"

    def of_sample(self, sample: Sampled) -> list[LoggedPrediction]:
        """The rows of a request that a client sent."""
        rules, cut = self.rules, bool(sample.cut)
        asked = plain(sample.request, sample.request_coding)
        person = person_of(asked, rules.person) if rules.person else sample.key
        request = self._body(sample.request, asked) if rules.bodies and not cut else None
        rows, error, answer = self._read(
            sample.payload, sample.answer, sample.answer_coding, sample.status,
            FAILED.get(sample.outcome, ""),
            read=not cut and sample.version not in rules.persons, cut=cut,
        )  # fmt: skip
        features = self._features(sample.payload, asked)
        rows = rows or [NOTHING_READ] * max(len(features), 1)
        base = LoggedPrediction(
            sample.at, sample.request_id[:ID_CHARS_MAX], 0, len(rows), sample.route, sample.version,
            sample.role, sample.weight_bp / FULL_BP, _segment(sample, rules),
            features[0] if features else "", *rows[0], sample.seconds, sample.status, error,
            sample.revision, sample.arm, sample.unit,
            f"{sample.nonce:016x}" if sample.nonce else "",
            self._digest(person) if len(person) <= PERSON_CHARS_MAX else "", request, answer,
            sample.head or None, sample.answer_coding,
            _encode(sample.made).decode() if sample.made else "",
        )  # fmt: skip
        return [base, *_further(base, rows, features)]

    def of_copy(self, copied: CopyAnswer) -> list[LoggedPrediction]:
        """The rows of a copy; what was asked stands with the request that was copied."""
        status = copied.status
        rows, error, answer = self._read(
            copied.payload, copied.answer, copied.coding, status,
            "" if 0 < status < 500 else "server_error" if status else "no_answer",
            read=copied.version not in self.rules.persons, cut=False,
        )  # fmt: skip
        rows = rows or [NOTHING_READ]
        base = LoggedPrediction(
            copied.at, copied.request_id[:ID_CHARS_MAX], 0, len(rows), copied.route, copied.version,
            "shadow", 0.0, copied.segment, "", *rows[0], copied.seconds, status, error,
            copied.revision, "f", answer=answer,
        )  # fmt: skip
        return [base, *_further(base, rows, ())]

    def _body(self, sent: bytes, plain: bytes) -> bytes | None:
        """What is kept of it: as it came, or without the redacted fields."""
        return without(plain, self._names) if self._names else sent

    def _read(
        self,
        payload: str,
        answer: bytes,
        coding: str,
        status: int,
        error: str,
        *,
        read: bool,
        cut: bool,
    ) -> tuple[list[_Read], str, bytes | None]:
        """Its rows, none where it has none; how it failed; what of the body is kept.

        ``payload``: of its path, where that has one of its own.
        """
        body = None
        if self.rules.bodies and not cut:
            body = self._body(answer, plain(answer, coding) if self._names else b"")
        if not read or not 200 <= status < 300:
            return [], error, body
        try:
            rows = answer_rows(
                payload or self.rules.payload, unpacked(answer, coding), self.rules.declared
            )
        except Unreadable:
            return [], error or "unreadable", body
        except Beyond:
            return [], error, body
        label, score = self._label, self._score
        return [
            (_label(row) if label else None, _number(row.score) if score else None) for row in rows
        ], error, body  # fmt: skip

    def _features(self, payload: str, asked: bytes) -> list[str]:
        """Of each row of the request, as JSON; none where it cannot be read."""
        if not self._asked.features or not asked:
            return []
        try:
            rows = request_rows(payload or self.rules.payload, asked, self._asked)
        except (Unreadable, Beyond):
            return []
        return [
            _encode({
                path: _shown(value) for path, value in row.features.items() if value is not MISSING
            }).decode()
            for row in rows
        ]  # fmt: skip


def _further(
    base: LoggedPrediction, rows: Sequence[_Read], features: Sequence[str]
) -> Iterator[LoggedPrediction]:
    """The second row and those behind it."""
    for n in range(1, len(rows)):
        yield base.further(n, features[n] if n < len(features) else "", *rows[n])


def _segment(sample: Sampled, rules: RouteLog) -> str:
    return sample.segments[rules.segment] if 0 <= rules.segment < len(sample.segments) else ""


def plain(body: bytes, coding: str) -> bytes:
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


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return value[:TEXT_CHARS_MAX]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, int | float | None) else str(value)[:TEXT_CHARS_MAX]


def person_of(asked: bytes, path: str) -> str:
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
