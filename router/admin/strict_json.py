"""JSON as the admin interface accepts it: RFC 8259 with every freedom closed.

Python's own parser takes ``NaN``, keeps the last of two equal keys, follows nesting down to a
RecursionError and turns a long run of digits into work of quadratic time. A command that moves
traffic must have one reading, so all of these are refused with the rule they break.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

BODY_BYTES_MAX = 65_536
"""The largest body of a command; the longest real one, with its reason, is about 1 KiB."""
DEPTH_MAX = 8
"""Nesting of arrays and objects."""
INTEGER_DIGITS_MAX = 18
"""Longer integers do not fit 64 bits and mean nothing in any command."""


def loads(body: bytes) -> Any:
    """The value of one JSON text. Raises ValueError naming the rule that is broken."""
    if len(body) > BODY_BYTES_MAX:
        raise ValueError(f"a body has at most {BODY_BYTES_MAX} bytes")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ValueError("a body is UTF-8 text") from None
    if _depth(text) > DEPTH_MAX:
        raise ValueError(f"values nest at most {DEPTH_MAX} deep")
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_number,
            parse_constant=_constant,
        )  # fmt: skip
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos}") from None


def _depth(text: str) -> int:
    """Deepest nesting, counted before parsing; brackets inside strings are skipped."""
    depth = deepest = 0
    quoted = escaped = False
    for char in text:
        if quoted:
            quoted = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            quoted = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key may appear only once")
    return made


def _integer(digits: str) -> int:
    if len(digits) > INTEGER_DIGITS_MAX:
        raise ValueError(f"an integer has at most {INTEGER_DIGITS_MAX} digits")
    return int(digits)


def _number(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is out of range")
    return number


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
