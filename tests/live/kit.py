"""Versions whose behaviour can be switched, a real router in front of them, and clients.

The versions and the clients live in the test's loop; the router is the real program, as processes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
from contextlib import suppress
from pathlib import Path

from tests.reliability.whole import Router, call, standing, until
from tests.waiting import for_ever

ANSWER = (
    b'{"model_name": "m", "outputs": '
    b'[{"name": "y", "datatype": "FP64", "shape": [1], "data": [%s]}]}'
)
SENT = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
HEAD = """\
listen: "127.0.0.1:{port}"
admin: {{listen: "127.0.0.1:{admin}"}}
store: sqlite:///{folder}/r.db
{more}
routes:
"""


class Version:
    """A service. ``bad``: share answered 500; ``mode``: ok, hang, empty, refuse."""

    def __init__(self, value=b"0.25", seed=1):
        self.value, self.bad, self.delay_s, self.mode = value, 0.0, 0.0, "ok"
        self.seen = 0
        self.probes = 200
        self._draw = random.Random(seed)

    async def open(self, port=0):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    def close(self):
        self.server.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader, writer):
        with suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *rest = head.decode("latin-1").lower().split("\r\n")
                fields = dict(line.split(": ", 1) for line in rest if ": " in line)
                await reader.readexactly(int(fields.get("content-length", 0)))
                status, body = self.probes, b""
                if " /metrics" in first:
                    body = b"process_resident_memory_bytes 52428800\n"
                elif " /health" not in first:
                    self.seen += 1
                    status, body = await self._answer()
                writer.write(SENT % (status, len(body), body))
        writer.transport.abort()

    async def _answer(self):
        if self.mode == "hang":
            await for_ever()
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.mode == "empty":
            return 200, b""
        if self.mode == "refuse":
            return 422, b'{"error": "no"}'
        if self._draw.random() < self.bad:
            return 500, b'{"error": "broken"}'
        return 200, ANSWER % self.value


class Clients:
    """Asks at a steady pace until closed; ``users`` of them in turn, of very different activity."""

    def __init__(self, port, paths=("/r",), *, per_s=100, users=200, at_once=8, seed=7):
        self.port, self.pause_s = port, at_once / per_s
        self.answers: dict[tuple[str, int, str], int] = {}
        self.lost = 0
        self.receipts: list[tuple[str, str]] = []
        self._draw = random.Random(seed)
        self._paths = itertools.cycle(paths)
        self._users = users
        self._at_once = at_once
        self._stop = False

    async def __aenter__(self):
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(self._at_once)]
        return self

    async def __aexit__(self, *_):
        self._stop = True
        await asyncio.gather(*self._tasks)

    def of(self, version):
        """Answers of a version, any path and status."""
        return sum(n for (_, _, v), n in self.answers.items() if v == version)

    async def _ask(self):
        while not self._stop:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                self.lost += 1
                await asyncio.sleep(0.05)
                continue
            with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                while not self._stop:
                    await self._one(reader, writer)
                    await asyncio.sleep(self._draw.expovariate(1.0 / self.pause_s))
            writer.transport.abort()

    async def _one(self, reader, writer):
        path = next(self._paths)
        user = min(int(self._draw.paretovariate(0.5)), self._users)
        country = ("de", "fr", "at")[user % 3]
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nX-User-Id: u{user}\r\nX-Country: {country}\r\n"
            "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n".encode()
            + b'{"x":1}'
        )
        async with asyncio.timeout(5):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *rest = head.split("\r\n")
            fields = {k.lower(): v for k, _, v in (line.partition(": ") for line in rest)}
            await reader.readexactly(int(fields.get("content-length", 0)))
        key = path, int(first.split()[1]), fields.get("x-rampway-version", "")
        self.answers[key] = self.answers.get(key, 0) + 1
        if receipt := fields.get("x-rampway-receipt"):
            self.receipts.append((receipt, key[2]))


class Lab:
    """A folder with a policy, its versions v1, v2, v3, and the lives of the router in it."""

    def __init__(self, folder: Path, names=("v1", "v2", "v3")):
        self.folder = folder
        self.file = folder / "policy.yaml"
        self.versions = {name: Version(seed=i) for i, name in enumerate(names)}
        self.lives: list[Router] = []
        self.routes, self.head = "", ""
        self.ports = (0, 0)

    async def __aenter__(self):
        for version in self.versions.values():
            await version.open()
        return self

    async def __aexit__(self, *_):
        for life in self.lives:
            await asyncio.to_thread(life.end)
        for version in self.versions.values():
            version.close()

    def write(self, routes=None, head=None):
        """The policy; ``<v1>`` stands for a version's endpoint. A rename, as editors do."""
        self.routes = self.routes if routes is None else routes
        self.head = self.head if head is None else head
        port, admin = self.ports
        text = HEAD.format(port=port, admin=admin, folder=self.folder, more=self.head) + self.routes
        for name, version in self.versions.items():
            text = text.replace(f"<{name}>", version.url)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text.replace("<folder>", str(self.folder)))
        fresh.replace(self.file)

    async def start(self):
        """One more life, on the ports of the first."""
        life = Router(self.folder, self.file)
        self.lives.append(life)
        await asyncio.to_thread(life.serving)
        if self.ports == (0, 0):
            self.ports = life.port, int(life.admin.rpartition(":")[2])
            self.write()
        return life

    async def kill(self):
        """kill -9 of the control process, then another life."""
        await asyncio.to_thread(self.lives[-1].kill)
        return await self.start()

    async def end(self):
        """SIGTERM, and wait."""
        await asyncio.to_thread(self.lives[-1].terminate)

    @property
    def port(self):
        return self.ports[0]

    async def get(self, path):
        return (await asyncio.to_thread(call, self.lives[-1].admin + path))[1]

    async def order(self, route, verb, **fields):
        url = f"{self.lives[-1].admin}/api/v1/rollouts/{route}/{verb}"
        return await asyncio.to_thread(call, url, "POST", fields)

    async def post(self, path, body):
        return await asyncio.to_thread(call, self.lives[-1].admin + path, "POST", body)

    async def kill_worker(self, life):
        """kill -9 of one of the processes that serve; it is replaced."""
        pids = await asyncio.to_thread(life.workers)
        os.kill(pids[0], signal.SIGKILL)

    async def status(self, route="r"):
        return await self.get(f"/api/v1/rollouts/{route}")

    async def until(self, condition, route="r", seconds=30):
        """Wait until the route's status fulfils ``condition`` (or has that phase)."""
        met = condition if callable(condition) else lambda s: s.get("phase") == condition

        def look():
            said = call(f"{self.lives[-1].admin}/api/v1/rollouts/{route}")[1]
            look.said = said
            return isinstance(said, dict) and met(said) and said

        try:
            return await asyncio.to_thread(until, look, seconds, f"{route}: {condition}")
        except AssertionError as error:
            kept = {k: look.said.get(k) for k in ("phase", "step", "reason", "waits_for", "gates")}
            raise AssertionError(f"{error}: {json.dumps(kept, default=str)[:2000]}") from None

    async def in_force(self, condition, route="r"):
        """The same, and until every worker serves by the table that this is in."""
        said = await self.until(condition, route)
        ready = f"{self.lives[-1].admin}/readyz"
        await asyncio.to_thread(until, lambda: call(ready)[0] == 200, what="a table in force")
        return said

    async def begun(self, route="r"):
        """Until the rollout has traffic: a worker has reached its candidate."""
        return await self.in_force(lambda s: not standing(s), route)


def route(strategy, *, name="r", gates="[error_rate, guard]", more="", head="", endpoints="<v2>"):
    """A route of the lab, as YAML. ``more``: lines of the rollout; ``head``: of the route."""
    return f"""\
  - name: {name}
    match: {{path: /{name}*}}
{_indented(head, 4)}    versions:
      v1: {{endpoints: ["<v1>"]}}
      v2: {{endpoints: ["{endpoints}"]}}
      v3: {{endpoints: ["<v3>"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {strategy}
      gates: {gates}
{_indented(more, 6)}"""


def _indented(text, width):
    return "".join(f"{' ' * width}{line}\n" for line in text.splitlines() if line)
