"""Another model's name in the body of a request: everything else stays as it came, byte for byte.

Several models behind one server are told apart by the field `model` of the body (served models and
adapters of OpenAI-compatible servers). Writing the whole body anew would change numbers and their
spelling, so only the value itself is cut out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from router.core.foreign import REQUEST, Unreadable, read

FIELD: Final = "model"
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_DECODER: Final = json.JSONDecoder(parse_int=str, parse_float=str)


def renamed(body: bytes, model: str) -> bytes | None:
    """``body`` with this model's name; None where it is no JSON object that can be read."""
    try:
        if not isinstance(read(body, REQUEST), dict):
            return None
    except Unreadable:
        return None
    text, name = body.decode("utf-8-sig"), json.dumps(model, ensure_ascii=False)
    begin, pieces = 0, []
    for at, end in _values(text):
        pieces += [text[begin:at], name]
        begin = end
    if not pieces:
        begin = text.index("{") + 1
        comma = "" if text[_skip(text, begin)] == "}" else ", "
        pieces = [text[:begin], f'"{FIELD}": {name}{comma}']
    return "".join((*pieces, text[begin:])).encode()


def _values(text: str) -> Iterator[tuple[int, int]]:
    """Where each value of the field begins and ends, in a text that is a JSON object."""
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        _, end = _DECODER.raw_decode(text, at)
        if key == FIELD:
            yield at, end
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    """The next place that is no white space (RFC 8259 section 2)."""
    return next(_SPACE.finditer(text, at)).end()
