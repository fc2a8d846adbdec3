"""A server that hooks, alerts and registries call; a world whose decisions reach the outside."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

from aiohttp import web

from router.config.check import loads
from router.control.outside.outreach import Outreach
from router.control.rollouts.reconciler import Reconciler
from router.control.told.announce import Announcer
from tests.clock import ManualClock
from tests.control.conftest import Tables, Told, World
from tests.control.memory import MemoryStore
from tests.waiting import for_ever

DEADLINE_S = 10.0


class Server:
    """Answers POSTs; ``answers[path]`` is a status, or "hang"; keeps everything it was sent."""

    def __init__(self):
        self.answers = defaultdict(lambda: 200)
        self.calls = []
        self.headers = []

    async def __aenter__(self):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def _answer(self, request):
        path = request.match_info["path"]
        self.calls.append((path, await request.json()))
        self.headers.append((path, dict(request.headers)))
        answer = self.answers[path]
        if answer == "hang":
            await for_ever()
            return web.Response()
        if 300 <= answer < 400:
            return web.Response(status=answer, headers={"Location": f"{self.url}/elsewhere"})
        return web.Response(status=answer)

    def paths(self):
        return [path for path, _ in self.calls]

    def bodies(self, path):
        return [body for called, body in self.calls if called == path]


class Heard(Told):
    """The listener as in the plane: announcements and the outside."""

    def __init__(self, world):
        super().__init__()
        self.world = world

    def moved(self, entry):
        super().moved(entry)
        self.world.announcer.moved(entry)
        self.world.outreach.moved(entry)


class OutsideWorld(World):
    """Virtual time for the rollout, real sockets to a real server."""

    async def start(self, *, force=False):
        self.told, self.tables = Heard(self), Tables()
        self.store = MemoryStore(self.disk)
        self.clock = ManualClock(0.0, wall=self.clock.wall() + 5)
        self.announcer = Announcer(self.clock)
        self.counts = defaultdict(int)
        self.reconciler = Reconciler(self.store, self.clock, self.tables, self.told)
        self.outreach = Outreach(self.reconciler, self.announcer, self.clock, self._count)
        self.reconciler.resume(await self.store.open())
        self.outreach.open()
        await asyncio.sleep(0)
        self.notes = self.reconciler.adopt(loads(self.text).policy, force=force)
        await self.settle()
        return self

    def _count(self, kind, result):
        self.counts[kind, result] += 1

    async def __aenter__(self):
        return await self.start()

    async def __aexit__(self, *_):
        await self.outreach.close()

    async def until(self, condition, *, tick=0.25, **traffic):
        """Virtual time goes on, and real time for the sockets, until the condition holds."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, (self.journal, self.reconciler.runs)
            await self.run(tick, tick=tick, **traffic)
            await asyncio.sleep(0.002)
