"""JSON that somebody else wrote: the one reader of it, for answers, requests, labels and orders.

What a version, a client or a label pipeline sends is a value or it is :class:`Unreadable`, never
another exception, and costs what its bounds say, whatever it is made of. Python's own parser trusts
its input in ways that are closed here:

=========================== =====================================================================
Python                      here
=========================== =====================================================================
bytes without a bound       ``bytes_max``, of what is read: after unpacking
``[[],[],...]`` is small     values are counted before parsing, empty ones and containers too
RecursionError              ``depth`` of nesting, counted before parsing
integers of any length      beyond 64 bits the nearest double, as most readers take them (RFC 8259
                            section 6); what no double holds is infinity, as for ``1e400``
half of a surrogate pair    U+FFFD: a text that can be encoded, stored, shown
UTF-16 and UTF-32           UTF-8 alone (RFC 8259 section 8.1); a byte order mark is skipped
=========================== =====================================================================

Orders to the router are read :data:`STRICT`: one text has one reading there, so NaN, numbers no
double holds, long integers and a key given twice are refused.

Counting is exact but for one kindness: strings are cut out only where the plain count of commas and
brackets exceeds a bound.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn

INTEGER_DIGITS_MAX: Final = 20
"""Longer integers are read as doubles; 2**64 has 20 digits."""
INTEGER_LEAST: Final = -(2**63)
INTEGER_MOST: Final = 2**64 - 1
"""What a message between processes can carry; integers beyond are read as doubles."""


class Unreadable(ValueError):  # noqa: N818 - reads as the finding it is
    """The bytes are not what was expected; the text says what was expected where."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one text may cost."""

    bytes_max: int
    values_max: int
    """Values of every kind: objects, lists (also empty ones), texts, numbers, true, false, null."""
    depth_max: int
    """Objects and lists inside each other."""
    strict: bool = False
    """One reading: no NaN, no key twice, no number out of range, at most 18 digits."""


ANSWER: Final = Bounds(1_048_576, 25_000, 32)
"""Answers and labels: at most about 30 ms and 10 MiB to read."""
REQUEST: Final = Bounds(4_194_304, 20_000, 32)
"""Bodies of requests, where a route looks for a field: a few milliseconds in a worker's loop."""
STRICT: Final = Bounds(65_536, 10_000, 8, strict=True)
"""Orders; the longest real one, with its reason, is about 1 KiB."""

STRICT_DIGITS_MAX: Final = 18
"""Longer integers do not fit 64 bits and mean nothing in any order."""

_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A whole string, or one that never ends: each character is looked at once."""
_NOT_BRACKETS: Final = re.compile(r"[^\[\]]+")
_WHOLE: Final = frozenset((int, float, bool, type(None)))
"""What has no text in it, and most values of a large body are."""
_HALF_PAIR: Final = re.compile("[\ud800-\udfff]")
_ONE_KIND: Final = str.maketrans("{}", "[]")


def read(body: bytes, bounds: Bounds = ANSWER) -> Any:
    """The value in ``body``. Raises Unreadable, and nothing else."""
    if len(body) > bounds.bytes_max:
        raise Unreadable(f"expected at most {bounds.bytes_max:,} bytes of JSON, got {len(body):,}")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"expected JSON in UTF-8, got another byte at {error.start}") from None
    text = text.removeprefix("\ufeff")
    _count(text, bounds)
    try:
        value = (_STRICT_DECODER if bounds.strict else _DECODER).decode(text)
    except Unreadable:
        raise
    except json.JSONDecodeError as error:
        why = f"{error.msg} at character {error.pos}"
        raise Unreadable(f"expected JSON, got {len(body)} bytes that are none: {why}") from None
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"expected JSON, got {len(body)} bytes that are none") from error
    # Raw halves were no UTF-8: only an escape can have made one.
    return _whole(value) if "\\ud" in text or "\\uD" in text else value


def _count(text: str, bounds: Bounds) -> None:
    """Raise Unreadable where more would be made of ``text`` than may be."""
    opened = text.count("[") + text.count("{")
    values = 1 + text.count(",") + opened
    if values <= bounds.values_max and opened <= bounds.depth_max:
        return
    bare = _STRING.sub("", text)
    opened = bare.count("[") + bare.count("{")
    values = 1 + bare.count(",") + opened
    if values > bounds.values_max:
        raise Unreadable(f"expected at most {bounds.values_max:,} values, got about {values:,}")
    if opened > bounds.depth_max:
        _fathom(bare, bounds.depth_max)


def _fathom(bare: str, most: int) -> None:
    """Raise Unreadable below ``most`` levels; each pass takes the innermost level away."""
    brackets = _NOT_BRACKETS.sub("", bare.translate(_ONE_KIND))
    for _ in range(most):
        shorter = brackets.replace("[]", "")
        if len(shorter) == len(brackets):
            return  # nothing nests any more; what is left does not fit, as the parser will say
        brackets = shorter
    if "[]" in brackets:
        raise Unreadable(f"expected at most {most} levels of nesting")


def _whole(value: Any) -> Any:
    """The value with U+FFFD in place of half surrogate pairs, in keys too."""
    if isinstance(value, str):
        return _HALF_PAIR.sub("\ufffd", value)
    if isinstance(value, list):
        return [one if one.__class__ in _WHOLE else _whole(one) for one in value]
    if isinstance(value, dict):
        return {
            key if key.isascii() else _HALF_PAIR.sub("\ufffd", key):
            one if one.__class__ in _WHOLE else _whole(one)
            for key, one in value.items()
        }  # fmt: skip
    return value


def _integer(digits: str) -> int | float:
    if (
        len(digits) <= INTEGER_DIGITS_MAX
        and INTEGER_LEAST <= (number := int(digits)) <= INTEGER_MOST
    ):
        return number
    return float(digits)


def _strict_integer(digits: str) -> int:
    if len(digits) > STRICT_DIGITS_MAX:
        raise Unreadable(f"an integer has at most {STRICT_DIGITS_MAX} digits")
    return int(digits)


def _strict_number(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise Unreadable("a number is out of range")
    return number


def _constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Unreadable("a key may appear only once")
    return made


_DECODER: Final = json.JSONDecoder(parse_int=_integer)
_STRICT_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_strict_integer, parse_float=_strict_number,
    parse_constant=_constant,
)  # fmt: skip


PATH_DEPTH_MAX: Final = 32
"""Levels of a value that a dotted path descends into."""
PLACE_DIGITS_MAX: Final = 9
"""Digits of a place in a list."""


def at_path(value: Any, path: str) -> str | None:
    """The scalar at a dotted path as text, or None; lists take numbers."""
    for name in path.split(".")[:PATH_DEPTH_MAX]:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isascii() and name.isdigit():
            place = int(name) if len(name) <= PLACE_DIGITS_MAX else len(value)
            value = value[place] if place < len(value) else None
        else:
            return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None
