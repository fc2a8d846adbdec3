"""The wire format of HTTP/1.1, without IO: bytes to messages and back.

Strict where a proxy must be: a message has exactly one reading or it is refused, and what goes out
is written anew from what was understood. `framing` says what is refused, `headers` what each field
becomes, `plain` which heads need no second look, `parser` and `answers` how bytes turn into
messages, `writer` how they turn back.
"""

from router.http1.answers import ResponseParser
from router.http1.framing import ClientFramingError, FramingError, UpstreamFramingError
from router.http1.headers import Peer, trace_lines, trace_parent
from router.http1.kept_heads import kept_head, read_head
from router.http1.limits import DEFAULT_LIMITS, Limits
from router.http1.messages import (
    CHUNKED,
    LENGTH,
    NO_BODY,
    UNTIL_CLOSE,
    Field,
    RequestHead,
    ResponseHead,
)
from router.http1.parser import RequestParser
from router.http1.reader import MessageHandler
from router.http1.writer import (
    CONTINUE,
    SHADOW_LINE,
    body_piece,
    interim_head,
    own_response,
    request_head,
    response_head,
)

__all__ = [
    "CHUNKED",
    "CONTINUE",
    "DEFAULT_LIMITS",
    "LENGTH",
    "NO_BODY",
    "SHADOW_LINE",
    "UNTIL_CLOSE",
    "ClientFramingError",
    "Field",
    "FramingError",
    "Limits",
    "MessageHandler",
    "Peer",
    "RequestHead",
    "RequestParser",
    "ResponseHead",
    "ResponseParser",
    "UpstreamFramingError",
    "body_piece",
    "interim_head",
    "kept_head",
    "own_response",
    "read_head",
    "request_head",
    "response_head",
    "trace_lines",
    "trace_parent",
]
