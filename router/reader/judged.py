"""What a judge outside is told of one pair, made where its bodies are read."""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING, Final

from router.config.payloads import payload
from router.core.foreign import REQUEST, Unreadable
from router.core.judging.question import Told
from router.core.logged.redaction import names_field, without
from router.core.pairs.comparison import named
from router.core.payloads import Beyond, unpacked
from router.core.payloads.answer import document

if TYPE_CHECKING:
    from router.link.reading import Read, Reading

CHARS_MAX: Final = 32_768
"""Of each part; a longer one is not told, cut or whole: half an answer is another answer."""
OPAQUE: Final = "opaque"


def told_of(read: Read, reading: Reading) -> Told | None:
    """The request and both answers without what nobody is told; None where that cannot be."""
    kind = read.payload or reading.payload
    likeness = reading.likeness.read_by(reading.payload, kind)
    try:
        told = Told(
            _question(read, reading.hidden),
            _answer(kind, unpacked(read.stable, read.codings[0]), likeness.ignore, reading.hidden),
            _answer(kind, unpacked(read.other, read.codings[1]), likeness.ignore, reading.hidden),
        )
    except (Unreadable, Beyond):
        return None
    return told if max(map(len, told)) <= CHARS_MAX else None


def _question(read: Read, hidden: tuple[str, ...]) -> str:
    """JSON as it is, any other text as a JSON text. Raises Unreadable where it must be read."""
    if not read.request:
        return '""'
    body = unpacked(read.request, read.request_coding, REQUEST.bytes_max)
    kept = without(body, frozenset(hidden))
    if kept is None:
        raise Unreadable("expected JSON, of which fields are left out")
    try:
        return json.dumps(document(kept), ensure_ascii=False, allow_nan=False)
    except ValueError:  # Unreadable, or numbers that JSON has no word for
        return json.dumps(kept.decode(errors="replace"), ensure_ascii=False)


def _answer(kind: str, body: bytes, ignore: tuple[str, ...], hidden: tuple[str, ...]) -> str:
    """Values by path. Raises Unreadable, also where fields of mere bytes are to be left out."""
    if kind == OPAQUE:
        if hidden:
            raise Unreadable("expected a payload that can be read")
        return json.dumps(body.decode(errors="replace"), ensure_ascii=False)
    leaves = payload(kind).read(body).leaves
    names = frozenset(hidden)
    told = {
        path: value if not isinstance(value, float) or isfinite(value) else str(value)
        for path, value in leaves.items()
        if not (named(path, ignore) or named(path, hidden) or names_field(path, names))
    }
    return json.dumps(told, ensure_ascii=False)
