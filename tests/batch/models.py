"""A model whose answers follow from what it is asked, and that keeps the bytes it was sent."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

SENT = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b"


class Model:
    """``says``: label of a request's document; a number stands for a status instead."""

    def __init__(self, says=lambda asked: asked["x"] % 2):
        self.says = says
        self.asked: list[tuple[bytes, bytes]] = []
        """Head without the span of its own, and body, of each request."""
        self.more = b""
        """Further lines of each answer."""
        self.wait = None
        """An event that answers wait for."""

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _serve(self, reader, writer):
        with suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = head.lower().partition(b"content-length: ")[2]
                body = await reader.readexactly(int(fields.split(b"\r")[0] or b"0"))
                self.asked.append((head, body))
                if self.wait is not None:
                    await self.wait.wait()
                said = self.says(json.loads(body) if body else {"x": 0})
                status, said = said if isinstance(said, tuple) else (200, said)
                answer = json.dumps({"label": said}).encode()
                writer.write(SENT % (status, self.more, len(answer), answer))
        writer.transport.abort()

    def by_id(self, *, shadow=None):
        """What it was sent, by request id."""
        return {
            _field(head, b"x-request-id"): (head, body)
            for head, body in self.asked
            if shadow is None or shadow == (b"x-rampway-shadow: 1" in head.lower())
        }


def _field(head, name):
    for line in head.split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip().decode()
    return ""


async def ask(port, bodies, *, path="/r", fields="", at_once=8, per_s=400.0):
    """Each body once, over ``at_once`` connections; status, version and body of each answer."""
    answers: dict[int, tuple[int, dict[str, str], bytes]] = {}
    waiting = iter(enumerate(bodies))

    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, body in waiting:
            writer.write(
                f"POST {path} HTTP/1.1\r\nHost: models.example\r\nX-User-Id: u{number % 97}\r\n"
                f"{fields}Content-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *rest = head.split("\r\n")
            said = {k.lower(): v for k, _, v in (line.partition(": ") for line in rest)}
            got = await reader.readexactly(int(said.get("content-length", 0)))
            answers[number] = int(first.split()[1]), said, got
            await asyncio.sleep(at_once / per_s)
        writer.close()

    await asyncio.gather(*(one() for _ in range(at_once)))
    return [answers[number] for number in sorted(answers)]
