"""The chunked transfer coding, read strictly (RFC 9112 section 7.1).

llhttp decodes chunks too, but it shows neither how long an extension was nor where a body ended
within the bytes it was given; both must be known here to bound and to re-frame.
"""

from __future__ import annotations

import re
from typing import Final

from router.http1.framing import TOKEN, refuse, stray_in_fields
from router.http1.headers import REQUEST_FIELDS
from router.http1.limits import Limits
from router.http1.messages import PLAIN

# Fifteen hexadecimal digits stay below 2**60; leading zeros count (20 000 of them is an attack).
_plain_size = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n").match
# No blanks around the extension: legal once as "bad whitespace", read in two ways since
# (TERM.EXT, EXT.TERM), refused by llhttp.
_size_line = re.compile(
    rb'([0-9A-Fa-f]{1,15})((?:;%b(?:=(?:%b|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]'
    rb'|\\[\t\x20-\x7e\x80-\xff])*"))?)*)' % (TOKEN, TOKEN)
).fullmatch
_partial_size = re.compile(rb"[0-9A-Fa-f]{0,15}(?:;[\t\x20-\x7e\x80-\xff]*)?\r?").fullmatch

CHUNKS_A_TURN: Final = 1_024
"""Chunks read before others have their turn: 1 to 4 ms. What costs is their number, not bytes."""

LINES_READY: Final = 1_024
"""Whole chunks that are shorter have their size line ready: most events of streams."""

_SIZE: Final = 0
_DATA: Final = 1
_DATA_END: Final = 2
_TRAILER: Final = 3


def _line_of(length: int) -> bytes:
    """The size line of a whole chunk of `length` bytes, as the writer writes it; else empty.

    There is one at most: of 21 bytes, one digit would leave 16 for the content, and two 15.
    """
    digits, size = 1, length - 5
    while size >= 16**digits:
        digits += 1
        size -= 1
    line = b"%x\r\n" % max(size, 0)
    return line if size > 0 and len(line) == digits + 2 else b""


_LINES: Final = tuple(_line_of(length) for length in range(LINES_READY))


class ChunkReader:
    """Reads one chunked body from consecutive pieces of a stream."""

    __slots__ = (
        "_body_bytes_max",
        "_extension_bytes",
        "_limits",
        "_remaining",
        "_state",
        "_total",
        "_trailer_bytes",
        "_trailer_fields",
    )

    def __init__(self, limits: Limits, body_bytes_max: int) -> None:
        self._limits = limits
        self._body_bytes_max = body_bytes_max
        self._state = _SIZE
        self._remaining = 0
        self._total = 0
        self._extension_bytes = 0
        self._trailer_bytes = 0
        self._trailer_fields = 0

    def read(self, data: bytes, pos: int, pieces: list[bytes]) -> tuple[int, bool]:
        """Append content from `data[pos:]` to `pieces`.

        Returns the position after what was consumed and whether the body is complete. Bytes not
        consumed are part of an unfinished line: offer them again with more behind them; or, when
        `pieces` has :data:`CHUNKS_A_TURN`, they are for the next turn.
        Raises FramingError 400, 413 (content bound) or 431 (trailer bound).
        """
        end = len(data)
        while pos < end and len(pieces) < CHUNKS_A_TURN:
            if self._state == _SIZE:
                pos = self._read_whole_chunks(data, pos, pieces)
                after = self._read_size(data, pos)
            elif self._state == _DATA:
                after = min(end, pos + self._remaining)
                pieces.append(data[pos:after])
                self._remaining -= after - pos
                if not self._remaining:
                    self._state = _DATA_END
            elif self._state == _DATA_END:
                after = self._read_data_end(data, pos)
            else:
                after = self._read_trailer(data, pos)
                if after == pos + 2 and self._state == _SIZE:
                    return after, True
            if after == pos:
                break
            pos = after
        return pos, False

    def whole(self, data: bytes) -> int:
        """Where the content of `data` begins, if that is one chunk, framed as the writer does it.

        Else 0, and nothing is read. An event of a stream is one chunk, one write and mostly one
        read. How long it is says what its size line has to be.
        """
        length = len(data)
        line = _LINES[length] if length < LINES_READY else _line_of(length)
        if not line or self._state != _SIZE or self._body_bytes_max >= 0:
            return 0
        return len(line) if data.startswith(line) and data.endswith(b"\r\n") else 0

    def _read_whole_chunks(self, data: bytes, pos: int, pieces: list[bytes]) -> int:
        """Take chunks that `data` holds completely; whatever is special is left to the slow way.

        Streams of tiny chunks are legal, and a way to burn a proxy's time (CVE-2025-69229).
        """
        room = self._body_bytes_max - self._total if self._body_bytes_max >= 0 else len(data)
        begun = room
        left = CHUNKS_A_TURN - len(pieces)
        while left and (match := _plain_size(data, pos)):
            start = match.end()
            size = int(match[1], 16)
            after = start + size
            if not size or size > room or data[after : after + 2] != b"\r\n":
                break
            room -= size
            pieces.append(data[start:after])
            pos = after + 2
            left -= 1
        self._total += begun - room
        return pos

    def _read_size(self, data: bytes, pos: int) -> int:
        match = _plain_size(data, pos)
        if match is not None:
            size = int(match[1], 16)
            after = match.end()
        else:
            eol = data.find(b"\r\n", pos)
            if eol < 0:
                return self._wait_for_size(data, pos)
            match = _size_line(data, pos, eol)
            if match is None or eol - pos > self._limits.chunk_line_bytes:
                refuse(400, "malformed chunk size")
            self._extension_bytes += len(match[2])
            if self._extension_bytes > self._limits.chunk_extension_bytes:
                refuse(400, "chunk extensions are longer than accepted")
            size = int(match[1], 16)
            after = eol + 2
        self._total += size
        if self._total > self._body_bytes_max >= 0:
            refuse(413, "content is longer than accepted")
        self._remaining = size
        self._state = _DATA if size else _TRAILER
        return after

    def _wait_for_size(self, data: bytes, pos: int) -> int:
        line_bytes = len(data) - pos
        if line_bytes > self._limits.chunk_line_bytes + 1 or not _partial_size(data, pos):
            refuse(400, "malformed chunk size")
        return pos

    def _read_data_end(self, data: bytes, pos: int) -> int:
        tail = data[pos : pos + 2]
        if tail == b"\r\n":
            self._state = _SIZE
            return pos + 2
        if tail != b"\r":
            refuse(400, "chunk is longer than its size")
        return pos

    def _read_trailer(self, data: bytes, pos: int) -> int:
        """One trailer line; they are checked and dropped (RFC 9110 section 6.5.1 permits it)."""
        room = self._limits.trailer_bytes - self._trailer_bytes
        eol = data.find(b"\r\n", pos)
        if eol < 0 or eol + 2 - pos > room:
            if stray_in_fields(data[pos : pos + room]):
                refuse(400, "control character in a trailer")
            if len(data) - pos >= room:
                refuse(431, "trailers are longer than accepted")
            return pos
        self._trailer_bytes += eol + 2 - pos
        if eol == pos:
            self._state = _SIZE
            return pos + 2
        if REQUEST_FIELDS[data[pos:eol]].kind != PLAIN:
            refuse(400, "a trailer must not carry framing, routing or trust fields")
        self._trailer_fields += 1
        if self._trailer_fields > self._limits.fields:
            refuse(431, "more trailer fields than accepted")
        return eol + 2
