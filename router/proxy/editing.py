"""What a version is asked otherwise than the client asked: versions behind one endpoint.

A request is edited as it goes out to one version, so its replay on another one, and a copy for a
shadow, say what those want. All that is kept of it (keys, rules, logs) is the client's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from router.core.payloads import Beyond, Unreadable, unpacked
from router.core.payloads.renamed import renamed
from router.http1.messages import LENGTH
from router.proxy.matching import plain_path

if TYPE_CHECKING:
    from router.core.wire.edits import EditEntry
    from router.http1 import RequestHead

OF_BYTES: Final = frozenset((
    b"content-digest", b"content-encoding", b"content-md5", b"digest", b"repr-digest",
))  # fmt: skip
"""Fields that are true of the very bytes of a body only (RFC 9530)."""


class SentExchange(Protocol):
    """What is asked of an exchange."""

    uploaded: bool


class EditedRequest(NamedTuple):
    """A request as one version gets it."""

    head: RequestHead
    body: bytes
    host: bytes
    """In the place of the client's; empty: the client's."""
    lines: bytes
    """Further ready lines."""


class Editing:
    """The edits of one version of one route."""

    __slots__ = ("_headers", "_lines", "_path", "_stem", "host", "model", "most")

    def __init__(self, entry: EditEntry, most: int) -> None:
        """``most``: bytes of a body that are unpacked and read."""
        self.model = entry.model
        self.host = entry.host.encode()
        self._path, self._stem = entry.path.encode(), entry.stem.encode()
        self._headers = frozenset(name.lower().encode() for name, _ in entry.headers)
        said = [f"{name}: {value}\r\n".encode() for name, value in entry.headers if value]
        self._lines = b"".join(said)
        self.most = most

    def body(self, head: RequestHead, body: bytes) -> bytes | None:
        """A whole body with the model's name in it, without a coding; None: it stays as it is."""
        if not body:
            return None
        try:
            if coding := head.get(b"content-encoding"):
                body = unpacked(body, coding.decode("latin-1"), self.most)
        except (Beyond, Unreadable):
            return None
        return renamed(body, self.model)

    def of(self, head: RequestHead, body: bytes, whole: bool, lines: bytes) -> EditedRequest:
        """``head`` and what there is of ``body``, as this version gets them, with ready lines."""
        named = self.body(head, body) if whole and self.model else None
        edited = head.without(self._headers if named is None else self._headers | OF_BYTES)
        if named is not None:
            body = named
            edited.framing, edited.length = LENGTH, len(named)
        if self._path:
            self._ask_for(edited)
        return EditedRequest(edited, body, self.host, lines + self._lines)

    def sent(
        self, exchange: SentExchange, head: RequestHead, body: bytes, lines: bytes
    ) -> EditedRequest:
        """The same of what an exchange sends."""
        return self.of(head, body, exchange.uploaded, lines)

    def _ask_for(self, head: RequestHead) -> None:
        path = self._path
        if path.endswith(b"*"):
            path = path[:-1] + plain_path(head.path)[len(self._stem) :]
        query = head.target[len(head.path) :] if head.target.startswith(head.path) else b""
        head.path, head.target = path, path + query
        head.request_line = b"%b %b HTTP/1.1\r\n" % (head.method, head.target)
