"""Server-sent events as the HTML standard reads them (WHATWG, section 9.2.6).

Comments, a byte order mark, `event:` lines, any of the three line ends, and data over several lines
are all legal, and proxies of language models send every one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from router.core.foreign import ANSWER, Unreadable

EVENTS_MAX: Final = 5_000
"""Events of one stream that are read; a token is one, as a rule."""
LINES_MAX: Final = 6 * EVENTS_MAX
"""Lines of one stream; an event has an id, a type, its data and a blank one."""

_BOM: Final = b"\xef\xbb\xbf"
_LINE: Final = re.compile(rb"\r\n|\n|\r")
_FIELDS: Final = (b"data", b"event", b"id", b"retry")


def streamed(body: bytes) -> bool:
    """Whether a body is a stream of events rather than a document."""
    start = body.removeprefix(_BOM).lstrip()[:8]
    return start.startswith((b":", *(name + b":" for name in _FIELDS), b"data\n", b"data\r"))


def events(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Type (empty: a message) and data of each event; events without data are none.

    The last one needs no blank line behind it: some servers leave that out. Raises Unreadable when
    there are too many.
    """
    if body.count(b"\n") + body.count(b"\r") > 2 * LINES_MAX or len(body) > ANSWER.bytes_max:
        raise Unreadable(f"expected at most {EVENTS_MAX:,} events in {ANSWER.bytes_max:,} bytes")
    seen = 0
    name = ""
    data: list[bytes] = []
    for line in (*_LINE.split(body.removeprefix(_BOM)), b""):
        if not line:
            if data:
                seen += 1
                if seen > EVENTS_MAX:
                    raise Unreadable(f"expected at most {EVENTS_MAX:,} events")
                yield name, b"\n".join(data)
            name, data = "", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
