"""Durations, shares and sizes: how people write them and what the program calculates with.

A number without a unit is refused everywhere: `hold: 30` means seconds in Argo Rollouts, and
elsewhere minutes or milliseconds, and nobody notices the difference until a canary has sat at 1 %
for a day.

==========  =====================  ==============================  =================
written as  examples               calculated with                 resolution
==========  =====================  ==============================  =================
duration    ``250ms 5m 1h30m 7d``  seconds, float                  1 ms
share       ``5%  0.05%``          basis points, int (10 000=100%)  0.01 %
size        ``512B 64KiB 20MB``    bytes, int                      1 byte
rate        ``10/s 100/m 1000/h``  times a second, float           0.001
==========  =====================  ==============================  =================

Every ``parse_*`` raises ValueError with a message made for the author of a policy, and
``parse_x(format_x(v)) == v`` for every value in range.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from router.core.words import FULL_BP

DURATION_S_MAX: Final = 366 * 86_400.0
"""The longest duration that can be written, in seconds: a rollout of more than a year is a typo."""

SIZE_BYTES_MAX: Final = 1 << 40
"""The largest size that can be written: 1 TiB."""

_DURATION_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZE_UNITS_BYTES: Final = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip

# The number of digits is bounded so that a hostile file cannot make Decimal work for long.
_NUMBER: Final = r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,9})?)"
_PART: Final = r"[0-9]{1,15}(?:\.[0-9]{1,9})?(?:ms|s|m|h|d)"
DURATION_PATTERN: Final = rf"^({_PART})+$"
SHARE_PATTERN: Final = r"^[0-9]{1,3}(\.[0-9]{1,2}0*)? ?%$"
SIZE_PATTERN: Final = r"^[0-9]{1,15}(\.[0-9]{1,9})?(B|KB|MB|GB|KiB|MiB|GiB)$"
_DURATION: Final = re.compile(rf"(?:{_PART}){{1,5}}\Z")
_DURATION_PART: Final = re.compile(_NUMBER + r"(?P<unit>ms|s|m|h|d)")
RATE_PATTERN: Final = r"^[0-9]{1,9}(\.[0-9]{1,3})?/(s|m|h)$"
_RATE_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600}
_SHARE: Final = re.compile(_NUMBER + r" ?%\Z")
_RATE: Final = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,3})?)/(?P<unit>[smh])\Z")
_SIZE: Final = re.compile(_NUMBER + r"(?P<unit>B|KB|MB|GB|KiB|MiB|GiB)\Z")


def parse_duration(text: object) -> float:
    """Seconds in a duration such as ``250ms``, ``2s``, ``1h30m``; a float in 0 … 366 days."""
    if not isinstance(text, str) or not _DURATION.match(text):
        raise ValueError(f"expected a duration such as 250ms, 2s, 5m or 1h, got {shown(text)}")
    milliseconds = sum(
        (
            Decimal(part["number"]) * _DURATION_UNITS_MS[part["unit"]]
            for part in _DURATION_PART.finditer(text)
        ),
        start=Decimal(0),
    )
    if milliseconds != milliseconds.to_integral_value():
        raise ValueError(f"expected a duration in whole milliseconds, got {shown(text)}")
    if milliseconds > DURATION_S_MAX * 1000:
        raise ValueError(f"expected a duration of at most 366d, got {shown(text)}")
    return float(milliseconds / 1000)


def format_duration(seconds: float) -> str:
    """The shortest exact spelling: 90.0 → ``90s``, 300.0 → ``5m``, 0.25 → ``250ms``."""
    milliseconds = round(seconds * 1000)
    for unit in ("d", "h", "m", "s"):
        if milliseconds and milliseconds % _DURATION_UNITS_MS[unit] == 0:
            return f"{milliseconds // _DURATION_UNITS_MS[unit]}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


def parse_share(text: object) -> int:
    """Basis points in a share such as ``5%``, ``0.05%`` or ``5 %``: an int in 0 … 10 000.

    A finer share than 0.01 % is an error and never rounded: 0.004 % rounded would be 0, a canary
    without traffic that nobody asked for.
    """
    match = _SHARE.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"expected a share such as 5% or 0.05%, got {shown(text)}")
    basis_points = Decimal(match["number"]) * 100
    if basis_points != basis_points.to_integral_value():
        raise ValueError(f"expected a share in steps of 0.01%, got {shown(text)}")
    if basis_points > FULL_BP:
        raise ValueError(f"expected a share of at most 100%, got {shown(text)}")
    return int(basis_points)


def format_share(basis_points: int) -> str:
    """``500`` → ``5%``, ``5`` → ``0.05%``, ``1050`` → ``10.5%``."""
    whole, rest = divmod(basis_points, 100)
    return f"{whole}%" if not rest else f"{whole}.{rest:02d}".rstrip("0") + "%"


def parse_size(text: object) -> int:
    """Bytes in a size such as ``512B``, ``64KiB`` (1024-based) or ``20MB`` (1000-based)."""
    match = _SIZE.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"expected a size such as 512B, 64KiB or 20MB, got {shown(text)}")
    size = Decimal(match["number"]) * _SIZE_UNITS_BYTES[match["unit"]]
    if size != size.to_integral_value():
        raise ValueError(f"expected a size in whole bytes, got {shown(text)}")
    if size > SIZE_BYTES_MAX:
        raise ValueError(f"expected a size of at most 1024GiB, got {shown(text)}")
    return int(size)


def format_size(size_bytes: int) -> str:
    """The shortest exact spelling in 1024-based units: 65536 → ``64KiB``, 1000 → ``1000B``."""
    for unit in ("GiB", "MiB", "KiB"):
        if size_bytes and size_bytes % _SIZE_UNITS_BYTES[unit] == 0:
            return f"{size_bytes // _SIZE_UNITS_BYTES[unit]}{unit}"
    return f"{size_bytes}B"


def parse_rate(text: object) -> float:
    """Times a second in a rate such as ``10/s``, ``100/m`` or ``1000/h``; above 0."""
    match = _RATE.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"expected a rate such as 10/s, 100/m or 1000/h, got {shown(text)}")
    rate = float(match["number"]) / _RATE_UNITS_S[match["unit"]]
    if not rate:
        raise ValueError(f"expected a rate above 0, got {shown(text)}")
    return rate


def format_rate(per_s: float) -> str:
    """``10.0`` → ``10/s``, ``100 / 60`` → ``100/m``."""
    for unit, seconds in _RATE_UNITS_S.items():
        number = round(per_s * seconds, 3)
        if number and number / seconds == per_s:
            return f"{number:.3f}".rstrip("0").rstrip(".") + f"/{unit}"
    return f"{per_s * 3_600:.3f}/h"


def shown(value: object) -> str:
    """A value as an error message shows it: YAML's spelling, at most 40 characters."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _schema(pattern: str, what: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "pattern": pattern, "title": what, "examples": list(examples)}
    )


