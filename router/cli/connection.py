"""One request to an admin interface and its answer: HTTP/1.1 (RFC 9112) as far as that takes.

``http.client`` reads fields with the e-mail package and always brings TLS along; importing the two
takes as long as Python itself does twice, for one question. What is not understood is refused.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ssl import SSLContext

LINE_BYTES_MAX: Final = 16_384
"""Of a start line, a field line or a chunk's size."""
FIELDS_MAX: Final = 128
PIECE_BYTES: Final = 65_536
"""Of a body, read at a time."""


class NoAnswerError(OSError):
    """What came is no answer in HTTP/1.1, or ends in the middle of one."""


class CliAnswer:
    """An answer whose head was read. ``fields``: by names in lower case, the last of a name."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")
        self.status = 100
        self.fields: dict[str, str] = {}
        while self.status < 200:
            self._head()
        self._pieces = self._body()
        self._rest = b""

    def _head(self) -> None:
        version, _, said = self._line().partition(" ")
        if not version.startswith("HTTP/1.") or not said[:3].isdecimal():
            raise NoAnswerError("no answer in HTTP/1.1")
        self.status = int(said[:3])
        self.fields = {}
        for _ in range(FIELDS_MAX):
            if not (line := self._line()):
                return
            name, _, value = line.partition(":")
            self.fields[name.lower()] = value.strip()
        raise NoAnswerError(f"more than {FIELDS_MAX} fields")

    def _line(self) -> str:
        line = self._file.readline(LINE_BYTES_MAX)
        if not line.endswith(b"\n"):
            raise NoAnswerError("the answer ends within a line" if line else "no answer")
        return line.decode("latin-1").rstrip("\r\n")

    def _body(self) -> Iterator[bytes]:
        """The body as it arrives."""
        length = self.fields.get("content-length", "")
        if "chunked" in self.fields.get("transfer-encoding", "").lower():
            while size := self._size():
                yield from self._exactly(size)
                self._line()
        elif length:
            yield from self._exactly(_number(length, 10))
        else:
            while piece := self._file.read1(PIECE_BYTES):
                yield piece

    def _size(self) -> int:
        return _number(self._line().partition(";")[0].strip(), 16)

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._file.read1(min(size, PIECE_BYTES))
            if not piece:
                raise NoAnswerError("the answer ends within its body")
            size -= len(piece)
            yield piece

    def read(self, most: int) -> bytes:
        """All of the body; NoAnswerError when it is longer than ``most`` bytes."""
        found, size = [], 0
        for piece in self._pieces:
            size += len(piece)
            if size > most:
                raise NoAnswerError(f"an answer of more than {most} bytes")
            found.append(piece)
        return b"".join(found)

    def lines(self, most: int) -> Iterator[bytes]:
        """The lines of the body as they arrive, each with its end and of at most ``most`` bytes.

        A last line without an end is none.
        """
        rest: list[bytes] = []
        size = 0
        for piece in self._pieces:
            *whole, last = piece.split(b"\n")
            for line in whole:
                yield b"".join((*rest, line, b"\n"))
                rest, size = [], 0
            rest.append(last)
            size += len(last)
            if size > most:
                raise NoAnswerError(f"a line of more than {most} bytes")

    def close(self) -> None:
        """Nothing more is wanted."""
        self._file.close()
        self._connection.close()


def ask(
    context: SSLContext | None, address: tuple[str, int], timeout_s: float, what: str,
    fields: Mapping[str, str], *, body: bytes | None = None,
) -> CliAnswer:  # fmt: skip
    """Send a request on a connection of its own; ``what``: ``GET /path``. By TLS with ``context``.

    Raises OSError: nobody there, no answer within ``timeout_s`` for any of its parts, a certificate
    that does not hold, or an answer that is none.
    """
    host, port = address
    named = f"[{host}]" if ":" in host else host
    said = {"Host": f"{named}:{port}", "Connection": "close", **fields}
    if body is not None:
        said["Content-Length"] = str(len(body))
    lines = [f"{what} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items())]
    if any(mark in line for line in lines for mark in "\r\n"):
        raise NoAnswerError("a line break in what is to be asked")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
    # A name in ASCII goes as it is: for text Python imports what encodes foreign letters.
    name: Any = host.encode() if host.isascii() else host
    connection = socket.create_connection((name, port), timeout_s)
    try:
        if context is not None:
            connection = context.wrap_socket(connection, server_hostname=host)
        connection.sendall(head + (body or b""))
        return CliAnswer(connection)
    except BaseException:
        connection.close()
        raise


def _number(text: str, base: int) -> int:
    try:
        found = int(text, base)
    except ValueError:
        found = -1
    if found < 0 or not text.isalnum() or "x" in text.lower():
        raise NoAnswerError(f"no size: {text!r:.40}")
    return found
