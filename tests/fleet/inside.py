"""Routers in the process of a test; their workers are processes of their own."""

from __future__ import annotations

import asyncio
import contextlib

from router.main import Signals, run
from tests.ports import free_port
from tests.reliability.whole import ask

POLICY = """
listen: 127.0.0.1:{port}
admin: {{listen: "127.0.0.1:0"}}
store: {store}
workers: 1
limits: {{drain: 20s}}
routes:
  - name: r
    versions:
      {called}: {{endpoints: ["http://127.0.0.1:{version}"]}}
    stable: {called}
"""


class Held:
    """A version that answers when it is let."""

    def __init__(self):
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _answer(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked.set()
                await self.may.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class Lives:
    """A router in this process, one of several if it has a name; its workers are processes."""

    def __init__(self, folder, store, version, name="", *, force=False, called="v1"):
        folder.mkdir()
        self.file, self.port, self.signals = folder / "policy.yaml", free_port(), Signals()
        self.store, self.version, self.leads = store, version, asyncio.Event()
        self.write(called)
        self.task = asyncio.create_task(
            run(self.file, member=name, signals=self.signals, on_ready=self._ready, force=force)
        )

    def write(self, called):
        """The policy, with one version of this name."""
        text = POLICY.format(
            port=self.port, store=self.store, version=self.version, called=called
        )  # fmt: skip
        self.file.write_text(text)

    def _ready(self, plane, _admin):
        self.plane = plane
        self.leads.set()

    async def ends(self):
        """Told to stop, where it was not; its exit status."""
        self.signals.stop.set()
        return await asyncio.wait_for(self.task, 60)


async def answers(port):
    """Once it serves."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                if (await ask(port))[0] == 200:
                    return
            await asyncio.sleep(0.05)
