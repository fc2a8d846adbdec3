"""One request and its answer, as the client verbs speak HTTP; and what a verb may import for it."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from router.cli.connection import FIELDS_MAX, LINE_BYTES_MAX, CliAnswer, NoAnswerError, ask

OK = b"HTTP/1.1 200 OK\r\n"
EVENTS = [b"event: a\n", b"\n", b": b\n"]


class Wire:
    """A socket that says ``pieces``, each by itself."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    def makefile(self, _mode):
        return io.BufferedReader(Pieces(self.pieces))

    def close(self):
        pass


class Pieces(io.RawIOBase):
    def __init__(self, pieces):
        self.pieces = pieces

    def readable(self):
        return True

    def readinto(self, room):
        if not self.pieces:
            return 0
        piece, rest = self.pieces[0][: len(room)], self.pieces[0][len(room) :]
        self.pieces[:1] = [rest] if rest else []
        room[: len(piece)] = piece
        return len(piece)


def cut(raw, size):
    return [raw[at : at + size] for at in range(0, len(raw), size)]


BODIES = {
    "length": b"Content-Length: 18\r\n\r\nevent: a\n\n: b\nrest",
    "chunks": b"transfer-encoding: chunked\r\n\r\n"
    b"6\r\nevent:\r\nC;x=y\r\n a\n\n: b\nrest\r\n0\r\n\r\n",
    "to the end": b"\r\nevent: a\n\n: b\nrest",
    "after others": b"\r\nevent: a\n\n: b\nrest",
}


@pytest.mark.parametrize("size", [1, 3, 1_000])
@pytest.mark.parametrize("body", BODIES)
def test_an_answer_is_read_however_it_is_cut(body, size):
    before = b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" if body == "after others" else b""
    raw = before + OK + b"Content-Type: text/x\r\n" + BODIES[body]
    answer = CliAnswer(Wire(*cut(raw, size)))
    assert (answer.status, answer.fields["content-type"]) == (200, "text/x")
    assert answer.read(18) == b"event: a\n\n: b\nrest"
    assert list(CliAnswer(Wire(*cut(raw, size))).lines(100)) == EVENTS


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"HTTP/1.1", b"SSH-2.0-x\r\n", b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 ok\r\n\r\n",
        OK, OK + b"A: b\r\n", OK + b"A: " + b"b" * LINE_BYTES_MAX + b"\r\n\r\n",
        OK + b"A: b\r\n" * (FIELDS_MAX + 1) + b"\r\n",
    ],
)  # fmt: skip
def test_what_is_no_head_is_refused(raw):
    with pytest.raises(NoAnswerError):
        CliAnswer(Wire(raw))


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Length: 5\r\n\r\nabcd", b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 1_0\r\n\r\n", b"Content-Length: 0x1\r\n\r\na",
        b"Transfer-Encoding: chunked\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n1\r\na",
        b"Content-Length: 101\r\n\r\n" + b"a" * 101, b"\r\n" + b"a" * 101,
    ],
)  # fmt: skip
def test_a_body_that_ends_early_or_never_is_refused(raw):
    for read in (lambda answer: answer.read(100), lambda answer: list(answer.lines(100))):
        with pytest.raises(NoAnswerError):
            read(CliAnswer(Wire(OK + raw)))


def test_no_field_says_more_than_one_line():
    with pytest.raises(NoAnswerError, match="line break"):
        ask(None, ("127.0.0.1", 1), 1.0, "GET /", {"X-Reason": "a\r\nX-Actor: b"})


@pytest.mark.parametrize("verb", ["list", "promote", "--help"])
def test_a_client_verb_starts_without_what_takes_long_to_import(verb):
    """Five times what Python itself takes; each of these alone is another time or three."""
    code = f"""
import sys
sys.argv = ["rampway", {verb!r}, "--admin", "http://127.0.0.1:9"]
from router.__main__ import main
import router.control.told.answers
try:
    main()
finally:
    slow = {{"ssl", "http.client", "email", "asyncio", "pydantic", "yaml", "aiohttp", "rich",
            "click", "router.core.wire", "encodings.idna"}}
    print("imported:", sorted(slow & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"imported: {['click'] if verb == '--help' else []}" in ran.stdout