Seconds = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    _schema(DURATION_PATTERN, "duration", "250ms", "2s", "5m", "1h"),
]
"""A duration; seconds in Python, ``5m`` in YAML and JSON."""

BasisPoints = Annotated[
    int,
    BeforeValidator(parse_share),
    PlainSerializer(format_share, return_type=str, when_used="json"),
    _schema(SHARE_PATTERN, "share", "5%", "0.05%"),
]
"""A share; basis points in Python (10 000 = 100 %), ``5%`` in YAML and JSON."""

Bytes = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=str, when_used="json"),
    _schema(SIZE_PATTERN, "size", "64KiB", "20MB"),
]
"""A size; bytes in Python, ``64KiB`` in YAML and JSON."""

PerSecond = Annotated[
    float,
    BeforeValidator(parse_rate),
    PlainSerializer(format_rate, return_type=str, when_used="json"),
    _schema(RATE_PATTERN, "rate", "10/s", "100/m", "1000/h"),
]
"""A rate; times a second in Python, ``10/s`` in YAML and JSON."""

Flag = StrictBool
"""true or false and nothing that merely looks like it."""

Text = StrictStr
"""Text; a number is never turned into text, since 1.10 would silently become 1.1."""

Count = Annotated[StrictInt, Field(ge=0, le=10**9)]
"""A whole number from 0 to 10⁹."""

Number = Annotated[StrictFloat, Field(allow_inf_nan=False)]
"""A finite number; an int is accepted where a float is meant."""


class Formed:
    """Marks text of a form: `pattern` for editors, `what` ("an upper-case method") for people."""

    def __init__(self, pattern: str, what: str) -> None:
        self.pattern = pattern
        self.what = what

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """The check after the one of the type itself."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The pattern."""
        return handler(schema) | {"pattern": self.pattern}

    def check(self, text: str) -> str:
        """`text` itself. Raises ValueError if it is not of this form."""
        if not re.fullmatch(self.pattern, text):
            raise ValueError(f"expected {self.what}, got {shown(text)}")
        return text


NAME_FORM: Final = Formed(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
    "a name of at most 63 letters, digits, dots, underscores and hyphens",
)
Name = Annotated[StrictStr, NAME_FORM]
"""A name that is safe as a metric label, a header value and a file name: 1 to 63 characters."""
