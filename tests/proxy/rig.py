"""A data plane with its backends and a raw client in one loop."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from collections import Counter
from dataclasses import dataclass, replace

from router.core.wire.outcomes import Outcome
from router.core.wire.table import (
    ListenerLimits,
    MatchEntry,
    RescueEntry,
    RouteEntry,
    RoutingTable,
    TimeoutsEntry,
    VersionEntry,
)
from router.proxy import coin
from router.proxy.plane import DataPlane, Listen
from router.telemetry.recorder import Recorder

if os.environ.get("RAMPWAY_TEST_LOOP") == "uvloop":  # workers run on it; see tests/reliability
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

WITHIN_S = 20.0
"""What tells late from never, on a machine that is busy with everything else."""
LIMITS = ListenerLimits(header_timeout_s=0.4, body_timeout_s=0.4, keep_alive_s=5.0, drain_s=2.0)
TIMEOUTS = TimeoutsEntry(connect_s=0.5, response_s=0.4, body_s=0.4)
RESCUE = RescueEntry(statuses=(5,))


def version(name, *endpoints, **fields):
    """One version; an endpoint may be a scripted backend or an address."""
    return VersionEntry(name, tuple(getattr(e, "endpoint", e) for e in endpoints), **fields)


def route(*versions, **fields):
    """One route; two versions are stable and candidate at 0 % unless told otherwise."""
    values = {
        "name": "r", "match": MatchEntry(), "versions": versions, "stable": 0, "timeouts": TIMEOUTS,
        "weights_bp": (10_000, *[0] * (len(versions) - 1)),
    }  # fmt: skip
    return RouteEntry(**(values | fields))


def rollout(stable, candidate, weight_bp, **fields):
    """A route in a rollout."""
    values = {"candidate": 1, "rollout_id": "rollout-1", "revision": 7,
              "weights_bp": (10_000 - weight_bp, weight_bp)}  # fmt: skip
    return route(version("v1", stable), version("v2", candidate), **(values | fields))


SEED = 20_130_101
"""Of what a plane draws: a share of 99.99 % is not missed in one run of ten thousand."""


class Rig:
    """``async with Rig(entry, ...) as rig``; what it draws is the same in every run."""

    def __init__(self, *entries, limits=LIMITS, **table):
        self.entries = entries
        self.limits = limits
        self.extra = table
        self.generation = 0
        self.wakes = 0
        self.recorder = Recorder(self._wake)
        self.plane = DataPlane(self.recorder, Listen("127.0.0.1", 0))
        self.outcomes = Counter()
        self._slices = {}
        self.batches = []
        self.rejected = Counter()
        self.versions = []
        self.mirrors = []

    def _wake(self):
        self.wakes += 1

    async def __aenter__(self):
        random.seed(SEED)  # ids, nonces, users who have no key
        coin._left[:] = [random.getrandbits(32) for _ in range(coin.BLOCK)]
        self.apply(*self.entries)
        await self.plane.start()
        return self

    async def __aexit__(self, *_):
        await self.plane.close()

    def apply(self, *entries):
        self.generation += 1
        table = RoutingTable(self.generation, entries, limits=self.limits, **self.extra)
        assert self.plane.apply(table)

    def count(self):
        """Take a delta and add it up; also returns it."""
        delta = self.recorder.delta()
        for one in delta.versions:
            self.versions.append(one)
            for index, number in enumerate(one.outcomes):
                if number:
                    self.outcomes[one.version, one.role, Outcome(index).name] += number
        self.batches += delta.batches
        for batch in delta.batches:
            self._slices.update({(batch.revision, cell.slice): cell for cell in batch.cells})
        self.rejected.update(delta.rejected)
        self.mirrors += delta.mirrors
        return delta

    @property
    def cells(self):
        """The newest word on every slice."""
        return list(self._slices.values())

    def arm(self, name):
        """Sum of one arm's counts over all slices so far."""
        total = Counter()
        for cell in self.cells:
            arm = getattr(cell, name)
            total.update(ok=arm.ok, bad=arm.bad, arrived=arm.arrived, left=arm.left,
                         slow=sum(arm.slow), fast=sum(arm.fast))  # fmt: skip
        return +total

    async def client(self, **more):
        return await Client.to(self.plane.port, **more)

    async def ask(self, data=None, **request):
        """One request on a connection of its own."""
        client = await self.client()
        try:
            return await client.ask(data, **request)
        finally:
            client.close()

    async def settled(self, within_s=WITHIN_S):
        """Until no exchange and no copy is under way."""
        await until(lambda: not self.plane.exchanges and not self.plane.mirrors.active, within_s)


@dataclass
class Answer:
    """An answer as a strict client reads it."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes = b""
    complete: bool = True
    """The body ended as its framing says, not with the connection."""


def request(method="POST", path="/p", body=b"", headers=(), chunked=False):
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: example.org", *headers]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    elif body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Client:
    """A raw client that believes nothing but the bytes."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, port, *, held_bytes=0):
        """``held_bytes``: so much is taken for it while it does not read; else what a kernel likes.

        On a machine with much memory that may be all of an answer of many megabytes.
        """
        made = socket.socket()
        made.setblocking(False)
        if held_bytes:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, held_bytes)
        try:
            await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
        except BaseException:
            made.close()
            raise
        return cls(*await asyncio.open_connection(sock=made, limit=1 << 20))

    async def ask(self, data=None, *, within_s=WITHIN_S, **fields):
        data = data if data is not None else request(**fields)
        self.writer.write(data)
        return await self.answer(within_s=within_s, to_head=data.startswith(b"HEAD"))

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, within_s=WITHIN_S, to_head=False):
        """The next answer; status 0 when the connection ended instead."""
        async with asyncio.timeout(within_s):
            try:
                return await self._answer(to_head)
            except (asyncio.IncompleteReadError, ConnectionError):
                return Answer(0, {}, complete=False)

    async def _answer(self, to_head):
        raw = await self.reader.readuntil(b"\r\n\r\n")
        line, *fields = raw[:-4].split(b"\r\n")
        headers = {}
        for field in fields:
            name, value = field.split(b": ", 1)
            headers[name.lower()] = value
        answer = Answer(int(line.split(b" ")[1]), headers)
        if answer.status < 200 or to_head or answer.status in (204, 304):
            return answer
        try:
            async for piece in self._body(headers):
                answer.body += piece
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            answer.body += getattr(error, "partial", b"")
            answer.complete = False
        return answer

    async def _body(self, headers):
        if b"content-length" in headers:
            yield await self.reader.readexactly(int(headers[b"content-length"]))
        elif b"transfer-encoding" in headers:
            while True:
                line = await self.reader.readuntil(b"\r\n")
                size = int(line, 16)
                piece = await self.reader.readexactly(size + 2)
                if not size:
                    return
                yield piece[:-2]
        else:
            while piece := await self.reader.read(65_536):
                yield piece

    async def ended(self, within_s=WITHIN_S):
        """What else comes before the router closes."""
        async with asyncio.timeout(within_s):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    def close(self):
        self.writer.transport.abort()


async def until(condition, within_s=WITHIN_S):
    """Poll with a deadline; fails with the condition's source line in the trace."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "condition did not come true in time"
        await asyncio.sleep(0.005)


__all__ = ["LIMITS", "RESCUE", "TIMEOUTS", "Client", "Rig", "replace", "request", "rollout",
           "route", "until", "version"]  # fmt: skip
